/* Ends of a process while threads of its own record and an engine decides: exits WAY MICROSECONDS.
 * Every way ends with code 7. */
#include "check.h"

#include <stdatomic.h>
#include <unistd.h>

enum { STREAMS = 8 };
static changeover_engine engine;
static atomic_int by_atexit, by_destructor, record_at_exit;
static changeover_recorder recorders[2][STREAMS];

static void *record(void *with) {
    changeover_recorder *own = with;
    for (int64_t n = 0;; n++) {
        for (int stream = 0; stream < STREAMS; stream++)
            changeover_record_bytes(own[stream], 1316); /* whatever it answers */
        if (n % 1000 == 0)
            sleep_ms(7);
    }
    return NULL;
}

static void *operate(void *with) {
    for (int n = 0;; n++) {
        char id[16];
        snprintf(id, sizeof id, "s%d", n % STREAMS);
        changeover_switch_input(engine, id, n % 2, NULL);
        changeover_report_input_error(engine, id, 0, 0, "now and then");
        register_inputs(engine, "guest", 2, 1);
        changeover_unregister(engine, "guest");
    }
    return with;
}

static void at_the_exit(void) {
    if (by_atexit)
        CHECK(changeover_engine_destroy(engine, NULL) == CHANGEOVER_OK);
    if (record_at_exit) {
        /* Threads record on, and so do handlers of the exit. */
        for (int n = 0; n < 100000; n++)
            changeover_record_bytes(recorders[0][n % STREAMS], 1);
    }
}

__attribute__((destructor)) static void at_the_very_end(void) {
    if (by_destructor)
        CHECK(changeover_engine_destroy(engine, NULL) == CHANGEOVER_OK);
}

static void *exits(void *with) {
    usleep(*(useconds_t *)with);
    exit(7);
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    const char *way = argv[1];
    useconds_t after = (useconds_t)atoi(argv[2]);
    changeover_engine_config config = changeover_engine_config_init();
    config.packet_timeout_ms = 5;
    config.failback_cooldown_ms = 1;
    config.failback_stable_ms = 1;
    changeover_engine_options options = changeover_engine_options_init();
    options.config = &config;
    OK(changeover_engine_create(&options, &engine));
    CHECK(atexit(at_the_exit) == 0);
    for (int stream = 0; stream < STREAMS; stream++) {
        char id[16];
        snprintf(id, sizeof id, "s%d", stream);
        OK(register_inputs(engine, id, 2, 1));
        for (int input = 0; input < 2; input++)
            OK(changeover_recorder_open(engine, id, input, 0, &recorders[input][stream]));
    }
    for (int input = 0; input < 2; input++)
        start_thread(record, recorders[input]);
    start_thread(operate, NULL);
    if (strcmp(way, "thread") == 0) {
        start_thread(exits, &after);
        pthread_exit(NULL);
    }
    usleep(after);
    by_atexit = strcmp(way, "atexit") == 0;
    by_destructor = strcmp(way, "destructor") == 0;
    record_at_exit = strcmp(way, "record") == 0;
    if (strcmp(way, "return") == 0)
        return 7;
    if (strcmp(way, "quick_exit") == 0)
        quick_exit(7);
    exit(7);
}
