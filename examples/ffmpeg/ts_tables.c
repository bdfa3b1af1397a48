/* What an MPEG transport stream consists of: its first programme's streams, read from its tables
 * (ISO/IEC 13818-1, 2.4.4). */

#include "ts_tables.h"

#include <stdio.h>
#include <string.h>

size_t ts_payload_at(const uint8_t *packet) {
    if (!(packet[3] & 0x10))
        return TS_PACKET;
    size_t at = packet[3] & 0x20 ? 5u + packet[4] : 4u;
    return at < TS_PACKET ? at : TS_PACKET;
}

static TsKind kind_of(uint8_t type) {
    switch (type) {
    case 0x01: /* MPEG-1, MPEG-2, MPEG-4, H.264, HEVC, VVC video */
    case 0x02:
    case 0x10:
    case 0x1b:
    case 0x24:
    case 0x33:
        return TS_VIDEO;
    case 0x03: /* MPEG audio, AAC (ADTS, LATM), AC-3, E-AC-3 */
    case 0x04:
    case 0x0f:
    case 0x11:
    case 0x81:
    case 0x87:
        return TS_AUDIO;
    default:
        return TS_OTHER;
    }
}

/* The section that a packet holds as a whole, with its length up to the CRC; NULL: none. */
static const uint8_t *section_of(const uint8_t *packet, uint8_t table, size_t *length) {
    size_t at = ts_payload_at(packet);
    if (!ts_begins_unit(packet) || at >= TS_PACKET)
        return NULL;
    at += 1u + packet[at];
    if (at + 8 > TS_PACKET || packet[at] != table)
        return NULL;
    size_t whole = 3u + ((packet[at + 1] & 0x0fu) << 8 | packet[at + 2]);
    if (whole < 12 || at + whole > TS_PACKET || !(packet[at + 5] & 1))
        return NULL;
    *length = whole - 4;
    return packet + at;
}

static uint16_t pid_at(const uint8_t *at) {
    return (uint16_t)((at[0] & 0x1f) << 8 | at[1]);
}

static void learn_pat(TsLayout *layout, const uint8_t *packet) {
    size_t length;
    const uint8_t *section = section_of(packet, 0, &length);
    for (size_t at = 8; section && at + 4 <= length; at += 4) {
        if (section[at] == 0 && section[at + 1] == 0)
            continue; /* the network's PID */
        uint16_t pmt_pid = pid_at(section + at + 2);
        if (pmt_pid != layout->pmt_pid)
            layout->is_known = 0;
        layout->pmt_pid = pmt_pid;
        memcpy(layout->pat, packet, TS_PACKET);
        return;
    }
}

static void learn_pmt(TsLayout *layout, const uint8_t *packet) {
    size_t length;
    const uint8_t *section = section_of(packet, 2, &length);
    if (!section)
        return;
    int ranks[3] = {0};
    size_t at = 12u + ((section[10] & 0x0fu) << 8 | section[11]);
    layout->count = 0;
    while (at + 5 <= length && layout->count < TS_MAX_STREAMS) {
        TsStream *stream = &layout->streams[layout->count++];
        stream->type = section[at];
        stream->pid = pid_at(section + at + 1);
        stream->kind = kind_of(stream->type);
        stream->rank = ranks[stream->kind]++;
        at += 5u + ((section[at + 3] & 0x0fu) << 8 | section[at + 4]);
    }
    memcpy(layout->pmt, packet, TS_PACKET);
    layout->is_known = layout->count > 0;
}

void ts_layout_learn(TsLayout *layout, const uint8_t *packet) {
    uint16_t pid = ts_pid(packet);
    if (pid == 0)
        learn_pat(layout, packet);
    else if (pid == layout->pmt_pid)
        learn_pmt(layout, packet);
}

int ts_layout_find(const TsLayout *layout, uint16_t pid) {
    for (int n = 0; n < layout->count; n++)
        if (layout->streams[n].pid == pid)
            return n;
    return -1;
}

int ts_layout_same(const TsLayout *other, const TsStream *stream) {
    for (int n = 0; n < other->count; n++)
        if (other->streams[n].kind == stream->kind && other->streams[n].rank == stream->rank)
            return n;
    return -1;
}

int ts_layout_fits(const TsLayout *output, const TsLayout *input, char *why, size_t why_size) {
    static const char *const kinds[] = {"video", "audio", "other"};
    for (int n = 0; n < output->count; n++) {
        const TsStream *stream = &output->streams[n];
        int same = ts_layout_same(input, stream);
        int type = same >= 0 ? input->streams[same].type : -1;
        if (stream->kind == TS_OTHER || type == stream->type)
            continue;
        if (same < 0)
            snprintf(why, why_size, "its tracks do not fit the output's: it has no %s track %d",
                     kinds[stream->kind], stream->rank);
        else
            snprintf(why, why_size,
                     "its tracks do not fit the output's: %s track %d is of stream type 0x%02x in "
                     "place of 0x%02x",
                     kinds[stream->kind], stream->rank, (unsigned)type, stream->type);
        return 0;
    }
    return 1;
}
