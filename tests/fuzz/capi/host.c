/* The host's side: a driver and callbacks that call back in, on whatever thread they are on. What
 * they do is a script of the input's first bytes, which every callback takes its next byte from. */
#include "fuzz.h"

#include <stdatomic.h>

enum { SCRIPT = 32, TOKENS = 8, DATA = 64 };

static uint8_t script[SCRIPT];
static atomic_uint script_at, calls_made;
static _Atomic uint64_t tokens[TOKENS];
/* Data that is on its way to the library: settled by what the call answers. */
static int *fresh[2];
static atomic_int let_go, accepted;
/* Callbacks inside of each other on this thread. */
static _Thread_local unsigned depth;

void host_begin(void) {
    for (int i = 0; i < SCRIPT; i++)
        script[i] = byte();
    atomic_store(&script_at, 0);
    atomic_store(&calls_made, 0);
    for (int i = 0; i < TOKENS; i++)
        atomic_store(&tokens[i], 0);
    fresh[0] = fresh[1] = NULL;
    atomic_store(&let_go, 0);
    atomic_store(&accepted, 0);
}

unsigned host_calls(void) {
    return atomic_load(&calls_made);
}

static uint8_t next(void) {
    return script[atomic_fetch_add(&script_at, 1) % SCRIPT];
}

/* Answers that are neither a count nor a code of the header. */
static void expect(const char *call, int64_t answer, int64_t most) {
    if (answer > most || answer < -40 || answer == CHANGEOVER_PANIC)
        broken(call, "inside a callback", answer);
}

/* A few calls from inside. The engine is the callback's own. */
static void call_back(changeover_engine engine, const char *stream) {
    if (depth > 1)
        return;
    depth++;
    uint8_t what = next();
    int32_t priority = what >> 6;
    char *out = NULL;
    uint64_t number = 0;
    changeover_recorder recorder = {0};
    atomic_fetch_add(&calls_made, what < 160);
    switch (what < 160 ? what & 15 : 16) {
    case 0:
        expect("report", changeover_report_input_error(engine, stream, priority, 0, "inside"), 0);
        break;
    case 1:
        expect("switch", changeover_switch_input(engine, stream, priority, NULL), 0);
        break;
    case 2:
        expect("unregister", changeover_unregister(engine, stream), 0);
        break;
    case 3:
        if (changeover_status_json(engine, stream, &out) == 0)
            changeover_string_free(out);
        break;
    case 4:
        changeover_record_packet(engine, stream, priority);
        break;
    case 5:
        /* What would have to wait is refused, or the engine has ended already. */
        if (changeover_engine_destroy(engine, &number) >= 0)
            broken("changeover_engine_destroy", "inside a callback", 0);
        break;
    case 6:
        if (changeover_engine_shutdown(engine, NULL) >= 0)
            broken("changeover_engine_shutdown", "inside a callback", 0);
        break;
    case 7:
        if (changeover_recorder_open(engine, stream, priority, 0, &recorder) == 0) {
            changeover_record_bytes(recorder, 1316);
            expect("close", changeover_recorder_close(recorder), 0);
        }
        break;
    case 8:
        expect("register", changeover_register_json(engine, "{\"id\":\"inside\"}"), 0);
        break;
    case 9:
        expect("advance", changeover_hand_advance(engine, 0), 0);
        break;
    case 10:
        expect("set_callbacks", changeover_set_callbacks(engine, NULL), 0);
        break;
    case 11:
        expect("wait", changeover_unregister_and_wait(engine, stream, 0), 0);
        break;
    case 12:
        expect("enabled", changeover_set_input_enabled(engine, stream, priority, what & 1), 0);
        break;
    case 13:
        expect("run_calls", changeover_hand_run_calls(engine), 10000);
        break;
    case 14:
        expect("hold", changeover_hold_input(engine, stream, priority, NULL, NULL), 0);
        break;
    case 15:
        if (changeover_metrics_text(engine, &out) == 0)
            changeover_string_free(out);
        break;
    default:
        break;
    }
    depth--;
}

static void check_data(const char *call, void *user_data) {
    if (*(int *)user_data != DATA)
        broken(call, "the user data is not what was given", *(int *)user_data);
}

static void check_call(const changeover_driver_call *call, void *user_data) {
    check_data("driver", user_data);
    if (call->size != sizeof *call || call->stream == NULL || !fuzz_is_utf8(call->stream))
        broken("driver", "the call is not whole", (int64_t)call->size);
}

