/* Event queues: the descriptor in poll, several queues, overflow, waiting, the end of the engine,
 * and a close while others wait. */
#include "check.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

static changeover_engine engine;

static int readable(changeover_events events, int timeout_ms) {
    struct pollfd fd = {(int)OK(changeover_events_fd(events)), POLLIN, 0};
    int ready = poll(&fd, 1, timeout_ms);
    CHECK(ready >= 0 && (fd.revents & ~POLLIN) == 0);
    return ready;
}

/* At least one event for each: an input goes off and on. */
static void make_events(int count) {
    static uint32_t enabled = 1;
    for (int i = 0; i < count; i++)
        OK(changeover_set_input_enabled(engine, "news", 1, enabled ^= 1));
}

static int drain(changeover_events events) {
    changeover_event event = changeover_event_init();
    int taken = 0;
    while (changeover_events_next(events, &event) == 1) {
        CHECK(event.id > 0 && event.at_unix_ns > 0 && event.size == sizeof event);
        taken++;
    }
    return taken;
}

/* --- A host's event loop --- */

static atomic_int looped, loop_ended;

static void *loop(void *with) {
    changeover_events events = *(changeover_events *)with;
    changeover_event event = changeover_event_init();
    uint64_t last = 0;
    for (;;) {
        CHECK(readable(events, 20000) == 1);
        int32_t answer;
        while ((answer = changeover_events_next(events, &event)) == 1) {
            CHECK(event.id > last);
            last = event.id;
            looped++;
        }
        if (answer == CHANGEOVER_SHUT_DOWN)
            break;
        EQUAL(answer, 0);
    }
    loop_ended = 1;
    return NULL;
}

static void in_a_loop(void) {
    changeover_events events, second;
    OK(changeover_engine_create(NULL, &engine));
    OK(changeover_events_open(engine, 0, &events));
    OK(changeover_events_open(engine, 0, &second));
    EQUAL(readable(second, 0), 0);
    pthread_t thread = start_thread(loop, &events);
    OK(register_inputs(engine, "news", 2, 1));
    for (int i = 0; i < 200; i++) {
        make_events(2);
        if (i % 20 == 0)
            sleep_ms(1);
    }
    EQUAL(readable(second, 20000), 1);
    EVENTUALLY(looped >= 400);
    /* The other queue has the same ones. */
    EQUAL(drain(second), looped);
    EQUAL(readable(second, 0), 0);
    make_events(1);
    EQUAL(readable(second, 20000), 1);
    char *json = NULL;
    EQUAL(changeover_events_next_json(second, &json), 1);
    CHECK(strstr(json, "\"stream\":\"news\"") != NULL);
    changeover_string_free(json);
    drain(second);
    make_events(1);
    EQUAL(readable(second, 20000), 1);
    OK(changeover_engine_shutdown(engine, NULL));
    EVENTUALLY(loop_ended);
    pthread_join(thread, NULL);
    /* It can be read to its end, and is readable for ever. */
    CHECK(drain(second) >= 1);
    changeover_event event = changeover_event_init();
    json = NULL;
    for (int i = 0; i < 3; i++) {
        EQUAL(readable(second, 0), 1);
        REFUSED(CHANGEOVER_SHUT_DOWN, changeover_events_next(second, &event));
        REFUSED(CHANGEOVER_SHUT_DOWN, changeover_events_wait(second, 10000, &event));
        REFUSED(CHANGEOVER_SHUT_DOWN, changeover_events_next_json(second, &json));
    }
    CHECK(json == NULL);
    REFUSED(CHANGEOVER_SHUT_DOWN, register_inputs(engine, "more", 1, 1));
    /* What is opened now has its end before it. */
    changeover_events after;
    if (changeover_events_open(engine, 1, &after) >= 0) {
        EQUAL(readable(after, 20000), 1);
        REFUSED(CHANGEOVER_SHUT_DOWN, changeover_events_next(after, &event));
    }
    int fd = changeover_events_fd(second);
    OK(changeover_engine_destroy(engine, NULL));
    struct pollfd gone = {fd, POLLIN, 0};
    CHECK(poll(&gone, 1, 0) == 1 && (gone.revents & POLLNVAL));
    REFUSED(CHANGEOVER_INVALID_HANDLE, changeover_events_next(second, &event));
}

/* --- Full --- */

static void overflow(void) {
    changeover_events small, exact;
    uint64_t dropped = 77;
    OK(changeover_engine_create(NULL, &engine));
    OK(register_inputs(engine, "news", 2, 1));
    sleep_ms(50); /* what registration tells is told */
    OK(changeover_events_open(engine, 3, &small));
    OK(changeover_events_open(engine, 1000, &exact));
    OK(changeover_events_dropped(small, &dropped));
    EQUAL(dropped, 0);
    make_events(40);
    sleep_ms(50);
    int made = drain(exact);
    CHECK(made >= 40);
    OK(changeover_events_dropped(small, &dropped));
    EQUAL(dropped, made - 3);
    EQUAL(readable(small, 0), 1);
    EQUAL(drain(small), 3);
    EQUAL(readable(small, 0), 0);
    OK(changeover_events_dropped(exact, &dropped));
    EQUAL(dropped, 0);
    changeover_engine_stats stats = changeover_engine_stats_init();
    OK(changeover_stats(engine, &stats));
    EQUAL(stats.events_dropped_total, made - 3);
    OK(changeover_engine_destroy(engine, NULL));
}

