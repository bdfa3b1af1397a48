/* A system that refuses threads: engine_create answers CHANGEOVER_THREAD, leaves the driver's user_data
 * to its host, and the slot free; afterwards everything works. */
#include "check.h"

#include <sys/resource.h>
#include <unistd.h>

static int destroyed;

static void destroy(void *user_data) {
    CHECK(user_data == &destroyed);
    destroyed++;
}

static int32_t start(const changeover_driver_call *call, void *user_data) {
    (void)user_data, (void)call;
    return CHANGEOVER_ANSWER_DONE;
}

static void stop(const changeover_driver_call *call, void *user_data) {
    (void)user_data, (void)call;
}

/* So much more address space than there is now. */
static void allow_more_kib(long more) {
    long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK(statm != NULL && fscanf(statm, "%ld", &pages) == 1);
    fclose(statm);
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (rlim_t)more * 1024;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

static int32_t create(changeover_engine *engine) {
    changeover_driver driver = changeover_driver_init();
    driver.start = start;
    driver.stop = stop;
    driver.destroy = destroy;
    driver.user_data = &destroyed;
    changeover_engine_options options = changeover_engine_options_init();
    options.driver = &driver;
    return changeover_engine_create(&options, engine);
}

int main(void) {
    changeover_engine engine = {0};
    for (int threads = 0; threads < 2; threads++) {
        allow_more_kib(threads == 0 ? 1000 : 3000);
        REFUSED(CHANGEOVER_THREAD, create(&engine));
        const char *text = changeover_last_error_text();
        CHECK(strstr(text, threads == 0 ? "changeover-cb" : "changeover-mon") != NULL);
        EQUAL(destroyed, 0); /* as the header says */
        EQUAL(engine.raw, 0);
    }
    for (int n = 0; n < 300; n++) { /* more than there are slots: none is kept */
        allow_more_kib(1000);
        REFUSED(CHANGEOVER_THREAD, create(&engine));
    }
    EQUAL(destroyed, 0);
    allow_more_kib(1L << 30);
    for (int n = 0; n < 300; n++) {
        OK(create(&engine));
        OK(changeover_engine_destroy(engine, NULL));
    }
    EQUAL(destroyed, 300);
    printf("CHANGEOVER_THREAD, twice, and 300 engines: ok\n");
    return 0;
}
