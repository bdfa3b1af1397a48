/* Joins the units of several inputs to one transport stream in a buffer. */

#ifndef TS_JOINT_H
#define TS_JOINT_H

#include "ts_units.h"

#include <stdint.h>

enum { TS_TURNS = 64 };

/* Where in the stream an input's turn begins. */
typedef struct TsTurn {
    int64_t position;
    uint32_t number; /* grows by one with each */
    int input;
} TsTurn;

/* Its owner's, under the owner's lock. */
typedef struct TsJoint {
    uint8_t *bytes; /* a ring */
    size_t capacity;
    int64_t written, taken; /* bytes, since the beginning */
    TsLayout layout;        /* of the first input */
    uint8_t counters[TS_MAX_STREAMS + 2];
    uint32_t cut;
    uint64_t serial;
    int has_begun; /* the turn's first unit is in */
    int needs_key[TS_MAX_STREAMS];
    unsigned since_tables;
    TsTurn turns[TS_TURNS]; /* the latest; [number % TS_TURNS] */
    uint32_t turn;          /* the number of the last one; 0: none yet */
    uint64_t lost;          /* units for which there was no room */
} TsJoint;

/* A unit that is to be sent. */
typedef struct TsPiece {
    uint32_t cut;    /* changeover_record's verdict */
    uint64_t serial; /* of the input's connection */
    int input;
    const TsLayout *layout; /* the input's */
    int stream;             /* its place there */
    const uint8_t *packets;
    size_t size;
    int is_key;
} TsPiece;

/* 0, or -1: no memory. */
int ts_joint_init(TsJoint *joint, size_t capacity);

/* Adds the unit, or drops it where it cannot be decoded, comes too late, or there is no room.
 * Answers 1 if there is something to take. */
int ts_joint_add(TsJoint *joint, const TsPiece *piece);

/* Takes up to `size` bytes out; answers how many. */
size_t ts_joint_take(TsJoint *joint, uint8_t *to, size_t size);

/* The turn that the byte at `position` belongs to; NULL: not known (any more). */
const TsTurn *ts_joint_turn_at(const TsJoint *joint, int64_t position);

void ts_joint_clear(TsJoint *joint);

#endif
