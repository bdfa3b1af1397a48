/* avio_demo: an FFmpeg program that remuxes its input, with failover put in: the five lines that
 * are marked with a +.
 *
 *     avio_demo [--timeout-ms MS] [--failback-stable-ms MS] [--failback-cooldown-ms MS]
 *               -i URL [-i URL ...] OUTPUT
 *
 * Ends on SIGINT or SIGTERM. Exits with 0; 1: something failed; 2: the command line is wrong. */

#include "avio_changeover.h"
#include "events.h"
#include "log.h"

#include <libavutil/time.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_URLS = 16 };

static volatile sig_atomic_t ended;

static void on_signal(int number) {
    (void)number;
    ended = 1;
}

static int is_ended(void *opaque) {
    (void)opaque;
    return ended;
}

static void on_event(changeover_engine engine, const changeover_event *event, void *user_data) {
    (void)engine, (void)user_data;
    events_log(event);
}

static int failed(const char *what, int error) {
    char text[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(error, text, sizeof text);
    log_line("%s: %s", what, text);
    return 1;
}

/* Opens the output with the video and audio streams of the input; `places` gets the output's
 * stream for each of the input's, or -1. */
static int open_output(AVFormatContext **out, const char *url, const AVFormatContext *input,
                       int *places) {
    int error = avformat_alloc_output_context2(out, NULL, NULL, url);
    for (unsigned n = 0; error >= 0 && n < input->nb_streams; n++) {
        const AVCodecParameters *codec = input->streams[n]->codecpar;
        places[n] = -1;
        if (codec->codec_type != AVMEDIA_TYPE_VIDEO && codec->codec_type != AVMEDIA_TYPE_AUDIO)
            continue;
        AVStream *stream = avformat_new_stream(*out, NULL);
        error = stream ? avcodec_parameters_copy(stream->codecpar, codec) : AVERROR(ENOMEM);
        if (error < 0)
            break;
        stream->codecpar->codec_tag = 0;
        places[n] = stream->index;
    }
    if (error >= 0)
        error = avio_open(&(*out)->pb, url, AVIO_FLAG_WRITE);
    return error < 0 ? error : avformat_write_header(*out, NULL);
}

/* Reads to the end, and writes what comes. */
static int remux(AVFormatContext *input, AVIOContext *io, AVFormatContext *output,
                 const int *places, unsigned known) {
    AVPacket *packet = av_packet_alloc();
    int error = packet ? 0 : AVERROR(ENOMEM), source = -1;
    int64_t first_us = 0, last_us = 0;
    unsigned long long packets = 0, bytes = 0;
    while (error >= 0 && (error = av_read_frame(input, packet)) >= 0) {
        unsigned from = (unsigned)packet->stream_index;
        const AVStream *stream = input->streams[from];
        int before = source;
        if (from >= known || places[from] < 0 ||
            avio_changeover_map(io, stream, packet, &source) <= 0) { /* + */
            av_packet_unref(packet);
            continue;
        }
        if (source != before)
            log_line("output: input %d from %.3f s on", source,
                     (double)packet->dts * av_q2d(stream->time_base));
        last_us = av_gettime_relative();
        first_us = first_us ? first_us : last_us;
        packets++;
        bytes += (unsigned long long)packet->size;
        packet->stream_index = places[from];
        packet->pos = -1;
        av_packet_rescale_ts(packet, stream->time_base,
                             output->streams[packet->stream_index]->time_base);
        error = av_interleaved_write_frame(output, packet);
    }
    av_packet_free(&packet);
    log_line("%llu packets, %llu bytes in %.3f s", packets, bytes,
             (double)(last_us - first_us) / 1e6);
    int closed = av_write_trailer(output);
    return error != AVERROR_EXIT ? error : closed;
}

static int run(const char *const *urls, int count, const AVIOChangeoverOptions *options,
               const char *to) {
    AVIOContext *io = NULL;
    int error = avio_changeover_open(&io, urls, count, options); /* + */
    if (error < 0)
        return failed("inputs", error);
    AVFormatContext *input = avformat_alloc_context(), *output = NULL; /* + */
    int places[64] = {0};
    if (input) {
        avio_changeover_use(io, input); /* + */
        input->fps_probe_size = 0;
        error = avformat_open_input(&input, NULL, NULL, NULL);
    }
    if (input && error >= 0)
        error = avformat_find_stream_info(input, NULL);
    if (input && error >= 0 && input->nb_streams > 64)
        error = AVERROR(EINVAL);
    if (!input || error < 0) {
        error = ended ? 0 : failed("input", error);
    } else {
        unsigned known = input->nb_streams;
        error = open_output(&output, to, input, places);
        if (error >= 0)
            error = remux(input, io, output, places, known);
        if (error < 0)
            error = failed(to, error);
    }
    if (output)
        avio_closep(&output->pb);
    avformat_free_context(output);
    avformat_close_input(&input);
    avio_changeover_close(&io); /* + */
    return error;
}

int main(int count, char **words) {
    static const char *urls[MAX_URLS];
    const char *to = NULL;
    int url_count = 0;
    AVIOChangeoverOptions options = {.interrupt = {is_ended, NULL}, .on_event = on_event};
    for (int n = 1; n < count; n++) {
        const char *word = words[n], *value = n + 1 < count ? words[n + 1] : NULL;
        if (word[0] != '-')
            to = word;
        else if (value && strcmp(word, "-i") == 0 && url_count < MAX_URLS)
            urls[url_count++] = words[++n];
        else if (value && strcmp(word, "--timeout-ms") == 0)
            options.timeout_ms = atoi(words[++n]);
        else if (value && strcmp(word, "--failback-stable-ms") == 0)
            options.stable_ms = atoi(words[++n]);
        else if (value && strcmp(word, "--failback-cooldown-ms") == 0)
            options.cooldown_ms = atoi(words[++n]);
        else
            url_count = MAX_URLS + 1;
    }
    if (!to || url_count == 0 || url_count > MAX_URLS) {
        log_line("avio_demo [--timeout-ms MS] [--failback-stable-ms MS] "
                 "[--failback-cooldown-ms MS] -i URL [-i URL ...] OUTPUT");
        return 2;
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    av_log_set_level(AV_LOG_FATAL);
    avformat_network_init();
    int code = run(urls, url_count, &options, to);
    avformat_network_deinit();
    return code ? 1 : 0;
}
