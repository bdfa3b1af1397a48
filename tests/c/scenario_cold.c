/* Cold inputs on an engine that is driven by hand: what the driver is asked, and what follows
 * from each answer, at once, later, too late, twice, or never. Edits of the inputs, too. */
#include "story.h"

/* What the driver answers next, and the token it kept. */
static int32_t start_answer, probe_answer;
static changeover_answer_token kept;
static uint64_t epoch_of[8];

static void say_call(const char *what, const changeover_driver_call *call) {
    EQUAL(call->size, sizeof *call);
    EQUAL(call->engine.raw, story_engine.raw);
    EQUAL(call->reserved, 0);
    SAY("%s %s %d", what, call->stream, call->input_priority);
    if (call->from_priority)
        SAY(" from %d", call->from_priority);
    if (call->address)
        SAY(" %s", call->address);
    if (call->buffer_write_id)
        SAY(" to %s", call->buffer_write_id);
    if (call->hot)
        SAY(" hot");
    SAY("|");
}

static int32_t on_start(const changeover_driver_call *call, void *user_data) {
    CHECK(user_data == &start_answer);
    CHECK(call->epoch != 0 && call->answer.raw != 0);
    say_call("START", call);
    kept = call->answer;
    epoch_of[call->input_priority] = call->epoch;
    return start_answer;
}

static int32_t on_probe(const changeover_driver_call *call, void *user_data) {
    (void)user_data;
    CHECK(call->epoch == 0 && call->answer.raw != 0 && call->buffer_write_id == NULL);
    say_call("PROBE", call);
    kept = call->answer;
    return probe_answer;
}

static void on_stop(const changeover_driver_call *call, void *user_data) {
    (void)user_data;
    CHECK(call->epoch != 0 && call->answer.raw == 0 && call->address == NULL);
    say_call("STOP", call);
}

static void on_rebind(const changeover_driver_call *call, void *user_data) {
    (void)user_data;
    say_call("REBIND", call);
}

static void on_keyframe(const changeover_driver_call *call, void *user_data) {
    (void)user_data;
    say_call("KEYFRAME", call);
}

static changeover_engine begin(int inputs) {
    static changeover_engine_config config;
    config = changeover_engine_config_init();
    config.packet_timeout_ms = 100;
    config.connect_timeout_ms = 250;
    config.probe_cooldown_ms = 200;
    config.probe_timeout_ms = 150;
    config.failback_cooldown_ms = 300;
    changeover_driver driver = changeover_driver_init();
    driver.user_data = &start_answer;
    driver.start = on_start;
    driver.stop = on_stop;
    driver.probe = on_probe;
    driver.rebind = on_rebind;
    driver.request_keyframe = on_keyframe;
    start_answer = probe_answer = CHANGEOVER_ANSWER_DONE;
    changeover_engine engine = tell(&config, &driver);
    OK(register_inputs(engine, "news", inputs, 0));
    return engine;
}

/* Time passes; the driver's calls are carried out each ms. */
static void pass(changeover_engine engine, int ms) {
    for (int i = 0; i < ms; i++) {
        OK(changeover_hand_run_calls(engine));
        OK(changeover_hand_advance(engine, 1 * MS));
    }
    OK(changeover_hand_run_calls(engine));
}

/* The same, while this recorder delivers. */
static void deliver(changeover_engine engine, changeover_recorder recorder, int ms) {
    for (int i = 0; i < ms; i++) {
        OK(changeover_record_bytes(recorder, 100));
        pass(engine, 1);
    }
}

