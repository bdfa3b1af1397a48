/* Whether two tracks have the same codec configuration. */

#ifndef EXTRADATA_H
#define EXTRADATA_H

#include <libavcodec/codec_par.h>

int extradata_is_same(const AVCodecParameters *a, const AVCodecParameters *b);

#endif
