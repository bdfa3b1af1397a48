/* Joins the units of several inputs to one transport stream in a buffer: one set of PIDs and
 * tables, continuity counters that go on. */

#include "ts_joint.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* So many units at most from one set of tables to the next: a few tenths of a second. */
    TABLES_EVERY = 20,
    PAT = TS_MAX_STREAMS,
    PMT = TS_MAX_STREAMS + 1,
};

int ts_joint_init(TsJoint *joint, size_t capacity) {
    memset(joint, 0, sizeof *joint);
    joint->bytes = malloc(capacity);
    joint->capacity = capacity;
    return joint->bytes ? 0 : -1;
}

static void put(TsJoint *joint, const uint8_t *packet, uint16_t pid, uint8_t counter) {
    uint8_t copy[TS_PACKET];
    memcpy(copy, packet, TS_PACKET);
    copy[1] = (uint8_t)((copy[1] & 0xe0) | pid >> 8);
    copy[2] = (uint8_t)pid;
    copy[3] = (uint8_t)((copy[3] & 0xf0) | (counter & 0x0f));
    for (size_t done = 0; done < TS_PACKET;) {
        size_t at = (size_t)(joint->written % (int64_t)joint->capacity);
        size_t piece = joint->capacity - at;
        if (piece > TS_PACKET - done)
            piece = TS_PACKET - done;
        memcpy(joint->bytes + at, copy + done, piece);
        joint->written += (int64_t)piece;
        done += piece;
    }
}

static void put_tables(TsJoint *joint) {
    put(joint, joint->layout.pat, 0, ++joint->counters[PAT]);
    put(joint, joint->layout.pmt, joint->layout.pmt_pid, ++joint->counters[PMT]);
    joint->since_tables = 0;
}

/* The unit's packets, with a step of the counter for each that carries payload. A packet that is
 * missing in the input stays missing, for the demuxer to see. */
static void put_unit(TsJoint *joint, const TsPiece *piece, int to) {
    uint8_t *counter = &joint->counters[to];
    int before = -1;
    for (size_t at = 0; at < piece->size; at += TS_PACKET) {
        const uint8_t *packet = piece->packets + at;
        int has_payload = packet[3] >> 4 & 1, now = packet[3] & 0x0f;
        if (has_payload && before == now && at > 0)
            continue; /* sent twice */
        if (has_payload)
            *counter += (uint8_t)(before >= 0 && now != ((before + 1) & 0x0f) ? 2 : 1);
        put(joint, packet, joint->layout.streams[to].pid, *counter);
        before = now;
    }
}

static int has_video(const TsLayout *layout) {
    for (int n = 0; n < layout->count; n++)
        if (layout->streams[n].kind == TS_VIDEO)
            return 1;
    return 0;
}

static void begin_turn(TsJoint *joint, const TsPiece *piece) {
    joint->cut = piece->cut;
    joint->serial = piece->serial;
    joint->has_begun = 0;
    for (int n = 0; n < TS_MAX_STREAMS; n++)
        joint->needs_key[n] = 1;
}

int ts_joint_add(TsJoint *joint, const TsPiece *piece) {
    const TsStream *from = &piece->layout->streams[piece->stream];
    if (piece->cut < joint->cut)
        return 0;
    if (piece->cut > joint->cut || piece->serial != joint->serial)
        begin_turn(joint, piece);
    int begins = from->kind == TS_VIDEO && from->rank == 0 && piece->is_key;
    if (!joint->has_begun && has_video(piece->layout) && !begins)
        return 0;
    if (joint->turn == 0)
        joint->layout = *piece->layout;
    int to = ts_layout_same(&joint->layout, from);
    if (to < 0 || (from->kind == TS_VIDEO && joint->needs_key[to] && !piece->is_key))
        return 0;
    size_t room = joint->capacity - (size_t)(joint->written - joint->taken);
    if (room < piece->size + (size_t)2 * TS_PACKET) {
        joint->needs_key[to] = 1;
        joint->lost++;
        return 0;
    }
    joint->needs_key[to] = 0;
    if (!joint->has_begun) {
        joint->has_begun = 1;
        joint->turn++;
        joint->turns[joint->turn % TS_TURNS] =
            (TsTurn){joint->written, joint->turn, piece->input};
        put_tables(joint);
    } else if (piece->is_key || ++joint->since_tables >= TABLES_EVERY) {
        put_tables(joint);
    }
    put_unit(joint, piece, to);
    return 1;
}

size_t ts_joint_take(TsJoint *joint, uint8_t *to, size_t size) {
    size_t waiting = (size_t)(joint->written - joint->taken);
    size_t at = (size_t)(joint->taken % (int64_t)joint->capacity);
    size_t piece = joint->capacity - at;
    if (piece > waiting)
        piece = waiting;
    if (piece > size)
        piece = size;
    memcpy(to, joint->bytes + at, piece);
    joint->taken += (int64_t)piece;
    return piece;
}

const TsTurn *ts_joint_turn_at(const TsJoint *joint, int64_t position) {
    for (uint32_t back = 0; back < TS_TURNS && back < joint->turn; back++) {
        const TsTurn *turn = &joint->turns[(joint->turn - back) % TS_TURNS];
        if (turn->position <= position)
            return turn;
    }
    return NULL;
}

void ts_joint_clear(TsJoint *joint) {
    free(joint->bytes);
    memset(joint, 0, sizeof *joint);
}
