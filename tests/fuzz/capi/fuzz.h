/* Fuzzing the C ABI: a sequence of calls, read from the input, as a C host could make them. Handles
 * are of any kind and age; pointers are NULL or valid, to exactly as many bytes as they must have,
 * and freed after the call; numbers and texts are anything. */
#ifndef FUZZ_H
#define FUZZ_H

#include <changeover.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- bytes.c: the input, read from the front; behind its end there are zeros. --- */
void bytes_begin(const uint8_t *at, size_t len);
size_t bytes_left(void);
uint8_t byte(void);
/* Below `end`, which is 256 at most. */
unsigned below(unsigned end);
uint64_t word(void);
/* Mostly plain, sometimes an edge, seldom anything. */
int64_t number(void);
uint64_t number_u(void);
uint32_t small(void);
int64_t milliseconds(void);
double real(void);
/* A text: good, empty, too long, no UTF-8, any bytes; terminated, on the heap, freed by `sweep`. */
const char *text(void);
/* A stream's id: mostly one of a few. */
const char *id(void);
/* The same, or NULL. */
const char *maybe(const char *text);
int32_t priority(void);

/* Memory that lives until the end of the call. */
void *scratch(size_t size);
void sweep(void);

/* A struct with its size: as it is, or larger or smaller than it is, or absurd; on the heap, with
 * exactly the bytes that the rules ask for. */
void *sized(const void *proto, size_t size);
/* Room for a struct that is written to: likewise. Half of the time NULL where that is refused. */
void *room(size_t size);

/* --- structs.c: what is given by pointer. --- */
const changeover_engine_config *engine_config(void);
const changeover_stream_config *stream_config(void);
const changeover_inputs_update *inputs_update(void);
const changeover_engine_options *engine_options(int hand_driven);
const changeover_callbacks *callbacks(void);
const changeover_hold *hold(void);
const changeover_condition *condition(void);
const changeover_timeline_options *timeline_options(void);
const changeover_stamps *stamps(void);
changeover_timebase timebase(void);
changeover_packet packet(void);
/* A JSON text for register, update or set_config. */
const char *json(void);

/* --- host.c: the driver and the callbacks; they call back in. --- */
void host_begin(void);
/* Calls that were made from inside callbacks so far, on any thread. */
unsigned host_calls(void);
/* A driver or callbacks to be given to the library; what becomes of their data is counted. */
void host_driver(changeover_driver *driver);
void host_callbacks(changeover_callbacks *callbacks);
/* The call that brought them was refused (else it was accepted). */
void host_settle(int32_t answer);
/* An answer token that the driver has kept; 0 if there is none. */
uint64_t host_token(void);
/* All data that was accepted has been let go of. */
void host_end(void);

/* --- judge.c: what every answer must keep to. --- */
_Noreturn void broken(const char *call, const char *why, int64_t answer);
/* A text that the library gave: UTF-8, and JSON if it should be; freed. */
void given(const char *call, int32_t answer, char *text, int is_json);
void judge_begin(void);
void before_call(void);
/* The call's answer: 0 to `most` when it works. */
void judge(const char *call, int64_t answer, int64_t most);
/* The same for the packets' calls, which write no last error. */
void judge_packet(const char *call, int64_t answer);

/* --- pool.c: handles, and what is known of them. --- */
enum kind { ENGINE = 1, RECORDER, TICKET, ANSWER, EVENTS, TIMELINE, EYES };

void pool_begin(void);
/* A handle for a call that wants one of `kind`. */
uint64_t handle(enum kind kind);
void opened(enum kind kind, uint64_t raw, uint64_t engine);
/* A handle's call has answered. */
void answered(const char *call, enum kind kind, uint64_t raw, int64_t answer);
void closed(uint64_t raw);
/* The engine that an open handle is of; `otherwise` if it is not known. */
uint64_t engine_of(uint64_t raw, uint64_t otherwise);
int is_hand_driven(uint64_t engine);
void set_hand_driven(uint64_t engine, int by_hand);
int engines_alive(void);
/* Closes what is open, and asks all that ever was. */
void pool_end(void);

/* --- objects.c, calls.c --- */
/* With this engine, where they want one. */
void calls_of_packets(uint64_t engine);
void calls_of_objects(uint64_t engine);
/* One whole run. */
int fuzz_one(const uint8_t *data, size_t len);

/* --- targets/capi.rs --- */
int32_t fuzz_is_utf8(const char *text);
int32_t fuzz_is_json(const char *text);

#endif
