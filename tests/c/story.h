/* What an engine tells, as one text: the scenarios compare with it. */
#ifndef STORY_H
#define STORY_H

#include "check.h"

static const char *const event_names[] = {
    "none",             "input_degraded",    "input_impaired",     "input_cleared",
    "input_recovered",  "input_started",     "switch_decided",     "input_failover",
    "switch_armed",     "first_packet",      "switch_refused",     "switch_failed",
    "override_set",     "override_cleared",  "hold_set",           "hold_released",
    "exhausted",        "restored",          "redundancy_lost",    "redundancy_regained",
    "stall",
};

static char story[1 << 16];
static size_t story_length;
static changeover_events story_events;
static changeover_engine story_engine;

#define SAY(...)                                                                          \
    do {                                                                                  \
        int said_ = snprintf(story + story_length, sizeof story - story_length, __VA_ARGS__); \
        CHECK(said_ >= 0 && story_length + (size_t)said_ < sizeof story);                 \
        story_length += (size_t)said_;                                                    \
    } while (0)

/* One event: `at_us kind from>to input reason fields`. */
static void say_event(const changeover_event *event) {
    CHECK(event->kind >= 1 && event->kind <= CHANGEOVER_EVENT_STALL);
    SAY("%g %s", (double)event->at_ns / 1e6, event_names[event->kind]);
    if (event->fields & CHANGEOVER_EVENT_HAS_TO) {
        if (event->fields & CHANGEOVER_EVENT_HAS_FROM)
            SAY(" %d>%d", event->from_priority, event->to_priority);
        else
            SAY(" ->%d", event->to_priority);
    }
    if (event->fields & CHANGEOVER_EVENT_HAS_INPUT)
        SAY(" %d", event->input_priority);
    if (event->reason)
        SAY(" %s", changeover_reason_name(event->reason));
    if (event->kind == CHANGEOVER_EVENT_REDUNDANCY_LOST ||
        event->kind == CHANGEOVER_EVENT_REDUNDANCY_REGAINED)
        SAY(" %u", event->usable_inputs);
    if (event->fields & CHANGEOVER_EVENT_HAS_STALL)
        SAY(" stall %g", (double)event->stall_us / 1e3);
    if (event->fields & CHANGEOVER_EVENT_HAS_ALIGNED)
        SAY(" aligned %u", event->aligned);
    if (event->keyframe)
        SAY(" keyframe");
    if (event->duration_ms)
        SAY(" %" PRIu64 " ms", event->duration_ms);
    if (event->limit != 0)
        SAY(" %g of %g", event->value, event->limit);
    if (*event->detail)
        SAY(" (%s)", event->detail);
    SAY("|");
}

/* What has happened since the last time is this. */
static void story_is(const char *file, int line, const char *should) {
    changeover_event event = changeover_event_init();
    uint64_t id = 0;
    while (changeover_events_next(story_events, &event) == 1) {
        CHECK(event.id > id);
        id = event.id;
        say_event(&event);
    }
    if (getenv("STORY_WRITE") != NULL && strcmp(should, "?") == 0)
        printf("STORY %s:%d %s\n", file, line, story);
    else
        check_text(file, line, "what is told", story, should);
    story_length = 0;
    *story = 0;
}
#define told(should) story_is(__FILE__, __LINE__, should)

UNUSED static void say_exhausted(changeover_engine engine, const char *stream, void *user_data) {
    (void)user_data;
    EQUAL(engine.raw, story_engine.raw);
    SAY("%s is exhausted|", stream);
}

UNUSED static void say_restored(changeover_engine engine, const char *stream, void *user_data) {
    (void)user_data;
    EQUAL(engine.raw, story_engine.raw);
    SAY("%s is restored|", stream);
}

/* An engine that is driven by hand, and tells. */
static changeover_engine tell(const changeover_engine_config *config,
                              const changeover_driver *driver) {
    story_engine = by_hand(config, driver, NULL);
    changeover_callbacks callbacks = changeover_callbacks_init();
    callbacks.on_exhausted = say_exhausted;
    callbacks.on_restored = say_restored;
    OK(changeover_set_callbacks(story_engine, &callbacks));
    OK(changeover_events_open(story_engine, 0, &story_events));
    story_length = 0;
    *story = 0;
    return story_engine;
}

#endif
