/* A real engine with cold inputs: answers from other threads, a start that blocks, callbacks and
 * driver calls that call back into everything, and `destroy` once for each user_data. */
#include "check.h"

#include <stdatomic.h>
#include <unistd.h>

/* A user_data: its calls, and its one end. */
typedef struct {
    atomic_int calls, destroyed, inside;
    void (*work)(changeover_engine engine, const char *stream);
} host;

static void enter(host *h) {
    EQUAL(h->destroyed, 0);
    h->inside++;
    h->calls++;
}

static void leave(host *h) {
    h->inside--;
    EQUAL(h->destroyed, 0);
}

static void destroy(void *user_data) {
    host *h = user_data;
    EQUAL(h->inside, 0);
    EQUAL(h->destroyed++, 0);
}

/* --- Answers from another thread --- */

static void *answer_soon(void *with) {
    changeover_answer_token token = {*(uint64_t *)with};
    free(with);
    sleep_ms(20);
    OK(changeover_answer(token, CHANGEOVER_ANSWER_DONE, NULL));
    REFUSED(CHANGEOVER_INVALID_HANDLE, changeover_answer(token, CHANGEOVER_ANSWER_DONE, NULL));
    return NULL;
}

static atomic_uint_fast64_t started_epoch;
static pthread_t answering;

static int32_t start_later(const changeover_driver_call *call, void *user_data) {
    enter(user_data);
    uint64_t *token = malloc(sizeof *token);
    CHECK(token != NULL);
    *token = call->answer.raw;
    answering = start_thread(answer_soon, token);
    started_epoch = call->epoch;
    leave(user_data);
    return CHANGEOVER_ANSWER_LATER;
}

static void on_stop(const changeover_driver_call *call, void *user_data) {
    enter(user_data);
    EQUAL(call->epoch, started_epoch);
    leave(user_data);
}

static changeover_engine make(changeover_driver *driver, const changeover_callbacks *callbacks,
                              int64_t shutdown_timeout_ms) {
    changeover_engine_config config = changeover_engine_config_init();
    config.packet_timeout_ms = 150;
    config.connect_timeout_ms = 10000;
    config.probe_cooldown_ms = 50;
    changeover_engine_options options = changeover_engine_options_init();
    options.config = &config;
    options.driver = driver;
    options.callbacks = callbacks;
    options.shutdown_timeout_ms = shutdown_timeout_ms;
    changeover_engine engine;
    OK(changeover_engine_create(&options, &engine));
    return engine;
}

static void later_from_another_thread(void) {
    static host h;
    changeover_driver driver = changeover_driver_init();
    driver.user_data = &h;
    driver.destroy = destroy;
    driver.start = start_later;
    driver.stop = on_stop;
    changeover_engine engine = make(&driver, NULL, 0);
    OK(register_inputs(engine, "news", 1, 0));
    EVENTUALLY(started_epoch != 0);
    changeover_recorder recorder;
    OK(changeover_recorder_open(engine, "news", 0, started_epoch, &recorder));
    int32_t active = -5;
    EVENTUALLY(changeover_record_bytes(recorder, 9) > 0);
    EVENTUALLY(changeover_active_input(engine, "news", &active) == 1);
    EQUAL(active, 0);
    pthread_join(answering, NULL);
    uint64_t detached = 77;
    OK(changeover_unregister_and_wait(engine, "news", 5000));
    EQUAL(h.calls, 2);
    EQUAL(changeover_record_bytes(recorder, 9), CHANGEOVER_STALE);
    EQUAL(h.destroyed, 0);
    OK(changeover_engine_destroy(engine, &detached));
    EQUAL(detached, 0);
    EQUAL(h.destroyed, 1);
}

/* --- A start that blocks --- */

static int gate[2];

static int32_t start_blocks(const changeover_driver_call *call, void *user_data) {
    enter(user_data);
    char byte;
    while (read(gate[0], &byte, 1) != 1) {
    }
    /* The engine is gone by now. */
    REFUSED(CHANGEOVER_INVALID_HANDLE, changeover_answer(call->answer, 0, NULL));
    REFUSED(CHANGEOVER_INVALID_HANDLE, changeover_is_registered(call->engine, "news"));
    SAME(call->stream, "news");
    leave(user_data);
    return CHANGEOVER_ANSWER_DONE;
}

