/* Every function of the header with handles that are none: 0, closed, stale, of another kind, of
 * another engine, random. Exact code, outs untouched, last error set. */
#include "check.h"

/* One handle of every kind, by the name of its type. */
typedef struct {
    const char *type;
    uint64_t raw;
} handle;
enum { KINDS = 7 };

/* Where results would go. */
static struct {
    uint64_t number;
    int64_t verdicts[2];
    int32_t priority;
    size_t count;
    char *text;
    changeover_recorder recorder;
    changeover_ticket ticket;
    changeover_events events;
    changeover_timeline timeline;
    changeover_eyes eyes;
    changeover_engine_stats stats;
    changeover_stream_status status;
    changeover_input_health health;
    changeover_event event;
    changeover_stamps stamps;
    changeover_sight sight;
} outs, before;

static changeover_stream_config stream;
static changeover_inputs_update update;
static changeover_engine_config config;
static changeover_callbacks callbacks;
static changeover_hold hold;
static changeover_condition condition;
static changeover_stamps stamps;
static changeover_timebase base = {1, 1000, 0};
static changeover_packet packet;
static const uint8_t datagram[188] = {0x47};

/* Handle type, whether it writes the last error, function, arguments (`h` is the handle). */
#define FUNCTIONS(F)                                                                            \
    F(engine, 1, changeover_engine_destroy, (h, &outs.number))                                  \
    F(engine, 1, changeover_engine_shutdown, (h, &outs.number))                                 \
    F(engine, 1, changeover_set_callbacks, (h, &callbacks))                                     \
    F(engine, 1, changeover_register, (h, &stream))                                             \
    F(engine, 1, changeover_register_json, (h, "{\"id\":\"x\"}"))                               \
    F(engine, 1, changeover_unregister, (h, "news"))                                            \
    F(engine, 1, changeover_unregister_and_wait, (h, "news", 0))                                \
    F(engine, 1, changeover_is_registered, (h, "news"))                                         \
    F(engine, 1, changeover_registered_streams, (h, &outs.text, &outs.count))                   \
    F(engine, 1, changeover_update_inputs, (h, "news", &update))                                \
    F(engine, 1, changeover_update_inputs_json, (h, "news", "{}"))                              \
    F(engine, 1, changeover_update_buffer_write_id, (h, "news", "b"))                           \
    F(engine, 1, changeover_set_config, (h, &config))                                           \
    F(engine, 1, changeover_set_config_json, (h, "{}"))                                         \
    F(engine, 1, changeover_config_json, (h, &outs.text))                                       \
    F(engine, 1, changeover_stats, (h, &outs.stats))                                            \
    F(engine, 1, changeover_metrics_text, (h, &outs.text))                                      \
    F(engine, 1, changeover_now_ns, (h, &outs.number))                                          \
    F(engine, 1, changeover_hand_advance, (h, 1))                                               \
    F(engine, 1, changeover_hand_stall, (h, 1))                                                 \
    F(engine, 1, changeover_hand_run_calls, (h))                                                \
    F(engine, 1, changeover_recorder_open, (h, "news", 0, 0, &outs.recorder))                   \
    F(recorder, 1, changeover_recorder_sibling, (h, &outs.recorder))                            \
    F(recorder, 1, changeover_recorder_close, (h))                                              \
    F(recorder, 1, changeover_recorder_epoch, (h, &outs.number))                                \
    F(recorder, 1, changeover_recorder_priority, (h, &outs.priority))                           \
    F(recorder, 1, changeover_recorder_stream, (h, &outs.text))                                 \
    F(recorder, 1, changeover_recorder_report_error, (h, "why"))                                \
    F(recorder, 0, changeover_record, (h, &packet))                                              \
    F(recorder, 0, changeover_record_bytes, (h, 1316))                                          \
    F(recorder, 0, changeover_record_batch, (h, &packet, 1, outs.verdicts))                     \
    F(recorder, 0, changeover_record_precise, (h, &packet))                                      \
    F(recorder, 0, changeover_record_at, (h, &packet, 1))                                        \
    F(engine, 1, changeover_record_packet, (h, "news", 0))                                      \
    F(engine, 1, changeover_switch_input, (h, "news", 0, &outs.ticket))                         \
    F(engine, 1, changeover_clear_override, (h, "news"))                                        \
    F(engine, 1, changeover_hold_input, (h, "news", 0, &hold, &outs.ticket))                    \
    F(engine, 1, changeover_release_hold, (h, "news"))                                          \
    F(ticket, 1, changeover_ticket_outcome, (h))                                                \
    F(ticket, 1, changeover_ticket_wait, (h, 0))                                                \
    F(ticket, 1, changeover_ticket_close, (h))                                                  \
    F(engine, 1, changeover_raise_condition, (h, "news", 0, &condition))                        \
    F(engine, 1, changeover_clear_condition, (h, "news", 0, "black"))                           \
    F(engine, 1, changeover_report_input_error, (h, "news", 0, 0, "why"))                       \
    F(engine, 1, changeover_set_input_enabled, (h, "news", 0, 1))                               \
    F(engine, 1, changeover_status_json, (h, "news", &outs.text))                               \
    F(engine, 1, changeover_status, (h, "news", &outs.status))                                  \
    F(engine, 1, changeover_active_input, (h, "news", &outs.priority))                          \
    F(engine, 1, changeover_is_exhausted, (h, "news"))                                          \
    F(engine, 1, changeover_input_health_of, (h, "news", 0, &outs.health))                      \
    F(engine, 1, changeover_input_health_json, (h, "news", 0, &outs.text))                      \
    F(engine, 1, changeover_events_open, (h, 0, &outs.events))                                  \
    F(events, 1, changeover_events_close, (h))                                                  \
    F(events, 1, changeover_events_fd, (h))                                                     \
    F(events, 1, changeover_events_next, (h, &outs.event))                                      \
    F(events, 1, changeover_events_wait, (h, 0, &outs.event))                                   \
    F(events, 1, changeover_events_next_json, (h, &outs.text))                                  \
    F(events, 1, changeover_events_dropped, (h, &outs.number))                                  \
    F(engine, 1, changeover_timeline_open, (h, NULL, &outs.timeline))                           \
    F(timeline, 1, changeover_timeline_close, (h))                                              \
    F(timeline, 1, changeover_timeline_map, (h, 1, 0, base, &stamps, &outs.stamps))             \
    F(timeline, 1, changeover_timeline_pcr, (h, 1, 1, 5, &outs.verdicts[0]))                    \
    F(timeline, 1, changeover_timeline_restart, (h))                                            \
    F(engine, 1, changeover_eyes_open, (h, 0, &outs.eyes))                                      \
    F(eyes, 1, changeover_eyes_close, (h))                                                      \
    F(eyes, 1, changeover_eyes_look, (h, datagram, sizeof datagram, &outs.sight))               \
    F(answer_token, 1, changeover_answer, (h, 0, NULL))

