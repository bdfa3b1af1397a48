/* The engine's events as lines of the log. */

#include "events.h"

#include "log.h"

#include <stdio.h>

/* "input 1", or "nothing". */
typedef struct Name {
    char text[24];
} Name;

static Name name_of(int is_there, int32_t priority) {
    Name name = {"nothing"};
    if (is_there)
        snprintf(name.text, sizeof name.text, "input %d", priority);
    return name;
}

void events_log(const changeover_event *event) {
    Name from = name_of(event->fields & CHANGEOVER_EVENT_HAS_FROM, event->from_priority);
    Name to = name_of(event->fields & CHANGEOVER_EVENT_HAS_TO, event->to_priority);
    int input = event->input_priority;
    const char *reason = changeover_reason_name(event->reason);
    const char *why = reason ? reason : "?", *detail = event->detail;
    const char *colon = detail[0] ? ": " : "";
    switch (event->kind) {
    case CHANGEOVER_EVENT_INPUT_DEGRADED:
        log_line("input %d failed (%s)%s%s", input, why, colon, detail);
        break;
    case CHANGEOVER_EVENT_INPUT_IMPAIRED:
        log_line("input %d is impaired (%s)%s%s", input, why, colon, detail);
        break;
    case CHANGEOVER_EVENT_INPUT_CLEARED:
        log_line("input %d is no longer impaired (%s)", input, why);
        break;
    case CHANGEOVER_EVENT_INPUT_RECOVERED:
        log_line("input %d is back (%s)", input, detail);
        break;
    case CHANGEOVER_EVENT_SWITCH_DECIDED:
        log_line("switch from %s to %s decided (%s)", from.text, to.text, why);
        break;
    case CHANGEOVER_EVENT_INPUT_FAILOVER:
        log_line("switch from %s to %s (%s)%s%s", from.text, to.text, why, colon, detail);
        break;
    case CHANGEOVER_EVENT_FIRST_PACKET:
        if (event->fields & CHANGEOVER_EVENT_HAS_STALL)
            log_line("input %d is on the air, %.3f s after the last packet before", input,
                     (double)event->stall_us / 1e6);
        else
            log_line("input %d is on the air", input);
        break;
    case CHANGEOVER_EVENT_SWITCH_REFUSED:
        log_line("no switch to %s yet (%s)%s%s", to.text, why, colon, detail);
        break;
    case CHANGEOVER_EVENT_SWITCH_FAILED:
        log_line("the switch to %s failed (%s)%s%s", to.text, why, colon, detail);
        break;
    case CHANGEOVER_EVENT_OVERRIDE_SET:
        log_line("the operator wants input %d", input);
        break;
    case CHANGEOVER_EVENT_OVERRIDE_CLEARED:
        log_line("the operator's switch to input %d is over (%s)", input, detail);
        break;
    case CHANGEOVER_EVENT_HOLD_SET:
        log_line("the operator holds input %d for %llu s", input,
                 (unsigned long long)event->duration_ms / 1000);
        break;
    case CHANGEOVER_EVENT_HOLD_RELEASED:
        log_line("the hold of input %d is over (%s)", input, detail);
        break;
    case CHANGEOVER_EVENT_EXHAUSTED:
        log_line("NO USABLE INPUT IS LEFT");
        break;
    case CHANGEOVER_EVENT_RESTORED:
        log_line("a usable input is back: input %d", input);
        break;
    case CHANGEOVER_EVENT_REDUNDANCY_LOST:
        log_line("redundancy lost: usable inputs: %u", event->usable_inputs);
        break;
    case CHANGEOVER_EVENT_REDUNDANCY_REGAINED:
        log_line("redundancy regained: usable inputs: %u", event->usable_inputs);
        break;
    case CHANGEOVER_EVENT_STALL:
        /* The engine notes shorter ones, too. */
        if (event->duration_ms >= 100)
            log_line("this machine stalled for %llu ms", (unsigned long long)event->duration_ms);
        break;
    default:
        /* Starts and armed cuts: the inputs and the output say as much. */
        break;
    }
}
