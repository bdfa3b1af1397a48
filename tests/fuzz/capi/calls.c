/* The calls: every function of the header (but for the init functions), with whatever arguments. */
#include "fuzz.h"

#define HANDLE(type, value) ((changeover_##type){value})
/* One in 32 is NULL. */
#define PLACE(at) (byte() < 8 ? NULL : (at))

/* Makes the call, and judges its answer. */
#define CALL(most, name, ...)                                       \
    (before_call(), answer = name(__VA_ARGS__), judge(#name, answer, most), sweep())
/* The same for one that is made with a handle of this kind. */
#define WITH(kind, raw, most, name, ...)                                  \
    (before_call(), answer = name(__VA_ARGS__), judge(#name, answer, most), \
     answered(#name, kind, raw, answer), sweep())

static char *const UNTOUCHED = (char *)(uintptr_t)0x5a5a;
/* Simulated time that one run may take, ns: deadlines can lie 1 ms apart. */
static uint64_t time_left;
static int real_left;

static uint64_t some_time(void) {
    static const uint64_t steps[] = {0, 1, 1, 20, 100, 500, 1000, 3000, 8000, 30000};
    uint64_t by = steps[below(10)] * 1000000;
    by = by < time_left ? by : time_left;
    time_left -= by;
    return by;
}

static void engines(uint64_t e) {
    int32_t answer;
    changeover_engine made = {0};
    changeover_engine engine = HANDLE(engine, e);
    uint64_t detached = 77, *place = PLACE(&detached);
    switch (byte() & 15) {
    case 0:
    case 1:
        if (engines_alive() < 3) {
            int by_hand = real_left == 0 || byte() < 192;
            real_left -= !by_hand;
            const changeover_engine_options *o = byte() < 8 ? NULL : engine_options(by_hand);
            by_hand = by_hand && o != NULL;
            changeover_engine *out = PLACE(&made);
            CALL(0, changeover_engine_create, o, out);
            host_settle(answer);
            if (answer == 0) {
                opened(ENGINE, made.raw, made.raw);
                set_hand_driven(made.raw, by_hand);
            } else if (made.raw != 0)
                broken("changeover_engine_create", "it failed, and wrote", answer);
        }
        break;
    case 2:
        WITH(ENGINE, e, 0, changeover_engine_destroy, engine, place);
        if (answer == 0)
            closed(e);
        if (answer == 0 && place != NULL && detached != 0)
            broken("changeover_engine_destroy", "calls were left behind", (int64_t)detached);
        break;
    case 3:
        WITH(ENGINE, e, 0, changeover_engine_shutdown, engine, place);
        break;
    case 4: {
        const changeover_callbacks *c = byte() < 64 ? NULL : callbacks();
        WITH(ENGINE, e, 0, changeover_set_callbacks, engine, c);
        host_settle(answer);
        break;
    }
    case 5: {
        const changeover_engine_config *c = byte() < 8 ? NULL : engine_config();
        WITH(ENGINE, e, 0, changeover_set_config, engine, c);
        break;
    }
    case 6:
        WITH(ENGINE, e, 0, changeover_set_config_json, engine, json());
        break;
    case 7:
        WITH(ENGINE, e, 0, changeover_stats, engine, room(sizeof(changeover_engine_stats)));
        break;
    case 8:
        WITH(ENGINE, e, 0, changeover_now_ns, engine, place);
        break;
    case 9: {
        char *out = UNTOUCHED, **to = PLACE(&out);
        WITH(ENGINE, e, 0, changeover_config_json, engine, to);
        given("changeover_config_json", answer, out, 1);
        break;
    }
    case 10: {
        char *out = UNTOUCHED, **to = PLACE(&out);
        WITH(ENGINE, e, 0, changeover_metrics_text, engine, to);
        given("changeover_metrics_text", answer, out, 0);
        break;
    }
    case 11: {
        char *out = UNTOUCHED, **to = PLACE(&out);
        size_t count, *counted = PLACE(&count);
        WITH(ENGINE, e, 0, changeover_registered_streams, engine, to, counted);
        given("changeover_registered_streams", answer, out, 0);
        break;
    }
    default:
        if (byte() < 128 || !is_hand_driven(e))
            WITH(ENGINE, e, 0, changeover_hand_advance, engine, some_time());
        else
            WITH(ENGINE, e, 0, changeover_hand_stall, engine, some_time());
        break;
    }
}

static void streams(uint64_t e) {
    int32_t answer;
    changeover_engine engine = HANDLE(engine, e);
    int32_t active, *place = PLACE(&active);
    changeover_ticket ticket = {0}, *receipt = PLACE(&ticket);
    char *out = UNTOUCHED, **to = PLACE(&out);
    switch (byte() % 27) {
    case 0:
    case 1:
        WITH(ENGINE, e, 0, changeover_register, engine, byte() < 8 ? NULL : stream_config());
        break;
    case 2:
    case 3:
        WITH(ENGINE, e, 0, changeover_register_json, engine, json());
        break;
    case 4:
        WITH(ENGINE, e, 0, changeover_unregister, engine, id());
        break;
    case 5:
        WITH(ENGINE, e, 0, changeover_unregister_and_wait, engine, id(), 0);
        break;
    case 6:
        WITH(ENGINE, e, 1, changeover_is_registered, engine, id());
        break;
    case 7:
    case 8:
        WITH(ENGINE, e, 0, changeover_update_inputs, engine, id(), inputs_update());
        break;
    case 9:
        WITH(ENGINE, e, 0, changeover_update_inputs_json, engine, id(), json());
        break;
    case 10:
        WITH(ENGINE, e, 0, changeover_update_buffer_write_id, engine, id(), maybe(text()));
        break;
    case 11:
    case 12:
        WITH(ENGINE, e, 0, changeover_switch_input, engine, id(), priority(), receipt);
        break;
    case 13:
        WITH(ENGINE, e, 0, changeover_clear_override, engine, id());
        break;
    case 14:
        WITH(ENGINE, e, 0, changeover_hold_input, engine, id(), priority(), hold(), receipt);
        break;
    case 15:
        WITH(ENGINE, e, 0, changeover_release_hold, engine, id());
        break;
    case 16:
        WITH(ENGINE, e, 0, changeover_raise_condition, engine, id(), priority(), condition());
        break;
    case 17:
        WITH(ENGINE, e, 0, changeover_clear_condition, engine, id(), priority(),
             byte() < 200 ? "black" : maybe(text()));
        break;
    case 18:
        WITH(ENGINE, e, 0, changeover_report_input_error, engine, id(), priority(),
             byte() < 128 ? 0 : number_u(), maybe(text()));
        break;
    case 19:
        WITH(ENGINE, e, 0, changeover_set_input_enabled, engine, id(), priority(), small());
        break;
    case 20:
        WITH(ENGINE, e, 0, changeover_status_json, engine, id(), to);
        given("changeover_status_json", answer, out, 1);
        break;
    case 21:
        WITH(ENGINE, e, 0, changeover_status, engine, id(), room(sizeof(changeover_stream_status)));
        break;
    case 22:
        WITH(ENGINE, e, 1, changeover_active_input, engine, id(), place);
        break;
    case 23:
        WITH(ENGINE, e, 1, changeover_is_exhausted, engine, id());
        break;
    case 24:
        WITH(ENGINE, e, 0, changeover_input_health_json, engine, id(), priority(), to);
        given("changeover_input_health_json", answer, out, 1);
        break;
    case 25:
        WITH(ENGINE, e, 0, changeover_input_health_of, engine, id(), priority(),
             room(sizeof(changeover_input_health)));
        break;
    default:
        WITH(ENGINE, e, 10000, changeover_hand_run_calls, engine);
        break;
    }
    if (ticket.raw != 0) {
        if (answer < 0)
            broken("a ticket", "it was written though the call failed", answer);
        opened(TICKET, ticket.raw, e);
    }
}

static void tickets_and_answers(void) {
    int32_t answer;
    uint64_t raw = handle(TICKET);
    switch (byte() & 3) {
    case 0:
        WITH(TICKET, raw, 1, changeover_ticket_outcome, HANDLE(ticket, raw));
        break;
    case 1:
        WITH(TICKET, raw, 0, changeover_ticket_wait, HANDLE(ticket, raw), 0);
        break;
    case 2:
        WITH(TICKET, raw, 0, changeover_ticket_close, HANDLE(ticket, raw));
        if (answer == 0)
            closed(raw);
        break;
    default: {
        /* Which are still owed, the engine knows alone; a second answer never works. */
        raw = byte() < 200 ? host_token() : handle(ANSWER);
        int32_t with = byte() < 240 ? (int32_t)below(3) : (int32_t)number();
        CALL(0, changeover_answer, HANDLE(answer_token, raw), with, maybe(text()));
        if (answer == 0) {
            CALL(0, changeover_answer, HANDLE(answer_token, raw), 0, NULL);
            if (answer != CHANGEOVER_INVALID_HANDLE)
                broken("changeover_answer", "twice", answer);
        }
        break;
    }
    }
}

static void one_call(void) {
    uint64_t e = handle(ENGINE);
    switch (byte() & 15) {
    case 0:
    case 1:
    case 2:
        engines(e);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        streams(e);
        break;
    case 7:
        tickets_and_answers();
        break;
    case 8:
    case 9:
    case 10:
    case 11:
        calls_of_packets(e);
        break;
    default:
        calls_of_objects(e);
        break;
    }
}

/* One run. The first byte says whether engines with threads may be made. */
int fuzz_one(const uint8_t *data, size_t len) {
    bytes_begin(data, len);
    time_left = UINT64_C(20000000000);
    real_left = byte() >= 248 ? 2 : 0;
    judge_begin();
    host_begin();
    pool_begin();
    /* Something to work with. */
    changeover_engine engine = {0};
    changeover_engine_options options = changeover_engine_options_init();
    changeover_driver driver = changeover_driver_init();
    changeover_callbacks with = changeover_callbacks_init();
    options.hand_driven = real_left == 0;
    host_driver(&driver);
    host_callbacks(&with);
    options.driver = &driver;
    options.callbacks = &with;
    int32_t made = changeover_engine_create(&options, &engine);
    host_settle(made);
    if (made < 0)
        broken("changeover_engine_create", "with nothing special", made);
    opened(ENGINE, engine.raw, engine.raw);
    set_hand_driven(engine.raw, real_left == 0);
    for (int calls = 0; calls < 250 && bytes_left() > 0; calls++)
        one_call();
    sweep();
    pool_end();
    host_end();
    return 0;
}