#define DEFINE(type, notes, function, arguments)      \
    static int64_t with_##function(uint64_t raw) {    \
        changeover_##type h = {raw};                  \
        return (int64_t)function arguments;           \
    }
FUNCTIONS(DEFINE)

static const struct {
    const char *name, *type;
    int notes;
    int64_t (*call)(uint64_t raw);
} functions[] = {
#define ENTRY(type, notes, function, arguments) {#function, #type, notes, with_##function},
    FUNCTIONS(ENTRY)
};
enum { FUNCTIONS_COUNT = sizeof functions / sizeof *functions };

static uint64_t token;

static int32_t later(const changeover_driver_call *call, void *user_data) {
    (void)user_data;
    token = call->answer.raw;
    return CHANGEOVER_ANSWER_LATER;
}

static void open_all(handle all[KINDS]) {
    changeover_driver driver = changeover_driver_init();
    driver.start = later;
    changeover_engine engine = by_hand(NULL, &driver, NULL);
    OK(register_inputs(engine, "news", 2, 1));
    OK(register_inputs(engine, "cold", 1, 0));
    EQUAL(changeover_hand_run_calls(engine), 1);
    changeover_recorder recorder;
    changeover_ticket ticket;
    changeover_events events;
    changeover_timeline timeline;
    changeover_eyes eyes;
    OK(changeover_recorder_open(engine, "news", 0, 0, &recorder));
    OK(changeover_switch_input(engine, "news", 1, &ticket));
    OK(changeover_events_open(engine, 4, &events));
    OK(changeover_timeline_open(engine, NULL, &timeline));
    OK(changeover_eyes_open(engine, CHANGEOVER_EYES_MPEGTS, &eyes));
    const handle opened[KINDS] = {
        {"engine", engine.raw},     {"recorder", recorder.raw}, {"ticket", ticket.raw},
        {"events", events.raw},     {"timeline", timeline.raw}, {"eyes", eyes.raw},
        {"answer_token", token},
    };
    memcpy(all, opened, sizeof opened);
    for (int i = 0; i < KINDS; i++)
        CHECK(opened[i].raw != 0);
}

