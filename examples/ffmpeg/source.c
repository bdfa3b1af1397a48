/* One opened input: libavformat, with an end to every call, and without a dead source's last
 * words.
 *
 * When a source has died, the demuxer hands out what it had half received as if it had just
 * arrived, at the moment of its timeout: seconds too late, and right before the error. A failover
 * engine must not take that for a sign of life. So:
 *  - no protocol gets a `timeout` option from here: the interrupt callback ends a call, and notes
 *    that it has; whatever is "read" after that is thrown away;
 *  - where the protocol ends by itself (SRT's peer idle time, a TCP reset), the first packets after
 *    a long silence are held until a later one shows that the source lives. */

#include "source.h"

#include <libavutil/mathematics.h>
#include <libavutil/time.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
    /* More than a demuxer and its parsers keep of a handful of streams. */
    MAX_HELD = 64,
    /* Packets that are flushed at an error come at once; a live source's next one, later. */
    WITNESS_US = 20000,
    STEP_US = 20000,
    /* A leap of a file's clock, after which it is paced anew. */
    LEAP_US = 10000000,
};

struct Source {
    AVFormatContext *format;
    SourceConfig config;
    uint64_t serial;
    SourceAbandoned abandoned;
    void *opaque;
    int64_t deadline_us; /* of the call that is being made; 0: none */
    int is_late;         /* the deadline has passed */
    int is_interrupted;  /* the callback has ended a call */
    AVPacket *held[MAX_HELD];
    int held_count;
    int held_next; /* the next one to hand out, once they are proven */
    int is_proven;
    int64_t held_since_us;
    int64_t pace_wall_us; /* realtime: when ... */
    int64_t pace_dts_us;  /* ... this was due */
};

static int interrupt(void *opaque) {
    Source *source = opaque;
    if (source->deadline_us && av_gettime_relative() >= source->deadline_us)
        source->is_late = 1;
    if (source->is_late || source->abandoned(source->opaque))
        source->is_interrupted = 1;
    return source->is_interrupted;
}

/* An interrupted call answers whatever error its protocol has for that. */
static int error_of(const Source *source, int error) {
    if (source->is_late)
        return AVERROR(ETIMEDOUT);
    return source->is_interrupted ? AVERROR_EXIT : error;
}

