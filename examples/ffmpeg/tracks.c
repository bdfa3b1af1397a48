/* The tracks of an input: which streams count, whether they fit the output's, and their packets in
 * the one form that every input's packets get.
 *
 * A muxer is told of a codec's configuration once, at the beginning. An input that keeps it
 * elsewhere (RTMP, MP4 and Matroska outside the packets, MPEG-TS inside) would be written wrongly
 * in another one's place. So H.264 and HEVC always go to the muxer with start codes, from which
 * every muxer makes what it needs; AAC goes to MPEG-TS with ADTS headers, elsewhere without. */

#include "tracks.h"

#include "adts.h"
#include "extradata.h"

#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <string.h>

static const char *kind_of(const AVCodecParameters *codec) {
    return codec->codec_type == AVMEDIA_TYPE_VIDEO ? "video" : "audio";
}

static void describe(const AVCodecParameters *codec, char *text, size_t size) {
    const char *name = avcodec_get_name(codec->codec_id);
    if (codec->codec_type == AVMEDIA_TYPE_VIDEO) {
        const char *pixels = av_get_pix_fmt_name(codec->format);
        snprintf(text, size, "%s %dx%d %s", name, codec->width, codec->height,
                 pixels ? pixels : "?");
    } else {
        snprintf(text, size, "%s %d Hz %d ch", name, codec->sample_rate,
                 codec->ch_layout.nb_channels);
    }
}

void tracks_describe(const Tracks *tracks, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (int n = 0; n < tracks->count && used < size; n++) {
        char one[128];
        describe(tracks->track[n].codec, one, sizeof one);
        used += (size_t)snprintf(text + used, size - used, "%s%s", n ? ", " : "", one);
    }
}

/* Where the muxer's own conversion would begin with this input's configuration and go on with it
 * for all others. */
static int has_lengths(const AVCodecParameters *codec) {
    int is_avc = codec->codec_id == AV_CODEC_ID_H264 || codec->codec_id == AV_CODEC_ID_HEVC;
    return is_avc && codec->extradata_size > 6 && codec->extradata[0] == 1;
}

static int open_filter(Track *track, const AVStream *stream) {
    int is_h264 = stream->codecpar->codec_id == AV_CODEC_ID_H264;
    const AVBitStreamFilter *kind =
        av_bsf_get_by_name(is_h264 ? "h264_mp4toannexb" : "hevc_mp4toannexb");
    int error = kind ? av_bsf_alloc(kind, &track->filter) : AVERROR_BSF_NOT_FOUND;
    if (error < 0)
        return error;
    track->filter->time_base_in = stream->time_base;
    error = avcodec_parameters_copy(track->filter->par_in, stream->codecpar);
    if (error >= 0)
        error = av_bsf_init(track->filter);
    if (error >= 0)
        error = avcodec_parameters_copy(track->codec, track->filter->par_out);
    return error;
}

static int add(Tracks *tracks, const AVStream *stream, int in_band) {
    Track *track = &tracks->track[tracks->count];
    *track = (Track){.stream = stream->index, .time_base = stream->time_base};
    track->next_dts = AV_NOPTS_VALUE;
    track->codec = avcodec_parameters_alloc();
    if (!track->codec)
        return AVERROR(ENOMEM);
    tracks->count++;
    if (has_lengths(stream->codecpar)) {
        track->form = FORM_FILTER;
        return open_filter(track, stream);
    }
    int error = avcodec_parameters_copy(track->codec, stream->codecpar);
    if (error >= 0 && in_band && adts_is_missing(track->codec))
        track->form = FORM_ADTS;
    if (error >= 0 && !in_band) {
        error = adts_configure(track->codec);
        if (error > 0)
            track->form = FORM_BARE;
    }
    return error;
}

static int is_complete(const AVCodecParameters *codec) {
    if (codec->codec_id == AV_CODEC_ID_NONE)
        return 0;
    if (codec->codec_type == AVMEDIA_TYPE_VIDEO)
        return codec->width > 0 && codec->height > 0;
    return codec->sample_rate > 0 && codec->ch_layout.nb_channels > 0;
}

