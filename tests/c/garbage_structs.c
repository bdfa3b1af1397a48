/* Every struct that begins with its size, with sizes that are none, and with larger ones: what
 * this library does not know of must be zero, and is zero in results. */
#include "check.h"

static changeover_engine engine; /* by hand: "news" with inputs 0 and 1 */
static changeover_events events;
static changeover_timeline timeline;
static changeover_eyes eyes;

static int32_t create_with(const changeover_engine_options *options) {
    changeover_engine made = {77};
    int32_t answer = changeover_engine_create(options, &made);
    if (answer < 0)
        EQUAL(made.raw, 77);
    else
        OK(changeover_engine_destroy(made, NULL));
    return answer;
}

static int32_t use_options(void *at) {
    return create_with(at);
}

static int32_t use_config(void *at) {
    changeover_engine_options options = changeover_engine_options_init();
    options.hand_driven = 1;
    options.config = at;
    int32_t answer = create_with(&options);
    EQUAL(changeover_set_config(engine, at), answer);
    return answer;
}

static int destroyed;

static void destroy(void *user_data) {
    CHECK(user_data == &destroyed);
    destroyed++;
}

static int32_t use_driver(void *at) {
    changeover_engine_options options = changeover_engine_options_init();
    options.hand_driven = 1;
    options.driver = at;
    destroyed = 0;
    int32_t answer = create_with(&options);
    EQUAL(destroyed, answer < 0 ? 0 : 1);
    return answer;
}

static int32_t use_callbacks(void *at) {
    changeover_engine_options options = changeover_engine_options_init();
    options.hand_driven = 1;
    options.callbacks = at;
    destroyed = 0;
    int32_t answer = create_with(&options);
    EQUAL(destroyed, answer < 0 ? 0 : 1);
    EQUAL(changeover_set_callbacks(engine, at), answer);
    EQUAL(destroyed, answer < 0 ? 0 : 1);
    OK(changeover_set_callbacks(engine, NULL));
    EQUAL(destroyed, answer < 0 ? 0 : 2);
    return answer;
}

static int32_t use_stream(void *at) {
    int32_t answer = changeover_register(engine, at);
    EQUAL(changeover_is_registered(engine, "more"), answer < 0 ? 0 : 1);
    if (answer >= 0)
        OK(changeover_unregister(engine, "more"));
    return answer;
}

static changeover_stream_config more(void) {
    changeover_stream_config stream = changeover_stream_config_init();
    stream.id = "more";
    return stream;
}

static int32_t use_input(void *at) {
    changeover_stream_config stream = more();
    stream.inputs = at;
    stream.input_count = 1;
    return use_stream(&stream);
}

static int32_t use_update(void *at) {
    return changeover_update_inputs(engine, "news", at);
}

static int32_t use_health(void *at) {
    changeover_engine_config config = changeover_engine_config_init();
    config.health = at;
    int32_t answer = use_config(&config);
    changeover_stream_config stream = more();
    stream.health = at;
    EQUAL(use_stream(&stream), answer);
    changeover_input_config input = input_of(0, 1, "a");
    input.health = at;
    EQUAL(use_input(&input), answer);
    return answer;
}

static int32_t use_hold(void *at) {
    changeover_ticket ticket = {77};
    int32_t answer = changeover_hold_input(engine, "news", 0, at, &ticket);
    if (answer < 0)
        EQUAL(ticket.raw, 77);
    else
        OK(changeover_ticket_close(ticket));
    return answer;
}

static int32_t use_condition(void *at) {
    return changeover_raise_condition(engine, "news", 0, at);
}

static int32_t use_timeline_options(void *at) {
    changeover_timeline made = {77};
    int32_t answer = changeover_timeline_open(engine, at, &made);
    if (answer < 0)
        EQUAL(made.raw, 77);
    else
        OK(changeover_timeline_close(made));
    return answer;
}

static const changeover_timebase base = {1, 1000, 0};

static int32_t use_stamps(void *at) {
    changeover_stamps out = changeover_stamps_init();
    return changeover_timeline_map(timeline, 1, 0, base, at, &out);
}

static int32_t to_stamps(void *at) {
    static int64_t dts = 1000;
    changeover_stamps in = changeover_stamps_of(dts, dts, 40);
    dts += 40;
    return changeover_timeline_map(timeline, 1, 1, base, &in, at);
}

