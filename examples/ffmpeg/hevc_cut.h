/* HEVC keyframes at a cut. */

#ifndef HEVC_CUT_H
#define HEVC_CUT_H

#include <libavcodec/avcodec.h>

/* Tells decoders that what is before this keyframe (Annex B) is of another stream. 0, or an
 * AVERROR. */
int hevc_break_link(AVPacket *packet);

#endif
