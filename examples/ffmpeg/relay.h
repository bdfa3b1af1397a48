/* The engine with its inputs, its output and its driver, from the beginning to the end. */

#ifndef RELAY_H
#define RELAY_H

#include "input.h"
#include "options.h"

typedef struct Relay {
    const Options *options;
    atomic_int quit;
    changeover_engine engine;
    Output *output;
    Inputs shared;
    Input inputs[MAX_INPUTS];
} Relay;

/* The stream's id in the engine. */
#define RELAY_STREAM "ffchangeover"

/* What the program exits with. */
enum {
    EXIT_AS_ASKED = 0,
    EXIT_OUTPUT = 1,
    EXIT_COMMAND_LINE = 2,
    EXIT_NOTHING = 3,
    EXIT_ENGINE = 4,
    EXIT_HUNG = 5,
};

/* Answers an exit code; if it is not 0, nothing runs. */
int relay_start(Relay *relay, const Options *options);

/* Ends everything; answers the program's exit code. */
int relay_end(Relay *relay);

#endif
