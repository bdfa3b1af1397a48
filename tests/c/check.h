/* What the C tests check with, and the little that several of them need. */
#ifndef CHECK_H
#define CHECK_H

#include <changeover.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS INT64_C(1000000) /* in ns */
#define UNUSED __attribute__((unused))

static const char *check_step = ""; /* said where a check fails */

UNUSED static void check_failed(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: %s%s%s: failed (last error: %s: %s)\n", file, line, check_step,
            *check_step ? ": " : "", what, changeover_strerror(changeover_last_error()),
            changeover_last_error_text());
    fflush(NULL);
    abort();
}

UNUSED static void check_equal(const char *file, int line, const char *what, int64_t is,
                               int64_t should) {
    if (is != should) {
        fprintf(stderr, "%" PRId64 ", not %" PRId64 ": ", is, should);
        check_failed(file, line, what);
    }
}

UNUSED static void check_text(const char *file, int line, const char *what, const char *is,
                              const char *should) {
    if (strcmp(is, should) != 0) {
        fprintf(stderr, "is:\n%s\nshould be:\n%s\n", is, should);
        check_failed(file, line, what);
    }
}

UNUSED static int64_t check_worked(const char *file, int line, const char *what, int64_t is) {
    if (is < 0) {
        fprintf(stderr, "%" PRId64 " (%s): ", is, changeover_strerror((int32_t)is));
        check_failed(file, line, what);
    }
    return is;
}

/* The thread's last error becomes another code than `than`. */
UNUSED static void check_other_error(int64_t than) {
    changeover_answer_token none = {0};
    int32_t is = changeover_answer(none, than == CHANGEOVER_BAD_ARGUMENT ? 0 : 99, NULL);
    if (is == than || changeover_last_error() != is)
        check_failed(__FILE__, __LINE__, "another error than before");
}

UNUSED static void check_refused(const char *file, int line, const char *what, int64_t code,
                                 int64_t is) {
    check_equal(file, line, what, is, code);
    check_equal(file, line, "changeover_last_error()", changeover_last_error(), code);
    if (*changeover_last_error_text() == 0)
        check_failed(file, line, "an error without a text");
}

#define CHECK(condition) \
    ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))
#define EQUAL(is, should) check_equal(__FILE__, __LINE__, #is, (int64_t)(is), (int64_t)(should))
#define SAME(is, should) check_text(__FILE__, __LINE__, #is, is, should)
/* It works; its answer. */
#define OK(call) check_worked(__FILE__, __LINE__, #call, (int64_t)(call))
/* It answers this code, and says so as the thread's last error. */
#define REFUSED(code, call) \
    (check_other_error(code), check_refused(__FILE__, __LINE__, #call, code, (int64_t)(call)))

UNUSED static void sleep_ms(int64_t ms) {
    struct timespec left = {(time_t)(ms / 1000), (long)(ms % 1000 * MS)};
    while (nanosleep(&left, &left) != 0) {
    }
}

UNUSED static int64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 * MS + now.tv_nsec;
}

/* Waits up to 20 s for a condition that other threads bring about. */
#define EVENTUALLY(condition)                                                       \
    do {                                                                            \
        int64_t until_ = clock_ns() + 20000 * MS;                                   \
        while (!(condition)) {                                                      \
            if (clock_ns() > until_)                                                \
                check_failed(__FILE__, __LINE__, "not in 20 s: " #condition);       \
            sleep_ms(2);                                                            \
        }                                                                           \
    } while (0)

/* Input `priority`, hot or cold. */
UNUSED static changeover_input_config input_of(int32_t priority, uint32_t hot,
                                               const char *address) {
    changeover_input_config input = changeover_input_config_init();
    input.priority = priority;
    input.hot = hot;
    input.address = address;
    return input;
}

/* A stream of so many inputs, hot or cold: priorities 0, 1, ... */
UNUSED static int32_t register_inputs(changeover_engine engine, const char *id, int count,
                                      uint32_t hot) {
    changeover_input_config inputs[16];
    char addresses[16][16];
    for (int i = 0; i < count; i++) {
        snprintf(addresses[i], sizeof addresses[i], "in%d", i);
        inputs[i] = input_of(i, hot, addresses[i]);
    }
    changeover_stream_config stream = changeover_stream_config_init();
    stream.id = id;
    stream.inputs = inputs;
    stream.input_count = (size_t)count;
    return changeover_register(engine, &stream);
}

/* An engine that is driven by hand, with this policy (or NULL), driver and callbacks. */
UNUSED static changeover_engine by_hand(const changeover_engine_config *config,
                                        const changeover_driver *driver,
                                        const changeover_callbacks *callbacks) {
    changeover_engine_options options = changeover_engine_options_init();
    options.config = config;
    options.driver = driver;
    options.callbacks = callbacks;
    options.hand_driven = 1;
    changeover_engine engine = {0};
    OK(changeover_engine_create(&options, &engine));
    return engine;
}

UNUSED static pthread_t start_thread(void *(*run)(void *), void *with) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run, with) == 0);
    return thread;
}

/* xorshift: the same numbers every time. */
UNUSED static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

#endif