static int32_t to_stats(void *at) {
    return changeover_stats(engine, at);
}

static int32_t to_status(void *at) {
    return changeover_status(engine, "news", at);
}

static int32_t to_health(void *at) {
    return changeover_input_health_of(engine, "news", 1, at);
}

static int32_t to_event(void *at) {
    return changeover_events_next(events, at);
}

static int32_t to_event_waiting(void *at) {
    return changeover_events_wait(events, 0, at);
}

static int32_t to_sight(void *at) {
    uint8_t datagram[188] = {0x47, 0x1F, 0xFF, 0x10};
    return changeover_eyes_look(eyes, datagram, sizeof datagram, at);
}

enum { ROOM = 8192 };
static _Alignas(16) unsigned char room[ROOM], copy[ROOM];

/* Puts the struct into the room, saying this size, with `tail` behind what we know. */
static void put(const void *good, size_t known, size_t says, unsigned char tail) {
    memset(room, 0, sizeof room);
    memcpy(room, good, known);
    memcpy(room, &says, sizeof says);
    if (tail && says > known && says <= ROOM)
        room[says - 1] = tail;
    memcpy(copy, room, sizeof room);
}

/* `abi0` is what the struct had in ABI 0 (64 bits): programs of that time go on working. */
static void bad_sizes(const char *name, int32_t (*use)(void *), const void *good, size_t known,
                      size_t abi0) {
    const size_t bad[] = {0, 1, 7, abi0 - 1, abi0 / 2, 4097, SIZE_MAX, (size_t)1 << 40};
    check_step = name;
    CHECK(known >= abi0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put(good, known, bad[i], 0);
        REFUSED(CHANGEOVER_BAD_STRUCT, use(room));
        CHECK(strstr(changeover_last_error_text(), name) != NULL);
        CHECK(memcmp(room, copy, sizeof room) == 0);
    }
    put(good, abi0, abi0, 0);
    memset(room + abi0, 0xEE, ROOM - abi0);
    CHECK(use(room) >= 0);
    for (size_t at = abi0; at < ROOM; at++)
        EQUAL(room[at], 0xEE);
    put(good, known, known, 0);
    CHECK(use(room) >= 0);
}

static const size_t larger[] = {1, 3, 8, 64};

/* The caller tells us something. */
static void input(const char *name, int32_t (*use)(void *), const void *good, size_t known,
                  size_t abi0) {
    bad_sizes(name, use, good, known, abi0);
    for (size_t i = 0; i < sizeof larger / sizeof *larger; i++) {
        put(good, known, known + larger[i], 0);
        CHECK(use(room) >= 0);
        put(good, known, known + larger[i], 1);
        REFUSED(CHANGEOVER_BAD_STRUCT, use(room));
    }
    put(good, known, 4096, 0);
    CHECK(use(room) >= 0);
    put(good, known, 4096, 0x80);
    REFUSED(CHANGEOVER_BAD_STRUCT, use(room));
    CHECK(memcmp(room, copy, sizeof room) == 0);
    check_step = "";
}

/* We tell the caller something. */
static void output(const char *name, int32_t (*use)(void *), const void *good, size_t known,
                   size_t abi0) {
    bad_sizes(name, use, good, known, abi0);
    for (size_t i = 0; i < sizeof larger / sizeof *larger; i++) {
        size_t says = known + larger[i], said;
        put(good, known, says, 0x80);
        memset(room + known, 0xEE, ROOM - known);
        CHECK(use(room) >= 0);
        memcpy(&said, room, sizeof said);
        EQUAL(said, says);
        for (size_t at = known; at < says; at++)
            EQUAL(room[at], 0);
        EQUAL(room[says], 0xEE);
    }
    check_step = "";
}

