/* Hot inputs on an engine that is driven by hand, so to the nanosecond: failover at the deadline,
 * failback, exhausted and restored, the operator, conditions, rules, keyframe cuts, observe. */
#include "story.h"

enum { MAIN, SPARE, THIRD };

static changeover_recorder at[3];
static changeover_packet one;

/* Those inputs whose bit is in `alive` deliver 125 bytes each ms, for `ms`. */
static void deliver(changeover_engine engine, int ms, unsigned alive) {
    for (int t = 0; t < ms; t++) {
        OK(changeover_hand_advance(engine, 1 * MS));
        for (unsigned i = 0; i < 3; i++)
            if (alive >> i & 1)
                CHECK(changeover_record(at[i], &one) >= CHANGEOVER_STALE);
    }
}

static uint64_t now_ns(void) {
    uint64_t now = 0;
    OK(changeover_now_ns(story_engine, &now));
    return now;
}

static int32_t active(void) {
    int32_t priority = -77;
    EQUAL(changeover_active_input(story_engine, "news", &priority), 1);
    return priority;
}

static changeover_engine_config policy(void) {
    changeover_engine_config config = changeover_engine_config_init();
    config.packet_timeout_ms = 100;
    config.probe_cooldown_ms = 200;
    config.failback_cooldown_ms = 300;
    config.failback_stable_ms = 400;
    return config;
}

static changeover_engine begin(const changeover_engine_config *config, int inputs) {
    one = changeover_packet_of(125);
    changeover_engine engine = tell(config, NULL);
    OK(register_inputs(engine, "news", inputs, 1));
    for (int i = 0; i < inputs; i++)
        OK(changeover_recorder_open(engine, "news", i, 0, &at[i]));
    deliver(engine, 10, (1U << inputs) - 1);
    EQUAL(active(), MAIN);
    return engine;
}

static void end(changeover_engine engine) {
    changeover_events events = story_events;
    OK(changeover_engine_shutdown(engine, NULL));
    changeover_event event = changeover_event_init();
    while (changeover_events_next(events, &event) == 1) {
    }
    REFUSED(CHANGEOVER_SHUT_DOWN, changeover_events_next(events, &event));
    EQUAL(changeover_record(at[MAIN], &one), CHANGEOVER_STALE);
    OK(changeover_engine_destroy(engine, NULL));
    EQUAL(changeover_record(at[MAIN], &one), CHANGEOVER_INVALID_HANDLE);
}

static void failover_and_failback(void) {
    changeover_engine_config config = policy();
    changeover_engine engine = begin(&config, 2);
    told("0 input_started 0|0 input_started 1|1 first_packet 0|");
    int64_t first = changeover_record(at[MAIN], &one);
    CHECK(first > 0);
    EQUAL(changeover_record(at[SPARE], &one), 0);
    /* A packet of the future came now; one of the past, not before the previous one. */
    EQUAL(changeover_record_at(at[MAIN], &one, UINT64_MAX), first);
    EQUAL(changeover_record_at(at[MAIN], &one, 1), first);
    EQUAL(changeover_record_precise(at[MAIN], &one), first);
    /* The last packet came at 10 ms: one ns before its deadline nothing happens. */
    EQUAL(now_ns(), 10 * MS);
    deliver(engine, 99, 1U << SPARE);
    OK(changeover_hand_advance(engine, 1 * MS - 1));
    told("");
    EQUAL(changeover_record(at[SPARE], &one), 0);
    OK(changeover_hand_advance(engine, 1));
    told("110 input_degraded 0 timeout (no packet for 100ms (timeout 100ms))|"
         "110 switch_decided 0>1 timeout|"
         "110 input_failover 0>1 timeout (no packet for 100ms (timeout 100ms))|"
         "110 redundancy_lost 1|");
    int64_t second = changeover_record(at[SPARE], &one);
    CHECK(second > first);
    EQUAL(active(), SPARE);
    EQUAL(changeover_record(at[MAIN], &one), 0);
    told("110 first_packet 1 stall 100|110 input_recovered 0 (packets)|"
         "110 switch_refused ->0 failback 400 ms (failback_stable)|110 redundancy_regained 2|");
    /* It is back, and has to prove itself. */
    deliver(engine, 1000, 3);
    told("510 switch_decided 1>0 failback|510 switch_armed 1>0|"
         "511 input_failover 1>0 failback|511 first_packet 0 stall 1|");
    EQUAL(active(), MAIN);
    CHECK(changeover_record(at[MAIN], &one) > second);
    EQUAL(changeover_record(at[SPARE], &one), 0);
    end(engine);
}

