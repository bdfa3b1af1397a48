/* The engine with its inputs, its output and its driver, from the beginning to the end. */

#include "relay.h"

#include "events.h"
#include "log.h"

#include <string.h>

enum {
    STOP_TIMEOUT_MS = 4000, /* the interrupt callback ends most calls in 100 ms */
    MAX_KEYFRAME_WAIT_MS = 10000,
};

static Input *input_of(Relay *relay, int32_t priority) {
    int is_one = priority >= 0 && priority < relay->options->input_count;
    return is_one ? &relay->inputs[priority] : NULL;
}

static int32_t on_start(const changeover_driver_call *call, void *user_data) {
    Input *input = input_of(user_data, call->input_priority);
    if (!input)
        return CHANGEOVER_ANSWER_FAILED;
    input_run(input, call->epoch, call->answer);
    return CHANGEOVER_ANSWER_LATER;
}

static int32_t on_probe(const changeover_driver_call *call, void *user_data) {
    Input *input = input_of(user_data, call->input_priority);
    if (!input)
        return CHANGEOVER_ANSWER_FAILED;
    input_probe(input, call->answer);
    return CHANGEOVER_ANSWER_LATER;
}

static void on_stop(const changeover_driver_call *call, void *user_data) {
    Input *input = input_of(user_data, call->input_priority);
    if (input)
        input_stop(input, call->epoch, STOP_TIMEOUT_MS);
}

static void on_event(changeover_engine engine, const changeover_event *event, void *user_data) {
    (void)engine, (void)user_data;
    events_log(event);
}

static int is_quitting(void *opaque) {
    return atomic_load((atomic_int *)opaque);
}

static int create_engine(Relay *relay) {
    const Options *options = relay->options;
    changeover_engine_config config = changeover_engine_config_init();
    config.packet_timeout_ms = options->timeout_ms;
    config.connect_timeout_ms = options->connect_timeout_ms;
    config.probe_cooldown_ms = options->probe_every_ms;
    config.probe_timeout_ms = options->connect_timeout_ms;
    config.failback_cooldown_ms = options->cooldown_ms;
    config.failback_stable_ms = options->stable_ms;
    config.failback =
        options->never_back ? CHANGEOVER_FAILBACK_NEVER : CHANGEOVER_FAILBACK_AUTOMATIC;
    config.cut = options->is_immediate ? CHANGEOVER_CUT_IMMEDIATE : CHANGEOVER_CUT_KEYFRAME;
    config.cut_max_wait_ms = MAX_KEYFRAME_WAIT_MS;
    changeover_driver driver = changeover_driver_init();
    driver.user_data = relay;
    driver.start = on_start;
    driver.stop = on_stop;
    driver.probe = on_probe;
    changeover_callbacks callbacks = changeover_callbacks_init();
    callbacks.on_event = on_event;
    changeover_engine_options all = changeover_engine_options_init();
    all.config = &config;
    all.driver = options->is_hot ? NULL : &driver;
    all.callbacks = &callbacks;
    return changeover_engine_create(&all, &relay->engine);
}

static int register_stream(Relay *relay) {
    const Options *options = relay->options;
    changeover_input_config inputs[MAX_INPUTS];
    for (int n = 0; n < options->input_count; n++) {
        inputs[n] = changeover_input_config_init();
        inputs[n].priority = n;
        inputs[n].hot = (uint32_t)options->is_hot;
        inputs[n].address = relay->inputs[n].config.url;
    }
    changeover_stream_config stream = changeover_stream_config_init();
    stream.id = RELAY_STREAM;
    stream.inputs = inputs;
    stream.input_count = (size_t)options->input_count;
    return changeover_register(relay->engine, &stream);
}

int relay_start(Relay *relay, const Options *options) {
    memset(relay, 0, sizeof *relay);
    atomic_init(&relay->quit, 0);
    relay->options = options;
    if (create_engine(relay) < 0) {
        log_line("engine: %s", changeover_last_error_text());
        return EXIT_ENGINE;
    }
    OutputConfig output = {
        .url = options->output,
        .format = options->output_format,
        .options = options->output_options,
        .keep_holes = options->keep_holes,
        .abandoned = is_quitting,
        .opaque = &relay->quit,
    };
    if (output_open(&relay->output, &output, relay->engine) < 0) {
        changeover_engine_destroy(relay->engine, NULL);
        return EXIT_OUTPUT;
    }
    relay->shared = (Inputs){
        .engine = relay->engine,
        .stream = RELAY_STREAM,
        .output = relay->output,
        .connect_timeout_us = options->connect_timeout_ms * 1000,
        .is_hot = options->is_hot,
        .quit = &relay->quit,
    };
    for (int n = 0; n < options->input_count; n++) {
        Input *input = &relay->inputs[n];
        input->shared = &relay->shared;
        input->config = options->inputs[n];
        input->number = n;
        input_init(input);
    }
    /* First: a hot input's thread opens a recorder of it. The engine's wishes may come before the
     * threads that fulfil them. */
    int error = register_stream(relay);
    if (error < 0)
        log_line("engine: %s", changeover_last_error_text());
    for (int n = 0; n < options->input_count && error >= 0; n++) {
        int failed = input_start(&relay->inputs[n]);
        if (failed) {
            log_line("input %d: no thread: %s", n, strerror(failed));
            error = -failed;
        }
    }
    if (error >= 0)
        return EXIT_AS_ASKED;
    relay_end(relay);
    return EXIT_ENGINE;
}

int relay_end(Relay *relay) {
    atomic_store(&relay->quit, 1);
    int hung = 0;
    for (int n = 0; n < relay->options->input_count; n++) {
        if (!input_join(&relay->inputs[n], STOP_TIMEOUT_MS)) {
            log_line("input %d: hangs, and is left", n);
            hung = 1;
        }
    }
    OutputTotals totals = output_totals(relay->output);
    if (hung) {
        /* Its thread may still use everything: only the trailer is safe to write. */
        output_finish(relay->output);
        return EXIT_HUNG;
    }
    changeover_engine_destroy(relay->engine, NULL);
    for (int n = 0; n < relay->options->input_count; n++)
        input_clear(&relay->inputs[n]);
    log_line("%llu packets, %llu bytes in %.3f s; %llu left out",
             (unsigned long long)totals.packets, (unsigned long long)totals.bytes,
             (double)(totals.last_us - totals.first_us) / 1e6,
             (unsigned long long)totals.dropped);
    int error = output_close(&relay->output);
    if (error < 0)
        return EXIT_OUTPUT;
    return totals.packets > 0 ? EXIT_AS_ASKED : EXIT_NOTHING;
}
