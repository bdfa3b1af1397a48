/* What an operator types, and what is told of the state. */

#ifndef CONSOLE_H
#define CONSOLE_H

#include "relay.h"

#include <stddef.h>

typedef struct Console {
    char line[256]; /* what has come of the next command */
    size_t used;
    int is_closed;
} Console;

/* Waits up to 100 ms for commands on standard input, and carries them out. */
void console_serve(Console *console, Relay *relay);

/* The state as one line of JSON on standard output. */
void console_print_json(const Relay *relay);

#endif