/* Where a function has a struct, with its size, that it would write to. */
static void fresh_outs(void) {
    memset(&outs, 0x5A, sizeof outs);
    outs.stats = changeover_engine_stats_init();
    outs.status = changeover_stream_status_init();
    outs.health = changeover_input_health_init();
    outs.event = changeover_event_init();
    outs.stamps = changeover_stamps_init();
    outs.sight = changeover_sight_init();
    memcpy(&before, &outs, sizeof outs);
}

static void refuses(int at, uint64_t raw) {
    check_step = functions[at].name;
    check_other_error(CHANGEOVER_INVALID_HANDLE);
    EQUAL(functions[at].call(raw), CHANGEOVER_INVALID_HANDLE);
    EQUAL(changeover_last_error(),
          functions[at].notes ? CHANGEOVER_INVALID_HANDLE : CHANGEOVER_BAD_ARGUMENT);
    CHECK(memcmp(&outs, &before, sizeof outs) == 0);
    check_step = "";
}

/* What is open. In two slots that have the same history, handles differ by the slot alone. */
static handle living[2 * KINDS];

static int lives(uint64_t raw) {
    for (int k = 0; k < 2 * KINDS; k++)
        if (raw == living[k].raw)
            return 1;
    return 0;
}

static void all_refuse(uint64_t raw) {
    for (int i = 0; i < FUNCTIONS_COUNT; i++)
        refuses(i, raw);
}

/* A living handle, to functions of every other kind; and with single bits changed to all. */
static void of_another_kind(const handle all[KINDS]) {
    for (int k = 0; k < KINDS; k++)
        for (int i = 0; i < FUNCTIONS_COUNT; i++)
            if (strcmp(functions[i].type, all[k].type) != 0)
                refuses(i, all[k].raw);
    for (int k = 0; k < KINDS; k++)
        for (int bit = 0; bit < 64; bit++)
            if (!lives(all[k].raw ^ UINT64_C(1) << bit))
                all_refuse(all[k].raw ^ UINT64_C(1) << bit);
}

static void random_numbers(const handle all[KINDS], int rounds) {
    uint64_t state = 88172645463325252;
    for (int i = 0; i < rounds; i++) {
        uint64_t raw = next_random(&state);
        /* Every second one nearly right: a living handle with some bits turned over. */
        if (i & 1)
            raw = all[i / 2 % KINDS].raw ^ (raw & (raw >> 8) & next_random(&state));
        if (!lives(raw))
            refuses((int)(next_random(&state) % FUNCTIONS_COUNT), raw);
    }
}

/* What the header says of every other function that has no handle. */
static void without_handles(void) {
    EQUAL(changeover_abi_version(), CHANGEOVER_ABI_VERSION);
    EQUAL(changeover_version(), CHANGEOVER_VERSION_NUMBER);
    SAME(changeover_version_text(), CHANGEOVER_VERSION);
    changeover_string_free(NULL);
    uint64_t state = 1;
    for (int i = 0; i < 10000; i++) {
        int32_t code = i < 100 ? 20 - i : (int32_t)next_random(&state);
        CHECK(changeover_strerror(code) != NULL && *changeover_strerror(code) != 0);
        if (code > 0)
            SAME(changeover_strerror(code), "no code of this library");
        uint32_t reason = i < 100 ? (uint32_t)i : (uint32_t)next_random(&state);
        const char *name = changeover_reason_name(reason);
        CHECK((name != NULL) == (reason >= 1 && reason <= CHANGEOVER_REASON_HOLD_RELEASED));
        CHECK((changeover_event_name(reason) != NULL) ==
              (reason >= 1 && reason <= CHANGEOVER_EVENT_STALL));
        CHECK((changeover_status_name(reason) != NULL) == (reason <= CHANGEOVER_STATUS_STOPPED));
    }
}

