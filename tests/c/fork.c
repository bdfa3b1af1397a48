/* A host that forks: fork [rounds]. In the child, control calls answer CHANGEOVER_FORKED, records
 * do no harm, and exit() ends it cleanly; the parent goes on. The same over and over, while other
 * threads of the parent are anywhere in the API. Children of a process without an engine make
 * their own. */
#include "check.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static changeover_engine engine;
static changeover_recorder recorder;
static changeover_events events;
static changeover_ticket ticket;
static changeover_timeline timeline;
static changeover_eyes eyes;
static atomic_int destroyed;

static void destroy(void *user_data) {
    (void)user_data;
    destroyed++;
}

#define FORKED(call) REFUSED(CHANGEOVER_FORKED, call)

static void everything_is_refused(void) {
    uint64_t number = 77;
    char *text = NULL;
    changeover_event event = changeover_event_init();
    changeover_stamps stamps = changeover_stamps_of(1, 1, 1);
    changeover_sight sight = changeover_sight_init();
    changeover_stream_status status = changeover_stream_status_init();
    const changeover_timebase base = {1, 1000, 0};
    FORKED(changeover_is_registered(engine, "news"));
    FORKED(register_inputs(engine, "other", 2, 1));
    FORKED(changeover_unregister(engine, "news"));
    FORKED(changeover_unregister_and_wait(engine, "news", 1000));
    FORKED(changeover_status(engine, "news", &status));
    FORKED(changeover_status_json(engine, "news", &text));
    FORKED(changeover_metrics_text(engine, &text));
    FORKED(changeover_now_ns(engine, &number));
    FORKED(changeover_set_callbacks(engine, NULL));
    FORKED(changeover_switch_input(engine, "news", 1, NULL));
    FORKED(changeover_recorder_open(engine, "news", 0, 0, &recorder));
    FORKED(changeover_recorder_sibling(recorder, &recorder));
    FORKED(changeover_recorder_epoch(recorder, &number));
    FORKED(changeover_recorder_stream(recorder, &text));
    FORKED(changeover_recorder_report_error(recorder, "x"));
    FORKED(changeover_recorder_close(recorder));
    FORKED(changeover_events_open(engine, 4, &events));
    FORKED(changeover_events_fd(events));
    FORKED(changeover_events_next(events, &event));
    FORKED(changeover_events_wait(events, 10000, &event));
    FORKED(changeover_events_close(events));
    FORKED(changeover_ticket_wait(ticket, 10000));
    FORKED(changeover_ticket_close(ticket));
    FORKED(changeover_timeline_map(timeline, 1, 1, base, &stamps, &stamps));
    FORKED(changeover_timeline_close(timeline));
    FORKED(changeover_eyes_look(eyes, (const uint8_t *)"x", 1, &sight));
    FORKED(changeover_eyes_close(eyes));
    changeover_engine own = {77};
    FORKED(changeover_engine_create(NULL, &own));
    EQUAL(own.raw, 77);
    FORKED(changeover_engine_shutdown(engine, &number));
    FORKED(changeover_engine_destroy(engine, &number));
    FORKED(changeover_engine_destroy(engine, NULL));
    EQUAL(number, 77);
    CHECK(text == NULL);
}

static void records_do_no_harm(void) {
    changeover_packet packets[2] = {changeover_packet_of(1), changeover_packet_of(2)};
    int64_t verdicts[2];
    for (int i = 0; i < 1000; i++) {
        CHECK(changeover_record(recorder, packets) >= CHANGEOVER_STALE);
        CHECK(changeover_record_bytes(recorder, 5) >= CHANGEOVER_STALE);
        CHECK(changeover_record_batch(recorder, packets, 2, verdicts) >= CHANGEOVER_STALE);
        CHECK(changeover_record_precise(recorder, packets) >= CHANGEOVER_STALE);
        CHECK(changeover_record_at(recorder, packets, 3) >= CHANGEOVER_STALE);
    }
}