static void a_start_that_blocks(void) {
    static host h;
    CHECK(pipe(gate) == 0);
    changeover_driver driver = changeover_driver_init();
    driver.user_data = &h;
    driver.destroy = destroy;
    driver.start = start_blocks;
    changeover_engine engine = make(&driver, NULL, 100);
    OK(register_inputs(engine, "news", 1, 0));
    EVENTUALLY(h.inside == 1);
    REFUSED(CHANGEOVER_TIMED_OUT, changeover_unregister_and_wait(engine, "news", 50));
    EQUAL(changeover_is_registered(engine, "news"), 0);
    OK(register_inputs(engine, "again", 1, 1));
    int64_t began = clock_ns();
    uint64_t detached = 77;
    OK(changeover_engine_destroy(engine, &detached));
    EQUAL(detached, 2); /* the start, and the stop that waits behind it */
    CHECK(clock_ns() - began < 5000 * MS);
    REFUSED(CHANGEOVER_INVALID_HANDLE, changeover_engine_destroy(engine, NULL));
    EQUAL(h.destroyed, 0);
    EQUAL(h.inside, 1);
    CHECK(write(gate[1], "x", 1) == 1);
    EVENTUALLY(h.destroyed == 1);
    EQUAL(h.inside, 0);
    sleep_ms(20); /* its thread ends */
    close(gate[0]);
    close(gate[1]);
}

/* --- Everything from inside --- */

static void would_block(changeover_engine engine) {
    uint64_t detached = 77;
    changeover_events events;
    changeover_event event = changeover_event_init();
    REFUSED(CHANGEOVER_WOULD_BLOCK, changeover_engine_destroy(engine, &detached));
    REFUSED(CHANGEOVER_WOULD_BLOCK, changeover_engine_shutdown(engine, &detached));
    REFUSED(CHANGEOVER_WOULD_BLOCK, changeover_unregister_and_wait(engine, "news", 10));
    EQUAL(detached, 77);
    OK(changeover_events_open(engine, 1, &events));
    int32_t waited = changeover_events_wait(events, 10, &event);
    CHECK(waited == 1 || waited == CHANGEOVER_WOULD_BLOCK);
    OK(changeover_events_close(events));
    EQUAL(changeover_is_registered(engine, "news"), 1);
}

static atomic_uint_fast64_t left_over[8];
static atomic_int left_overs;

static void everything(changeover_engine engine, const char *stream) {
    char *text = NULL;
    changeover_stream_status status = changeover_stream_status_init();
    changeover_engine_stats stats = changeover_engine_stats_init();
    changeover_recorder recorder;
    changeover_ticket ticket;
    changeover_condition condition = changeover_condition_init();
    condition.name = "black";
    would_block(engine);
    OK(changeover_status_json(engine, stream, &text));
    changeover_string_free(text);
    OK(changeover_status(engine, stream, &status));
    OK(changeover_stats(engine, &stats));
    OK(changeover_metrics_text(engine, &text));
    changeover_string_free(text);
    OK(register_inputs(engine, "side", 2, 1));
    OK(changeover_recorder_open(engine, "side", 0, 0, &recorder));
    OK(changeover_record_bytes(recorder, 7));
    if (changeover_switch_input(engine, "side", 1, &ticket) >= 0) {
        int32_t waited = changeover_ticket_wait(ticket, 10);
        CHECK(waited == CHANGEOVER_OK || waited == CHANGEOVER_WOULD_BLOCK);
        OK(changeover_ticket_close(ticket));
    }
    OK(changeover_clear_override(engine, "side"));
    OK(changeover_raise_condition(engine, "side", 0, &condition));
    OK(changeover_report_input_error(engine, "side", 0, 0, "x"));
    OK(changeover_set_input_enabled(engine, "side", 0, 0));
    OK(changeover_unregister(engine, "side"));
    OK(changeover_recorder_close(recorder));
    /* An engine of its own begins and works inside; it cannot be waited for there. */
    changeover_engine own;
    OK(changeover_engine_create(NULL, &own));
    OK(register_inputs(own, "news", 1, 1));
    REFUSED(CHANGEOVER_WOULD_BLOCK, changeover_engine_destroy(own, NULL));
    left_over[left_overs++] = own.raw;
}

static void work_once(host *h, changeover_engine engine, const char *stream) {
    if (h->calls == 1 && strcmp(stream, "news") == 0)
        h->work(engine, stream);
}

static int32_t start_works(const changeover_driver_call *call, void *user_data) {
    enter(user_data);
    work_once(user_data, call->engine, call->stream);
    leave(user_data);
    return CHANGEOVER_ANSWER_DONE;
}

static void exhausted_works(changeover_engine engine, const char *stream, void *user_data) {
    enter(user_data);
    work_once(user_data, engine, stream);
    leave(user_data);
}

static void event_works(changeover_engine engine, const changeover_event *event, void *user_data) {
    enter(user_data);
    EQUAL(event->size, sizeof *event);
    work_once(user_data, engine, event->stream);
    leave(user_data);
}

static host replacement;

/* Others take the place of the callbacks that run; theirs goes when they have returned. */
static void replace_and_unregister(changeover_engine engine, const char *stream) {
    changeover_callbacks callbacks = changeover_callbacks_init();
    callbacks.user_data = &replacement;
    callbacks.destroy = destroy;
    callbacks.on_exhausted = exhausted_works;
    OK(changeover_set_callbacks(engine, &callbacks));
    OK(changeover_unregister(engine, stream));
    REFUSED(CHANGEOVER_UNKNOWN_STREAM, changeover_unregister(engine, stream));
    sleep_ms(20);
}

