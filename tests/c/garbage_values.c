/* NULL for every pointer, numbers that stand for nothing, texts that are none, times and counts
 * that are absurd: the exact code for each, and nothing happens. */
#include "check.h"

static changeover_engine engine; /* by hand: "news" with inputs 0 and 1 */
static changeover_recorder recorder;
static const changeover_timebase base = {1, 90000, 0};

#define LONG "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* 64 */

static changeover_stream_config more(void) {
    changeover_stream_config stream = changeover_stream_config_init();
    stream.id = "more";
    return stream;
}

static void null_arguments(void) {
    changeover_engine e = engine;
    changeover_events events;
    changeover_timeline timeline;
    changeover_eyes eyes;
    changeover_ticket ticket = {5};
    OK(changeover_events_open(e, 4, &events));
    OK(changeover_timeline_open(e, NULL, &timeline));
    OK(changeover_eyes_open(e, 0, &eyes));
    changeover_condition condition = changeover_condition_init();
    condition.name = "black";
    changeover_inputs_update update = changeover_inputs_update_init();
    changeover_stream_status status = changeover_stream_status_init();
    changeover_input_health health = changeover_input_health_init();
    changeover_stamps stamps = changeover_stamps_init();
    changeover_sight sight = changeover_sight_init();
    changeover_packet packet = changeover_packet_of(1);
    uint8_t byte = 0;
    char *text = NULL;
    int32_t priority;
#define NULLS(call) REFUSED(CHANGEOVER_NULL_ARGUMENT, call)
    NULLS(changeover_engine_create(NULL, NULL));
    NULLS(changeover_register(e, NULL));
    NULLS(changeover_register_json(e, NULL));
    NULLS(changeover_unregister(e, NULL));
    NULLS(changeover_unregister_and_wait(e, NULL, 0));
    NULLS(changeover_is_registered(e, NULL));
    NULLS(changeover_registered_streams(e, NULL, NULL));
    NULLS(changeover_update_inputs(e, NULL, &update));
    NULLS(changeover_update_inputs(e, "news", NULL));
    NULLS(changeover_update_inputs_json(e, NULL, "{}"));
    NULLS(changeover_update_inputs_json(e, "news", NULL));
    NULLS(changeover_update_buffer_write_id(e, NULL, "b"));
    NULLS(changeover_set_config(e, NULL));
    NULLS(changeover_set_config_json(e, NULL));
    NULLS(changeover_config_json(e, NULL));
    NULLS(changeover_stats(e, NULL));
    NULLS(changeover_metrics_text(e, NULL));
    NULLS(changeover_now_ns(e, NULL));
    NULLS(changeover_recorder_open(e, NULL, 0, 0, &(changeover_recorder){0}));
    NULLS(changeover_recorder_open(e, "news", 0, 0, NULL));
    NULLS(changeover_recorder_sibling(recorder, NULL));
    NULLS(changeover_recorder_epoch(recorder, NULL));
    NULLS(changeover_recorder_priority(recorder, NULL));
    NULLS(changeover_recorder_stream(recorder, NULL));
    NULLS(changeover_input_health_json(e, NULL, 0, &text));
    NULLS(changeover_input_health_json(e, "news", 0, NULL));
    NULLS(changeover_record_packet(e, NULL, 0));
    NULLS(changeover_switch_input(e, NULL, 0, NULL));
    NULLS(changeover_clear_override(e, NULL));
    NULLS(changeover_hold_input(e, NULL, 0, NULL, &ticket));
    EQUAL(ticket.raw, 5);
    NULLS(changeover_release_hold(e, NULL));
    NULLS(changeover_raise_condition(e, NULL, 0, &condition));
    NULLS(changeover_raise_condition(e, "news", 0, NULL));
    NULLS(changeover_clear_condition(e, NULL, 0, "black"));
    NULLS(changeover_clear_condition(e, "news", 0, NULL));
    NULLS(changeover_report_input_error(e, NULL, 0, 0, NULL));
    NULLS(changeover_set_input_enabled(e, NULL, 0, 1));
    NULLS(changeover_status_json(e, NULL, &text));
    NULLS(changeover_status_json(e, "news", NULL));
    NULLS(changeover_status(e, NULL, &status));
    NULLS(changeover_status(e, "news", NULL));
    NULLS(changeover_active_input(e, NULL, &priority));
    NULLS(changeover_active_input(e, "news", NULL));
    NULLS(changeover_is_exhausted(e, NULL));
    NULLS(changeover_input_health_of(e, NULL, 0, &health));
    NULLS(changeover_input_health_of(e, "news", 0, NULL));
    NULLS(changeover_events_open(e, 0, NULL));
    NULLS(changeover_events_next(events, NULL));
    NULLS(changeover_events_wait(events, 0, NULL));
    NULLS(changeover_events_next_json(events, NULL));
    NULLS(changeover_events_dropped(events, NULL));
    NULLS(changeover_timeline_open(e, NULL, NULL));
    NULLS(changeover_timeline_map(timeline, 1, 0, base, NULL, &stamps));
    NULLS(changeover_timeline_map(timeline, 1, 0, base, &stamps, NULL));
    NULLS(changeover_timeline_pcr(timeline, 1, 0, 0, NULL));
    NULLS(changeover_eyes_open(e, 0, NULL));
    NULLS(changeover_eyes_look(eyes, NULL, 1, &sight));
    NULLS(changeover_eyes_look(eyes, &byte, 1, NULL));
    changeover_stream_config stream = more();
    stream.id = NULL;
    NULLS(changeover_register(e, &stream));
    stream = more();
    stream.input_count = 1;
    NULLS(changeover_register(e, &stream));
    update.removed_count = 1;
    NULLS(changeover_update_inputs(e, "news", &update));
    condition.name = NULL;
    NULLS(changeover_raise_condition(e, "news", 0, &condition));
    /* Without a last error. */
    check_other_error(CHANGEOVER_NULL_ARGUMENT);
    EQUAL(changeover_record_batch(recorder, NULL, 1, NULL), CHANGEOVER_NULL_ARGUMENT);
    EQUAL(changeover_record(recorder, NULL), CHANGEOVER_NULL_ARGUMENT);
    EQUAL(changeover_record_precise(recorder, NULL), CHANGEOVER_NULL_ARGUMENT);
    EQUAL(changeover_record_at(recorder, NULL, 0), CHANGEOVER_NULL_ARGUMENT);
    EQUAL(changeover_last_error(), CHANGEOVER_BAD_ARGUMENT);
    /* Where NULL, or nothing, is fine. */
    EQUAL(changeover_record_batch(recorder, NULL, 0, NULL), 0);
    EQUAL(changeover_record_batch(recorder, &packet, 0, NULL), 0);
    OK(changeover_set_callbacks(e, NULL));
    OK(changeover_update_buffer_write_id(e, "news", NULL));
    OK(changeover_report_input_error(e, "news", 0, UINT64_MAX, NULL));
    OK(changeover_registered_streams(e, &text, NULL));
    SAME(text, "news\n");
    changeover_string_free(text);
    EQUAL(changeover_eyes_look(eyes, NULL, 0, &sight), 0);
    OK(changeover_events_close(events));
    OK(changeover_timeline_close(timeline));
    OK(changeover_eyes_close(eyes));
}

