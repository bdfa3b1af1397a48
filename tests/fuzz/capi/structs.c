/* What is given to the library by pointer: most fields plain, any of them absurd. */
#include "fuzz.h"

/* One field in four is something else than 0. */
#define SOME(value) (byte() < 64 ? (value) : 0)

static const changeover_health_config *health(void) {
    if (byte() < 160)
        return NULL;
    changeover_health_config h = changeover_health_config_init();
    h.step_ms = SOME(milliseconds());
    h.bitrate_min_kbps = SOME(real());
    h.bitrate_min_percent = SOME(real());
    h.bitrate_hold_ms = SOME(milliseconds());
    h.bitrate_clear_ms = SOME(milliseconds());
    h.fps_min = SOME(real());
    h.fps_hold_ms = SOME(milliseconds());
    h.fps_clear_ms = SOME(milliseconds());
    h.loss_max_percent = SOME(real());
    h.loss_hold_ms = SOME(milliseconds());
    h.loss_clear_ms = SOME(milliseconds());
    h.video_silence_ms = SOME(milliseconds());
    h.video_silence_clear_ms = SOME(milliseconds());
    h.silence = SOME(small());
    h.reserved = byte() < 2;
    h.learned_floor_ms = SOME(milliseconds());
    h.learned_ceiling_ms = SOME(milliseconds());
    h.learned_confidence = SOME(real());
    return sized(&h, sizeof h);
}

const changeover_engine_config *engine_config(void) {
    changeover_engine_config c = changeover_engine_config_init();
    c.packet_timeout_ms = SOME(milliseconds());
    c.connect_timeout_ms = SOME(milliseconds());
    c.probe_cooldown_ms = SOME(milliseconds());
    c.probe_timeout_ms = SOME(milliseconds());
    c.stop_timeout_ms = SOME(milliseconds());
    c.failback_cooldown_ms = SOME(milliseconds());
    c.failback_stable_ms = SOME(milliseconds());
    c.error_history = SOME(small());
    c.switch_history = SOME(small());
    c.failback = SOME(small());
    c.cut = SOME(small());
    c.cut_max_wait_ms = SOME(milliseconds());
    c.observe = SOME(small());
    c.reserved = byte() < 2;
    c.health = health();
    return sized(&c, sizeof c);
}

/* So many inputs, each of the size that the first one says (but for one, at times). */
static const changeover_input_config *inputs(size_t *count) {
    static const char *const addresses[] = {"a", "b", "c", ""};
    unsigned many = below(5);
    *count = many;
    if (many == 0)
        return byte() < 128 ? NULL : scratch(0);
    size_t stride = sizeof(changeover_input_config);
    uint8_t how = byte();
    if (how < 8)
        stride += 8;
    uint8_t *all = scratch(many * stride);
    for (unsigned i = 0; i < many; i++) {
        changeover_input_config in = changeover_input_config_init();
        in.size = stride;
        in.priority = byte() < 200 ? (int32_t)i : priority();
        in.hot = SOME(byte() < 250 ? 1u : small());
        in.address = byte() < 200 ? addresses[below(4)] : maybe(text());
        in.packet_timeout_ms = SOME(milliseconds());
        in.connect_timeout_ms = SOME(milliseconds());
        in.health = health();
        /* The first one's size is what every one has. */
        if (i > 0 && byte() < 4)
            in.size = (size_t)number_u();
        memcpy(all + i * stride, &in, sizeof in);
    }
    if (how >= 252) {
        /* More than there are, and than there can be: refused before the second is looked at. */
        *count = SIZE_MAX / stride;
    } else if (how >= 248) {
        all = NULL;
    } else if (how >= 244) {
        /* The first one's size is absurd. */
        size_t says = below(2) ? SIZE_MAX : 4097;
        memcpy(all, &says, sizeof says);
    }
    return (const changeover_input_config *)(const void *)all;
}

const changeover_stream_config *stream_config(void) {
    changeover_stream_config s = changeover_stream_config_init();
    s.id = id();
    s.buffer_write_id = SOME(1) ? maybe(text()) : NULL;
    s.packet_timeout_ms = SOME(milliseconds());
    s.connect_timeout_ms = SOME(milliseconds());
    s.failback_stable_ms = SOME(milliseconds());
    s.failback = SOME(small());
    s.cut = SOME(small());
    s.cut_max_wait_ms = SOME(milliseconds());
    s.observe = SOME(small());
    s.reserved = byte() < 2;
    s.health = health();
    s.inputs = inputs(&s.input_count);
    return sized(&s, sizeof s);
}

const changeover_inputs_update *inputs_update(void) {
    changeover_inputs_update u = changeover_inputs_update_init();
    if (byte() < 128)
        u.added = inputs(&u.added_count);
    if (byte() < 128) {
        u.removed_count = below(4);
        int32_t *removed = scratch(u.removed_count * sizeof *removed);
        for (size_t i = 0; i < u.removed_count; i++)
            removed[i] = priority();
        u.removed = removed;
        uint8_t how = byte();
        if (how < 4)
            u.removed_count = SIZE_MAX;
        else if (how < 8)
            u.removed = NULL;
        else if (how < 12 && u.removed_count > 0)
            /* Not aligned: it is refused. */
            u.removed = (const int32_t *)(const void *)((const char *)removed + 1);
    }
    if (byte() < 128)
        u.updated = inputs(&u.updated_count);
    return sized(&u, sizeof u);
}