static void exhausted_and_restored(void) {
    changeover_engine_config config = policy();
    changeover_engine engine = begin(&config, 2);
    for (int round = 0; round < 3; round++) {
        OK(changeover_hand_advance(engine, 1000 * MS));
        EQUAL(changeover_is_exhausted(engine, "news"), 1);
        if (round == 0)
            told("news is exhausted|0 input_started 0|0 input_started 1|1 first_packet 0|"
                 "110 input_degraded 0 timeout (no packet for 100ms (timeout 100ms))|"
                 "110 input_degraded 1 timeout (no packet for 100ms (timeout 100ms))|110 exhausted|"
                 "110 redundancy_lost 0|");
        deliver(engine, 20, 1U << SPARE);
        EQUAL(changeover_is_exhausted(engine, "news"), 0);
        EQUAL(active(), SPARE);
        if (round == 0)
            told("news is restored|1011 input_recovered 1 (packets)|1011 switch_decided 0>1 recovery|"
                 "1011 input_failover 0>1 recovery|1011 restored 1|1012 first_packet 1 stall 1002|");
    }
    /* The callbacks alternate strictly. */
    changeover_event event = changeover_event_init();
    while (changeover_events_next(story_events, &event) == 1) {
    }
    told("news is exhausted|news is restored|news is exhausted|news is restored|");
    end(engine);
}

static void the_operator(void) {
    changeover_engine_config config = policy();
    changeover_engine engine = begin(&config, 3);
    changeover_ticket ticket, hold;
    changeover_stream_status status = changeover_stream_status_init();
    told("0 input_started 0|0 input_started 1|0 input_started 2|1 first_packet 0|");
    OK(changeover_switch_input(engine, "news", THIRD, &ticket));
    EQUAL(changeover_ticket_outcome(ticket), 1);
    EQUAL(changeover_ticket_wait(ticket, 0), CHANGEOVER_OK);
    OK(changeover_ticket_close(ticket));
    deliver(engine, 800, 7);
    EQUAL(active(), THIRD);
    told("10 switch_decided 0>2 manual|10 override_set 2|10 switch_armed 0>2|"
         "11 input_failover 0>2 manual|11 first_packet 2 stall 0|"
         "11 switch_refused ->0 failback (override)|");
    OK(changeover_status(engine, "news", &status));
    EQUAL(status.has_override, 1);
    EQUAL(status.override_input_priority, THIRD);
    OK(changeover_clear_override(engine, "news"));
    deliver(engine, 10, 7);
    told("810 override_cleared 2 (operator)|810 switch_decided 2>0 failback|"
         "810 switch_armed 2>0|811 input_failover 2>0 failback|811 first_packet 0 stall 1|");
    /* A hold of half a second; the dead target lets go of the next one. */
    changeover_hold half = changeover_hold_init();
    half.ttl_ms = 500;
    OK(changeover_hold_input(engine, "news", SPARE, &half, &hold));
    EQUAL(changeover_ticket_outcome(hold), 1);
    OK(changeover_ticket_close(hold));
    deliver(engine, 499, 7);
    EQUAL(active(), SPARE);
    OK(changeover_status(engine, "news", &status));
    EQUAL(status.has_hold, 1);
    EQUAL(status.hold_input_priority, SPARE);
    told("820 switch_decided 0>1 manual|820 hold_set 1 500 ms|820 switch_armed 0>1|"
         "821 input_failover 0>1 manual|821 first_packet 1 stall 0|"
         "821 switch_refused ->0 failback 499 ms (held)|");
    deliver(engine, 2, 7);
    told("1320 hold_released 1 (expired)|1320 switch_decided 1>0 hold_released|"
         "1320 switch_armed 1>0|1320 input_failover 1>0 hold_released|"
         "1320 first_packet 0 stall 1|");
    OK(changeover_hold_input(engine, "news", SPARE, NULL, NULL));
    deliver(engine, 10, 7);
    OK(changeover_release_hold(engine, "news"));
    told("1321 switch_decided 0>1 manual|1321 hold_set 1 600000 ms|1321 switch_armed 0>1|"
         "1322 input_failover 0>1 manual|1322 first_packet 1 stall 0|"
         "1322 switch_refused ->0 failback 599999 ms (held)|1331 hold_released 1 (operator)|"
         "1331 switch_refused ->0 hold_released 291 ms (failback_cooldown)|");
    OK(changeover_report_input_error(engine, "news", SPARE, 0, "it smokes"));
    REFUSED(CHANGEOVER_INPUT_DEGRADED, changeover_switch_input(engine, "news", SPARE, &ticket));
    OK(changeover_set_input_enabled(engine, "news", THIRD, 0));
    REFUSED(CHANGEOVER_INPUT_STOPPED, changeover_hold_input(engine, "news", THIRD, NULL, &ticket));
    told("1331 input_degraded 1 error (it smokes)|1331 switch_decided 1>0 error|"
         "1331 input_failover 1>0 error (it smokes)|1331 redundancy_lost 1|");
    changeover_input_health health = changeover_input_health_init();
    OK(changeover_input_health_of(engine, "news", SPARE, &health));
    EQUAL(health.status, CHANGEOVER_STATUS_DEGRADED);
    SAME(health.last_failure, "it smokes");
    OK(changeover_input_health_of(engine, "news", THIRD, &health));
    EQUAL(health.status, CHANGEOVER_STATUS_STOPPED);
    OK(changeover_set_input_enabled(engine, "news", THIRD, 1));
    deliver(engine, 20, 5);
    told("1331 redundancy_regained 2|1332 first_packet 0 stall 1|");
    end(engine);
}