static changeover_recorder open(changeover_engine engine, int32_t priority) {
    changeover_recorder recorder = {0};
    OK(changeover_recorder_open(engine, "news", priority, epoch_of[priority], &recorder));
    uint64_t epoch = 0;
    int32_t its = -1;
    char *text = NULL;
    OK(changeover_recorder_epoch(recorder, &epoch));
    EQUAL(epoch, epoch_of[priority]);
    OK(changeover_recorder_priority(recorder, &its));
    EQUAL(its, priority);
    OK(changeover_recorder_stream(recorder, &text));
    SAME(text, "news");
    changeover_string_free(text);
    OK(changeover_input_health_json(engine, "news", priority, &text));
    CHECK(strstr(text, "\"status\"") != NULL);
    changeover_string_free(text);
    return recorder;
}

static void started_and_moved(void) {
    changeover_engine engine = begin(2);
    told("");
    pass(engine, 5);
    changeover_recorder main = open(engine, 0), other, sibling;
    REFUSED(CHANGEOVER_RECORDER_OPEN,
            changeover_recorder_open(engine, "news", 0, epoch_of[0], &other));
    OK(changeover_recorder_sibling(main, &sibling));
    CHECK(changeover_record_bytes(main, 100) > 0);
    EQUAL(changeover_record_bytes(sibling, 1),
          changeover_record_bytes(main, 1));
    told("START news 0 in0 to news|0 input_started 0|5 first_packet 0|");
    OK(changeover_recorder_report_error(main, "end of file"));
    EQUAL(changeover_record_bytes(main, 1), CHANGEOVER_STALE);
    EQUAL(changeover_record_bytes(sibling, 1), CHANGEOVER_STALE);
    REFUSED(CHANGEOVER_STALE_EPOCH, changeover_recorder_sibling(main, &other));
    REFUSED(CHANGEOVER_STALE_EPOCH,
            changeover_recorder_open(engine, "news", 0, epoch_of[0], &other));
    pass(engine, 5);
    told("STOP news 0|START news 1 in1 to news|5 input_degraded 0 error (end of file)|"
         "5 switch_decided 0>1 error|5 redundancy_lost 1|5 input_started 1|"
         "5 input_failover 0>1 error (end of file)|");
    changeover_recorder spare = open(engine, 1);
    deliver(engine, spare, 300);
    told("PROBE news 0 in0|START news 0 in0 to news|10 first_packet 1 stall 5|"
         "205 input_recovered 0 (probe)|"
         "205 switch_refused ->0 failback 100 ms (failback_cooldown)|"
         "205 redundancy_regained 2|305 switch_decided 1>0 failback|305 input_started 0|");
    OK(changeover_recorder_close(main));
    OK(changeover_recorder_close(sibling));
    OK(changeover_engine_destroy(engine, NULL));
    told("STOP news 0|STOP news 1|");
}

static void a_start_that_fails(void) {
    changeover_engine engine = begin(2);
    start_answer = CHANGEOVER_ANSWER_FAILED;
    pass(engine, 1);
    told("START news 0 in0 to news|START news 1 in1 to news|news is exhausted|"
         "0 input_degraded 0 error (the driver answered: failed)|"
         "0 switch_failed ->0 initial (the driver answered: failed)|0 redundancy_lost 1|"
         "0 input_degraded 1 error (the driver answered: failed)|"
         "0 switch_failed ->1 initial (the driver answered: failed)|0 exhausted|");
    start_answer = CHANGEOVER_ANSWER_UNSUPPORTED;
    probe_answer = CHANGEOVER_ANSWER_FAILED;
    pass(engine, 250);
    told("PROBE news 0 in0|PROBE news 1 in1|");
    start_answer = 17;
    probe_answer = CHANGEOVER_ANSWER_UNSUPPORTED;
    pass(engine, 250);
    told("PROBE news 0 in0|PROBE news 1 in1|START news 0 in0 to news|START news 1 in1 to news|");
    OK(changeover_engine_destroy(engine, NULL));
}

