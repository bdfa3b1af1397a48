/* A program as a newcomer's first one. Prints the three versions that it can see. */
#include <changeover.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int failed(const char *call, int64_t answer) {
    fprintf(stderr, "%s: %" PRId64 ": %s\n", call, answer, changeover_last_error_text());
    return 1;
}

int main(void) {
    changeover_engine engine;
    int32_t answer = changeover_engine_create(NULL, &engine);
    if (answer < 0)
        return failed("engine_create", answer);

    changeover_input_config inputs[2] = {changeover_input_config_init(),
                                         changeover_input_config_init()};
    inputs[0].hot = inputs[1].hot = 1;
    inputs[1].priority = 1;
    changeover_stream_config news = changeover_stream_config_init();
    news.id = "news";
    news.inputs = inputs;
    news.input_count = 2;
    if ((answer = changeover_register(engine, &news)) < 0)
        return failed("register", answer);

    changeover_recorder recorder;
    if ((answer = changeover_recorder_open(engine, "news", 0, 0, &recorder)) < 0)
        return failed("recorder_open", answer);
    int64_t verdict = changeover_record_bytes(recorder, 1316);
    if (verdict <= 0)
        return failed("record", verdict);
    if (changeover_recorder_close(recorder) < 0 || changeover_engine_destroy(engine, NULL) < 0)
        return failed("close", 0);
    if (changeover_record_bytes(recorder, 1) != CHANGEOVER_INVALID_HANDLE)
        return failed("record after destroy", 0);

    printf("header %s number %d abi %d\n", CHANGEOVER_VERSION, CHANGEOVER_VERSION_NUMBER,
           CHANGEOVER_ABI_VERSION);
    printf("library %s number %" PRIu32 " abi %" PRIu32 "\n", changeover_version_text(),
           changeover_version(), changeover_abi_version());
    return 0;
}