static void a_ticket_that_waits(void) {
    changeover_engine_config config = policy();
    config.cut = CHANGEOVER_CUT_KEYFRAME;
    config.cut_max_wait_ms = 60;
    changeover_engine engine = begin(&config, 2);
    changeover_ticket ticket;
    told("0 input_started 0|0 input_started 1|1 first_packet 0|");
    /* Nothing of it is a keyframe: the longest wait ends it. */
    OK(changeover_switch_input(engine, "news", SPARE, &ticket));
    deliver(engine, 59, 3);
    EQUAL(active(), MAIN);
    deliver(engine, 3, 3);
    EQUAL(active(), SPARE);
    told("10 switch_decided 0>1 manual|10 override_set 1|10 switch_armed 0>1 keyframe 60 ms|"
         "10 switch_refused ->1 manual 60 ms (awaiting_keyframe)|70 input_failover 0>1 manual|"
         "70 first_packet 1 stall 0 aligned 0|70 switch_refused ->0 failback (override)|");
    OK(changeover_ticket_close(ticket));
    /* A keyframe makes the cut, exactly there. */
    OK(changeover_switch_input(engine, "news", MAIN, &ticket));
    deliver(engine, 20, 3);
    EQUAL(changeover_record(at[MAIN], &one), 0);
    changeover_packet key = one;
    key.keyframe = 1;
    key.tracks = CHANGEOVER_TRACK_AUDIO;
    EQUAL(changeover_record(at[MAIN], &key), 0);
    key.tracks = CHANGEOVER_TRACK_VIDEO;
    CHECK(changeover_record(at[MAIN], &key) > 0);
    EQUAL(changeover_record(at[SPARE], &key), 0);
    told("72 switch_decided 1>0 manual|72 override_set 0|72 switch_armed 1>0 keyframe 60 ms|"
         "72 switch_refused ->0 manual 60 ms (awaiting_keyframe)|92 input_failover 1>0 manual|"
         "92 first_packet 0 stall 0 aligned 1|");
    /* Within a batch: the packets before it are not forwarded, those from it on are. */
    OK(changeover_switch_input(engine, "news", SPARE, NULL));
    changeover_packet packets[4] = {one, one, key, one};
    int64_t verdicts[4];
    CHECK(changeover_record_batch(at[SPARE], packets, 4, verdicts) > 0);
    CHECK(verdicts[0] == 0 && verdicts[1] == 0 && verdicts[2] > 0 && verdicts[3] == verdicts[2]);
    /* As one unit: the whole of it. */
    OK(changeover_switch_input(engine, "news", MAIN, NULL));
    CHECK(changeover_record_batch(at[MAIN], packets, 4, NULL) > verdicts[2]);
    EQUAL(active(), MAIN);
    OK(changeover_unregister(engine, "news"));
    EQUAL(changeover_ticket_outcome(ticket), 1);
    OK(changeover_ticket_close(ticket));
    OK(register_inputs(engine, "news", 2, 1));
    end(engine);
}

