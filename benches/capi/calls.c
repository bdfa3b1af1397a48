/*
 * What a packet costs a C caller: the library's calls beside the same code written out in place
 * (as a header could have it, were the cell's layout exposed) and the bare store below which
 * nothing can go. Prints one line per variant and round: streams/variant, ns per packet.
 */
#define _GNU_SOURCE
#include <changeover.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define CHECK(call)                                                                   \
    do {                                                                              \
        if ((call) < 0) {                                                             \
            fprintf(stderr, "%s: %s\n", #call, changeover_last_error_text());         \
            exit(1);                                                                  \
        }                                                                             \
    } while (0)

/* A cell of the bench's own, laid out and counted in as the engine's are. */
typedef struct {
    _Alignas(64) _Atomic uint64_t last; /* for this one alone: each would get a line of its own */
    _Atomic uint64_t packets, bytes, flags, peer, frames_lost, keys_tracks, rest;
} cell;
_Static_assert(sizeof(cell) == 64, "one line");

enum { FLOOR, INPLACE, CHECKED, BYTES, RECORD, BATCH, BY_ID, PRECISE, VARIANTS };
static const char *const names[VARIANTS] = {"floor",  "pointer", "checked", "bytes",
                                            "record", "batch",   "by_id",   "precise"};

typedef struct {
    size_t inputs, cursor;
    _Atomic uint64_t **floor;
    cell **cells;
    uint64_t *handles;
    changeover_recorder *recorders;
    struct {
        char text[40];
        int32_t priority;
    } *ids;
    changeover_engine engine;
    _Atomic uint64_t published;
    uint64_t recorded;
} world;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static long preempted(void) {
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

/* The flag word as the engine has it: drop is 2, forward 3, all that takes longer the rest of 0x2e. */
enum { DROP = 0, FORWARD = 1, LOW = 0x2e };

/* The fast path as an inline function would have it. */
static inline int64_t in_place(cell *c, _Atomic uint64_t *published, uint32_t bytes) {
    uint64_t stamp = atomic_load_explicit(published, memory_order_relaxed);
    uint64_t flags = atomic_load_explicit(&c->flags, memory_order_acquire);
    if ((flags & LOW) != DROP)
        return -1;
    atomic_store_explicit(&c->packets,
                          atomic_load_explicit(&c->packets, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&c->bytes,
                          atomic_load_explicit(&c->bytes, memory_order_relaxed) + bytes,
                          memory_order_relaxed);
    atomic_store_explicit(&c->last, stamp, memory_order_release);
    return flags & 1 ? (int64_t)(flags >> 32) : 0;
}

/* The handles' table as the library has it: slots, chunks of cells with a mark before each. */
static struct slab {
    _Atomic uint64_t published;
    cell *_Atomic chunks[1024];
} slabs[1];
static struct {
    _Alignas(128) struct slab *_Atomic slab;
} slots[256];

static inline int64_t in_place_checked(uint64_t handle, uint32_t bytes) {
    struct slab *slab = atomic_load_explicit(&slots[handle >> 26 & 255].slab, memory_order_acquire);
    if (!slab)
        return -2;
    size_t at = handle & 0xffff, chunk = handle >> 16 & 1023;
    cell *first = atomic_load_explicit(&slab->chunks[chunk], memory_order_acquire);
    uint32_t mark = (uint32_t)(handle >> 34);
    if (!first || !mark || at >> (10 + (chunk < 6 ? chunk : 6)))
        return -2;
    _Atomic uint32_t *marks = (_Atomic uint32_t *)(void *)first;
    if (atomic_load_explicit(marks - 1 - at, memory_order_acquire) != mark)
        return -2;
    return in_place(&first[at], &slab->published, bytes);
}

/* Puts `count` cells into the table; `to` gets their handles. */
static void lend(uint64_t *to, size_t count) {
    slots[0].slab = slabs;
    for (size_t n = 0, chunk = 0; n < count; chunk++) {
        size_t cells = (size_t)1024 << (chunk < 6 ? chunk : 6);
        char *room = aligned_alloc(4096, cells * (sizeof(cell) + 4));
        memset(room, 0, cells * (sizeof(cell) + 4));
        cell *first = (cell *)(void *)(room + cells * 4);
        slabs[0].chunks[chunk] = first;
        for (size_t at = 0; at < cells && n < count; at++, n++) {
            uint32_t mark = 1u << 27 | (uint32_t)(n + 1);
            ((uint32_t *)(void *)first)[-1 - (ptrdiff_t)at] = mark;
            first[at].flags = n % 2 == 0 ? FORWARD | (uint64_t)1 << 32 : DROP;
            to[n] = (uint64_t)mark << 34 | chunk << 16 | at;
        }
    }
}

/* Mostly video, a frame in every fourth, now and then a keyframe or a loss. */
static inline int64_t record_full(changeover_recorder recorder, changeover_packet *packet,
                                  size_t i) {
    packet->bytes = 1316;
    packet->tracks = i % 8 == 7 ? CHANGEOVER_TRACK_AUDIO : CHANGEOVER_TRACK_VIDEO;
    packet->frames = i % 4 == 0;
    packet->keyframe = i % 64 == 0;
    packet->lost = i % 64 == 32;
    return changeover_record(recorder, packet);
}

/* Goes round the inputs for `ops` packets; answers how many were forwarded. */
#define OVER(call)                                   \
    for (size_t left = ops; left > 0;) {             \
        size_t end = cursor + left < inputs ? cursor + left : inputs; \
        left -= end - cursor;                        \
        for (size_t i = cursor; i < end; i++)        \
            call;                                    \
        cursor = end == inputs ? 0 : end;            \
    }                                                \
    break

static __attribute__((noinline)) size_t run(world *w, int variant, size_t ops) {
    size_t hits = 0;
    changeover_packet packet = changeover_packet_of(1316), seven[7];
    for (int i = 0; i < 7; i++)
        seven[i] = changeover_packet_of(188);
    uint64_t time = now_ns();
    /* By themselves: a store to a cell might be one to the world, for all that the compiler knows. */
    size_t inputs = w->inputs, cursor = w->cursor;
    _Atomic uint64_t **floor = w->floor;
    cell **cells = w->cells;
    const uint64_t *handles = w->handles;
    const changeover_recorder *recorders = w->recorders;
    switch (variant) {
    case FLOOR: OVER(atomic_store_explicit(floor[i], time, memory_order_relaxed));
    case INPLACE: OVER(hits += in_place(cells[i], &w->published, packet.bytes) > 0);
    case CHECKED: OVER(hits += in_place_checked(handles[i], packet.bytes) > 0);
    case BYTES: OVER(hits += changeover_record_bytes(recorders[i], 1316) > 0);
    case RECORD: OVER(hits += record_full(recorders[i], &packet, i) > 0);
    case BATCH: OVER(hits += changeover_record_batch(recorders[i], seven, 7, NULL) > 0);
    case BY_ID: OVER(hits += changeover_record_packet(w->engine, w->ids[i].text, w->ids[i].priority) > 0);
    case PRECISE: OVER(hits += changeover_record_precise(recorders[i], &packet) > 0);
    }
    w->cursor = cursor;
    if (variant >= BYTES)
        w->recorded += ops * (variant == BATCH ? 7 : 1);
    return hits;
}

static size_t *shuffled(size_t count, uint64_t state) {
    size_t *order = malloc(count * sizeof *order);
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t at = count - 1; at > 0; at--) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        size_t other = state % (at + 1), kept = order[at];
        order[at] = order[other], order[other] = kept;
    }
    return order;
}

static world *make(size_t streams) {
    world *w = calloc(1, sizeof *w);
    size_t n = w->inputs = 2 * streams;
    changeover_engine_config config = changeover_engine_config_init();
    config.packet_timeout_ms = 3600000;
    changeover_engine_options options = changeover_engine_options_init();
    options.config = &config;
    CHECK(changeover_engine_create(&options, &w->engine));
    w->floor = malloc(n * sizeof *w->floor);
    w->cells = malloc(n * sizeof *w->cells);
    w->recorders = malloc(n * sizeof *w->recorders);
    w->ids = calloc(n, sizeof *w->ids);
    cell *lines = aligned_alloc(64, n * sizeof *lines), *own = aligned_alloc(64, n * sizeof *own);
    memset(lines, 0, n * sizeof *lines);
    memset(own, 0, n * sizeof *own);
    uint64_t *handles = malloc(n * sizeof *handles);
    w->handles = malloc(n * sizeof *w->handles);
    lend(handles, n);
    changeover_recorder *opened = malloc(n * sizeof *opened);
    for (size_t s = 0; s < streams; s++) {
        char id[40];
        snprintf(id, sizeof id, "channel-%08zu", s);
        changeover_input_config inputs[2] = {changeover_input_config_init(),
                                             changeover_input_config_init()};
        inputs[0].hot = inputs[1].hot = 1;
        inputs[0].address = "udp://main";
        inputs[1].address = "udp://backup";
        inputs[1].priority = 1;
        changeover_stream_config stream = changeover_stream_config_init();
        stream.id = id;
        stream.inputs = inputs;
        stream.input_count = 2;
        CHECK(changeover_register(w->engine, &stream));
    }
    size_t *order = shuffled(n, 88172645463325252u), *opening = shuffled(n, 1234567);
    for (size_t i = 0; i < n; i++) {
        size_t at = opening[i];
        char id[40];
        snprintf(id, sizeof id, "channel-%08zu", at / 2);
        CHECK(changeover_recorder_open(w->engine, id, (int32_t)(at % 2), 0, &opened[at]));
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = order[i];
        w->floor[i] = &lines[at].last;
        w->cells[i] = &own[at];
        own[at].flags = at % 2 == 0 ? FORWARD | (uint64_t)1 << 32 : DROP;
        w->handles[i] = handles[at];
        w->recorders[i] = opened[at];
        snprintf(w->ids[i].text, sizeof w->ids[i].text, "channel-%08zu", at / 2);
        w->ids[i].priority = (int32_t)(at % 2);
    }
    free(order), free(opening), free(opened), free(handles);
    return w;
}

/* All streams on the air on one input of two, every verdict right, no packet lost. */
static void self_check(world *w) {
    size_t streams = w->inputs / 2;
    for (int i = 0; run(w, BYTES, w->inputs) != streams; i++) {
        if (i == 6000)
            fprintf(stderr, "not every stream got on the air\n"), exit(1);
        usleep(5000);
    }
    for (int variant = INPLACE; variant < VARIANTS; variant++)
        if (run(w, variant, w->inputs) != streams)
            fprintf(stderr, "%s: wrong verdicts\n", names[variant]), exit(1);
}

/* What the engine counted is what it was given, as soon as its monitor has heard of all epochs. */
static void count_check(world *w) {
    uint64_t counted = 0;
    for (int i = 0; i < 20 && counted != w->recorded; i++) {
        if (i > 0)
            usleep(500000);
        counted = 0;
        for (size_t at = 0; at < w->inputs; at++) {
            changeover_input_health health = changeover_input_health_init();
            CHECK(changeover_input_health_of(w->engine, w->ids[at].text, w->ids[at].priority,
                                             &health));
            counted += health.packets;
        }
    }
    if (counted != w->recorded)
        fprintf(stderr, "%" PRIu64 " of %" PRIu64 " counted\n", counted, w->recorded), exit(1);
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 51;
    size_t most = argc > 2 ? (size_t)atoi(argv[2]) : 100000;
    static const size_t sizes[] = {10, 1000, 100000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes && sizes[s] <= most; s++) {
        world *w = make(sizes[s]);
        self_check(w);
        size_t ops[VARIANTS];
        for (int variant = 0; variant < VARIANTS; variant++) {
            uint64_t began = now_ns();
            run(w, variant, 100000);
            uint64_t took = now_ns() - began + 1;
            ops[variant] = 100000 * (uint64_t)1500000 / took + 1;
        }
        for (int round = 0; round < rounds; round++)
            for (int turn = 0; turn < VARIANTS; turn++) {
                int variant = (turn + round) % VARIANTS;
                double ns = 0;
                for (int try = 0; try < 5; try++) {
                    long before = preempted();
                    uint64_t began = now_ns();
                    run(w, variant, ops[variant]);
                    ns = (double)(now_ns() - began) / (double)ops[variant];
                    if (preempted() == before)
                        break;
                }
                printf("%zu/%s\t%.4f\n", sizes[s], names[variant],
                       variant == BATCH ? ns / 7 : ns);
            }
        count_check(w);
        CHECK(changeover_engine_destroy(w->engine, NULL));
        /* The rest of the world ends with the process. */
    }
    return 0;
}
