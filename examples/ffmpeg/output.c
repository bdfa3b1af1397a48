/* The one output: packets of whichever input is on the air, on one timeline.
 *
 * Everything runs under one lock, so that packets reach the muxer in the order of their cuts. */

#include "output.h"

#include "hevc_cut.h"
#include "log.h"

#include <inttypes.h>
#include <libavutil/time.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* The timeline's ticks: a whole number of them in every frame of 24, 25, 30, 50 and 60 per second,
 * every sample of 44.1 and 48 kHz, every tick of MPEG-TS and RTMP. */
static const changeover_timebase TICKS = {1, 705600000, 0};
static const AVRational TICK = {1, 705600000};

/* How long the muxer may wait for the other tracks, to interleave. */
enum { INTERLEAVE_US = 500000 };

/* How long the output may still take when the program ends: the trailer is written then. */
enum { LAST_WORDS_US = 3000000 };

/* What is being sent of one track. */
typedef struct Sent {
    int needs_key;     /* video: nothing can be decoded before a keyframe */
    int64_t key_pts;   /* of the keyframe that began the turn, in the input's ticks */
    int is_leading;    /* frames before it in time may follow it */
    int64_t last_dts;  /* in the output stream's ticks */
} Sent;

struct Output {
    pthread_mutex_t lock;
    OutputConfig config;
    AVDictionary *options; /* those that nobody has taken yet */
    AVFormatContext *format;
    int is_begun; /* the header is written */
    int error;    /* nothing can be written any more */
    Tracks tracks;
    changeover_timeline timeline;
    Turn turn;
    int has_begun_turn;
    int64_t hole; /* keep_holes: what is added to all times, in ticks */
    Sent sent[MAX_TRACKS];
    OutputTotals totals;
    int64_t ends_since_us;
};

static int interrupt(void *opaque) {
    Output *output = opaque;
    if (!output->config.abandoned(output->config.opaque))
        return 0;
    int64_t now_us = av_gettime_relative();
    if (output->ends_since_us == 0)
        output->ends_since_us = now_us;
    return now_us - output->ends_since_us > LAST_WORDS_US;
}

static const char *format_for(const char *url) {
    static const char *const known[][2] = {
        {"rtmp", "flv"},      {"rtsp:", "rtsp"}, {"rtp:", "rtp_mpegts"}, {"udp:", "mpegts"},
        {"srt:", "mpegts"},   {"tcp:", "mpegts"}, {"rist:", "mpegts"},
    };
    for (size_t n = 0; n < sizeof known / sizeof *known; n++)
        if (strncmp(url, known[n][0], strlen(known[n][0])) == 0)
            return known[n][1];
    return NULL;
}

