/* Whether two tracks have the same codec configuration: for H.264 and HEVC the same parameter sets
 * in the same order, whatever start codes are between them and whatever else (SEI) is there. */

#include "extradata.h"

#include "adts.h"

#include <string.h>

typedef struct Unit {
    const uint8_t *data;
    size_t size;
} Unit;

/* The next unit between start codes; its size is 0 at the end. */
static Unit next_unit(const uint8_t **at, const uint8_t *end) {
    const uint8_t *start = *at;
    while (end - start >= 3 && !(start[0] == 0 && start[1] == 0 && start[2] == 1))
        start++;
    if (end - start < 3) {
        *at = end;
        return (Unit){end, 0};
    }
    start += 3;
    const uint8_t *stop = start;
    while (end - stop >= 3 && !(stop[0] == 0 && stop[1] == 0 && stop[2] <= 1))
        stop++;
    if (end - stop < 3)
        stop = end;
    *at = stop;
    while (stop > start && stop[-1] == 0)
        stop--;
    return (Unit){start, (size_t)(stop - start)};
}

static int is_parameter_set(Unit unit, enum AVCodecID codec) {
    if (codec == AV_CODEC_ID_H264)
        return (unit.data[0] & 0x1f) == 7 || (unit.data[0] & 0x1f) == 8;
    int type = unit.data[0] >> 1 & 0x3f;
    return type >= 32 && type <= 34;
}

static Unit next_set(const uint8_t **at, const uint8_t *end, enum AVCodecID codec) {
    Unit unit;
    do
        unit = next_unit(at, end);
    while (unit.size > 0 && !is_parameter_set(unit, codec));
    return unit;
}

int extradata_is_same(const AVCodecParameters *a, const AVCodecParameters *b) {
    if (a->codec_id == AV_CODEC_ID_AAC)
        return adts_is_same(a, b);
    if (a->codec_id != AV_CODEC_ID_H264 && a->codec_id != AV_CODEC_ID_HEVC) {
        return a->extradata_size == b->extradata_size &&
               (a->extradata_size == 0 ||
                memcmp(a->extradata, b->extradata, (size_t)a->extradata_size) == 0);
    }
    static const uint8_t none[1];
    const uint8_t *at_a = a->extradata ? a->extradata : none, *end_a = at_a + a->extradata_size;
    const uint8_t *at_b = b->extradata ? b->extradata : none, *end_b = at_b + b->extradata_size;
    for (;;) {
        Unit one = next_set(&at_a, end_a, a->codec_id), other = next_set(&at_b, end_b, b->codec_id);
        if (one.size != other.size || (one.size && memcmp(one.data, other.data, one.size) != 0))
            return 0;
        if (one.size == 0)
            return 1;
    }
}
