/* One opened input: libavformat, with an end to every call, and without a dead source's last
 * words. */

#ifndef SOURCE_H
#define SOURCE_H

#include <libavformat/avformat.h>
#include <stddef.h>
#include <stdint.h>

/* What is to be opened, and how. Set once, before any thread uses it. */
typedef struct SourceConfig {
    const char *url;
    const AVInputFormat *format; /* NULL: libavformat finds out */
    AVDictionary *options;       /* of the protocol and the demuxer */
    int64_t probesize;           /* bytes */
    int64_t analyzeduration;     /* us */
    int64_t silence_us;          /* what comes after so long a pause needs a witness */
    int realtime;                /* read no faster than its timestamps say: files */
} SourceConfig;

typedef struct Source Source;

/* Whether the call that is being made for this source is to be given up. Asked every 100 ms. */
typedef int (*SourceAbandoned)(void *opaque);

/* Opens it and finds out its streams, within `timeout_us`. On error answers an AVERROR, and says
 * why in `why`. */
int source_open(Source **out, const SourceConfig *config, SourceAbandoned abandoned, void *opaque,
                int64_t timeout_us, char *why, size_t why_size);

/* Reads the next packet of any stream. 0, or an AVERROR: AVERROR_EXIT where it was abandoned,
 * AVERROR(ETIMEDOUT) where nothing came within `timeout_us` (0: waits for ever). After an error
 * the source is dead: close it. */
int source_read(Source *source, AVPacket *packet, int64_t timeout_us);

AVFormatContext *source_format(const Source *source);

/* Answers the same for every packet of one opening, and another number for the next one. */
uint64_t source_serial(const Source *source);

void source_close(Source **source);

#endif