static void a_start_later(void) {
    changeover_engine engine = begin(2);
    start_answer = CHANGEOVER_ANSWER_LATER;
    pass(engine, 100);
    told("START news 0 in0 to news|");
    changeover_answer_token token = kept;
    REFUSED(CHANGEOVER_BAD_ARGUMENT, changeover_answer(token, CHANGEOVER_ANSWER_LATER, NULL));
    OK(changeover_answer(token, CHANGEOVER_ANSWER_DONE, NULL));
    REFUSED(CHANGEOVER_INVALID_HANDLE, changeover_answer(token, CHANGEOVER_ANSWER_DONE, NULL));
    REFUSED(CHANGEOVER_INVALID_HANDLE, changeover_answer(token, CHANGEOVER_ANSWER_FAILED, "no"));
    pass(engine, 1);
    changeover_recorder main = open(engine, 0);
    deliver(engine, main, 10);
    told("100 input_started 0|101 first_packet 0|");
    /* It dies; the next one says later that it cannot. */
    OK(changeover_recorder_report_error(main, "\xFF is no UTF-8"));
    pass(engine, 10);
    OK(changeover_answer(kept, CHANGEOVER_ANSWER_FAILED, "no such \xFF host"));
    pass(engine, 1);
    told("STOP news 0|START news 1 in1 to news|news is exhausted|"
         "111 input_degraded 0 error (� is no UTF-8)|111 switch_decided 0>1 error|"
         "111 redundancy_lost 1|121 input_degraded 1 error (no such � host)|"
         "121 switch_failed 0>1 error (no such � host)|121 exhausted|");
    OK(changeover_engine_destroy(engine, NULL));
}

static void too_late_and_never(void) {
    changeover_engine engine = begin(2);
    start_answer = CHANGEOVER_ANSWER_LATER;
    pass(engine, 1);
    changeover_answer_token first = kept;
    OK(changeover_hand_advance(engine, 249 * MS - 1));
    told("START news 0 in0 to news|");
    OK(changeover_hand_advance(engine, 1));
    told("250 input_degraded 0 timeout (start did not answer within 250ms)|"
         "250 switch_failed ->0 initial (start did not answer within 250ms)|"
         "250 redundancy_lost 1|");
    /* What comes now is ignored, and uses the token up all the same. */
    int32_t late = changeover_answer(first, CHANGEOVER_ANSWER_DONE, NULL);
    CHECK(late == CHANGEOVER_OK || late == CHANGEOVER_INVALID_HANDLE);
    REFUSED(CHANGEOVER_INVALID_HANDLE, changeover_answer(first, CHANGEOVER_ANSWER_DONE, NULL));
    pass(engine, 1);
    changeover_answer_token second = kept;
    CHECK(second.raw != first.raw);
    told("STOP news 0|START news 1 in1 to news|");
    OK(changeover_unregister(engine, "news"));
    pass(engine, 10);
    /* After the stream is gone: used up, or taken and ignored. */
    late = changeover_answer(second, CHANGEOVER_ANSWER_DONE, NULL);
    CHECK(late == CHANGEOVER_OK || late == CHANGEOVER_INVALID_HANDLE);
    REFUSED(CHANGEOVER_INVALID_HANDLE, changeover_answer(second, CHANGEOVER_ANSWER_DONE, NULL));
    told("STOP news 1|");
    /* Never answered at all. */
    OK(register_inputs(engine, "news", 1, 0));
    pass(engine, 1);
    first = kept;
    told("START news 0 in0 to news|");
    OK(changeover_engine_destroy(engine, NULL));
    REFUSED(CHANGEOVER_INVALID_HANDLE, changeover_answer(first, CHANGEOVER_ANSWER_DONE, NULL));
    told("STOP news 0|");
}