/* The stream, changed by one statement, is refused with this code. */
#define STREAM(code, change)                             \
    do {                                                 \
        changeover_stream_config s = more();             \
        changeover_input_config i[2] = {input_of(0, 1, "a"), input_of(1, 1, "b")}; \
        changeover_health_config h = changeover_health_config_init(); \
        s.inputs = i;                                    \
        s.input_count = 2;                               \
        i[1].health = &h;                                \
        change;                                          \
        REFUSED(code, changeover_register(engine, &s));  \
        EQUAL(changeover_is_registered(engine, "more"), 0); \
    } while (0)
#define HEALTH(change) STREAM(CHANGEOVER_BAD_NUMBER, change)

static void streams(void) {
    STREAM(CHANGEOVER_EMPTY_STREAM_ID, s.id = "");
    STREAM(CHANGEOVER_BAD_STREAM_ID, s.id = LONG LONG "b");
    STREAM(CHANGEOVER_BAD_STREAM_ID, s.id = "a\nb");
    STREAM(CHANGEOVER_BAD_STREAM_ID, s.id = "a\x7F");
    STREAM(CHANGEOVER_BAD_STREAM_ID, s.id = "\xC2\x85");
    STREAM(CHANGEOVER_BAD_UTF8, s.id = "\xFF");
    STREAM(CHANGEOVER_BAD_UTF8, s.id = "caf\xC3");
    STREAM(CHANGEOVER_BAD_UTF8, s.buffer_write_id = "\xED\xA0\x80");
    STREAM(CHANGEOVER_BAD_UTF8, i[1].address = "\xC0\x80");
    STREAM(CHANGEOVER_ALREADY_REGISTERED, s.id = "news");
    STREAM(CHANGEOVER_DUPLICATE_PRIORITY, i[1].priority = 0);
    STREAM(CHANGEOVER_NEGATIVE_DURATION, s.packet_timeout_ms = -1);
    STREAM(CHANGEOVER_NEGATIVE_DURATION, s.connect_timeout_ms = INT64_MIN);
    STREAM(CHANGEOVER_NEGATIVE_DURATION, s.failback_stable_ms = -5);
    STREAM(CHANGEOVER_NEGATIVE_DURATION, i[0].packet_timeout_ms = -1);
    STREAM(CHANGEOVER_NEGATIVE_DURATION, i[1].connect_timeout_ms = -1);
    STREAM(CHANGEOVER_NEGATIVE_DURATION, s.cut = CHANGEOVER_CUT_KEYFRAME; s.cut_max_wait_ms = -1);
    STREAM(CHANGEOVER_BAD_ARGUMENT, s.failback = 3);
    STREAM(CHANGEOVER_BAD_ARGUMENT, s.cut = 3);
    STREAM(CHANGEOVER_BAD_ARGUMENT, s.observe = UINT32_MAX);
    STREAM(CHANGEOVER_BAD_ARGUMENT, s.reserved = 1);
    STREAM(CHANGEOVER_BAD_ARGUMENT, i[0].hot = 2);
    STREAM(CHANGEOVER_BAD_ARGUMENT, s.input_count = SIZE_MAX);
    STREAM(CHANGEOVER_BAD_ARGUMENT, h.silence = 3);
    STREAM(CHANGEOVER_BAD_ARGUMENT, h.reserved = 1);
    volatile double zero = 0;
    double nan = zero / zero, inf = 1 / zero;
    HEALTH(h.bitrate_min_kbps = nan);
    HEALTH(h.bitrate_min_percent = inf);
    HEALTH(h.fps_min = -inf);
    HEALTH(h.loss_max_percent = -0.5);
    HEALTH(h.silence = CHANGEOVER_SILENCE_LEARNED; h.learned_confidence = nan);
    STREAM(CHANGEOVER_NEGATIVE_DURATION, h.step_ms = -1);
    STREAM(CHANGEOVER_NEGATIVE_DURATION, h.bitrate_hold_ms = -1);
    STREAM(CHANGEOVER_NEGATIVE_DURATION, h.fps_clear_ms = -1);
    STREAM(CHANGEOVER_NEGATIVE_DURATION, h.video_silence_ms = INT64_MIN);
    STREAM(CHANGEOVER_NEGATIVE_DURATION, h.silence = CHANGEOVER_SILENCE_LEARNED;
           h.learned_floor_ms = -1);
    /* At the limits, but inside. */
    changeover_stream_config stream = more();
    changeover_input_config extremes[2] = {input_of(INT32_MIN, 1, NULL), input_of(INT32_MAX, 0, "")};
    stream.id = LONG LONG;
    stream.packet_timeout_ms = stream.connect_timeout_ms = INT64_MAX;
    stream.failback_stable_ms = INT64_MAX;
    stream.inputs = extremes;
    stream.input_count = 2;
    OK(changeover_register(engine, &stream));
    OK(changeover_hand_advance(engine, UINT64_C(1000000000)));
    OK(changeover_unregister(engine, LONG LONG));
    stream.inputs = NULL;
    stream.input_count = 0;
    OK(changeover_register(engine, &stream));
    OK(changeover_unregister(engine, LONG LONG));
}

