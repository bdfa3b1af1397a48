/* Whole units (PES packets) out of a transport stream: what a switch may cut between. */

#ifndef TS_UNITS_H
#define TS_UNITS_H

#include "ts_tables.h"

/* One unit in the making. */
typedef struct TsUnit {
    uint8_t *packets;
    size_t size, capacity;
    size_t missing; /* payload that is still to come; 0: its length is not said */
    int is_open;
} TsUnit;

typedef struct TsUnits {
    TsUnit units[TS_MAX_STREAMS];
} TsUnits;

/* Told of each unit that is complete: the stream's place in the layout, and its packets. `is_key`:
 * a video keyframe begins in it. */
typedef void (*TsUnitDone)(void *opaque, int stream, const uint8_t *packets, size_t size,
                           int is_key);

/* Takes the next packet of an input whose layout is known. */
void ts_units_feed(TsUnits *units, const TsLayout *layout, const uint8_t *packet, TsUnitDone done,
                   void *opaque);

/* Forgets what is not complete. */
void ts_units_clear(TsUnits *units);

#endif
