/* The calls of packets, and of what is opened on an engine. */
#include "fuzz.h"

#define HANDLE(type, value) ((changeover_##type){value})
#define PLACE(at) (byte() < 8 ? NULL : (at))
#define WITH(kind, raw, most, name, ...)                                  \
    (before_call(), answer = name(__VA_ARGS__), judge(#name, answer, most), \
     answered(#name, kind, raw, answer), sweep())
/* A call of packets: its code is the answer alone. */
#define RECORD(raw, name, ...)                                      \
    (before_call(), verdict = name(__VA_ARGS__), judge_packet(#name, verdict), \
     answered(#name, RECORDER, raw, verdict), sweep())

static char *const UNTOUCHED = (char *)(uintptr_t)0x5a5a;

static void batch(uint64_t raw, changeover_recorder recorder) {
    int64_t verdict;
    size_t count = below(8);
    changeover_packet *packets = scratch(count * sizeof *packets);
    for (size_t i = 0; i < count; i++)
        packets[i] = packet();
    int64_t *verdicts = byte() < 128 ? scratch(count * sizeof *verdicts) : NULL;
    uint8_t how = byte();
    if (how < 4)
        RECORD(raw, changeover_record_batch, recorder, NULL, count, verdicts);
    else if (how < 8)
        /* So many there cannot be: refused, and nothing is looked at. */
        RECORD(raw, changeover_record_batch, recorder, packets, SIZE_MAX / (how - 3), NULL);
    else
        RECORD(raw, changeover_record_batch, recorder, packets, count, verdicts);
}

void calls_of_packets(uint64_t e) {
    int32_t answer = 0, found = 0, *place = PLACE(&found);
    int64_t verdict;
    uint64_t raw = handle(RECORDER), of = e, number = 0, *to = PLACE(&number);
    changeover_recorder recorder = HANDLE(recorder, raw), made = {0}, *out = PLACE(&made);
    changeover_packet what = packet();
    const changeover_packet *given_packet = PLACE(&what);
    char *words = UNTOUCHED, **text_to = PLACE(&words);
    switch (byte() & 15) {
    case 0:
    case 1: {
        uint64_t epoch = byte() < 200 ? 0 : number_u();
        WITH(ENGINE, e, 0, changeover_recorder_open, HANDLE(engine, e), id(), priority(), epoch, out);
        break;
    }
    case 2:
        of = engine_of(raw, e);
        WITH(RECORDER, raw, 0, changeover_recorder_sibling, recorder, out);
        break;
    case 3:
        WITH(RECORDER, raw, 0, changeover_recorder_close, recorder);
        if (answer == 0)
            closed(raw);
        break;
    case 4:
        WITH(RECORDER, raw, 0, changeover_recorder_epoch, recorder, to);
        break;
    case 5:
        WITH(RECORDER, raw, 0, changeover_recorder_priority, recorder, place);
        break;
    case 6:
        WITH(RECORDER, raw, 0, changeover_recorder_stream, recorder, text_to);
        given("changeover_recorder_stream", answer, words, 0);
        break;
    case 7:
        WITH(RECORDER, raw, 0, changeover_recorder_report_error, recorder, maybe(text()));
        break;
    case 8:
    case 9:
        RECORD(raw, changeover_record, recorder, given_packet);
        break;
    case 10:
        RECORD(raw, changeover_record_bytes, recorder, (uint32_t)number_u());
        break;
    case 11:
        batch(raw, recorder);
        break;
    case 12:
        RECORD(raw, changeover_record_precise, recorder, given_packet);
        break;
    case 13:
        RECORD(raw, changeover_record_at, recorder, given_packet, number_u());
        break;
    default:
        before_call();
        verdict = changeover_record_packet(HANDLE(engine, e), id(), priority());
        if (verdict != CHANGEOVER_STALE)
            judge("changeover_record_packet", verdict, UINT32_MAX);
        answered("changeover_record_packet", ENGINE, e, verdict);
        sweep();
        break;
    }
    if (made.raw != 0) {
        if (answer < 0)
            broken("a recorder", "it was written though the call failed", answer);
        /* One that was opened from another ends with the other's engine. */
        opened(RECORDER, made.raw, of);
    }
}

static void events(uint64_t e) {
    int32_t answer;
    uint64_t raw = handle(EVENTS), dropped, *to = PLACE(&dropped);
    changeover_events queue = HANDLE(events, raw), made = {0}, *out = PLACE(&made);
    char *words = UNTOUCHED, **text_to = PLACE(&words);
    switch (byte() & 7) {
    case 0: {
        size_t capacity = below(2) ? 0 : byte();
        WITH(ENGINE, e, 0, changeover_events_open, HANDLE(engine, e), capacity, out);
        if (answer == 0)
            opened(EVENTS, made.raw, e);
        break;
    }
    case 1:
        WITH(EVENTS, raw, 0, changeover_events_close, queue);
        if (answer == 0)
            closed(raw);
        break;
    case 2:
        WITH(EVENTS, raw, INT32_MAX, changeover_events_fd, queue);
        break;
    case 3:
        WITH(EVENTS, raw, 1, changeover_events_next, queue, room(sizeof(changeover_event)));
        break;
    case 4:
        WITH(EVENTS, raw, 1, changeover_events_wait, queue, 0, room(sizeof(changeover_event)));
        break;
    case 5:
        WITH(EVENTS, raw, 0, changeover_events_dropped, queue, to);
        break;
    default:
        WITH(EVENTS, raw, 1, changeover_events_next_json, queue, text_to);
        given("changeover_events_next_json", answer, words, 1);
        break;
    }
}

static void timelines(uint64_t e) {
    int32_t answer;
    uint64_t raw = handle(TIMELINE);
    changeover_timeline timeline = HANDLE(timeline, raw), made = {0}, *out = PLACE(&made);
    int64_t value, *to = PLACE(&value);
    uint32_t cut = byte() < 200 ? 1u + below(3) : (uint32_t)number();
    switch (byte() & 7) {
    case 0:
        WITH(ENGINE, e, 0, changeover_timeline_open, HANDLE(engine, e), timeline_options(), out);
        if (answer == 0)
            opened(TIMELINE, made.raw, e);
        break;
    case 1:
        WITH(TIMELINE, raw, 0, changeover_timeline_close, timeline);
        if (answer == 0)
            closed(raw);
        break;
    case 2:
        WITH(TIMELINE, raw, 0, changeover_timeline_restart, timeline);
        break;
    case 3:
        WITH(TIMELINE, raw, 1, changeover_timeline_pcr, timeline, cut, small(), number(), to);
        break;
    default: {
        const changeover_stamps *in = stamps();
        /* In and out may be the same. */
        changeover_stamps *place = in != NULL && below(4) == 0 ? (changeover_stamps *)(uintptr_t)in
                                                               : room(sizeof *in);
        WITH(TIMELINE, raw, CHANGEOVER_MAPPED_STALE, changeover_timeline_map, timeline, cut, small(),
             timebase(), in, place);
        break;
    }
    }
}

static void eyes(uint64_t e) {
    int32_t answer;
    uint64_t raw = handle(EYES);
    changeover_eyes look = HANDLE(eyes, raw), made = {0}, *out = PLACE(&made);
    switch (byte() & 3) {
    case 0:
        WITH(ENGINE, e, 0, changeover_eyes_open, HANDLE(engine, e), small(), out);
        if (answer == 0)
            opened(EYES, made.raw, e);
        break;
    case 1:
        WITH(EYES, raw, 0, changeover_eyes_close, look);
        if (answer == 0)
            closed(raw);
        break;
    default: {
        size_t packets = below(3), len = packets * 188 + (byte() < 32 ? byte() : 0);
        uint8_t *datagram = scratch(len), how = byte();
        for (size_t i = 0; i < len; i++)
            datagram[i] = i % 188 == 0 ? 0x47 : i % 188 < 32 ? byte() : 0xff;
        if (how < 8)
            datagram = NULL;
        else if (how < 16)
            len = SIZE_MAX - how;
        WITH(EYES, raw, 1, changeover_eyes_look, look, datagram, len, room(sizeof(changeover_sight)));
        break;
    }
    }
}

static void names(void) {
    uint32_t number = small() + below(24);
    const char *reason = changeover_reason_name(number);
    const char *event = changeover_event_name(number);
    const char *status = changeover_status_name(number);
    if ((reason != NULL) != (number >= 1 && number <= CHANGEOVER_REASON_HOLD_RELEASED) ||
        (event != NULL) != (number >= 1 && number <= CHANGEOVER_EVENT_STALL) ||
        (status != NULL) != (number <= CHANGEOVER_STATUS_STOPPED))
        broken("names", "of what is none, or none", number);
    changeover_string_free(NULL);
}

void calls_of_objects(uint64_t e) {
    switch (byte() & 7) {
    case 0:
    case 1:
    case 2:
        events(e);
        break;
    case 3:
    case 4:
        timelines(e);
        break;
    case 5:
    case 6:
        eyes(e);
        break;
    default:
        names();
        break;
    }
}
