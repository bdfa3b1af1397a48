/* An AVIOContext that reads the best of several MPEG-TS inputs.
 *
 *     reader threads (one per URL)                          the program's thread
 *     avio_read -> eyes -> changeover_record -> units  ->  [ joint: a ring ]  ->  AVIOContext
 *
 * Each reader tells the engine of all its packets, and gathers whole units all the time; those that
 * are complete while its input is on the air are joined to the stream. */

#include "avio_changeover.h"

#include "avio_map.h"
#include "log.h"

#include <libavutil/time.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    MAX_READERS = 16,
    IO_BYTES = 32 << 10,
    READ_BYTES = 64 << 10,
    DEFAULT_BUFFER_BYTES = 4 << 20,
    /* What one look of the eyes is for: a datagram's worth. */
    LOOK_BYTES = 7 * TS_PACKET,
    WAIT_MS = 100,
    /* A connection that is silent for so long (or four timeouts) is made anew. */
    RECONNECT_US = 5000000,
    FIRST_PAUSE_US = 100000,
    LAST_PAUSE_US = 2000000,
    MISFIT_PAUSE_US = 10000000,
};

typedef struct Bridge Bridge;

typedef struct Reader {
    Bridge *bridge;
    int number;
    char *url;
    pthread_t thread;
    int has_thread;
    int64_t deadline_us;
    uint64_t serial; /* counts the connections */
    TsLayout layout;
    TsUnits units;
    uint32_t cut; /* the last verdict, if it was one to forward; 0: not on the air */
    uint8_t bytes[READ_BYTES];
    size_t used;
} Reader;

struct Bridge {
    changeover_engine engine;
    AVIOChangeoverOptions options;
    atomic_int quit;
    pthread_mutex_t lock; /* over the joint */
    pthread_cond_t filled;
    TsJoint joint;
    AvioMap map; /* the reading thread's */
    int count;
    Reader readers[MAX_READERS];
};

static int interrupt(void *opaque) {
    Reader *reader = opaque;
    return atomic_load(&reader->bridge->quit) || av_gettime_relative() >= reader->deadline_us;
}

static void join_unit(void *opaque, int stream, const uint8_t *packets, size_t size, int is_key) {
    Reader *reader = opaque;
    Bridge *bridge = reader->bridge;
    if (reader->cut == 0)
        return;
    TsPiece piece = {
        .cut = reader->cut,
        .serial = reader->serial,
        .input = reader->number,
        .layout = &reader->layout,
        .stream = stream,
        .packets = packets,
        .size = size,
        .is_key = is_key,
    };
    pthread_mutex_lock(&bridge->lock);
    if (ts_joint_add(&bridge->joint, &piece))
        pthread_cond_signal(&bridge->filled);
    pthread_mutex_unlock(&bridge->lock);
}

/* Whether the input's tracks fit the stream's, as far as either is known. */
static int fits(Reader *reader, char *why, size_t why_size) {
    Bridge *bridge = reader->bridge;
    pthread_mutex_lock(&bridge->lock);
    int fits = !reader->layout.is_known || bridge->joint.turn == 0 ||
               ts_layout_fits(&bridge->joint.layout, &reader->layout, why, why_size);
    pthread_mutex_unlock(&bridge->lock);
    return fits;
}

/* Whole packets, at most a datagram of them. 0, or a negative number: end this connection. */
static int take_packets(Reader *reader, changeover_recorder recorder, changeover_eyes eyes,
                        const uint8_t *packets, size_t size) {
    changeover_sight sight = changeover_sight_init();
    if (changeover_eyes_look(eyes, packets, size, &sight) > 0) {
        int64_t verdict = changeover_record(recorder, &sight.packet);
        if (verdict < 0)
            return -1;
        reader->cut = (uint32_t)verdict;
    }
    for (const uint8_t *packet = packets; packet < packets + size; packet += TS_PACKET) {
        ts_layout_learn(&reader->layout, packet);
        if (reader->layout.is_known)
            ts_units_feed(&reader->units, &reader->layout, packet, join_unit, reader);
    }
    return 0;
}

/* Takes whole packets from the front of what was read; what is left moves there. */
static int take_bytes(Reader *reader, changeover_recorder recorder, changeover_eyes eyes) {
    size_t at = 0;
    int error = 0;
    while (error >= 0 && reader->used - at >= TS_PACKET) {
        const uint8_t *from = reader->bytes + at;
        if (*from != 0x47) {
            at++; /* out of step: the next sync byte */
            continue;
        }
        size_t size = TS_PACKET;
        while (size < LOOK_BYTES && reader->used - at >= size + TS_PACKET && from[size] == 0x47)
            size += TS_PACKET;
        error = take_packets(reader, recorder, eyes, from, size);
        at += size;
    }
    reader->used -= at;
    memmove(reader->bytes, reader->bytes + at, reader->used);
    return error;
}

