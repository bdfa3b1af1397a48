/* Memory and handles over many lives: cycles [streams] [engines].
 *
 * Streams are registered, recorded, and unregistered; engines made and destroyed. Resident memory
 * stays flat after the first tenth (and 2 s), no old handle is valid again, and the 257th engine is refused
 * until another one ends. */
#include "check.h"

#include <unistd.h>

static long resident_kib(void) {
    long pages = 0, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK(statm != NULL && fscanf(statm, "%ld %ld", &pages, &resident) == 2);
    fclose(statm);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

enum { KEPT = 4096 };
#ifdef CHECK_NO_MALLOC /* a sanitizer remembers every thread, and what was freed */
enum { NOISE_KIB = 65536 };
#else
enum { NOISE_KIB = 12288 };
#endif
/* A closed recorder's memory rests for a second: memory follows the rate, so that is fixed. */
#define SETTLED (2000 * MS)
#define PER_SECOND 10000

static changeover_recorder old[KEPT];
static changeover_engine gone[KEPT];

/* Marks are not used again, so none of the latest ones is valid. */
static void none_is_valid(int64_t made) {
    for (int64_t i = 0; i < made && i < KEPT; i++)
        EQUAL(changeover_record_bytes(old[i], 1), CHANGEOVER_INVALID_HANDLE);
}

static void streams(int64_t cycles) {
    changeover_engine engine;
    OK(changeover_engine_create(NULL, &engine));
    int64_t began = clock_ns(), i = 0;
    long first = 0;
    for (; i < cycles || clock_ns() - began < SETTLED + SETTLED; i++) {
        changeover_recorder recorder, sibling;
        OK(register_inputs(engine, "news", 2, 1));
        OK(changeover_recorder_open(engine, "news", (int32_t)(i & 1), 0, &recorder));
        OK(changeover_record_bytes(recorder, 1316));
        if (i % 3 == 0) {
            OK(changeover_recorder_sibling(recorder, &sibling));
            OK(changeover_record_bytes(sibling, 1316));
            OK(changeover_recorder_close(sibling));
        }
        if (i & 1)
            OK(changeover_recorder_close(recorder));
        OK(changeover_unregister(engine, "news"));
        if (!(i & 1)) {
            EQUAL(changeover_record_bytes(recorder, 1), CHANGEOVER_STALE);
            OK(changeover_recorder_close(recorder));
        }
        old[i % KEPT] = recorder;
        if (i % 1000 == 999)
            none_is_valid(i + 1);
        for (int64_t due = began + i * (1000 * MS / PER_SECOND); i % 100 == 0 && clock_ns() < due;)
            sleep_ms(1);
        if (first == 0 && i >= cycles / 10 && clock_ns() - began > SETTLED)
            first = resident_kib();
    }
    cycles = i;
    long last = resident_kib();
    printf("%" PRId64 " stream cycles in %.1f s, resident %ld KiB after a tenth, %ld at the end\n",
           cycles, (double)(clock_ns() - began) / 1e9, first, last);
    changeover_engine_stats stats = changeover_engine_stats_init();
    OK(changeover_stats(engine, &stats));
    EQUAL(stats.streams, 0);
    OK(changeover_engine_destroy(engine, NULL));
    none_is_valid(cycles);
    CHECK(last < first + NOISE_KIB);
}

static void engines(int64_t cycles) {
    int64_t began = clock_ns();
    long first = 0;
    for (int64_t i = 0; i < cycles; i++) {
        changeover_recorder recorder;
        OK(changeover_engine_create(NULL, &gone[i % KEPT]));
        changeover_engine engine = gone[i % KEPT];
        OK(register_inputs(engine, "news", 2, 1));
        OK(changeover_recorder_open(engine, "news", 0, 0, &recorder));
        CHECK(changeover_record_precise(recorder, &(changeover_packet){.bytes = 1}) >= 0);
        if (i & 1)
            OK(changeover_engine_shutdown(engine, NULL));
        OK(changeover_engine_destroy(engine, NULL));
        EQUAL(changeover_record_bytes(recorder, 1), CHANGEOVER_INVALID_HANDLE);
        old[i % KEPT] = recorder;
        for (int64_t k = 0; k <= i && k < KEPT && i % 500 == 0; k++)
            EQUAL(changeover_is_registered(gone[k], "news"), CHANGEOVER_INVALID_HANDLE);
        if (i == cycles / 10)
            first = resident_kib();
    }
    none_is_valid(cycles);
    long last = resident_kib();
    printf("%" PRId64 " engine cycles: %.0f us each, resident %ld KiB after a tenth, %ld at the end\n",
           cycles, (double)(clock_ns() - began) / 1e3 / (double)cycles, first, last);
    CHECK(last < first + NOISE_KIB);
}

static void the_limit(void) {
    static changeover_engine all[256];
    changeover_engine one_more = {77};
    for (int i = 0; i < 256; i++) {
        all[i] = by_hand(NULL, NULL, NULL);
        for (int k = 0; k < i; k++)
            CHECK(all[k].raw != all[i].raw);
    }
    REFUSED(CHANGEOVER_TOO_MANY_ENGINES, changeover_engine_create(NULL, &one_more));
    EQUAL(one_more.raw, 77);
    OK(changeover_engine_destroy(all[100], NULL));
    OK(changeover_engine_create(NULL, &one_more));
    OK(register_inputs(one_more, "news", 1, 1));
    REFUSED(CHANGEOVER_TOO_MANY_ENGINES, changeover_engine_create(NULL, &all[100]));
    for (int i = 0; i < 256; i++)
        if (i != 100)
            OK(changeover_engine_destroy(all[i], NULL));
    EQUAL(changeover_is_registered(one_more, "news"), 1);
    OK(changeover_engine_destroy(one_more, NULL));
    puts("256 engines: ok");
}

int main(int argc, char **argv) {
    streams(argc > 1 ? atoll(argv[1]) : 10000);
    engines(argc > 2 ? atoll(argv[2]) : 100);
    the_limit();
    return 0;
}
