/* What every answer of the library must keep to. */
#include "fuzz.h"

static int32_t error_before;
static unsigned host_before;

_Noreturn void broken(const char *call, const char *why, int64_t answer) {
    fprintf(stderr, "FUZZ: %s: %s (answer %lld, last error %d: %s)\n", call, why,
            (long long)answer, changeover_last_error(), changeover_last_error_text());
    fflush(NULL);
    abort();
}

/* A code that the header names. */
static int is_code(int64_t answer) {
    return answer < 0 && answer >= -40 && answer != CHANGEOVER_PANIC &&
           strcmp(changeover_strerror((int32_t)answer), "no code of this library") != 0;
}

void judge_begin(void) {
    if (changeover_abi_version() != CHANGEOVER_ABI_VERSION ||
        changeover_version() != CHANGEOVER_VERSION_NUMBER ||
        strcmp(changeover_version_text(), CHANGEOVER_VERSION) != 0)
        broken("changeover_version", "header and library disagree", changeover_version());
}

void before_call(void) {
    error_before = changeover_last_error();
    host_before = host_calls();
}

void judge(const char *call, int64_t answer, int64_t most) {
    int told_elsewhere = host_calls() != host_before;
    if (answer >= 0) {
        if (answer > most)
            broken(call, "it answers what it never does", answer);
        if (!told_elsewhere && changeover_last_error() != error_before)
            broken(call, "it worked, and changed the last error", answer);
        return;
    }
    if (!is_code(answer))
        broken(call, "it answers no code of the header", answer);
    if (!told_elsewhere && changeover_last_error() != answer)
        broken(call, "the last error is another one", answer);
    const char *details = changeover_last_error_text();
    if (*details == 0 || !fuzz_is_utf8(details))
        broken(call, "its error has no text", answer);
}

void judge_packet(const char *call, int64_t answer) {
    if (answer < 0 && answer != CHANGEOVER_STALE && answer != CHANGEOVER_INVALID_HANDLE &&
        answer != CHANGEOVER_NULL_ARGUMENT && answer != CHANGEOVER_BAD_ARGUMENT)
        broken(call, "it answers no code that it has", answer);
    if (answer > UINT32_MAX)
        broken(call, "a cut's number has 32 bits", answer);
    if (host_calls() == host_before && changeover_last_error() != error_before)
        broken(call, "it has written the last error", answer);
}

void given(const char *call, int32_t answer, char *what, int is_json) {
    char *const untouched = (char *)(uintptr_t)0x5a5a;
    if (answer < 0 || (answer == 0 && what == untouched)) {
        if (what != untouched)
            broken(call, "it failed, and wrote", answer);
        return;
    }
    if (what == NULL || what == untouched)
        broken(call, "it worked, and gave nothing", answer);
    if (!fuzz_is_utf8(what) || (is_json && !fuzz_is_json(what)))
        broken(call, "what it gives is no UTF-8, or no JSON", answer);
    changeover_string_free(what);
}
