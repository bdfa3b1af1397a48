/* Whole units (PES packets) out of a transport stream: what a switch may cut between.
 *
 * A demuxer that sees the beginning of one input's picture and then another input's packets hands
 * out the half picture. So nothing is passed on before it is complete: when its length is reached,
 * or (video, mostly) the next one begins. That is one frame later than it could be. */

#include "ts_units.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_UNIT = 8 << 20, FIRST_CAPACITY = 64 << 10 };

/* Whether what begins with this byte, in video of this stream type, is (part of) a keyframe. */
static int is_key_code(uint8_t type, uint8_t code) {
    switch (type) {
    case 0x1b:
        return (code & 0x1f) == 5 || (code & 0x1f) == 7; /* IDR, SPS */
    case 0x24: {
        int unit = code >> 1 & 0x3f;
        return (unit >= 16 && unit <= 21) || unit == 33; /* IRAP, SPS */
    }
    case 0x01:
    case 0x02:
        return code == 0xb3; /* sequence header */
    default:
        return 1; /* not known: a cut may fall anywhere */
    }
}

static int is_key(const TsUnit *unit, uint8_t type) {
    uint32_t last = 0xffffffff;
    for (const uint8_t *packet = unit->packets; packet < unit->packets + unit->size;
         packet += TS_PACKET) {
        for (size_t at = ts_payload_at(packet); at < TS_PACKET; at++) {
            if ((last & 0xffffff) == 1 && is_key_code(type, packet[at]))
                return 1;
            last = last << 8 | packet[at];
        }
    }
    return 0;
}

static void finish(TsUnit *unit, const TsLayout *layout, int stream, TsUnitDone done,
                   void *opaque) {
    if (!unit->is_open)
        return;
    const TsStream *of = &layout->streams[stream];
    unit->is_open = 0;
    done(opaque, stream, unit->packets, unit->size,
         of->kind == TS_VIDEO && is_key(unit, of->type));
}

/* The length of a PES packet's rest, as its header says it; 0: it does not. */
static size_t said_length(const uint8_t *payload, size_t size) {
    int is_pes = size >= 6 && payload[0] == 0 && payload[1] == 0 && payload[2] == 1;
    size_t length = is_pes ? (size_t)payload[4] << 8 | payload[5] : 0;
    return length > 0 ? length + 6 : 0;
}

static int append(TsUnit *unit, const uint8_t *packet) {
    if (unit->size + TS_PACKET > unit->capacity) {
        size_t capacity = unit->capacity ? 2 * unit->capacity : FIRST_CAPACITY;
        uint8_t *packets = capacity <= MAX_UNIT ? realloc(unit->packets, capacity) : NULL;
        if (!packets)
            return 0;
        unit->packets = packets;
        unit->capacity = capacity;
    }
    memcpy(unit->packets + unit->size, packet, TS_PACKET);
    unit->size += TS_PACKET;
    return 1;
}

void ts_units_feed(TsUnits *units, const TsLayout *layout, const uint8_t *packet, TsUnitDone done,
                   void *opaque) {
    int stream = ts_layout_find(layout, ts_pid(packet));
    if (stream < 0)
        return;
    TsUnit *unit = &units->units[stream];
    size_t at = ts_payload_at(packet), length = TS_PACKET - at;
    if (ts_begins_unit(packet)) {
        finish(unit, layout, stream, done, opaque);
        unit->size = 0;
        unit->is_open = 1;
        unit->missing = said_length(packet + at, length);
    }
    if (!unit->is_open)
        return;
    if (!append(unit, packet)) {
        unit->is_open = 0;
        return;
    }
    if (unit->missing > length)
        unit->missing -= length;
    else if (unit->missing > 0)
        finish(unit, layout, stream, done, opaque);
}

void ts_units_clear(TsUnits *units) {
    for (int n = 0; n < TS_MAX_STREAMS; n++)
        free(units->units[n].packets);
    memset(units, 0, sizeof *units);
}