static void jsons(void) {
    REFUSED(CHANGEOVER_BAD_JSON, changeover_register_json(engine, ""));
    REFUSED(CHANGEOVER_BAD_JSON, changeover_register_json(engine, "{"));
    REFUSED(CHANGEOVER_BAD_JSON, changeover_register_json(engine, "{\"id\":5}"));
    REFUSED(CHANGEOVER_BAD_JSON, changeover_register_json(engine, "{\"id\":\"x\",\"colour\":1}"));
    REFUSED(CHANGEOVER_BAD_UTF8, changeover_register_json(engine, "{\"id\":\"\xFF\"}"));
    REFUSED(CHANGEOVER_EMPTY_STREAM_ID, changeover_register_json(engine, "{\"id\":\"\"}"));
    REFUSED(CHANGEOVER_BAD_STREAM_ID, changeover_register_json(engine, "{\"id\":\"a\\u0000b\"}"));
    REFUSED(CHANGEOVER_BAD_JSON, changeover_update_inputs_json(engine, "news", "{\"added\":1}"));
    REFUSED(CHANGEOVER_UNKNOWN_INPUT,
            changeover_update_inputs_json(engine, "news", "{\"removed\":[9]}"));
    REFUSED(CHANGEOVER_BAD_JSON, changeover_set_config_json(engine, "{\"no_such\":1}"));
    REFUSED(CHANGEOVER_NEGATIVE_DURATION,
            changeover_set_config_json(engine, "{\"packet_timeout_ms\":-1}"));
    /* Deep, and as long as a program would: an answer, not an overflow. */
    enum { DEEP = 1 << 20 };
    char *deep = malloc(DEEP + 1);
    CHECK(deep != NULL);
    memset(deep, '[', DEEP);
    deep[DEEP] = 0;
    REFUSED(CHANGEOVER_BAD_JSON, changeover_register_json(engine, deep));
    free(deep);
}

