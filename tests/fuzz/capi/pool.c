/* Every handle that there was in this run: of which kind, and whether it is open. */
#include "fuzz.h"

/* More than one run can open. */
enum { MOST = 1024 };

static struct {
    enum kind kind;
    uint64_t raw, engine;
    int alive, by_hand;
} pool[MOST];
static unsigned count;

void pool_begin(void) {
    count = 0;
}

void opened(enum kind kind, uint64_t raw, uint64_t engine) {
    if (raw == 0)
        broken("open", "the handle is 0", 0);
    for (unsigned i = 0; i < count; i++)
        if (pool[i].raw == raw && kind != ANSWER)
            broken("open", "a handle that was there before", (int64_t)raw);
    if (count == MOST)
        broken("open", "the harness itself", MOST);
    unsigned n = count++;
    pool[n].kind = kind;
    pool[n].raw = raw;
    pool[n].engine = kind == ENGINE ? raw : engine;
    pool[n].alive = 1;
    pool[n].by_hand = 0;
}

uint64_t handle(enum kind kind) {
    uint8_t how = byte();
    unsigned start = byte();
    if (how < 4)
        return 0;
    if (how < 8)
        return word();
    uint64_t found = 0;
    for (unsigned i = 0; i < count && found == 0; i++) {
        unsigned n = (start + i) % count;
        /* Mostly one that works, sometimes one that did, or one of another kind. */
        if (how < 232 ? pool[n].kind == kind && pool[n].alive
                      : how >= 244 || pool[n].kind == kind)
            found = pool[n].raw;
    }
    return how >= 12 ? found : found ^ UINT64_C(1) << (start & 63);
}

static int find(uint64_t raw) {
    for (unsigned i = 0; i < count; i++)
        if (pool[i].raw == raw)
            return (int)i;
    return -1;
}

void answered(const char *call, enum kind kind, uint64_t raw, int64_t answer) {
    int n = find(raw);
    /* Which answers are still owed, the engine knows alone. */
    if (kind == ANSWER && n >= 0 && pool[n].kind == ANSWER)
        return;
    int works = n >= 0 && pool[n].alive && pool[n].kind == kind;
    if (!works && answer >= 0)
        broken(call, "a handle that is none has worked", answer);
    if (works && answer == CHANGEOVER_INVALID_HANDLE)
        broken(call, "a handle that is open is refused", answer);
}

void closed(uint64_t raw) {
    int n = find(raw);
    if (n < 0)
        broken("close", "something that was never opened was closed", (int64_t)raw);
    pool[n].alive = 0;
    if (pool[n].kind == ENGINE)
        for (unsigned i = 0; i < count; i++)
            if (pool[i].engine == raw)
                pool[i].alive = 0;
}

uint64_t engine_of(uint64_t raw, uint64_t otherwise) {
    int n = find(raw);
    return n >= 0 && pool[n].kind == RECORDER && pool[n].alive ? pool[n].engine : otherwise;
}

int is_hand_driven(uint64_t engine) {
    int n = find(engine);
    return n >= 0 && pool[n].by_hand;
}

void set_hand_driven(uint64_t engine, int by_hand) {
    int n = find(engine);
    if (n >= 0)
        pool[n].by_hand = by_hand;
}

int engines_alive(void) {
    int alive = 0;
    for (unsigned i = 0; i < count; i++)
        alive += pool[i].kind == ENGINE && pool[i].alive;
    return alive;
}

/* One call to each kind that answers no less than CHANGEOVER_OK where the handle is open. */
static int32_t ask(enum kind kind, uint64_t raw) {
    uint64_t out;
    switch (kind) {
    case ENGINE:
        return changeover_now_ns((changeover_engine){raw}, &out);
    case RECORDER:
        return changeover_recorder_epoch((changeover_recorder){raw}, &out);
    case TICKET:
        return changeover_ticket_close((changeover_ticket){raw});
    case ANSWER:
        return changeover_answer((changeover_answer_token){raw}, CHANGEOVER_ANSWER_DONE, NULL);
    case EVENTS:
        return changeover_events_dropped((changeover_events){raw}, &out);
    case TIMELINE:
        return changeover_timeline_restart((changeover_timeline){raw});
    case EYES:
        return changeover_eyes_close((changeover_eyes){raw});
    }
    return 0;
}

void pool_end(void) {
    for (unsigned i = 0; i < count; i++)
        if (pool[i].kind == ENGINE && pool[i].alive) {
            int32_t answer = changeover_engine_destroy((changeover_engine){pool[i].raw}, NULL);
            if (answer < 0)
                broken("changeover_engine_destroy", "at the end", answer);
            closed(pool[i].raw);
        }
    for (unsigned i = 0; i < count; i++) {
        int32_t answer = ask(pool[i].kind, pool[i].raw);
        if (answer != CHANGEOVER_INVALID_HANDLE)
            broken("a closed handle", "it is answered", answer);
    }
}