static void conditions(void) {
    changeover_engine_config config = policy();
    changeover_engine engine = begin(&config, 2);
    told("0 input_started 0|0 input_started 1|1 first_packet 0|");
    changeover_condition black = changeover_condition_init();
    black.name = "black";
    black.hold_ms = 50;
    black.clear_ms = 70;
    OK(changeover_raise_condition(engine, "news", MAIN, &black));
    deliver(engine, 49, 3);
    told("");
    deliver(engine, 2, 3);
    told("60 input_impaired 0 condition 50 of 50 (black for 50ms (hold 50ms))|"
         "60 switch_decided 0>1 condition|60 switch_armed 0>1|"
         "60 input_failover 0>1 condition (black for 50ms (hold 50ms))|"
         "60 first_packet 1 stall 0|"
         "60 input_degraded 0 condition (black for 50ms (hold 50ms))|60 redundancy_lost 1|");
    OK(changeover_clear_condition(engine, "news", MAIN, "black"));
    OK(changeover_clear_condition(engine, "news", MAIN, "never raised"));
    deliver(engine, 600, 3);
    told("131 input_cleared 0 condition|131 input_recovered 0 (health)|"
         "131 switch_refused ->0 failback 400 ms (failback_stable)|131 redundancy_regained 2|"
         "531 switch_decided 1>0 failback|531 switch_armed 1>0|"
         "532 input_failover 1>0 failback|532 first_packet 0 stall 1|");
    end(engine);
}

static void rules(void) {
    changeover_engine_config config = policy();
    changeover_health_config health = changeover_health_config_init();
    health.bitrate_min_kbps = 500; /* 1000 flow */
    health.bitrate_hold_ms = 200;
    health.bitrate_clear_ms = 200;
    health.loss_max_percent = 10;
    health.loss_hold_ms = 100;
    health.loss_clear_ms = 100;
    config.health = &health;
    changeover_engine engine = begin(&config, 2);
    deliver(engine, 2000, 3);
    told("0 input_started 0|0 input_started 1|1 first_packet 0|");
    /* A third of it: too little. */
    for (int i = 0; i < 1500; i++) {
        deliver(engine, 1, i % 3 == 0 ? 3 : 2);
        if (i == 1499)
            told("3001 input_impaired 0 bitrate 340 of 500 (bitrate 340 kbps < 500 kbps)|"
                 "3001 switch_decided 0>1 bitrate|3001 switch_armed 0>1|"
                 "3001 input_failover 0>1 bitrate (bitrate 340 kbps < 500 kbps)|"
                 "3001 first_packet 1 stall 0|"
                 "3001 input_degraded 0 bitrate (bitrate 340 kbps < 500 kbps)|3001 redundancy_lost 1|");
    }
    deliver(engine, 2000, 3);
    told("4001 input_cleared 0 bitrate|4001 input_recovered 0 (health)|"
         "4001 switch_refused ->0 failback 400 ms (failback_stable)|"
         "4001 redundancy_regained 2|4401 switch_decided 1>0 failback|4401 switch_armed 1>0|"
         "4402 input_failover 1>0 failback|4402 first_packet 0 stall 1|");
    one.lost = 1;
    deliver(engine, 1, 1);
    one.lost = 0;
    for (int i = 0; i < 500; i++) {
        one.lost = 1;
        deliver(engine, 1, 1);
        one.lost = 0;
        EQUAL(changeover_record(at[SPARE], &one) < 0, 0);
    }
    told("5801 input_impaired 0 loss 22.4806 of 10 (loss 22.5% > 10.0%)|"
         "5801 switch_decided 0>1 loss|5801 switch_armed 0>1|"
         "5801 input_failover 0>1 loss (loss 22.5% > 10.0%)|5801 first_packet 1 stall 0|"
         "5801 input_degraded 0 loss (loss 22.5% > 10.0%)|5801 redundancy_lost 1|");
    end(engine);
}