static void options(void) {
    changeover_engine out = {77};
    changeover_engine_config config = changeover_engine_config_init();
    changeover_engine_options good = changeover_engine_options_init(), bad;
    good.hand_driven = 1;
    good.config = &config;
#define OPTIONS(code, change)                                    \
    do {                                                         \
        bad = good;                                              \
        config = changeover_engine_config_init();                \
        change;                                                  \
        REFUSED(code, changeover_engine_create(&bad, &out));     \
        EQUAL(out.raw, 77);                                      \
    } while (0)
    OPTIONS(CHANGEOVER_BAD_ARGUMENT, bad.hand_driven = 2);
    OPTIONS(CHANGEOVER_BAD_ARGUMENT, bad.reserved = 1);
    OPTIONS(CHANGEOVER_BAD_UTF8, bad.metrics_prefix = "\xFF");
    OPTIONS(CHANGEOVER_NEGATIVE_DURATION, bad.shutdown_timeout_ms = -1);
    OPTIONS(CHANGEOVER_NEGATIVE_DURATION, config.packet_timeout_ms = -1);
    OPTIONS(CHANGEOVER_NEGATIVE_DURATION, config.failback_cooldown_ms = INT64_MIN);
    OPTIONS(CHANGEOVER_BAD_ARGUMENT, config.failback = 7);
    OPTIONS(CHANGEOVER_BAD_ARGUMENT, config.cut = 7);
    OPTIONS(CHANGEOVER_BAD_ARGUMENT, config.observe = 7);
    OPTIONS(CHANGEOVER_BAD_ARGUMENT, config.reserved = 7);
    /* Absurd, and a number all the same: it begins, works and ends. */
    for (uint32_t by_hand_too = 0; by_hand_too < 2; by_hand_too++) {
        bad = good;
        config = changeover_engine_config_init();
        bad.hand_driven = by_hand_too;
        bad.shutdown_timeout_ms = INT64_MAX;
        bad.driver_workers = bad.max_stuck_calls = UINT32_MAX;
        config.packet_timeout_ms = config.connect_timeout_ms = INT64_MAX;
        config.probe_cooldown_ms = config.probe_timeout_ms = config.stop_timeout_ms = INT64_MAX;
        config.failback_cooldown_ms = config.failback_stable_ms = INT64_MAX;
        config.error_history = config.switch_history = UINT32_MAX;
        OK(changeover_engine_create(&bad, &out));
        OK(register_inputs(out, "a", 2, 1));
        OK(register_inputs(out, "b", 2, 0));
        OK(changeover_record_packet(out, "a", 1));
        OK(changeover_engine_destroy(out, NULL));
        out.raw = 77;
    }
}

