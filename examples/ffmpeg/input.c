/* One input: a thread that opens it, reads it, and tells the engine of every packet.
 *
 * Cold, it does what the engine's driver calls ask: they only leave a wish and return. Hot, it
 * reads all the time, and opens the source again whenever that has failed. */

#include "input.h"

#include "log.h"

#include <errno.h>
#include <libavutil/time.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    /* Pauses between attempts of a hot input: doubled from the first to the last. */
    FIRST_PAUSE_MS = 100,
    LAST_PAUSE_MS = 2000,
    /* One whose tracks do not fit is unlikely to change soon. */
    MISFIT_PAUSE_MS = 10000,
};

/* How one run of an input ended. */
typedef enum End { END_ASKED, END_FAILED, END_MISFIT, END_STALE } End;

static int is_over(void *opaque) {
    Input *input = opaque;
    return atomic_load(input->shared->quit) || atomic_load(&input->asked) != input->serving;
}

/* Until `timeout_ms` from now, on the clock of the condition variables. */
static struct timespec until(int timeout_ms) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += timeout_ms / 1000;
    at.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* Said once, until something else is wrong. */
static void complain(Input *input, const char *why) {
    if (strcmp(input->last_why, why) == 0)
        return;
    snprintf(input->last_why, sizeof input->last_why, "%s", why);
    log_line("input %d: %s", input->number, why);
}

/* Opens the source and finds its tracks. */
static End open_input(Input *input, Source **source, Tracks *tracks, char *why, size_t why_size) {
    const Inputs *shared = input->shared;
    int64_t began = av_gettime_relative();
    int error = source_open(source, &input->config, is_over, input, shared->connect_timeout_us,
                            why, why_size);
    if (error < 0)
        return is_over(input) ? END_ASKED : END_FAILED;
    int in_band = output_is_in_band(shared->output);
    error = tracks_find(tracks, source_format(*source), in_band, why, why_size);
    End end = error < 0 ? END_FAILED : END_ASKED;
    if (error >= 0 && output_fits(shared->output, tracks, why, why_size) < 0) {
        error = AVERROR(EINVAL);
        end = END_MISFIT;
    }
    if (error < 0) {
        tracks_clear(tracks);
        source_close(source);
        return end;
    }
    char text[512];
    tracks_describe(tracks, text, sizeof text);
    log_line("input %d: opened in %d ms: %s", input->number,
             (int)((av_gettime_relative() - began) / 1000), text);
    input->last_why[0] = 0;
    return END_ASKED;
}

/* What the engine is told of a packet of track `number` (-1: of none). */
static changeover_packet packet_of(const Tracks *tracks, int number, const AVPacket *packet) {
    changeover_packet told = changeover_packet_of((size_t)packet->size);
    told.lost = packet->flags & AV_PKT_FLAG_CORRUPT ? 1 : 0;
    if (number < 0) {
        told.tracks = CHANGEOVER_TRACK_OTHER;
    } else if (number < tracks->video_count) {
        told.tracks = CHANGEOVER_TRACK_VIDEO;
        told.frames = 1;
        /* An audio packet is always "key"; and the turn begins with the first video track's. */
        told.keyframe = number == 0 && (packet->flags & AV_PKT_FLAG_KEY);
    } else if (tracks->video_count > 0) {
        told.tracks = CHANGEOVER_TRACK_AUDIO;
    } else {
        /* Without video a cut may fall anywhere. */
        told.keyframe = 1;
    }
    return told;
}

