/* Threads that do everything to the same few streams and engines at once: races [seconds].
 *
 * Producers record in every way, while others open, close, edit, unregister, destroy and create.
 * Every answer is one that its call may give. (Counts are lost: producers share recorders.) */
#include "check.h"

#include <stdatomic.h>

enum { ENGINES = 3, STREAMS = 4, RECORDERS = 64 };

static atomic_int stop;
static atomic_uint_fast64_t engines[ENGINES];
static atomic_uint_fast64_t recorders[RECORDERS];
static atomic_uint_fast64_t answers, recorded, created;

/* 0, or one of these codes. */
#define MAY(call, ...)                                                       \
    may(__LINE__, #call, (int64_t)(call), (const int32_t[]){__VA_ARGS__, 1}, \
        sizeof((const int32_t[]){__VA_ARGS__, 1}) / sizeof(int32_t) - 1)

static int64_t may(int line, const char *what, int64_t is, const int32_t *codes, size_t count) {
    atomic_fetch_add_explicit(&answers, 1, memory_order_relaxed);
    if (is >= 0)
        return is;
    for (size_t i = 0; i < count; i++)
        if (is == codes[i])
            return is;
    fprintf(stderr, "%" PRId64 " (%s): ", is, changeover_strerror((int32_t)is));
    check_failed(__FILE__, line, what);
    return is;
}

#define GONE CHANGEOVER_INVALID_HANDLE, CHANGEOVER_SHUT_DOWN
#define NONE GONE, CHANGEOVER_UNKNOWN_STREAM
#define NO_INPUT NONE, CHANGEOVER_UNKNOWN_INPUT
#define RECORDED CHANGEOVER_STALE, CHANGEOVER_INVALID_HANDLE

static changeover_engine an_engine(uint64_t *state) {
    return (changeover_engine){atomic_load(&engines[next_random(state) % ENGINES])};
}

static const char *a_stream(uint64_t *state) {
    static const char *const ids[STREAMS] = {"a", "b", "c", "d"};
    return ids[next_random(state) % STREAMS];
}

/* Packets: on any recorder, whoever opened it. */
static void *produce(void *with) {
    uint64_t state = (uint64_t)(uintptr_t)with * 7919 + 1;
    changeover_packet packets[8];
    int64_t verdicts[8];
    for (int i = 0; i < 8; i++) {
        packets[i] = changeover_packet_of(1316);
        packets[i].keyframe = i == 5;
        packets[i].frames = 1;
    }
    while (!stop) {
        changeover_recorder r = {atomic_load(&recorders[next_random(&state) % RECORDERS])};
        for (int i = 0; i < 20; i++) {
            int64_t is;
            switch (next_random(&state) % 6) {
            case 0:
                is = MAY(changeover_record_batch(r, packets, 8, NULL), RECORDED);
                break;
            case 1:
                is = MAY(changeover_record_batch(r, packets, 8, verdicts), RECORDED);
                break;
            case 2:
                is = MAY(changeover_record_precise(r, &packets[5]), RECORDED);
                break;
            case 3:
                is = MAY(changeover_record_at(r, &packets[0], next_random(&state)), RECORDED);
                break;
            case 4:
                is = MAY(changeover_record_packet(an_engine(&state), a_stream(&state), i & 1),
                         RECORDED);
                break;
            default:
                is = MAY(changeover_record(r, &packets[i % 8]), RECORDED);
            }
            if (is >= 0)
                atomic_fetch_add_explicit(&recorded, 1, memory_order_relaxed);
        }
    }
    return NULL;
}

/* Recorders come and go; their places in the list are shared. */
static void *open_and_close(void *with) {
    uint64_t state = (uint64_t)(uintptr_t)with * 104729 + 1;
    while (!stop) {
        changeover_recorder recorder = {0}, other = {0};
        uint64_t place = next_random(&state) % RECORDERS, epoch = 77;
        MAY(changeover_recorder_open(an_engine(&state), a_stream(&state), (int32_t)place & 1, 0,
                                     &recorder),
            NO_INPUT);
        if (recorder.raw != 0 && place % 4 == 0) {
            MAY(changeover_recorder_sibling(recorder, &other), GONE, CHANGEOVER_STALE_EPOCH);
            MAY(changeover_recorder_epoch(recorder, &epoch), GONE);
            if (other.raw != 0)
                MAY(changeover_recorder_close(recorder), GONE);
        }
        other.raw = other.raw != 0 ? other.raw : recorder.raw;
        other.raw = atomic_exchange(&recorders[place], other.raw);
        if (place % 8 == 1)
            MAY(changeover_recorder_report_error(other, "tired"), GONE);
        MAY(changeover_recorder_close(other), GONE);
    }
    return NULL;
}