/* Reads until it fails, or is to end. */
static void read_connection(Reader *reader, AVIOContext *io, changeover_recorder recorder,
                            changeover_eyes eyes, char *why, size_t why_size) {
    int64_t silence_us = FFMAX(RECONNECT_US, 4000 * reader->bridge->options.timeout_ms);
    for (;;) {
        reader->deadline_us = av_gettime_relative() + silence_us;
        int got = avio_read_partial(io, reader->bytes + reader->used,
                                    (int)(sizeof reader->bytes - reader->used));
        if (got <= 0) {
            char text[AV_ERROR_MAX_STRING_SIZE];
            av_strerror(got < 0 ? got : AVERROR_EOF, text, sizeof text);
            snprintf(why, why_size, "reading: %s", text);
            return;
        }
        reader->used += (size_t)got;
        if (take_bytes(reader, recorder, eyes) < 0) {
            snprintf(why, why_size, "its epoch is over");
            return;
        }
        if (!fits(reader, why, why_size))
            return;
    }
}

/* One connection. Answers how long to wait before the next, us. */
static int64_t connect_and_read(Reader *reader, int64_t pause_us) {
    Bridge *bridge = reader->bridge;
    char why[300];
    AVIOContext *io = NULL;
    AVIOInterruptCB callback = {interrupt, reader};
    reader->deadline_us = av_gettime_relative() + RECONNECT_US;
    int64_t began = av_gettime_relative();
    int error = avio_open2(&io, reader->url, AVIO_FLAG_READ, &callback, NULL);
    if (error < 0) {
        char text[AV_ERROR_MAX_STRING_SIZE];
        av_strerror(error, text, sizeof text);
        snprintf(why, sizeof why, "cannot be opened: %s", text);
        if (!atomic_load(&bridge->quit))
            changeover_report_input_error(bridge->engine, AVIO_CHANGEOVER_STREAM, reader->number,
                                          0, why);
        return pause_us;
    }
    changeover_recorder recorder = {0};
    changeover_eyes eyes = {0};
    memset(&reader->layout, 0, sizeof reader->layout);
    ts_units_clear(&reader->units);
    reader->used = 0;
    reader->cut = 0;
    reader->serial++;
    if (changeover_recorder_open(bridge->engine, AVIO_CHANGEOVER_STREAM, reader->number, 0,
                                 &recorder) >= 0 &&
        changeover_eyes_open(bridge->engine, CHANGEOVER_EYES_MPEGTS, &eyes) >= 0) {
        read_connection(reader, io, recorder, eyes, why, sizeof why);
        if (!atomic_load(&bridge->quit))
            changeover_recorder_report_error(recorder, why);
        if (!fits(reader, why, sizeof why)) {
            log_line("input %d: %s", reader->number, why);
            pause_us = MISFIT_PAUSE_US;
        } else if (av_gettime_relative() - began > RECONNECT_US) {
            pause_us = FIRST_PAUSE_US;
        }
    }
    changeover_eyes_close(eyes);
    changeover_recorder_close(recorder);
    avio_closep(&io);
    return pause_us;
}

static void *read_for_ever(void *opaque) {
    Reader *reader = opaque;
    int64_t pause_us = FIRST_PAUSE_US;
    while (!atomic_load(&reader->bridge->quit)) {
        pause_us = connect_and_read(reader, pause_us);
        int64_t over = av_gettime_relative() + pause_us;
        while (!atomic_load(&reader->bridge->quit) && av_gettime_relative() < over)
            av_usleep(20000);
        pause_us = FFMIN(2 * pause_us, LAST_PAUSE_US);
    }
    ts_units_clear(&reader->units);
    return NULL;
}

/* The AVIOContext's own read. */
static int read_joint(void *opaque, uint8_t *to, int size) {
    Bridge *bridge = opaque;
    const AVIOInterruptCB *callback = &bridge->options.interrupt;
    size_t got = 0;
    pthread_mutex_lock(&bridge->lock);
    while ((got = ts_joint_take(&bridge->joint, to, (size_t)size)) == 0) {
        if (callback->callback && callback->callback(callback->opaque))
            break;
        struct timespec soon;
        clock_gettime(CLOCK_MONOTONIC, &soon);
        soon.tv_nsec += WAIT_MS * 1000000L;
        soon.tv_sec += soon.tv_nsec / 1000000000;
        soon.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&bridge->filled, &bridge->lock, &soon);
    }
    pthread_mutex_unlock(&bridge->lock);
    return got > 0 ? (int)got : AVERROR_EXIT;
}