/* Reads until something ends it. */
static End read_packets(Input *input, Source *source, Tracks *tracks, changeover_recorder recorder,
                        char *why, size_t why_size) {
    const Inputs *shared = input->shared;
    /* The engine judges silence. But a hot input's connection may be half open: it is made anew
     * where nothing came for long. */
    int64_t timeout_us = shared->is_hot ? FFMAX(shared->connect_timeout_us,
                                                4 * input->config.silence_us) : 0;
    AVPacket *packet = av_packet_alloc();
    End end = packet ? END_ASKED : END_FAILED;
    int fits = 0; /* not known before something is sent */
    snprintf(why, why_size, "out of memory");
    while (packet) {
        int error = source_read(source, packet, timeout_us);
        if (error < 0) {
            char text[AV_ERROR_MAX_STRING_SIZE];
            av_strerror(error, text, sizeof text);
            snprintf(why, why_size, "reading: %s", text);
            end = is_over(input) ? END_ASKED : END_FAILED;
            break;
        }
        if (!fits)
            fits = output_fits(shared->output, tracks, why, why_size);
        if (fits < 0) {
            end = END_MISFIT;
            break;
        }
        int number = tracks_of_stream(tracks, packet->stream_index);
        changeover_packet told = packet_of(tracks, number, packet);
        int64_t verdict = changeover_record(recorder, &told);
        if (verdict < 0) {
            end = END_STALE;
            break;
        }
        if (verdict == 0 || number < 0) {
            av_packet_unref(packet);
            continue;
        }
        error = tracks_shape(tracks, number, packet);
        if (error < 0) {
            av_packet_unref(packet);
            continue;
        }
        Turn turn = {(uint32_t)verdict, source_serial(source), input->number};
        OutputAnswer answer =
            output_write(shared->output, turn, tracks, number, packet, why, why_size);
        if (answer == OUTPUT_MISFIT) {
            end = END_MISFIT;
            break;
        }
        if (answer == OUTPUT_BROKEN) {
            atomic_store(shared->quit, 1);
            break;
        }
    }
    av_packet_free(&packet);
    return end;
}

/* One activation, from the opening on. Cold: answers the engine. */
static End run(Input *input, uint64_t epoch, changeover_answer_token answer) {
    const Inputs *shared = input->shared;
    char why[600];
    Source *source = NULL;
    Tracks tracks;
    changeover_recorder recorder;
    End end = open_input(input, &source, &tracks, why, sizeof why);
    if (!source) {
        if (end != END_ASKED)
            complain(input, why);
        if (!shared->is_hot)
            changeover_answer(answer, CHANGEOVER_ANSWER_FAILED, why);
        else if (end != END_ASKED)
            changeover_report_input_error(shared->engine, shared->stream, input->number, 0, why);
        return end;
    }
    if (changeover_recorder_open(shared->engine, shared->stream, input->number, epoch,
                                 &recorder) < 0) {
        /* It took too long, and the engine has given it up. */
        if (!shared->is_hot)
            changeover_answer(answer, CHANGEOVER_ANSWER_FAILED, changeover_last_error_text());
        end = END_STALE;
    } else {
        if (!shared->is_hot)
            changeover_answer(answer, CHANGEOVER_ANSWER_DONE, NULL);
        end = read_packets(input, source, &tracks, recorder, why, sizeof why);
        if (end == END_FAILED || end == END_MISFIT) {
            complain(input, why);
            changeover_recorder_report_error(recorder, why);
        }
        changeover_recorder_close(recorder);
    }
    tracks_clear(&tracks);
    source_close(&source);
    return end;
}

/* Whether the source delivers what the output needs. */
static void probe(Input *input, changeover_answer_token answer) {
    char why[600];
    Source *source = NULL;
    Tracks tracks;
    open_input(input, &source, &tracks, why, sizeof why);
    AVPacket *packet = source ? av_packet_alloc() : NULL;
    int error = AVERROR(ENOMEM);
    if (packet)
        error = source_read(source, packet, input->shared->connect_timeout_us);
    if (packet && error < 0)
        snprintf(why, sizeof why, "it delivers nothing");
    if (error < 0)
        changeover_answer(answer, CHANGEOVER_ANSWER_FAILED, why);
    else
        changeover_answer(answer, CHANGEOVER_ANSWER_DONE, NULL);
    av_packet_free(&packet);
    if (source)
        tracks_clear(&tracks);
    source_close(&source);
}

