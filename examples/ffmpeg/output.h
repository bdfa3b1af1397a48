/* The one output: packets of whichever input is on the air, on one timeline. */

#ifndef OUTPUT_H
#define OUTPUT_H

#include "tracks.h"

#include <changeover.h>
#include <stdint.h>

typedef struct OutputConfig {
    const char *url;
    const char *format;    /* NULL: by the URL */
    const AVDictionary *options; /* of the muxer and the protocol */
    int keep_holes;        /* a silence at a cut stays in the timestamps */
    /* Whether the program ends: a call that hangs is given up some seconds later. */
    int (*abandoned)(void *opaque);
    void *opaque;
} OutputConfig;

typedef struct Output Output;

/* Which run of packets one belongs to. */
typedef struct Turn {
    uint32_t cut;    /* changeover_record's verdict */
    uint64_t serial; /* the opening of the source: its clock begins anew with each */
    int input;       /* for the log */
} Turn;

typedef struct OutputTotals {
    uint64_t packets, bytes, dropped;
    int64_t first_us, last_us; /* when, on av_gettime_relative's clock; 0: never */
} OutputTotals;

/* Opens the protocol; the header is written with the first packet, whose input defines the tracks.
 * On error answers an AVERROR, and has said why in the log. */
int output_open(Output **out, const OutputConfig *config, changeover_engine engine);

/* Whether the format keeps codec configuration in the packets alone. */
int output_is_in_band(const Output *output);

/* Whether an input of these tracks can go out: 1; 0 while nothing has defined them; an AVERROR
 * where it cannot. */
int output_fits(Output *output, const Tracks *tracks, char *why, size_t why_size);

/* Writes a packet of track `number`, or drops what cannot be shown there. Several threads may call
 * it: what comes late from an input that has lost the air is dropped. Takes the packet's contents.
 * Where the tracks do not fit, `why` says which. */
typedef enum OutputAnswer { OUTPUT_TAKEN, OUTPUT_MISFIT, OUTPUT_BROKEN } OutputAnswer;
OutputAnswer output_write(Output *output, Turn turn, const Tracks *tracks, int number,
                          AVPacket *packet, char *why, size_t why_size);

OutputTotals output_totals(Output *output);

/* Writes the trailer, closes the protocol; what comes later is dropped. Answers an AVERROR where
 * the output is broken. */
int output_finish(Output *output);

/* The same, and frees it. No other thread may use it any more, and the engine may be gone. */
int output_close(Output **output);

#endif