/* The control plane, from all sides. */
static void *control(void *with) {
    uint64_t state = (uint64_t)(uintptr_t)with * 1299709 + 1;
    changeover_condition condition = changeover_condition_init();
    condition.name = "black";
    while (!stop) {
        changeover_engine engine = an_engine(&state);
        const char *stream = a_stream(&state);
        int32_t priority = (int32_t)(next_random(&state) & 1);
        changeover_ticket ticket = {0};
        changeover_stream_status status = changeover_stream_status_init();
        changeover_input_health health = changeover_input_health_init();
        char *text = NULL;
        switch (next_random(&state) % 14) {
        case 0:
        case 1:
            MAY(register_inputs(engine, stream, 2, 1), GONE, CHANGEOVER_ALREADY_REGISTERED);
            break;
        case 2:
            MAY(changeover_unregister(engine, stream), NONE);
            break;
        case 3:
            MAY(changeover_unregister_and_wait(engine, stream, 100), NONE, CHANGEOVER_TIMED_OUT);
            break;
        case 4:
            MAY(changeover_switch_input(engine, stream, priority, &ticket), NO_INPUT,
                CHANGEOVER_INPUT_DEGRADED, CHANGEOVER_INPUT_STOPPED);
            if (ticket.raw != 0) {
                MAY(changeover_ticket_wait(ticket, 1), GONE, CHANGEOVER_TIMED_OUT,
                    CHANGEOVER_SWITCH_FAILED);
                MAY(changeover_ticket_close(ticket), GONE);
            }
            break;
        case 5:
            MAY(changeover_hold_input(engine, stream, priority, NULL, NULL), NO_INPUT,
                CHANGEOVER_INPUT_DEGRADED, CHANGEOVER_INPUT_STOPPED);
            break;
        case 6:
            MAY(changeover_release_hold(engine, stream), NONE);
            MAY(changeover_clear_override(engine, stream), NONE);
            break;
        case 7:
            MAY(changeover_raise_condition(engine, stream, priority, &condition), NO_INPUT);
            MAY(changeover_clear_condition(engine, stream, priority, "black"), NO_INPUT);
            break;
        case 8:
            MAY(changeover_set_input_enabled(engine, stream, priority, (uint32_t)priority), NO_INPUT);
            break;
        case 9:
            if (MAY(changeover_status_json(engine, stream, &text), NONE) == 0)
                CHECK(text[0] == '{');
            changeover_string_free(text);
            break;
        case 10:
            if (MAY(changeover_status(engine, stream, &status), NONE) == 0)
                CHECK(status.input_count == 2 && status.usable_inputs <= 2);
            break;
        case 11:
            if (MAY(changeover_input_health_of(engine, stream, priority, &health), NO_INPUT) == 0)
                CHECK(health.priority == priority && health.hot == 1);
            break;
        case 12:
            MAY(changeover_report_input_error(engine, stream, priority, 0, "why"), NO_INPUT);
            break;
        default:
            if (MAY(changeover_metrics_text(engine, &text), GONE) == 0)
                CHECK(strstr(text, "# EOF") != NULL);
            changeover_string_free(text);
        }
    }
    return NULL;
}

static void on_event(changeover_engine engine, const changeover_event *event, void *user_data) {
    (void)user_data;
    if (event->id % 64 == 0)
        MAY(changeover_is_exhausted(engine, event->stream), NONE);
}

/* Engines end and begin, in the midst of it; each has queues, timelines, eyes. */
static void *engines_come_and_go(void *with) {
    uint64_t state = (uint64_t)(uintptr_t)with * 15485863 + 1;
    changeover_callbacks callbacks = changeover_callbacks_init();
    callbacks.on_event = on_event;
    changeover_engine_options options = changeover_engine_options_init();
    options.callbacks = &callbacks;
    while (!stop) {
        changeover_engine engine = {0};
        changeover_events events;
        changeover_event event = changeover_event_init();
        MAY(changeover_engine_create(&options, &engine), CHANGEOVER_TOO_MANY_ENGINES);
        if (engine.raw == 0)
            continue;
        created++;
        MAY(register_inputs(engine, "a", 2, 1), GONE);
        engine.raw = atomic_exchange(&engines[next_random(&state) % ENGINES], engine.raw);
        if (MAY(changeover_events_open(engine, 16, &events), GONE) == 0) {
            MAY(changeover_events_wait(events, 5, &event), GONE);
            MAY(changeover_events_close(events), GONE);
        }
        sleep_ms((int64_t)(next_random(&state) % 20));
        if (next_random(&state) % 3 == 0)
            MAY(changeover_engine_shutdown(engine, NULL), GONE);
        MAY(changeover_engine_destroy(engine, NULL), GONE);
    }
    return NULL;
}

int main(int argc, char **argv) {
    double seconds = argc > 1 ? atof(argv[1]) : 5;
    void *(*const jobs[])(void *) = {produce, produce,        produce, open_and_close, open_and_close,
                                     control, control, control, engines_come_and_go, engines_come_and_go};
    enum { JOBS = sizeof jobs / sizeof *jobs };
    pthread_t threads[JOBS];
    for (int i = 0; i < ENGINES; i++) {
        changeover_engine engine;
        OK(changeover_engine_create(NULL, &engine));
        engines[i] = engine.raw;
    }
    for (int i = 0; i < JOBS; i++)
        threads[i] = start_thread(jobs[i], (void *)(uintptr_t)(i + 1));
    sleep_ms((int64_t)(seconds * 1000));
    stop = 1;
    for (int i = 0; i < JOBS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < ENGINES; i++)
        OK(changeover_engine_destroy((changeover_engine){engines[i]}, NULL));
    for (int i = 0; i < RECORDERS; i++)
        EQUAL(changeover_record_bytes((changeover_recorder){recorders[i]}, 1),
              CHANGEOVER_INVALID_HANDLE);
    CHECK(recorded > 0 && created > 0);
    printf("%" PRIu64 " answers, %" PRIu64 " packets or batches counted, %" PRIu64 " engines: ok\n",
           (uint64_t)answers, (uint64_t)recorded, (uint64_t)created);
    return 0;
}