static int complain(const char *what, int error) {
    char text[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(error, text, sizeof text);
    log_line("output: %s: %s", what, text);
    return error;
}

int output_open(Output **out, const OutputConfig *config, changeover_engine engine) {
    Output *output = av_mallocz(sizeof *output);
    if (!output)
        return complain("cannot be opened", AVERROR(ENOMEM));
    pthread_mutex_init(&output->lock, NULL);
    output->config = *config;
    av_dict_copy(&output->options, config->options, 0);
    changeover_timeline_options options = changeover_timeline_options_init();
    options.output = TICKS;
    options.has_start = 1;
    if (changeover_timeline_open(engine, &options, &output->timeline) < 0) {
        log_line("output: %s", changeover_last_error_text());
        output_close(&output);
        return AVERROR_EXTERNAL;
    }
    const char *name = config->format ? config->format : format_for(config->url);
    int error = avformat_alloc_output_context2(&output->format, NULL, name, config->url);
    if (error >= 0) {
        output->format->interrupt_callback = (AVIOInterruptCB){interrupt, output};
        output->format->flags |= AVFMT_FLAG_FLUSH_PACKETS;
        output->format->max_interleave_delta = INTERLEAVE_US;
    }
    if (error >= 0 && !(output->format->oformat->flags & AVFMT_NOFILE))
        error = avio_open2(&output->format->pb, config->url, AVIO_FLAG_WRITE,
                           &output->format->interrupt_callback, &output->options);
    if (error < 0) {
        complain(config->url, error);
        output_close(&output);
        return error;
    }
    *out = output;
    return 0;
}

int output_is_in_band(const Output *output) {
    return !(output->format->oformat->flags & AVFMT_GLOBALHEADER);
}

int output_fits(Output *output, const Tracks *tracks, char *why, size_t why_size) {
    pthread_mutex_lock(&output->lock);
    int is_known = output->tracks.count > 0, error = 0;
    if (is_known)
        error = tracks_compare(&output->tracks, tracks, output_is_in_band(output), why, why_size);
    pthread_mutex_unlock(&output->lock);
    return error < 0 ? error : is_known;
}

/* The first packet's input defines the tracks. */
static int begin(Output *output, const Tracks *tracks) {
    AVFormatContext *format = output->format;
    for (int n = 0; n < tracks->count; n++) {
        Track *own = &output->tracks.track[n];
        own->codec = avcodec_parameters_alloc();
        AVStream *stream = own->codec ? avformat_new_stream(format, NULL) : NULL;
        int error = stream ? 0 : AVERROR(ENOMEM);
        if (error >= 0)
            error = avcodec_parameters_copy(own->codec, tracks->track[n].codec);
        if (error >= 0)
            error = avcodec_parameters_copy(stream->codecpar, own->codec);
        if (error < 0) {
            avcodec_parameters_free(&own->codec);
            return error;
        }
        stream->codecpar->codec_tag = 0; /* the other container's */
        stream->time_base = tracks->track[n].time_base;
        output->tracks.count++;
        output->sent[n].last_dts = AV_NOPTS_VALUE;
    }
    output->tracks.video_count = tracks->video_count;
    int error = avformat_write_header(format, &output->options);
    if (error < 0)
        return error;
    const AVDictionaryEntry *unknown =
        av_dict_get(output->options, "", NULL, AV_DICT_IGNORE_SUFFIX);
    if (unknown)
        log_line("output: it has no option '%s'", unknown->key);
    char text[512];
    tracks_describe(&output->tracks, text, sizeof text);
    log_line("output: %s: %s", format->oformat->name, text);
    output->is_begun = 1;
    return 0;
}

/* Another input's packets, or another clock of the same input's. */
static void begin_turn(Output *output, Turn turn) {
    if (turn.cut == output->turn.cut)
        changeover_timeline_restart(output->timeline);
    output->turn = turn;
    output->has_begun_turn = 0;
    for (int n = 0; n < MAX_TRACKS; n++)
        output->sent[n].needs_key = 1;
}

/* Whether a decoder that has seen nothing of this turn but what went out can use the packet. */
static int can_be_decoded(const Output *output, const Tracks *tracks, int number,
                          const AVPacket *packet) {
    const Sent *sent = &output->sent[number];
    int is_video = number < tracks->video_count;
    int is_key = is_video && (packet->flags & AV_PKT_FLAG_KEY);
    /* The keyframe first: it is what continues the old input's last frame. */
    if (!output->has_begun_turn && tracks->video_count > 0 && !(is_key && number == 0))
        return 0;
    if (!is_video || is_key)
        return 1;
    if (sent->needs_key)
        return 0;
    /* Open groups of pictures: frames that are shown before the keyframe refer to the old input's
     * as well, which were others. */
    return !(sent->is_leading && packet->pts != AV_NOPTS_VALUE && packet->pts < sent->key_pts);
}

static void note_sent(Output *output, int number, const AVPacket *packet, int64_t pts_in) {
    Sent *sent = &output->sent[number];
    if (number < output->tracks.video_count && (packet->flags & AV_PKT_FLAG_KEY)) {
        sent->is_leading = sent->needs_key && pts_in != AV_NOPTS_VALUE;
        sent->key_pts = pts_in;
        sent->needs_key = 0;
    }
}

/* What the timestamps leave out of a silence at a cut, put back: a live receiver's clock runs on
 * meanwhile. */
static void keep_hole(Output *output, int64_t now_us, const Track *from, int64_t duration) {
    if (!output->config.keep_holes || output->totals.last_us == 0)
        return;
    int64_t silence = av_rescale_q(now_us - output->totals.last_us, AV_TIME_BASE_Q, TICK);
    output->hole += FFMAX(silence - av_rescale_q(duration, from->time_base, TICK), 0);
}

/* Maps the packet's times; answers 0 where it is to be dropped. */
static int map_times(Output *output, Turn turn, const Track *from, int number, AVPacket *packet) {
    changeover_timebase base = {from->time_base.num, from->time_base.den, 0};
    changeover_stamps stamps = changeover_stamps_of(packet->dts, packet->pts, packet->duration);
    int32_t mapped = changeover_timeline_map(output->timeline, turn.cut, (uint32_t)number, base,
                                             &stamps, &stamps);
    if (mapped != CHANGEOVER_MAPPED_AT) {
        /* What follows refers to it. */
        if (number < output->tracks.video_count)
            output->sent[number].needs_key = 1;
        return 0;
    }
    AVStream *stream = output->format->streams[number];
    packet->dts = stamps.dts + output->hole;
    packet->pts = (stamps.pts == CHANGEOVER_NO_TIMESTAMP ? stamps.dts : stamps.pts) + output->hole;
    packet->duration = stamps.duration;
    av_packet_rescale_ts(packet, TICK, stream->time_base);
    /* In a coarser timebase two may fall together. */
    Sent *sent = &output->sent[number];
    if (sent->last_dts != AV_NOPTS_VALUE && packet->dts <= sent->last_dts)
        packet->dts = sent->last_dts + 1;
    packet->pts = FFMAX(packet->pts, packet->dts);
    sent->last_dts = packet->dts;
    packet->stream_index = number;
    packet->pos = -1;
    return 1;
}

/* Under the lock. 0: dropped; 1: written; or an AVERROR. */
static int write_locked(Output *output, Turn turn, const Tracks *tracks, int number,
                        AVPacket *packet) {
    if (turn.cut < output->turn.cut)
        return 0;
    if (turn.cut != output->turn.cut || turn.serial != output->turn.serial)
        begin_turn(output, turn);
    if (!can_be_decoded(output, tracks, number, packet))
        return 0;
    if (!output->is_begun) {
        int error = begin(output, tracks);
        if (error < 0)
            return error;
    }
    int64_t now_us = av_gettime_relative(), pts_in = packet->pts, size = packet->size;
    if (!output->has_begun_turn)
        keep_hole(output, now_us, &tracks->track[number], packet->duration);
    if (!map_times(output, turn, &tracks->track[number], number, packet))
        return 0;
    if (!output->has_begun_turn) {
        output->has_begun_turn = 1;
        log_line("output: input %d from %.3f s on", turn.input,
                 (double)packet->dts * av_q2d(output->format->streams[number]->time_base));
    }
    int error = 0;
    if (output->sent[number].needs_key &&
        tracks->track[number].codec->codec_id == AV_CODEC_ID_HEVC)
        error = hevc_break_link(packet);
    if (error < 0)
        return error;
    note_sent(output, number, packet, pts_in);
    error = av_interleaved_write_frame(output->format, packet);
    if (error < 0)
        return error;
    OutputTotals *totals = &output->totals;
    totals->packets++;
    totals->bytes += (uint64_t)size;
    totals->last_us = now_us;
    if (totals->first_us == 0)
        totals->first_us = now_us;
    return 1;
}

OutputAnswer output_write(Output *output, Turn turn, const Tracks *tracks, int number,
                          AVPacket *packet, char *why, size_t why_size) {
    OutputAnswer answer = OUTPUT_TAKEN;
    pthread_mutex_lock(&output->lock);
    /* It may have been opened before the first packet defined the tracks: then nobody has
     * compared them yet. */
    int is_new = turn.serial != output->turn.serial && output->tracks.count > 0;
    if (is_new &&
        tracks_compare(&output->tracks, tracks, output_is_in_band(output), why, why_size) < 0) {
        answer = OUTPUT_MISFIT;
    } else if (output->error >= 0) {
        int written = write_locked(output, turn, tracks, number, packet);
        if (written < 0)
            output->error = complain(output->config.url, written);
        if (written == 0)
            output->totals.dropped++;
    }
    if (output->error < 0)
        answer = OUTPUT_BROKEN;
    pthread_mutex_unlock(&output->lock);
    av_packet_unref(packet);
    return answer;
}

OutputTotals output_totals(Output *output) {
    pthread_mutex_lock(&output->lock);
    OutputTotals totals = output->totals;
    pthread_mutex_unlock(&output->lock);
    return totals;
}

int output_finish(Output *output) {
    pthread_mutex_lock(&output->lock);
    int error = output->error;
    if (output->is_begun && error >= 0) {
        error = av_write_trailer(output->format);
        if (error < 0)
            complain("the trailer", error);
    }
    if (output->format && !(output->format->oformat->flags & AVFMT_NOFILE)) {
        int closed = avio_closep(&output->format->pb);
        if (closed < 0 && error >= 0)
            error = complain("closing", closed);
    }
    output->is_begun = 0;
    output->error = AVERROR_EOF;
    pthread_mutex_unlock(&output->lock);
    return error;
}

int output_close(Output **out) {
    Output *output = *out;
    int error = output_finish(output);
    avformat_free_context(output->format);
    changeover_timeline_close(output->timeline);
    tracks_clear(&output->tracks);
    av_dict_free(&output->options);
    pthread_mutex_destroy(&output->lock);
    av_freep(out);
    return error;
}
