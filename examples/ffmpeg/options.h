/* The command line of ffchangeover. */

#ifndef OPTIONS_H
#define OPTIONS_H

#include "source.h"

enum { MAX_INPUTS = 16 };

typedef struct Options {
    int input_count;
    SourceConfig inputs[MAX_INPUTS];
    const char *output;
    const char *output_format;
    AVDictionary *output_options;
    int is_hot, is_immediate, never_back, keep_holes;
    int64_t timeout_ms, connect_timeout_ms, probe_every_ms, stable_ms, cooldown_ms;
    int64_t probesize, analyzeduration;
    double duration_s, status_every_s;
    int log_level; /* libavformat's own */
} Options;

/* 0: go on; 1: it was all about --help or --version; 2: it is wrong, and the log says how. */
int options_read(Options *options, int count, char **words);

void options_clear(Options *options);

#endif
