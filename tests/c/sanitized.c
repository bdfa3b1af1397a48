/* Proof that the sanitizers are on: deliberate defects. `sanitized NAME` is found, or the run is
 * worth nothing. Compiled by scripts/capi-sanitizers only; `sanitized none` ends well. */
#include "check.h"

#include <stdatomic.h>

static changeover_engine engine;

/* The library reads the host's memory after it was freed: seen only if the library is
 * instrumented, or runs on valgrind's processor. */
static void use_after_free(void) {
    changeover_packet *packet = malloc(sizeof *packet);
    changeover_recorder recorder;
    CHECK(packet != NULL);
    *packet = changeover_packet_of(1316);
    OK(changeover_recorder_open(engine, "news", 0, 0, &recorder));
    free(packet);
    printf("%d\n", (int)changeover_record(recorder, packet));
}

/* A text of the library's is not given back. */
static void leak(void) {
    char *text = NULL;
    OK(changeover_status_json(engine, "news", &text));
    text = NULL;
}

static int shared;

static void *add(void *with) {
    for (int i = 0; i < 1000; i++)
        shared++;
    return with;
}

/* Of the host's own. */
static void race(void) {
    pthread_t thread = start_thread(add, NULL);
    add(NULL);
    pthread_join(thread, NULL);
}

static changeover_packet between;
static atomic_int stop;

static void *write_between(void *with) {
    uint16_t i = 0;
    while (!stop)
        between.frames = ++i;
    return with;
}

/* The library reads what another thread writes. */
static void race_inside(void) {
    changeover_recorder recorder;
    OK(changeover_recorder_open(engine, "news", 0, 0, &recorder));
    pthread_t thread = start_thread(write_between, NULL);
    for (int i = 0; i < 100000; i++)
        (void)changeover_record(recorder, &between);
    stop = 1;
    pthread_join(thread, NULL);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "none";
    OK(changeover_engine_create(NULL, &engine));
    OK(register_inputs(engine, "news", 2, 1));
    if (strcmp(what, "use_after_free") == 0)
        use_after_free();
    else if (strcmp(what, "leak") == 0)
        leak();
    else if (strcmp(what, "race") == 0)
        race();
    else if (strcmp(what, "race_inside") == 0)
        race_inside();
    else
        SAME(what, "none");
    OK(changeover_engine_destroy(engine, NULL));
    return 0;
}