static void others(void) {
    changeover_engine e = engine;
    changeover_hold hold = changeover_hold_init();
    changeover_condition condition = changeover_condition_init();
    changeover_ticket ticket = {5};
    hold.ttl_ms = -1;
    REFUSED(CHANGEOVER_NEGATIVE_DURATION, changeover_hold_input(e, "news", 0, &hold, &ticket));
    hold.ttl_ms = 1;
    hold.when_dead = 2;
    REFUSED(CHANGEOVER_BAD_ARGUMENT, changeover_hold_input(e, "news", 0, &hold, &ticket));
    hold.when_dead = 0;
    hold.reserved = 1;
    REFUSED(CHANGEOVER_BAD_ARGUMENT, changeover_hold_input(e, "news", 0, &hold, &ticket));
    REFUSED(CHANGEOVER_UNKNOWN_INPUT, changeover_hold_input(e, "news", 9, NULL, &ticket));
    REFUSED(CHANGEOVER_UNKNOWN_INPUT, changeover_switch_input(e, "news", -1, &ticket));
    REFUSED(CHANGEOVER_UNKNOWN_STREAM, changeover_switch_input(e, "", 0, &ticket));
    EQUAL(ticket.raw, 5);
    const char *names[] = {"", LONG "b", "a\tb", "\x01"};
    for (int i = 0; i < 4; i++) {
        condition.name = names[i];
        REFUSED(CHANGEOVER_BAD_CONDITION, changeover_raise_condition(e, "news", 0, &condition));
    }
    condition.name = "\xFF";
    REFUSED(CHANGEOVER_BAD_UTF8, changeover_raise_condition(e, "news", 0, &condition));
    condition.name = LONG;
    condition.hold_ms = -1;
    REFUSED(CHANGEOVER_NEGATIVE_DURATION, changeover_raise_condition(e, "news", 0, &condition));
    condition.hold_ms = 0;
    condition.clear_ms = INT64_MIN;
    REFUSED(CHANGEOVER_NEGATIVE_DURATION, changeover_raise_condition(e, "news", 0, &condition));
    condition.hold_ms = condition.clear_ms = INT64_MAX;
    for (int i = 0; i < 17; i++) {
        char name[8];
        snprintf(name, sizeof name, "c%d", i);
        condition.name = name;
        if (i < 16)
            OK(changeover_raise_condition(e, "news", 0, &condition));
        else
            REFUSED(CHANGEOVER_TOO_MANY_CONDITIONS,
                    changeover_raise_condition(e, "news", 0, &condition));
    }
    REFUSED(CHANGEOVER_BAD_ARGUMENT, changeover_set_input_enabled(e, "news", 0, 2));
    char *text = NULL;
    REFUSED(CHANGEOVER_UNKNOWN_INPUT, changeover_input_health_json(e, "news", 5, &text));
    CHECK(text == NULL);
    REFUSED(CHANGEOVER_UNKNOWN_INPUT, changeover_set_input_enabled(e, "news", 5, 1));
    REFUSED(CHANGEOVER_UNKNOWN_INPUT, changeover_recorder_open(e, "news", 5, 0, &recorder));
    REFUSED(CHANGEOVER_UNKNOWN_STREAM, changeover_recorder_open(e, "new", 0, 0, &recorder));
    REFUSED(CHANGEOVER_STALE_EPOCH, changeover_recorder_open(e, "news", 0, 999, &recorder));
    EQUAL(changeover_record_packet(e, "news", 5), CHANGEOVER_STALE);
    EQUAL(changeover_record_packet(e, "new", 0), CHANGEOVER_STALE);
    REFUSED(CHANGEOVER_BAD_UTF8, changeover_record_packet(e, "\xFF", 0));
    changeover_answer_token no = {0};
    REFUSED(CHANGEOVER_BAD_ARGUMENT, changeover_answer(no, CHANGEOVER_ANSWER_LATER, NULL));
    REFUSED(CHANGEOVER_BAD_ARGUMENT, changeover_answer(no, -1, "\xFF"));
    changeover_eyes eyes = {5};
    REFUSED(CHANGEOVER_BAD_ARGUMENT, changeover_eyes_open(e, 3, &eyes));
    changeover_timeline_options timeline_options = changeover_timeline_options_init();
    changeover_timeline timeline = {5};
    timeline_options.has_start = 2;
    REFUSED(CHANGEOVER_BAD_ARGUMENT, changeover_timeline_open(e, &timeline_options, &timeline));
    timeline_options.has_start = 1;
    timeline_options.by_dts_alone = 2;
    REFUSED(CHANGEOVER_BAD_ARGUMENT, changeover_timeline_open(e, &timeline_options, &timeline));
    timeline_options.by_dts_alone = 0;
    const changeover_timebase bad[] = {{0, 1, 0}, {1, 0, 0}, {-1, 1, 0}, {1, INT32_MIN, 0},
                                       {1, 1, 7}, {1, 1, 63}, {0, 0, 33}};
    for (int i = 0; i < 7; i++) {
        timeline_options.output = bad[i];
        REFUSED(CHANGEOVER_BAD_TIMEBASE, changeover_timeline_open(e, &timeline_options, &timeline));
    }
    EQUAL(timeline.raw, 5);
    OK(changeover_timeline_open(e, NULL, &timeline));
    changeover_stamps in = changeover_stamps_of(0, 0, 0), out = changeover_stamps_of(1, 2, 3);
    for (int i = 0; i < 7; i++)
        REFUSED(CHANGEOVER_BAD_TIMEBASE, changeover_timeline_map(timeline, 1, 0, bad[i], &in, &out));
    REFUSED(CHANGEOVER_BAD_ARGUMENT, changeover_timeline_pcr(timeline, 1, 2, 0, &in.dts));
    CHECK(out.dts == 1 && out.pts == 2 && out.duration == 3);
    /* Times at the ends of the numbers. */
    const int64_t ends[] = {INT64_MIN + 1, INT64_MAX, -1, 0, INT64_MAX / 2};
    for (uint32_t i = 0; i < 625; i++) {
        in = changeover_stamps_of(ends[i % 5], ends[i / 5 % 5], ends[i / 25 % 5]);
        changeover_timebase wide = {INT32_MAX, i & 1 ? 1 : INT32_MAX, i & 2 ? 62 : 0};
        OK(changeover_timeline_map(timeline, i / 25, i % 3, wide, &in, &out));
        OK(changeover_timeline_pcr(timeline, i / 25, i & 1, ends[i / 125], &in.dts));
    }
    /* Queues of absurd length, and time to the end of the clock. */
    changeover_events events;
    OK(changeover_events_open(e, SIZE_MAX, &events));
    changeover_event event = changeover_event_init();
    REFUSED(CHANGEOVER_WOULD_BLOCK, changeover_events_wait(events, UINT32_MAX, &event));
    REFUSED(CHANGEOVER_WOULD_BLOCK, changeover_unregister_and_wait(e, "news", 1));
    EQUAL(changeover_is_registered(e, "news"), 1);
    OK(changeover_hand_stall(e, UINT64_MAX));
    OK(changeover_hand_advance(e, UINT64_MAX));
    OK(changeover_hand_advance(e, UINT64_MAX));
    uint64_t now = 0;
    OK(changeover_now_ns(e, &now));
    CHECK(now > UINT64_C(1) << 60);
}

int main(void) {
    engine = by_hand(NULL, NULL, NULL);
    OK(register_inputs(engine, "news", 2, 1));
    OK(changeover_recorder_open(engine, "news", 0, 0, &recorder));
    null_arguments();
    streams();
    jsons();
    options();
    others();
    OK(changeover_engine_destroy(engine, NULL));
    puts("values: ok");
    return 0;
}
