/* The tracks of an input: which streams count, whether they fit the output's, and their packets in
 * the one form that every input's packets get. */

#ifndef TRACKS_H
#define TRACKS_H

#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>
#include <stddef.h>

enum { MAX_TRACKS = 16 };

/* How a track's packets are brought into their form. */
typedef enum TrackForm {
    FORM_AS_IS,
    FORM_FILTER, /* H.264, HEVC with lengths: to start codes, parameter sets in-band */
    FORM_ADTS,   /* bare AAC: gets ADTS headers */
    FORM_BARE,   /* AAC with ADTS headers: loses them */
} TrackForm;

typedef struct Track {
    int stream;               /* its index in the input */
    AVCodecParameters *codec; /* after it has been brought into form */
    AVRational time_base;
    TrackForm form;
    AVBSFContext *filter;
    int64_t next_dts; /* where the demuxer knows none; AV_NOPTS_VALUE before the first */
} Track;

/* Video first, then audio; each kind in the order of the input's streams. */
typedef struct Tracks {
    int count;
    int video_count;
    Track track[MAX_TRACKS];
} Tracks;

/* Finds the tracks of an input. `in_band`: the output has no place for codec configuration but in
 * its packets (MPEG-TS): AAC gets ADTS headers; otherwise it loses them. On error answers an
 * AVERROR, and says why. */
int tracks_find(Tracks *tracks, const AVFormatContext *input, int in_band, char *why,
                size_t why_size);

/* The number of the track that carries this stream; -1: none does. */
int tracks_of_stream(const Tracks *tracks, int stream);

/* Whether packets of `input` can take the place of those of `output`. 0, or AVERROR(EINVAL) and
 * in `why` which track differs in what. */
int tracks_compare(const Tracks *output, const Tracks *input, int in_band, char *why,
                   size_t why_size);

/* Brings the packet of a track into its form; supplies a DTS where it has none and that can be
 * known. 0, AVERROR(EAGAIN): nothing comes of this one; another AVERROR: it is broken. */
int tracks_shape(Tracks *tracks, int number, AVPacket *packet);

void tracks_clear(Tracks *tracks);

/* "H.264 640x360, AAC 48000 Hz 2 ch" */
void tracks_describe(const Tracks *tracks, char *text, size_t size);

#endif
