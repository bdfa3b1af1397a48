/* ADTS headers of AAC packets (ISO/IEC 13818-7, 6.2): put on for MPEG-TS, taken off for containers
 * that keep the configuration elsewhere. */

#ifndef ADTS_H
#define ADTS_H

#include <libavcodec/avcodec.h>

/* Whether packets of this track are AAC without headers: their configuration is elsewhere. */
int adts_is_missing(const AVCodecParameters *codec);

/* Puts a header before the packet. 0, or an AVERROR: ADTS cannot express its configuration. */
int adts_add(const AVCodecParameters *codec, AVPacket *packet);

/* Whether packets of this track are AAC-LC with headers: then gives the track the configuration
 * (extradata) that they have without. 1, 0, or an AVERROR. */
int adts_configure(AVCodecParameters *codec);

/* Takes the header off, if there is one. */
void adts_strip(AVPacket *packet);

/* Whether two tracks without headers have the same configuration: object type, sample rate and
 * channels; what encoders add behind these does not matter. */
int adts_is_same(const AVCodecParameters *a, const AVCodecParameters *b);

#endif