#define INPUT(type, use, good, abi0) input(#type, use, &(good), sizeof(type), abi0)
#define OUTPUT(type, use, abi0)    \
    do {                           \
        type good = type##_init(); \
        output(#type, use, &good, sizeof good, abi0); \
    } while (0)

/* Structs in an array have one size, and it is the step from one to the next. */
static void arrays(void) {
    struct {
        changeover_input_config known;
        uint64_t more;
    } newer[3] = {{input_of(4, 1, "a"), 0}, {input_of(5, 1, "b"), 0}, {input_of(6, 1, "c"), 0}};
    for (int i = 0; i < 3; i++)
        newer[i].known.size = sizeof newer[i];
    changeover_stream_config stream = more();
    stream.inputs = &newer[0].known;
    stream.input_count = 3;
    EQUAL(changeover_register(engine, &stream), 0);
    changeover_stream_status status = changeover_stream_status_init();
    OK(changeover_status(engine, "more", &status));
    EQUAL(status.input_count, 3);
    OK(changeover_unregister(engine, "more"));
    newer[2].more = 1;
    REFUSED(CHANGEOVER_BAD_STRUCT, use_stream(&stream));
    newer[2].more = 0;
    newer[1].known.size = sizeof(changeover_input_config);
    REFUSED(CHANGEOVER_BAD_STRUCT, use_stream(&stream));
    changeover_inputs_update update = changeover_inputs_update_init();
    update.added = stream.inputs;
    update.added_count = 2;
    REFUSED(CHANGEOVER_BAD_STRUCT, changeover_update_inputs(engine, "news", &update));
    update.updated = update.added;
    update.added = NULL;
    update.added_count = 0;
    update.updated_count = 2;
    REFUSED(CHANGEOVER_BAD_STRUCT, changeover_update_inputs(engine, "news", &update));
}

int main(void) {
    engine = by_hand(NULL, NULL, NULL);
    OK(register_inputs(engine, "news", 2, 1));
    OK(changeover_events_open(engine, 0, &events));
    OK(changeover_timeline_open(engine, NULL, &timeline));
    OK(changeover_eyes_open(engine, CHANGEOVER_EYES_MPEGTS, &eyes));

    changeover_engine_options options = changeover_engine_options_init();
    options.hand_driven = 1;
    changeover_engine_config config = changeover_engine_config_init();
    changeover_health_config health = changeover_health_config_init();
    changeover_driver driver = changeover_driver_init();
    driver.user_data = &destroyed;
    driver.destroy = destroy;
    changeover_callbacks callbacks = changeover_callbacks_init();
    callbacks.user_data = &destroyed;
    callbacks.destroy = destroy;
    changeover_stream_config stream = more();
    changeover_input_config one = input_of(0, 1, "a");
    changeover_inputs_update update = changeover_inputs_update_init();
    changeover_hold hold = changeover_hold_init();
    changeover_condition condition = changeover_condition_init();
    condition.name = "black";
    changeover_timeline_options timeline_options = changeover_timeline_options_init();
    changeover_stamps stamps = changeover_stamps_of(CHANGEOVER_NO_TIMESTAMP, 5, 0);

    INPUT(changeover_engine_options, use_options, options, 64);
    INPUT(changeover_engine_config, use_config, config, 104);
    INPUT(changeover_health_config, use_health, health, 144);
    INPUT(changeover_driver, use_driver, driver, 64);
    INPUT(changeover_callbacks, use_callbacks, callbacks, 56);
    INPUT(changeover_stream_config, use_stream, stream, 96);
    INPUT(changeover_input_config, use_input, one, 48);
    INPUT(changeover_inputs_update, use_update, update, 56);
    INPUT(changeover_hold, use_hold, hold, 24);
    INPUT(changeover_condition, use_condition, condition, 32);
    INPUT(changeover_timeline_options, use_timeline_options, timeline_options, 40);
    INPUT(changeover_stamps, use_stamps, stamps, 32);

    /* Enough events to take out. */
    for (uint32_t i = 0; i < 40; i++)
        OK(changeover_set_input_enabled(engine, "news", 1, i & 1));
    OUTPUT(changeover_engine_stats, to_stats, 104);
    OUTPUT(changeover_stream_status, to_status, 72);
    OUTPUT(changeover_input_health, to_health, 400);
    OUTPUT(changeover_event, to_event, 504);
    OUTPUT(changeover_event, to_event_waiting, 504);
    OUTPUT(changeover_stamps, to_stamps, 32);
    OUTPUT(changeover_sight, to_sight, 88);

    arrays();
    OK(changeover_engine_destroy(engine, NULL));
    puts("sizes: ok");
    return 0;
}
