/* One input: a thread that opens it, reads it, and tells the engine of every packet. */

#ifndef INPUT_H
#define INPUT_H

#include "output.h"
#include "source.h"

#include <changeover.h>
#include <pthread.h>
#include <stdatomic.h>

/* What all inputs share. */
typedef struct Inputs {
    changeover_engine engine;
    const char *stream;
    Output *output;
    int64_t connect_timeout_us;
    int is_hot;
    atomic_int *quit; /* 1: end */
} Inputs;

/* What the engine wants of a cold input. */
typedef enum Wish { WISH_NOTHING, WISH_RUN, WISH_PROBE } Wish;

typedef struct Input {
    const Inputs *shared;
    SourceConfig config;
    int number; /* and its priority */
    pthread_t thread;
    int has_thread;

    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t changed;
    Wish wish;
    uint64_t epoch;
    changeover_answer_token answer;
    /* Counts the wishes. A call that was made for an older one is abandoned. */
    atomic_uint asked;
    unsigned done; /* the last one that the thread is through with */
    int has_ended;

    unsigned serving; /* the thread's own: the wish that it is at */
    char last_why[600];
} Input;

/* From here on it takes wishes. `shared`, `config` and `number` are set. */
void input_init(Input *input);

/* Starts its thread: 0, or an errno. Cold, it waits for wishes; hot, it reads until `quit`. */
int input_start(Input *input);

/* The engine's wishes; neither waits for the network. Any thread. */
void input_run(Input *input, uint64_t epoch, changeover_answer_token answer);
void input_probe(Input *input, changeover_answer_token answer);

/* Ends the activation of `epoch`, and waits until it has ended (some 100 ms; at most
 * `timeout_ms`). */
void input_stop(Input *input, uint64_t epoch, int timeout_ms);

/* Waits for its end, after `quit`. 0 where it hangs for longer than `timeout_ms`. */
int input_join(Input *input, int timeout_ms);

/* The engine must be gone: its driver calls use the input. */
void input_clear(Input *input);

#endif