static void probes(void) {
    changeover_engine engine = begin(2);
    pass(engine, 1);
    changeover_recorder main = open(engine, 0);
    deliver(engine, main, 5);
    OK(changeover_recorder_report_error(main, "gone"));
    pass(engine, 1);
    changeover_recorder spare = open(engine, 1);
    probe_answer = CHANGEOVER_ANSWER_LATER;
    deliver(engine, spare, 220);
    told("START news 0 in0 to news|STOP news 0|START news 1 in1 to news|PROBE news 0 in0|"
         "0 input_started 0|1 first_packet 0|6 input_degraded 0 error (gone)|"
         "6 switch_decided 0>1 error|6 redundancy_lost 1|6 input_started 1|"
         "6 input_failover 0>1 error (gone)|7 first_packet 1 stall 2|");
    OK(changeover_answer(kept, CHANGEOVER_ANSWER_FAILED, "still gone"));
    deliver(engine, spare, 150);
    told("");
    probe_answer = CHANGEOVER_ANSWER_DONE;
    deliver(engine, spare, 250);
    told("PROBE news 0 in0|START news 0 in0 to news|427 input_recovered 0 (probe)|"
         "427 switch_decided 1>0 failback|427 redundancy_regained 2|427 input_started 0|");
    OK(changeover_engine_destroy(engine, NULL));
}

static void edits(void) {
    changeover_engine engine = begin(2);
    pass(engine, 1);
    changeover_recorder main = open(engine, 0);
    deliver(engine, main, 5);
    told("START news 0 in0 to news|0 input_started 0|1 first_packet 0|");
    /* The same source under another priority stays on the air. */
    int32_t gone = 0;
    changeover_input_config moved = input_of(3, 0, "in0"), better = input_of(-1, 0, "new");
    changeover_inputs_update update = changeover_inputs_update_init();
    update.removed = &gone;
    update.removed_count = 1;
    update.added = &moved;
    update.added_count = 1;
    OK(changeover_update_inputs(engine, "news", &update));
    deliver(engine, main, 5);
    told("REBIND news 3 in0|PROBE news 1 in1|6 input_failover 0>3 input_removed|"
         "6 switch_refused ->1 failback 300 ms (failback_cooldown)|");
    /* A double, one that is not there: refused whole. */
    update.removed_count = 0;
    REFUSED(CHANGEOVER_DUPLICATE_PRIORITY, changeover_update_inputs(engine, "news", &update));
    update = changeover_inputs_update_init();
    update.updated = &better;
    update.updated_count = 1;
    REFUSED(CHANGEOVER_UNKNOWN_INPUT, changeover_update_inputs(engine, "news", &update));
    changeover_input_config twice[2] = {better, better};
    update.updated_count = 0;
    update.added = twice;
    update.added_count = 2;
    REFUSED(CHANGEOVER_DUPLICATE_PRIORITY, changeover_update_inputs(engine, "news", &update));
    deliver(engine, main, 5);
    told("");
    OK(changeover_update_inputs_json(engine, "news", "{\"removed\":[1]}"));
    deliver(engine, main, 5);
    told("16 redundancy_lost 1|");
    gone = 3;
    moved.priority = 5;
    update = changeover_inputs_update_init();
    update.removed = &gone;
    update.removed_count = 1;
    update.added = &moved;
    update.added_count = 1;
    OK(changeover_update_inputs(engine, "news", &update));
    deliver(engine, main, 5);
    told("REBIND news 5 from 3 in0|21 input_failover 3>5 input_removed|");
    /* Ingest writes elsewhere: the active one starts again. */
    OK(changeover_update_buffer_write_id(engine, "news", "shelf"));
    pass(engine, 5);
    EQUAL(changeover_record_bytes(main, 1), CHANGEOVER_STALE);
    told("STOP news 5|START news 5 in0 to shelf|26 input_started 5|");
    OK(changeover_unregister(engine, "news"));
    pass(engine, 5);
    told("STOP news 5|");
    OK(changeover_engine_destroy(engine, NULL));
}

int main(void) {
    started_and_moved();
    a_start_that_fails();
    a_start_later();
    too_late_and_never();
    probes();
    edits();
    puts("scenarios, cold: ok");
    return 0;
}