static void *on_a_new_thread(void *with) {
    (void)with;
    EQUAL(changeover_last_error(), CHANGEOVER_OK);
    SAME(changeover_last_error_text(), "");
    REFUSED(CHANGEOVER_NULL_ARGUMENT, changeover_engine_create(NULL, NULL));
    return NULL;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 200000;
    stream = changeover_stream_config_init();
    stream.id = "other";
    update = changeover_inputs_update_init();
    config = changeover_engine_config_init();
    callbacks = changeover_callbacks_init();
    hold = changeover_hold_init();
    condition = changeover_condition_init();
    condition.name = "black";
    stamps = changeover_stamps_of(0, 0, 40);
    packet = changeover_packet_of(1316);
    fresh_outs();

    without_handles();
    /* Before there was any engine. */
    all_refuse(0);
    all_refuse(UINT64_MAX);
    handle first[KINDS], second[KINDS];
    open_all(first);
    open_all(second);
    memcpy(living, first, sizeof first);
    memcpy(living + KINDS, second, sizeof second);
    all_refuse(0);
    all_refuse(1);
    all_refuse(UINT64_MAX);
    of_another_kind(first);
    of_another_kind(second);
    random_numbers(first, rounds);
    random_numbers(second, rounds);

    /* Last errors are a thread's own; what works does not change them. */
    REFUSED(CHANGEOVER_BAD_ARGUMENT, changeover_answer((changeover_answer_token){0}, 3, NULL));
    pthread_join(start_thread(on_a_new_thread, NULL), NULL);
    EQUAL(changeover_is_registered((changeover_engine){first[0].raw}, "news"), 1);
    EQUAL(changeover_last_error(), CHANGEOVER_BAD_ARGUMENT);
    CHECK(strstr(changeover_last_error_text(), "answer") != NULL);

    /* Closed once; twice; and after others were opened in their places. */
    OK(with_changeover_recorder_close(first[1].raw));
    OK(with_changeover_ticket_close(first[2].raw));
    OK(with_changeover_events_close(first[3].raw));
    OK(with_changeover_timeline_close(first[4].raw));
    OK(with_changeover_eyes_close(first[5].raw));
    OK(with_changeover_answer(first[6].raw));
    for (int k = 1; k < KINDS; k++)
        all_refuse(first[k].raw);
    changeover_engine engine = {first[0].raw};
    OK(changeover_recorder_open(engine, "news", 0, 0, &(changeover_recorder){0}));
    OK(changeover_switch_input(engine, "news", 0, &(changeover_ticket){0}));
    OK(changeover_events_open(engine, 4, &(changeover_events){0}));
    OK(changeover_timeline_open(engine, NULL, &(changeover_timeline){0}));
    OK(changeover_eyes_open(engine, CHANGEOVER_EYES_MPEGTS, &(changeover_eyes){0}));
    for (int k = 1; k < KINDS; k++)
        all_refuse(first[k].raw);

    /* Their engine is gone; and another one is in its place. */
    OK(changeover_engine_destroy((changeover_engine){second[0].raw}, NULL));
    for (int k = 0; k < KINDS; k++)
        all_refuse(second[k].raw);
    OK(changeover_engine_destroy(engine, NULL));
    handle third[KINDS];
    open_all(third);
    for (int k = 0; k < KINDS; k++) {
        all_refuse(first[k].raw);
        all_refuse(second[k].raw);
    }
    OK(changeover_engine_destroy((changeover_engine){third[0].raw}, NULL));
    printf("%d functions, %d random handles: ok\n", FUNCTIONS_COUNT, 2 * rounds);
    return 0;
}