static int fail(Source *source, const char *what, int error, char *why, size_t why_size) {
    char text[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(error, text, sizeof text);
    snprintf(why, why_size, "%s: %s", what, text);
    source_close(&source);
    return error;
}

int source_open(Source **out, const SourceConfig *config, SourceAbandoned abandoned, void *opaque,
                int64_t timeout_us, char *why, size_t why_size) {
    static atomic_uint_least64_t serials;
    Source *source = av_mallocz(sizeof *source);
    if (!source || !(source->format = avformat_alloc_context())) {
        av_free(source);
        snprintf(why, why_size, "out of memory");
        return AVERROR(ENOMEM);
    }
    source->config = *config;
    source->serial = atomic_fetch_add(&serials, 1) + 1;
    source->abandoned = abandoned;
    source->opaque = opaque;
    source->deadline_us = av_gettime_relative() + timeout_us;
    source->is_proven = 1;
    source->pace_dts_us = AV_NOPTS_VALUE;
    source->format->interrupt_callback = (AVIOInterruptCB){interrupt, source};
    source->format->probesize = config->probesize;
    source->format->max_analyze_duration = config->analyzeduration;
    /* What takes FFmpeg a second is to count frames for a frame rate that a remuxer can do
     * without. */
    source->format->fps_probe_size = 0;

    AVDictionary *options = NULL;
    av_dict_copy(&options, config->options, 0);
    /* On error it frees the context. */
    int error = avformat_open_input(&source->format, config->url, config->format, &options);
    const AVDictionaryEntry *unknown = av_dict_get(options, "", NULL, AV_DICT_IGNORE_SUFFIX);
    if (error >= 0 && unknown) {
        snprintf(why, why_size, "it has no option '%s'", unknown->key);
        av_dict_free(&options);
        source_close(&source);
        return AVERROR_OPTION_NOT_FOUND;
    }
    av_dict_free(&options);
    if (error < 0)
        return fail(source, "cannot be opened", error_of(source, error), why, why_size);
    error = avformat_find_stream_info(source->format, NULL);
    if (error < 0 || source->is_interrupted)
        return fail(source, "no streams found", error_of(source, error), why, why_size);
    *out = source;
    return 0;
}

static void drop_held(Source *source) {
    for (int n = 0; n < source->held_count; n++)
        av_packet_free(&source->held[n]);
    source->held_count = source->held_next = 0;
    source->is_proven = 1;
}

/* Sleeps until the packet is due. */
static void pace(Source *source, const AVPacket *packet) {
    int64_t dts = packet->dts == AV_NOPTS_VALUE ? packet->pts : packet->dts;
    if (dts == AV_NOPTS_VALUE)
        return;
    AVRational base = source->format->streams[packet->stream_index]->time_base;
    dts = av_rescale_q(dts, base, AV_TIME_BASE_Q);
    int64_t leap = source->pace_dts_us == AV_NOPTS_VALUE ? LEAP_US : dts - source->pace_dts_us;
    if (leap >= LEAP_US || leap <= -LEAP_US) {
        source->pace_wall_us = av_gettime_relative();
        source->pace_dts_us = dts;
    }
    int64_t due = source->pace_wall_us + dts - source->pace_dts_us;
    for (;;) {
        int64_t early = due - av_gettime_relative();
        if (early <= 0 || source->abandoned(source->opaque))
            break;
        av_usleep((unsigned)FFMIN(early, STEP_US));
    }
    /* Moves on with the packets, so that only a leap is a leap. */
    source->pace_wall_us = due;
    source->pace_dts_us = dts;
}

/* Holds the packet; answers an error where that cannot be. */
static int hold(Source *source, AVPacket *packet) {
    int64_t now = av_gettime_relative();
    if (source->held_count == 0) {
        source->held_since_us = now;
        source->is_proven = 0;
    }
    AVPacket *held = av_packet_alloc();
    if (!held)
        return AVERROR(ENOMEM);
    av_packet_move_ref(held, packet);
    source->held[source->held_count++] = held;
    source->is_proven =
        source->held_count == MAX_HELD || now - source->held_since_us >= WITNESS_US;
    return 0;
}

int source_read(Source *source, AVPacket *packet, int64_t timeout_us) {
    for (;;) {
        if (source->is_proven && source->held_next < source->held_count) {
            AVPacket **held = &source->held[source->held_next++];
            av_packet_move_ref(packet, *held);
            av_packet_free(held);
            if (source->held_next == source->held_count)
                drop_held(source);
            return 0;
        }
        int64_t asked = av_gettime_relative();
        source->deadline_us = timeout_us ? asked + timeout_us : 0;
        int error = av_read_frame(source->format, packet);
        if (error == AVERROR(EAGAIN) && !interrupt(source)) {
            av_usleep(1000);
            continue;
        }
        if (error < 0 || source->is_interrupted) {
            av_packet_unref(packet);
            drop_held(source);
            return error_of(source, error);
        }
        int was_silent = av_gettime_relative() - asked >= source->config.silence_us;
        if (!was_silent && source->held_count == 0) {
            if (source->config.realtime)
                pace(source, packet);
            return 0;
        }
        error = hold(source, packet);
        if (error < 0)
            return error;
    }
}

AVFormatContext *source_format(const Source *source) {
    return source->format;
}

uint64_t source_serial(const Source *source) {
    return source->serial;
}

void source_close(Source **source) {
    if (!*source)
        return;
    drop_held(*source);
    avformat_close_input(&(*source)->format);
    av_freep(source);
}