const changeover_callbacks *callbacks(void) {
    changeover_callbacks c = changeover_callbacks_init();
    host_callbacks(&c);
    return sized(&c, sizeof c);
}

const changeover_engine_options *engine_options(int hand_driven) {
    changeover_engine_options o = changeover_engine_options_init();
    if (byte() < 64)
        o.config = engine_config();
    if (byte() < 200) {
        changeover_driver d = changeover_driver_init();
        host_driver(&d);
        o.driver = sized(&d, sizeof d);
    }
    if (byte() < 200)
        o.callbacks = callbacks();
    o.metrics_prefix = byte() < 32 ? maybe(text()) : NULL;
    /* Nothing here hangs, so that the default is no wait. A short time could leave calls behind. */
    int64_t timeout = SOME(number());
    o.shutdown_timeout_ms = timeout > 0 && timeout < 20000 ? 0 : timeout;
    o.driver_workers = SOME(small());
    o.max_stuck_calls = SOME(small());
    o.hand_driven = hand_driven ? 1u : 0u;
    o.reserved = byte() < 2;
    return sized(&o, sizeof o);
}

const changeover_hold *hold(void) {
    if (byte() < 64)
        return NULL;
    changeover_hold h = changeover_hold_init();
    h.ttl_ms = milliseconds();
    h.when_dead = SOME(small());
    h.reserved = byte() < 2;
    return sized(&h, sizeof h);
}

const changeover_condition *condition(void) {
    if (byte() < 8)
        return NULL;
    changeover_condition c = changeover_condition_init();
    c.name = byte() < 200 ? "black" : maybe(text());
    c.hold_ms = milliseconds();
    c.clear_ms = milliseconds();
    return sized(&c, sizeof c);
}

changeover_timebase timebase(void) {
    static const changeover_timebase usual[] = {{1, 90000, 33}, {1, 1000, 0}, {1, 90000, 0}, {0, 0, 0}};
    if (byte() < 200)
        return usual[below(4)];
    return (changeover_timebase){(int32_t)number(), (int32_t)number(), small() + 8 * below(10)};
}

const changeover_timeline_options *timeline_options(void) {
    if (byte() < 100)
        return NULL;
    changeover_timeline_options o = changeover_timeline_options_init();
    o.output = timebase();
    o.has_start = SOME(small());
    o.start_dts = number();
    o.max_jump_ms = SOME((uint32_t)number());
    o.by_dts_alone = SOME(small());
    return sized(&o, sizeof o);
}

const changeover_stamps *stamps(void) {
    if (byte() < 8)
        return NULL;
    changeover_stamps s = changeover_stamps_of(number(), number(), SOME(number()));
    if (byte() < 64)
        s.pts = CHANGEOVER_NO_TIMESTAMP;
    if (byte() < 32)
        s.dts = CHANGEOVER_NO_TIMESTAMP;
    return sized(&s, sizeof s);
}

changeover_packet packet(void) {
    changeover_packet p = changeover_packet_of(1316);
    if (byte() < 128) {
        p.bytes = (uint32_t)number();
        p.frames = (uint16_t)number();
        p.lost = (uint16_t)number();
        p.tracks = byte();
        p.keyframe = byte();
        memset(p.reserved, byte(), sizeof p.reserved);
    }
    return p;
}

const char *json(void) {
    static const char *const pieces[] = {
        "{", "}", "[", "]", ":", ",", "\"id\"", "\"news\"", "\"inputs\"", "\"priority\"", "\"hot\"",
        "true", "1", "-1", "1e999", "null", "\"address\"", "\"a\"", "\"packet_timeout_ms\"", "200",
        "\"cut\"", "{\"keyframe\":{}}", "\"failback\"", "\"never\"", "\"added\"", "\"removed\"",
        "\"updated\"", "\"health\"", "{\"silence\":{\"learned\":{}}}", "\"observe\"",
        "9223372036854775807", "\"\\ud800\"",
    };
    static const char *const whole[] = {
        "{}",
        "{\"id\":\"news\",\"inputs\":[{\"priority\":0,\"hot\":true,\"address\":\"a\"},{\"priority\":1}]}",
        "{\"id\":\"cold\",\"packet_timeout_ms\":200,\"inputs\":[{\"priority\":0},{\"priority\":1}]}",
        "{\"added\":[{\"priority\":3,\"hot\":true}],\"removed\":[1],\"updated\":[{\"priority\":0}]}",
        "{\"packet_timeout_ms\":500,\"cut\":{\"keyframe\":{\"max_wait_ms\":20}},\"failback\":\"never\"}",
    };
    uint8_t how = byte();
    if (how < 8)
        return NULL;
    if (how < 128)
        return whole[how % 5];
    if (how < 160)
        return text();
    /* Pieces in any order. */
    char *made = scratch(1024);
    for (unsigned n = below(24); n > 0; n--)
        strcat(made, pieces[below(32)]);
    return made;
}
