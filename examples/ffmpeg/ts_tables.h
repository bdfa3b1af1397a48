/* What an MPEG transport stream consists of: its first programme's streams, as its tables say. */

#ifndef TS_TABLES_H
#define TS_TABLES_H

#include <stddef.h>
#include <stdint.h>

enum { TS_PACKET = 188, TS_MAX_STREAMS = 16 };

typedef enum TsKind { TS_VIDEO, TS_AUDIO, TS_OTHER } TsKind;

typedef struct TsStream {
    uint16_t pid;
    uint8_t type; /* stream_type of the PMT */
    TsKind kind;
    int rank; /* how many of its kind come before it */
} TsStream;

typedef struct TsLayout {
    int is_known;
    uint16_t pmt_pid; /* 0: no PAT yet */
    int count;
    TsStream streams[TS_MAX_STREAMS];
    /* The tables as they came. */
    uint8_t pat[TS_PACKET], pmt[TS_PACKET];
} TsLayout;

static inline uint16_t ts_pid(const uint8_t *packet) {
    return (uint16_t)((packet[1] & 0x1f) << 8 | packet[2]);
}

static inline int ts_begins_unit(const uint8_t *packet) {
    return packet[1] >> 6 & 1;
}

/* Where the payload begins: TS_PACKET where there is none. */
size_t ts_payload_at(const uint8_t *packet);

/* Reads the packet if it is one of the tables (those that fit one packet). */
void ts_layout_learn(TsLayout *layout, const uint8_t *packet);

/* The place of a PID among the streams; -1: it is none of them. */
int ts_layout_find(const TsLayout *layout, uint16_t pid);

/* The same stream (by kind and rank) in another layout; -1: it has none. */
int ts_layout_same(const TsLayout *other, const TsStream *stream);

/* Whether packets of `input` can take the place of those of `output`: 1; 0, and `why` says what
 * differs. */
int ts_layout_fits(const TsLayout *output, const TsLayout *input, char *why, size_t why_size);

#endif