static int create_engine(Bridge *bridge, const char *const *urls) {
    const AVIOChangeoverOptions *wanted = &bridge->options;
    changeover_engine_config config = changeover_engine_config_init();
    config.packet_timeout_ms = wanted->timeout_ms;
    config.connect_timeout_ms = FFMAX(RECONNECT_US / 1000, wanted->timeout_ms);
    config.failback_stable_ms = wanted->stable_ms;
    config.failback_cooldown_ms = wanted->cooldown_ms;
    config.cut = CHANGEOVER_CUT_KEYFRAME;
    changeover_callbacks callbacks = changeover_callbacks_init();
    callbacks.on_event = wanted->on_event;
    callbacks.user_data = wanted->user_data;
    changeover_engine_options options = changeover_engine_options_init();
    options.config = &config;
    options.callbacks = &callbacks;
    int error = changeover_engine_create(&options, &bridge->engine);
    if (error < 0)
        return error;
    changeover_input_config inputs[MAX_READERS];
    for (int n = 0; n < bridge->count; n++) {
        inputs[n] = changeover_input_config_init();
        inputs[n].priority = n;
        inputs[n].hot = 1;
        inputs[n].address = urls[n];
    }
    changeover_stream_config stream = changeover_stream_config_init();
    stream.id = AVIO_CHANGEOVER_STREAM;
    stream.inputs = inputs;
    stream.input_count = (size_t)bridge->count;
    error = changeover_register(bridge->engine, &stream);
    return error < 0 ? error : changeover_timeline_open(bridge->engine, NULL, &bridge->map.timeline);
}

static void end(Bridge *bridge) {
    atomic_store(&bridge->quit, 1);
    for (int n = 0; n < bridge->count; n++)
        if (bridge->readers[n].has_thread)
            pthread_join(bridge->readers[n].thread, NULL);
    changeover_engine_destroy(bridge->engine, NULL);
    for (int n = 0; n < bridge->count; n++)
        av_free(bridge->readers[n].url);
    ts_joint_clear(&bridge->joint);
    pthread_cond_destroy(&bridge->filled);
    pthread_mutex_destroy(&bridge->lock);
    av_free(bridge);
}

static int start_readers(Bridge *bridge, const char *const *urls) {
    for (int n = 0; n < bridge->count; n++) {
        Reader *reader = &bridge->readers[n];
        reader->bridge = bridge;
        reader->number = n;
        reader->url = av_strdup(urls[n]);
        if (!reader->url)
            return AVERROR(ENOMEM);
        int error = pthread_create(&reader->thread, NULL, read_for_ever, reader);
        if (error)
            return AVERROR(error);
        reader->has_thread = 1;
    }
    return 0;
}

int avio_changeover_open(AVIOContext **io, const char *const *urls, int count,
                         const AVIOChangeoverOptions *options) {
    if (count < 1 || count > MAX_READERS)
        return AVERROR(EINVAL);
    Bridge *bridge = av_mallocz(sizeof *bridge);
    if (!bridge)
        return AVERROR(ENOMEM);
    if (options)
        bridge->options = *options;
    if (bridge->options.timeout_ms == 0)
        bridge->options.timeout_ms = 1000;
    bridge->count = count;
    atomic_init(&bridge->quit, 0);
    pthread_mutex_init(&bridge->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&bridge->filled, &monotonic);
    pthread_condattr_destroy(&monotonic);
    size_t buffer = bridge->options.buffer_bytes;
    int error = 0;
    if (ts_joint_init(&bridge->joint, buffer ? buffer : DEFAULT_BUFFER_BYTES) < 0) {
        error = AVERROR(ENOMEM);
    } else if (create_engine(bridge, urls) < 0) {
        log_line("engine: %s", changeover_last_error_text());
        error = AVERROR_EXTERNAL;
    } else {
        error = start_readers(bridge, urls);
    }
    uint8_t *own = error >= 0 ? av_malloc(IO_BYTES) : NULL;
    AVIOContext *context =
        own ? avio_alloc_context(own, IO_BYTES, 0, bridge, read_joint, NULL, NULL) : NULL;
    if (!context) {
        av_free(own);
        end(bridge);
        return error < 0 ? error : AVERROR(ENOMEM);
    }
    *io = context;
    return 0;
}

void avio_changeover_use(AVIOContext *io, AVFormatContext *format) {
    format->pb = io;
    format->iformat = av_find_input_format("mpegts");
    format->correct_ts_overflow = 0;
}

int avio_changeover_map(AVIOContext *io, const AVStream *stream, AVPacket *packet, int *input) {
    Bridge *bridge = io->opaque;
    TsTurn turn = {0};
    if (packet->pos >= 0) {
        pthread_mutex_lock(&bridge->lock);
        const TsTurn *known = ts_joint_turn_at(&bridge->joint, packet->pos);
        if (known)
            turn = *known;
        pthread_mutex_unlock(&bridge->lock);
    }
    return avio_map_packet(&bridge->map, &turn, stream, packet, input);
}

changeover_engine avio_changeover_engine(AVIOContext *io) {
    return ((Bridge *)io->opaque)->engine;
}

void avio_changeover_close(AVIOContext **io) {
    if (!*io)
        return;
    end((*io)->opaque);
    av_freep(&(*io)->buffer);
    avio_context_free(io);
}