static void serve_wishes(Input *input) {
    pthread_mutex_lock(&input->lock);
    while (!atomic_load(input->shared->quit)) {
        if (input->done == atomic_load(&input->asked)) {
            struct timespec soon = until(100); /* `quit` is set without a word */
            pthread_cond_timedwait(&input->changed, &input->lock, &soon);
            continue;
        }
        input->serving = atomic_load(&input->asked);
        Wish wish = input->wish;
        uint64_t epoch = input->epoch;
        changeover_answer_token answer = input->answer;
        pthread_mutex_unlock(&input->lock);
        if (wish == WISH_RUN)
            run(input, epoch, answer);
        else if (wish == WISH_PROBE)
            probe(input, answer);
        pthread_mutex_lock(&input->lock);
        input->done = input->serving;
        pthread_cond_broadcast(&input->changed);
    }
    pthread_mutex_unlock(&input->lock);
}

static void read_for_ever(Input *input) {
    int pause_ms = FIRST_PAUSE_MS;
    while (!atomic_load(input->shared->quit)) {
        int64_t began = av_gettime_relative();
        End end = run(input, 0, (changeover_answer_token){0});
        if (end == END_ASKED)
            continue;
        if (av_gettime_relative() - began > 2 * input->shared->connect_timeout_us)
            pause_ms = FIRST_PAUSE_MS; /* it worked for a while */
        int64_t over =
            av_gettime_relative() + 1000 * (end == END_MISFIT ? MISFIT_PAUSE_MS : pause_ms);
        while (!atomic_load(input->shared->quit) && av_gettime_relative() < over)
            av_usleep(20000);
        pause_ms = FFMIN(2 * pause_ms, LAST_PAUSE_MS);
    }
}

static void *work(void *opaque) {
    Input *input = opaque;
    if (input->shared->is_hot)
        read_for_ever(input);
    else
        serve_wishes(input);
    pthread_mutex_lock(&input->lock);
    input->done = atomic_load(&input->asked);
    input->has_ended = 1;
    pthread_cond_broadcast(&input->changed);
    pthread_mutex_unlock(&input->lock);
    return NULL;
}

void input_init(Input *input) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&input->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&input->lock, NULL);
    atomic_init(&input->asked, 0);
}

int input_start(Input *input) {
    int error = pthread_create(&input->thread, NULL, work, input);
    input->has_thread = error == 0;
    return error;
}

static void wish(Input *input, Wish wish, uint64_t epoch, changeover_answer_token answer) {
    pthread_mutex_lock(&input->lock);
    input->wish = wish;
    input->epoch = epoch;
    input->answer = answer;
    atomic_fetch_add(&input->asked, 1);
    pthread_cond_broadcast(&input->changed);
    pthread_mutex_unlock(&input->lock);
}

void input_run(Input *input, uint64_t epoch, changeover_answer_token answer) {
    wish(input, WISH_RUN, epoch, answer);
}

void input_probe(Input *input, changeover_answer_token answer) {
    wish(input, WISH_PROBE, 0, answer);
}

void input_stop(Input *input, uint64_t epoch, int timeout_ms) {
    pthread_mutex_lock(&input->lock);
    if (input->wish == WISH_RUN && input->epoch == epoch) {
        input->wish = WISH_NOTHING;
        unsigned asked = atomic_fetch_add(&input->asked, 1) + 1;
        pthread_cond_broadcast(&input->changed);
        struct timespec end = until(timeout_ms);
        int error = 0;
        while (error == 0 && input->done != asked && !input->has_ended &&
               atomic_load(&input->asked) == asked)
            error = pthread_cond_timedwait(&input->changed, &input->lock, &end);
    }
    pthread_mutex_unlock(&input->lock);
}

int input_join(Input *input, int timeout_ms) {
    pthread_mutex_lock(&input->lock);
    struct timespec end = until(timeout_ms);
    int error = 0;
    while (error == 0 && input->has_thread && !input->has_ended)
        error = pthread_cond_timedwait(&input->changed, &input->lock, &end);
    int has_ended = input->has_ended || !input->has_thread;
    pthread_mutex_unlock(&input->lock);
    if (has_ended && input->has_thread)
        pthread_join(input->thread, NULL);
    return has_ended;
}

void input_clear(Input *input) {
    pthread_mutex_destroy(&input->lock);
    pthread_cond_destroy(&input->changed);
}