/* --- Waiting --- */

typedef struct {
    changeover_events events;
    int32_t answer, timeout_ms;
    int64_t took_ns;
} waiting;

static atomic_int waits;

static void *wait_for_one(void *with) {
    waiting *w = with;
    changeover_event event = changeover_event_init();
    int64_t began = clock_ns();
    waits++;
    w->answer = changeover_events_wait(w->events, (uint32_t)w->timeout_ms, &event);
    w->took_ns = clock_ns() - began;
    return NULL;
}

static void wait(void) {
    OK(changeover_engine_create(NULL, &engine));
    OK(register_inputs(engine, "news", 2, 1));
    sleep_ms(50);
    waiting w = {.timeout_ms = 60};
    OK(changeover_events_open(engine, 0, &w.events));
    wait_for_one(&w);
    EQUAL(w.answer, 0);
    CHECK(w.took_ns >= 59 * MS);
    /* It comes while we wait: at once. */
    w.timeout_ms = 15000;
    pthread_t thread = start_thread(wait_for_one, &w);
    EVENTUALLY(waits == 2);
    sleep_ms(20);
    make_events(1);
    pthread_join(thread, NULL);
    EQUAL(w.answer, 1);
    CHECK(w.took_ns < 10000 * MS);
    sleep_ms(50);
    drain(w.events);
    /* Closed while others wait: they return, at their time at the latest. */
    waiting several[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        several[i] = (waiting){w.events, 77, 300, 0};
        threads[i] = start_thread(wait_for_one, &several[i]);
    }
    EVENTUALLY(waits == 5);
    sleep_ms(20);
    OK(changeover_events_close(w.events));
    REFUSED(CHANGEOVER_INVALID_HANDLE, changeover_events_close(w.events));
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        CHECK(several[i].answer == 0 || several[i].answer == CHANGEOVER_INVALID_HANDLE);
        CHECK(several[i].took_ns < 10000 * MS);
    }
    /* The engine ends while others wait: they return at once. */
    OK(changeover_events_open(engine, 0, &w.events));
    for (int i = 0; i < 3; i++) {
        several[i] = (waiting){w.events, 77, 15000, 0};
        threads[i] = start_thread(wait_for_one, &several[i]);
    }
    EVENTUALLY(waits == 8);
    sleep_ms(20);
    OK(changeover_engine_destroy(engine, NULL));
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        EQUAL(several[i].answer, CHANGEOVER_SHUT_DOWN);
        CHECK(several[i].took_ns < 10000 * MS);
    }
}

/* --- The log --- */

static atomic_int warnings, lines, told;

static void on_log(changeover_engine of, int32_t level, const char *line, void *user_data) {
    CHECK(of.raw == engine.raw && user_data == &lines);
    CHECK(strncmp(line, "changeover: news: {", 19) == 0);
    CHECK(level == CHANGEOVER_LOG_WARNING || level == CHANGEOVER_LOG_INFO);
    warnings += level == CHANGEOVER_LOG_WARNING;
    lines++;
}

static void on_event(changeover_engine of, const changeover_event *event, void *user_data) {
    CHECK(of.raw == engine.raw && user_data == &lines);
    SAME(event->stream, "news");
    told++;
}

static void log_lines(void) {
    changeover_callbacks callbacks = changeover_callbacks_init();
    callbacks.user_data = &lines;
    callbacks.on_log = on_log;
    callbacks.on_event = on_event;
    OK(changeover_engine_create(NULL, &engine));
    OK(changeover_set_callbacks(engine, &callbacks));
    OK(register_inputs(engine, "news", 2, 1));
    make_events(6);
    OK(changeover_report_input_error(engine, "news", 0, 0, "it smokes"));
    EVENTUALLY(lines > 6 && warnings >= 1 && warnings < lines && told == lines);
    OK(changeover_engine_destroy(engine, NULL));
    EQUAL(told, lines);
}

/* --- Descriptors do not pile up --- */

static void descriptors(void) {
    int before = dup(0), after;
    close(before);
    for (int i = 0; i < 300; i++) {
        changeover_events events;
        if (i % 50 == 0)
            OK(changeover_engine_create(NULL, &engine));
        OK(changeover_events_open(engine, 1, &events));
        if (i % 2)
            OK(changeover_events_close(events));
        if (i % 50 == 49)
            OK(changeover_engine_destroy(engine, NULL));
    }
    after = dup(0);
    close(after);
    EQUAL(after, before);
    /* Where there are none, that is said, and nothing is left behind. */
    changeover_events events = {77};
    struct rlimit many, none;
    OK(changeover_engine_create(NULL, &engine));
    CHECK(getrlimit(RLIMIT_NOFILE, &many) == 0);
    none = many;
    none.rlim_cur = (rlim_t)before;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    REFUSED(CHANGEOVER_NO_DESCRIPTOR, changeover_events_open(engine, 1, &events));
    EQUAL(events.raw, 77);
    CHECK(setrlimit(RLIMIT_NOFILE, &many) == 0);
    OK(changeover_events_open(engine, 1, &events));
    OK(changeover_engine_destroy(engine, NULL));
    after = dup(0);
    close(after);
    EQUAL(after, before);
}

int main(void) {
    in_a_loop();
    overflow();
    wait();
    log_lines();
    descriptors();
    puts("events: ok");
    return 0;
}