static void destroy_left_overs(int expected) {
    EQUAL(left_overs, expected);
    while (left_overs > 0)
        OK(changeover_engine_destroy((changeover_engine){left_over[--left_overs]}, NULL));
}

static void from_driver_calls(void) {
    static host h;
    h.work = everything;
    changeover_driver driver = changeover_driver_init();
    driver.user_data = &h;
    driver.destroy = destroy;
    driver.start = start_works;
    changeover_engine engine = make(&driver, NULL, 0);
    OK(register_inputs(engine, "news", 1, 0));
    EVENTUALLY(left_overs == 1 && h.inside == 0);
    OK(changeover_engine_destroy(engine, NULL));
    EQUAL(h.destroyed, 1);
    destroy_left_overs(1);
}

/* `kind` 0: exhausted, 1: any event. Its stream has one input that never delivers. */
static void from_callbacks(host *h, int kind) {
    changeover_callbacks callbacks = changeover_callbacks_init();
    callbacks.user_data = h;
    callbacks.destroy = destroy;
    callbacks.on_exhausted = kind == 0 ? exhausted_works : NULL;
    callbacks.on_event = kind == 1 ? event_works : NULL;
    changeover_engine engine = make(NULL, &callbacks, 0);
    OK(register_inputs(engine, "news", 1, 1));
    OK(changeover_record_packet(engine, "news", 0));
    OK(changeover_report_input_error(engine, "news", 0, 0, "dead"));
    EVENTUALLY(h->calls > 0 && h->inside == 0);
    if (h->work == replace_and_unregister) {
        EVENTUALLY(h->destroyed == 1);
        EQUAL(changeover_is_registered(engine, "news"), 0);
        EQUAL(replacement.destroyed, 0);
        OK(register_inputs(engine, "news", 1, 1));
        OK(changeover_record_packet(engine, "news", 0));
        replacement.work = replace_and_unregister;
        replacement.calls = 5; /* it only counts */
        OK(changeover_report_input_error(engine, "news", 0, 0, "dead"));
        EVENTUALLY(replacement.calls == 6);
        OK(changeover_set_callbacks(engine, NULL));
        EVENTUALLY(replacement.destroyed == 1);
    } else {
        EVENTUALLY(left_overs == 1 && h->inside == 0);
    }
    OK(changeover_engine_destroy(engine, NULL));
    EQUAL(h->destroyed, 1);
    if (h->work == everything)
        destroy_left_overs(1);
}

/* What failed takes nothing: its user_data stays the host's. */
static void failed_creates(void) {
    static host h;
    changeover_driver driver = changeover_driver_init();
    driver.user_data = &h;
    driver.destroy = destroy;
    changeover_callbacks callbacks = changeover_callbacks_init();
    callbacks.user_data = &h;
    callbacks.destroy = destroy;
    changeover_engine_config config = changeover_engine_config_init();
    changeover_engine_options options = changeover_engine_options_init();
    changeover_engine engine = {77};
    options.driver = &driver;
    options.callbacks = &callbacks;
    options.config = &config;
    config.stop_timeout_ms = -1;
    REFUSED(CHANGEOVER_NEGATIVE_DURATION, changeover_engine_create(&options, &engine));
    config.stop_timeout_ms = 0;
    options.shutdown_timeout_ms = -1;
    REFUSED(CHANGEOVER_NEGATIVE_DURATION, changeover_engine_create(&options, &engine));
    options.shutdown_timeout_ms = 0;
    callbacks.size = 3;
    REFUSED(CHANGEOVER_BAD_STRUCT, changeover_engine_create(&options, &engine));
    callbacks.size = sizeof callbacks;
    options.metrics_prefix = "\xFF";
    REFUSED(CHANGEOVER_BAD_UTF8, changeover_engine_create(&options, &engine));
    EQUAL(engine.raw, 77);
    EQUAL(h.destroyed, 0);
    callbacks.size = 3;
    changeover_engine other = make(NULL, NULL, 0);
    REFUSED(CHANGEOVER_BAD_STRUCT, changeover_set_callbacks(other, &callbacks));
    OK(changeover_engine_destroy(other, NULL));
    EQUAL(h.destroyed, 0);
}

int main(void) {
    static host exhausted = {.work = everything}, event = {.work = everything};
    static host replacing = {.work = replace_and_unregister};
    later_from_another_thread();
    a_start_that_blocks();
    from_driver_calls();
    from_callbacks(&exhausted, 0);
    from_callbacks(&event, 1);
    from_callbacks(&replacing, 0);
    failed_creates();
    puts("driver: ok");
    return 0;
}