static void its_own_engine(int with) {
    (void)with;
    changeover_engine own;
    changeover_recorder producer;
    int32_t active = -1;
    OK(changeover_engine_create(NULL, &own));
    OK(register_inputs(own, "news", 2, 1));
    OK(changeover_recorder_open(own, "news", 1, 0, &producer));
    OK(changeover_report_input_error(own, "news", 0, 0, "dead"));
    EVENTUALLY(changeover_record_bytes(producer, 1316) > 0);
    EVENTUALLY(changeover_active_input(own, "news", &active) == 1 && active == 1);
    sleep_ms(5);
    OK(changeover_engine_destroy(own, NULL));
    REFUSED(CHANGEOVER_INVALID_HANDLE, changeover_engine_destroy(own, NULL));
}

/* 0 if the child ended by exit(0) within 30 s. */
static void wait_for(pid_t child) {
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status))
        fprintf(stderr, "the child was ended by signal %d\n", WTERMSIG(status));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static pid_t child_that(void (*work)(int), int with) {
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(30); /* whatever hangs is found */
        check_step = "in the child";
        work(with);
        exit(0);
    }
    return child;
}

static void all_in_a_child(int with) {
    (void)with;
    everything_is_refused();
    records_do_no_harm();
    everything_is_refused();
    EQUAL(destroyed, 0);
    /* Its own child, too. */
    if (with > 0)
        wait_for(child_that(all_in_a_child, with - 1));
}

/* --- Forks in the midst of it --- */

static atomic_int stop;

static void *busy(void *with) {
    uint64_t state = 3 + (uint64_t)(uintptr_t)with;
    char id[16];
    snprintf(id, sizeof id, "busy%d", (int)(uintptr_t)with);
    while (!stop) {
        char *text = NULL;
        changeover_recorder own;
        if (next_random(&state) % 8 == 0) {
            changeover_engine other;
            OK(changeover_engine_create(NULL, &other));
            OK(register_inputs(other, id, 2, 1));
            OK(changeover_engine_destroy(other, NULL));
        }
        OK(register_inputs(engine, id, 2, 1));
        OK(changeover_recorder_open(engine, id, 0, 0, &own));
        OK(changeover_record_bytes(own, 5));
        OK(changeover_record_packet(engine, id, 1));
        OK(changeover_status_json(engine, "news", &text));
        changeover_string_free(text);
        OK(changeover_recorder_close(own));
        OK(changeover_unregister(engine, id));
    }
    return NULL;
}

static void a_little_in_a_child(int with) {
    FORKED(changeover_is_registered(engine, "news"));
    records_do_no_harm();
    FORKED(changeover_engine_create(NULL, &(changeover_engine){0}));
    if (with % 2)
        FORKED(changeover_engine_destroy(engine, NULL));
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 60;
    wait_for(child_that(its_own_engine, 0));
    changeover_callbacks callbacks = changeover_callbacks_init();
    callbacks.destroy = destroy;
    changeover_engine_options options = changeover_engine_options_init();
    options.callbacks = &callbacks;
    OK(changeover_engine_create(&options, &engine));
    OK(register_inputs(engine, "news", 2, 1));
    OK(changeover_recorder_open(engine, "news", 0, 0, &recorder));
    OK(changeover_switch_input(engine, "news", 1, &ticket));
    OK(changeover_events_open(engine, 0, &events));
    OK(changeover_timeline_open(engine, NULL, &timeline));
    OK(changeover_eyes_open(engine, CHANGEOVER_EYES_MPEGTS, &eyes));
    wait_for(child_that(all_in_a_child, 1));

    /* The parent goes on. */
    OK(changeover_record_bytes(recorder, 1));
    EQUAL(changeover_is_registered(engine, "news"), 1);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = start_thread(busy, (void *)(uintptr_t)i);
    for (int i = 0; i < rounds; i++)
        wait_for(child_that(a_little_in_a_child, i));
    stop = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    EQUAL(destroyed, 0);
    OK(changeover_recorder_close(recorder));
    OK(changeover_engine_destroy(engine, NULL));
    EQUAL(destroyed, 1);
    /* Every engine has ended: children are free again, and what the parent had is gone there. */
    wait_for(child_that(its_own_engine, 0));
    REFUSED(CHANGEOVER_INVALID_HANDLE, changeover_is_registered(engine, "news"));
    its_own_engine(0);
    printf("%d forks: ok\n", rounds + 4);
    return 0;
}