static int32_t answer_to(const changeover_driver_call *call, void *user_data) {
    check_call(call, user_data);
    if (call->address == NULL || !fuzz_is_utf8(call->address))
        broken("driver", "a call without an address", 0);
    call_back(call->engine, call->stream);
    uint8_t how = next();
    atomic_store(&tokens[how % TOKENS], call->answer.raw);
    if (how >= 250)
        return (int32_t)((uint32_t)how << 24);
    if (how >= 220) {
        /* Whoever answers first counts: INVALID_HANDLE if the call is not waited for any more. */
        int32_t now = changeover_answer(call->answer, how & 1, "now");
        atomic_fetch_add(&calls_made, 1);
        if (now < 0 && now != CHANGEOVER_INVALID_HANDLE)
            broken("changeover_answer", "inside the call", now);
    }
    static const int32_t answers[] = {CHANGEOVER_ANSWER_DONE, CHANGEOVER_ANSWER_DONE,
                                      CHANGEOVER_ANSWER_FAILED, CHANGEOVER_ANSWER_UNSUPPORTED,
                                      CHANGEOVER_ANSWER_LATER};
    return answers[how % 5];
}

static void note(const changeover_driver_call *call, void *user_data) {
    check_call(call, user_data);
    call_back(call->engine, call->stream);
}

static void destroy(void *user_data) {
    check_data("destroy", user_data);
    *(int *)user_data = 0;
    free(user_data);
    atomic_fetch_add(&let_go, 1);
}

static void on_stream(changeover_engine engine, const char *stream, void *user_data) {
    check_data("on_exhausted or on_restored", user_data);
    call_back(engine, stream);
}

static void on_event(changeover_engine engine, const changeover_event *event, void *user_data) {
    check_data("on_event", user_data);
    if (event->size != sizeof *event || changeover_event_name(event->kind) == NULL ||
        (event->reason != 0 && changeover_reason_name(event->reason) == NULL) ||
        memchr(event->stream, 0, sizeof event->stream) == NULL ||
        memchr(event->detail, 0, sizeof event->detail) == NULL ||
        !fuzz_is_utf8(event->stream) || !fuzz_is_utf8(event->detail))
        broken("on_event", "an event that is not whole", event->kind);
    call_back(engine, event->stream);
}

static void on_log(changeover_engine engine, int32_t level, const char *line, void *user_data) {
    check_data("on_log", user_data);
    if ((level != CHANGEOVER_LOG_WARNING && level != CHANGEOVER_LOG_INFO) || !fuzz_is_utf8(line))
        broken("on_log", "a level or a text that is none", level);
    (void)engine;
}

static int *new_data(int which) {
    /* A struct may be made, and then not be handed over. */
    free(fresh[which]);
    fresh[which] = malloc(sizeof(int));
    if (fresh[which] == NULL)
        broken("malloc", "the harness itself", 0);
    *fresh[which] = DATA;
    return fresh[which];
}

void host_driver(changeover_driver *driver) {
    uint8_t with = byte();
    driver->user_data = new_data(0);
    driver->destroy = destroy;
    driver->start = with >= 8 ? answer_to : NULL;
    driver->stop = with & 1 ? note : NULL;
    driver->probe = with & 2 ? answer_to : NULL;
    driver->rebind = with & 4 ? note : NULL;
    driver->request_keyframe = with & 8 ? note : NULL;
}

void host_callbacks(changeover_callbacks *callbacks) {
    uint8_t with = byte();
    callbacks->user_data = new_data(1);
    callbacks->destroy = destroy;
    callbacks->on_exhausted = with & 1 ? on_stream : NULL;
    callbacks->on_restored = with & 2 ? on_stream : NULL;
    callbacks->on_event = with & 4 ? on_event : NULL;
    callbacks->on_log = with & 8 ? on_log : NULL;
}

void host_settle(int32_t answer) {
    for (int which = 0; which < 2; which++) {
        if (answer < 0)
            free(fresh[which]);
        else if (fresh[which] != NULL)
            atomic_fetch_add(&accepted, 1);
        fresh[which] = NULL;
    }
}

uint64_t host_token(void) {
    return atomic_load(&tokens[byte() % TOKENS]);
}

void host_end(void) {
    /* Every engine is gone, and with it every use of what was given. */
    if (atomic_load(&let_go) != atomic_load(&accepted))
        broken("destroy", "user data was not let go of", atomic_load(&let_go));
}