static void observe(void) {
    changeover_engine_config config = policy();
    config.observe = CHANGEOVER_OBSERVE_ON;
    changeover_engine engine = begin(&config, 2);
    told("0 input_started 0|0 input_started 1|1 first_packet 0|");
    deliver(engine, 200, 1U << SPARE);
    EQUAL(active(), MAIN);
    EQUAL(changeover_record(at[SPARE], &one), 0);
    told("110 input_degraded 0 timeout (no packet for 100ms (timeout 100ms))|"
         "110 switch_decided 0>1 timeout|"
         "110 switch_refused ->1 timeout (observe: no packet for 100ms (timeout 100ms))|"
         "110 redundancy_lost 1|");
    config.observe = CHANGEOVER_OBSERVE_OFF;
    OK(changeover_set_config(engine, &config));
    deliver(engine, 5, 1U << SPARE);
    EQUAL(active(), SPARE);
    told("210 switch_decided 0>1 timeout|"
         "210 input_failover 0>1 timeout (no packet for 100ms (timeout 100ms))|"
         "211 first_packet 1 stall 201|");
    end(engine);
}

static void a_hold_on_the_dead(void) {
    changeover_engine_config config = policy();
    changeover_engine engine = begin(&config, 2);
    changeover_hold keep = changeover_hold_init();
    keep.when_dead = CHANGEOVER_WHEN_DEAD_KEEP;
    OK(changeover_hold_input(engine, "news", MAIN, &keep, NULL));
    told("0 input_started 0|0 input_started 1|1 first_packet 0|10 hold_set 0 600000 ms|");
    deliver(engine, 500, 1U << SPARE);
    EQUAL(active(), MAIN);
    EQUAL(changeover_is_exhausted(engine, "news"), 0);
    told("110 input_degraded 0 timeout (no packet for 100ms (timeout 100ms))|"
         "110 switch_refused ->1 timeout 599900 ms (held: no packet for 100ms (timeout 100ms))|"
         "110 redundancy_lost 1|");
    OK(changeover_release_hold(engine, "news"));
    EQUAL(active(), SPARE);
    told("510 hold_released 0 (operator)|510 switch_decided 0>1 hold_released|"
         "510 input_failover 0>1 hold_released|");
    end(engine);
}

static void a_stalled_monitor(void) {
    changeover_engine_config config = policy();
    changeover_engine engine = begin(&config, 2);
    told("0 input_started 0|0 input_started 1|1 first_packet 0|");
    OK(changeover_hand_stall(engine, 5000 * MS));
    OK(changeover_hand_advance(engine, 0));
    told("5010 stall 4999 ms|");
    EQUAL(active(), MAIN);
    changeover_engine_stats stats = changeover_engine_stats_init();
    OK(changeover_stats(engine, &stats));
    EQUAL(stats.stalls_total, 1);
    EQUAL(stats.streams, 1);
    end(engine);
}

int main(void) {
    failover_and_failback();
    exhausted_and_restored();
    the_operator();
    a_ticket_that_waits();
    conditions();
    rules();
    observe();
    a_hold_on_the_dead();
    a_stalled_monitor();
    puts("scenarios, hot: ok");
    return 0;
}
