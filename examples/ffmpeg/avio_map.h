/* Demuxed packets of several inputs' turns, put on one timeline. */

#ifndef AVIO_MAP_H
#define AVIO_MAP_H

#include "ts_joint.h"

#include <changeover.h>
#include <libavformat/avformat.h>

enum { AVIO_MAP_STREAMS = 32 };

/* What has come of one demuxed stream. */
typedef struct AvioMapped {
    TsTurn turn;
    int needs_key, is_leading;
    int64_t key_pts;
} AvioMapped;

typedef struct AvioMap {
    changeover_timeline timeline;
    AvioMapped mapped[AVIO_MAP_STREAMS];
} AvioMap;

/* `turn`: the one that the packet's position belongs to; its number is 0 where that is not known.
 * Answers as avio_changeover_map. */
int avio_map_packet(AvioMap *map, const TsTurn *turn, const AVStream *stream, AVPacket *packet,
                    int *input);

#endif