int tracks_find(Tracks *tracks, const AVFormatContext *input, int in_band, char *why,
                size_t why_size) {
    static const enum AVMediaType kinds[] = {AVMEDIA_TYPE_VIDEO, AVMEDIA_TYPE_AUDIO};
    memset(tracks, 0, sizeof *tracks);
    for (int kind = 0; kind < 2; kind++) {
        for (unsigned n = 0; n < input->nb_streams; n++) {
            const AVStream *stream = input->streams[n];
            if (stream->codecpar->codec_type != kinds[kind] ||
                (stream->disposition & AV_DISPOSITION_ATTACHED_PIC))
                continue;
            if (!is_complete(stream->codecpar) || tracks->count == MAX_TRACKS) {
                snprintf(why, why_size,
                         tracks->count == MAX_TRACKS
                             ? "%s stream %u (%s): too many tracks"
                             : "%s stream %u (%s) showed no complete parameters: "
                               "allow it a longer --analyzeduration",
                         kind_of(stream->codecpar), n,
                         avcodec_get_name(stream->codecpar->codec_id));
                tracks_clear(tracks);
                return AVERROR(EINVAL);
            }
            int error = add(tracks, stream, in_band);
            if (error < 0) {
                char text[AV_ERROR_MAX_STRING_SIZE];
                av_strerror(error, text, sizeof text);
                snprintf(why, why_size, "%s stream %u: %s", kind_of(stream->codecpar), n, text);
                tracks_clear(tracks);
                return error;
            }
        }
        if (kind == 0)
            tracks->video_count = tracks->count;
    }
    if (tracks->count == 0) {
        snprintf(why, why_size, "it has neither video nor audio");
        return AVERROR_STREAM_NOT_FOUND;
    }
    return 0;
}

int tracks_of_stream(const Tracks *tracks, int stream) {
    for (int n = 0; n < tracks->count; n++)
        if (tracks->track[n].stream == stream)
            return n;
    return -1;
}

/* What differs between two tracks of one kind; NULL: nothing that matters. */
static const char *difference(const AVCodecParameters *a, const AVCodecParameters *b,
                              int in_band) {
    if (a->codec_id != b->codec_id)
        return "codec";
    if (a->codec_type == AVMEDIA_TYPE_VIDEO) {
        if (a->width != b->width || a->height != b->height)
            return "picture size";
        if (a->format != b->format && a->format >= 0 && b->format >= 0)
            return "pixel format";
    } else {
        if (a->sample_rate != b->sample_rate)
            return "sample rate";
        if (a->ch_layout.nb_channels != b->ch_layout.nb_channels)
            return "channels";
    }
    if (!in_band && !extradata_is_same(a, b))
        return "codec configuration, which this output format keeps once for all";
    return NULL;
}

int tracks_compare(const Tracks *output, const Tracks *input, int in_band, char *why,
                   size_t why_size) {
    char theirs[512], ours[512];
    tracks_describe(input, theirs, sizeof theirs);
    tracks_describe(output, ours, sizeof ours);
    if (output->count != input->count || output->video_count != input->video_count) {
        snprintf(why, why_size,
                 "its tracks do not fit the output's: %d video and %d audio (%s) in place of "
                 "%d and %d (%s)",
                 input->video_count, input->count - input->video_count, theirs,
                 output->video_count, output->count - output->video_count, ours);
        return AVERROR(EINVAL);
    }
    for (int n = 0; n < output->count; n++) {
        const AVCodecParameters *there = input->track[n].codec, *here = output->track[n].codec;
        const char *what = difference(here, there, in_band);
        if (!what)
            continue;
        int number = n < output->video_count ? n : n - output->video_count;
        describe(there, theirs, sizeof theirs);
        describe(here, ours, sizeof ours);
        snprintf(why, why_size,
                 "its tracks do not fit the output's: %s track %d is %s in place of %s (%s)",
                 kind_of(here), number, theirs, ours, what);
        return AVERROR(EINVAL);
    }
    return 0;
}

/* The first packets of an RTSP session or a Matroska file may have no DTS where frames are
 * reordered. They are decoded one frame after the other, and the first one as long before it is
 * shown as frames are reordered. */
static void supply_dts(Track *track, AVPacket *packet) {
    int64_t last = packet->duration;
    if (last <= 0 || track->codec->codec_type != AVMEDIA_TYPE_VIDEO)
        return;
    if (packet->dts == AV_NOPTS_VALUE && packet->pts != AV_NOPTS_VALUE) {
        int64_t dts = track->next_dts;
        if (dts == AV_NOPTS_VALUE)
            dts = packet->pts - track->codec->video_delay * last;
        packet->dts = FFMIN(dts, packet->pts);
    }
    track->next_dts = packet->dts == AV_NOPTS_VALUE ? AV_NOPTS_VALUE : packet->dts + last;
}

int tracks_shape(Tracks *tracks, int number, AVPacket *packet) {
    Track *track = &tracks->track[number];
    supply_dts(track, packet);
    if (track->form == FORM_ADTS)
        return adts_add(track->codec, packet);
    if (track->form == FORM_BARE)
        adts_strip(packet);
    if (track->form != FORM_FILTER)
        return 0;
    /* Both filters give one packet for one. */
    int error = av_bsf_send_packet(track->filter, packet);
    return error < 0 ? error : av_bsf_receive_packet(track->filter, packet);
}

void tracks_clear(Tracks *tracks) {
    for (int n = 0; n < tracks->count; n++) {
        avcodec_parameters_free(&tracks->track[n].codec);
        av_bsf_free(&tracks->track[n].filter);
    }
    memset(tracks, 0, sizeof *tracks);
}
