/* Recording in signal handlers: signal [ms].
 *
 * A timer's signal interrupts threads that are anywhere in the API or in malloc; its handler
 * records, makes cuts, wakes the monitor. There it allocates nothing, and asks the system for
 * nothing but to wake a thread: malloc and syscall() are our own here, and a thread of its own
 * records under a filter of the kernel's that lets nothing else through. */
#include "check.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static _Thread_local volatile sig_atomic_t in_handler;
static atomic_int allocations, refused_calls, wakes, calls_outside;

#ifndef CHECK_NO_MALLOC /* a sanitizer has a malloc of its own */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *old);

void *malloc(size_t size) {
    allocations += in_handler;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    allocations += in_handler;
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    allocations += in_handler;
    return __libc_realloc(old, size);
}

void free(void *old) {
    allocations += in_handler;
    __libc_free(old);
}
#endif

/* Rust's locks, and the parking of its threads, go through this function of libc. */
long syscall(long number, ...) {
    long with[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        with[i] = va_arg(list, long);
    va_end(list);
    if (in_handler && number == SYS_futex && (with[1] & FUTEX_CMD_MASK) == FUTEX_WAKE)
        wakes++;
    else if (in_handler)
        refused_calls++;
    else
        calls_outside++;
    register long fourth __asm__("r10") = with[3];
    register long fifth __asm__("r8") = with[4];
    register long sixth __asm__("r9") = with[5];
    long answer;
    __asm__ volatile("syscall"
                     : "=a"(answer)
                     : "a"(number), "D"(with[0]), "S"(with[1]), "d"(with[2]), "r"(fourth),
                       "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
    if (answer < 0 && answer > -4096) {
        errno = (int)-answer;
        return -1;
    }
    return answer;
}

enum { THREADS = 3 };
static changeover_engine engine;
/* Each thread's own, one for each input: only its handler uses them. */
static atomic_uint_fast64_t recorders[THREADS][2];
static _Thread_local int who = -1;
static int64_t run_until;
static atomic_int handled, forwarded, cuts, last_cut, bad_answers;

static void note(int64_t answer) {
    if (answer < CHANGEOVER_INVALID_HANDLE)
        bad_answers++;
    if (answer > 0) {
        forwarded++;
        if (atomic_exchange(&last_cut, (int)answer) != (int)answer)
            cuts++;
    }
}

static void record_all(int thread, int turn) {
    changeover_packet packets[3] = {changeover_packet_of(1316), changeover_packet_of(188),
                                    changeover_packet_of(1)};
    int64_t verdicts[3];
    packets[1].keyframe = 1;
    for (int i = 0; i < 2; i++) {
        changeover_recorder r = {recorders[thread][i]};
        note(changeover_record(r, &packets[turn % 3]));
        note(changeover_record_bytes(r, 1));
        note(changeover_record_batch(r, packets, 3, turn & 1 ? verdicts : NULL));
        note(changeover_record_precise(r, &packets[1]));
        note(changeover_record_at(r, &packets[1], 5));
    }
    changeover_recorder garbage = {(uint64_t)turn * UINT64_C(0x9E3779B97F4A7C15)};
    note(changeover_record(garbage, &packets[0]));
    note(changeover_record_batch(garbage, packets, 3, NULL));
    if (changeover_record_batch(garbage, NULL, 1, NULL) != CHANGEOVER_NULL_ARGUMENT)
        bad_answers++;
    if (changeover_version() != CHANGEOVER_VERSION_NUMBER || !*changeover_version_text())
        bad_answers++;
}

static void on_signal(int number) {
    (void)number;
    int kept = errno; /* the manual: errno may change */
    if (who >= 0) {
        in_handler = 1;
        record_all(who, ++handled);
        in_handler = 0;
    }
    errno = kept;
}

static void open_recorders(int thread) {
    for (int i = 0; i < 2; i++) {
        changeover_recorder recorder = {0}, first = {recorders[0][i]};
        if (thread == 0)
            OK(changeover_recorder_open(engine, "news", i, 0, &recorder));
        else
            OK(changeover_recorder_sibling(first, &recorder));
        recorders[thread][i] = recorder.raw;
    }
}

/* Control calls and allocation, to be interrupted anywhere. */
static void *work(void *with) {
    who = (int)(intptr_t)with;
    uint64_t state = 11 + (uint64_t)who;
    while (clock_ns() < run_until) {
        char id[16], *text = NULL;
        snprintf(id, sizeof id, "own%d", who);
        OK(register_inputs(engine, id, 2, 1));
        OK(changeover_status_json(engine, "news", &text));
        void *some = malloc(next_random(&state) % 5000);
        changeover_string_free(text);
        free(some);
        changeover_recorder recorder;
        OK(changeover_recorder_open(engine, id, 0, 0, &recorder));
        OK(changeover_recorder_close(recorder));
        OK(changeover_unregister(engine, id));
        if (who == 0) {
            /* The next packet of the other input makes the cut: in a handler, mostly. */
            (void)changeover_switch_input(engine, "news", (int32_t)(state >> 20) & 1, NULL);
            REFUSED(CHANGEOVER_UNKNOWN_STREAM, changeover_unregister(engine, "none"));
        }
    }
    who = -1;
    return NULL;
}

/* Everything in the handler of a signal that comes between two statements: the last error stays. */
static void last_error_stays(void) {
    who = 0;
    check_other_error(0);
    int32_t code = changeover_last_error();
    char text[200];
    snprintf(text, sizeof text, "%s", changeover_last_error_text());
    for (int i = 0; i < 50; i++)
        CHECK(raise(SIGUSR1) == 0);
    EQUAL(changeover_last_error(), code);
    SAME(changeover_last_error_text(), text);
    who = -1;
}

/* A thread that may do nothing but wake another one, and end. */
static void *under_a_filter(void *with) {
    (void)with;
#define ALLOW(number)                                                    \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),                   \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_exit), ALLOW(SYS_madvise), ALLOW(SYS_munmap), ALLOW(SYS_rt_sigprocmask),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, FUTEX_CMD_MASK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FUTEX_WAKE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    (void)program;
    int filtered = 0;
#ifndef CHECK_NO_MALLOC /* a sanitizer's threads ask for more */
    filtered = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
               prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
#endif
    in_handler = 1;
    for (int i = 0; i < 20000; i++)
        record_all(0, i);
    in_handler = 0;
    return filtered ? NULL : (void *)(intptr_t)1;
}

int main(int argc, char **argv) {
    int ms = argc > 1 ? atoi(argv[1]) : 1500;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGALRM, &action, NULL) == 0);
    CHECK(sigaction(SIGPROF, &action, NULL) == 0);
    OK(changeover_engine_create(NULL, &engine));
    OK(register_inputs(engine, "news", 2, 1));
    for (int i = 0; i < THREADS; i++)
        open_recorders(i);
    last_error_stays();

    run_until = clock_ns() + ms * MS;
    struct itimerval often = {{0, 150}, {0, 150}}, never = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    CHECK(setitimer(ITIMER_PROF, &often, NULL) == 0);
    pthread_t threads[THREADS];
    for (int i = 1; i < THREADS; i++)
        threads[i] = start_thread(work, (void *)(intptr_t)i);
    work((void *)0);
    for (int i = 1; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    CHECK(setitimer(ITIMER_PROF, &never, NULL) == 0);
    CHECK(handled > 100 && forwarded > 100 && cuts > 1);

    /* Silence, so that the next packet is one the monitor waits for; recorded under the filter. */
    int before = wakes;
    OK(changeover_report_input_error(engine, "news", 0, 0, "a cut"));
    OK(changeover_report_input_error(engine, "news", 1, 0, "exhausted"));
    changeover_recorder again[2];
    for (int i = 0; i < 2; i++) {
        OK(changeover_recorder_open(engine, "news", i, 0, &again[i]));
        recorders[0][i] = again[i].raw;
    }
    sleep_ms(30); /* the monitor sleeps */
    void *unfiltered = NULL;
    pthread_join(start_thread(under_a_filter, NULL), &unfiltered);
    EVENTUALLY(changeover_is_exhausted(engine, "news") == 0);
    printf("%d signals, %d forwarded, %d cuts, %d wake-ups (%d by one exhausted stream)%s\n",
           handled, forwarded, cuts, wakes, wakes - before, unfiltered ? ", no seccomp here" : "");
    EQUAL(bad_answers, 0);
    EQUAL(allocations, 0);
    EQUAL(refused_calls, 0);
    CHECK(wakes > 0 && calls_outside > 0);
    OK(changeover_engine_destroy(engine, NULL));
    return 0;
}
