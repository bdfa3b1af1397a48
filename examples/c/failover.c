/*
 * Two feeds of one stream: the main one dies, the backup takes over; the main one comes back, and
 * gets the stream back. The same program in C++: failover.cpp; in Rust: ../failover.rs.
 *
 *     cc failover.c -o failover `pkg-config --cflags --libs changeover` -pthread
 *
 * Ends within 5 s; its exit status is 0 if both happened.
 */
#include <changeover.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAIN, BACKUP, FEEDS };  /* priorities: lower is better */

static changeover_engine engine;
static atomic_bool alive[FEEDS] = {1, 1};
static atomic_bool ending;

/* The output, that all feeds write to. */
static struct {
    pthread_mutex_t lock;
    int64_t newest_cut;
    unsigned sent;
} output = {PTHREAD_MUTEX_INITIALIZER, 0, 0};

/* An answer that is no code, or the end. */
static int32_t must(int32_t answer) {
    if (answer < 0) {
        fprintf(stderr, "%s: %s\n", changeover_strerror(answer), changeover_last_error_text());
        exit(1);
    }
    return answer;
}

static void sleep_ms(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Sends a packet, unless its thread comes late: a newer cut has been written by then. */
static void send_packet(int64_t cut) {
    pthread_mutex_lock(&output.lock);
    if (cut >= output.newest_cut) {
        output.newest_cut = cut;
        output.sent++;  /* here it would go to the socket */
    }
    pthread_mutex_unlock(&output.lock);
}

/* One feed: a packet every 5 ms, as long as it is alive. */
static void *feed(void *argument) {
    int32_t priority = *(int *)argument;
    changeover_recorder recorder;
    must(changeover_recorder_open(engine, "news", priority, 0, &recorder));
    while (!ending) {
        sleep_ms(5);
        if (!alive[priority])
            continue;
        int64_t verdict = changeover_record_bytes(recorder, 1316);
        if (verdict > 0) {
            send_packet(verdict);
        } else if (verdict == CHANGEOVER_STALE) {  /* a new connection would begin like this */
            changeover_recorder_close(recorder);
            must(changeover_recorder_open(engine, "news", priority, 0, &recorder));
        }
    }
    changeover_recorder_close(recorder);
    return NULL;
}

/* Prints what happens, until the stream's packets come from this input. 0: they do not. */
static int on_the_air(changeover_events events, int32_t priority) {
    changeover_event event = changeover_event_init();
    while (must(changeover_events_wait(events, 2000, &event)) > 0) {
        unsigned ms = (unsigned)(event.at_ns / 1000000);
        switch (event.kind) {
        case CHANGEOVER_EVENT_INPUT_DEGRADED:
            printf("%5u ms  input %d failed: %s\n", ms, event.input_priority, event.detail);
            break;
        case CHANGEOVER_EVENT_INPUT_RECOVERED:
            printf("%5u ms  input %d delivers again\n", ms, event.input_priority);
            break;
        case CHANGEOVER_EVENT_INPUT_FAILOVER:
            printf("%5u ms  switched from %d to %d: %s\n", ms, event.from_priority,
                   event.to_priority, changeover_reason_name(event.reason));
            break;
        case CHANGEOVER_EVENT_FIRST_PACKET:
            printf("%5u ms  first packet of %d, after %u ms\n", ms,
                   event.input_priority, (unsigned)(event.stall_us / 1000));
            if (event.input_priority == priority)
                return 1;
            break;
        }
    }
    return 0;
}

int main(void) {
    /* Shorter times than a real stream's: packet_timeout_ms is when silence is a failure. */
    changeover_engine_config config = changeover_engine_config_init();
    config.packet_timeout_ms = 200;
    config.failback_stable_ms = 500;
    config.failback_cooldown_ms = 500;
    changeover_engine_options options = changeover_engine_options_init();
    options.config = &config;
    must(changeover_engine_create(&options, &engine));

    changeover_events events;
    must(changeover_events_open(engine, 0, &events));

    changeover_input_config inputs[FEEDS] = {changeover_input_config_init(),
                                             changeover_input_config_init()};
    inputs[0].priority = MAIN;
    inputs[0].address = "udp://main";
    inputs[0].hot = 1;
    inputs[1].priority = BACKUP;
    inputs[1].address = "udp://backup";
    inputs[1].hot = 1;
    changeover_stream_config news = changeover_stream_config_init();
    news.id = "news";
    news.inputs = inputs;
    news.input_count = FEEDS;
    must(changeover_register(engine, &news));

    int priorities[FEEDS] = {MAIN, BACKUP};
    pthread_t threads[FEEDS];
    for (int i = 0; i < FEEDS; i++)
        if (pthread_create(&threads[i], NULL, feed, &priorities[i]) != 0)
            return 1;

    int started = on_the_air(events, MAIN);
    sleep_ms(300);
    puts("the main feed is killed");
    alive[MAIN] = 0;
    int failover = on_the_air(events, BACKUP);
    puts("the main feed is back");
    alive[MAIN] = 1;
    int failback = on_the_air(events, MAIN);

    char *status;
    must(changeover_status_json(engine, "news", &status));
    puts(status);
    changeover_string_free(status);

    ending = 1;
    for (int i = 0; i < FEEDS; i++)
        pthread_join(threads[i], NULL);
    changeover_events_close(events);
    changeover_engine_destroy(engine, NULL);

    printf("failover: %s, failback: %s, %u packets sent\n", failover ? "yes" : "NO",
           failback ? "yes" : "NO", output.sent);
    return started && failover && failback ? 0 : 1;
}
