/* Demuxed packets of several inputs' turns, put on one timeline. */

#include "avio_map.h"

#include "hevc_cut.h"

/* Whether the packet can be decoded after what was sent of its turn. */
static int can_be_decoded(AvioMapped *mapped, const AVStream *stream, const AVPacket *packet) {
    if (stream->codecpar->codec_type != AVMEDIA_TYPE_VIDEO)
        return 1;
    if (packet->flags & AV_PKT_FLAG_KEY) {
        mapped->is_leading = mapped->needs_key && packet->pts != AV_NOPTS_VALUE;
        mapped->key_pts = packet->pts;
        return 1;
    }
    /* Open groups of pictures: what is shown before the turn's keyframe refers to another input's
     * pictures. */
    int is_early = packet->pts != AV_NOPTS_VALUE && packet->pts < mapped->key_pts;
    return !mapped->needs_key && !(mapped->is_leading && is_early);
}

int avio_map_packet(AvioMap *map, const TsTurn *turn, const AVStream *stream, AVPacket *packet,
                    int *input) {
    if (stream->index >= AVIO_MAP_STREAMS)
        return 0;
    AvioMapped *mapped = &map->mapped[stream->index];
    /* Where a parser splits a unit, only the first packet says where it was; so the others are of
     * the stream's last turn. */
    if (turn->number > mapped->turn.number) {
        mapped->turn = *turn;
        mapped->needs_key = 1;
    }
    if (mapped->turn.number == 0 || !can_be_decoded(mapped, stream, packet))
        return 0;
    changeover_timebase base = {stream->time_base.num, stream->time_base.den, 33};
    changeover_stamps stamps = changeover_stamps_of(packet->dts, packet->pts, packet->duration);
    int32_t answer =
        changeover_timeline_map(map->timeline, mapped->turn.number, (uint32_t)stream->index, base,
                                &stamps, &stamps);
    if (answer == CHANGEOVER_MAPPED_AT && mapped->needs_key &&
        stream->codecpar->codec_id == AV_CODEC_ID_HEVC && hevc_break_link(packet) < 0)
        return 0;
    mapped->needs_key = answer != CHANGEOVER_MAPPED_AT;
    if (answer != CHANGEOVER_MAPPED_AT)
        return 0;
    packet->dts = stamps.dts;
    packet->pts = stamps.pts == CHANGEOVER_NO_TIMESTAMP ? stamps.dts : stamps.pts;
    packet->duration = stamps.duration;
    if (input)
        *input = mapped->turn.input;
    return 1;
}
