#include <changeover.h>
#include <stdio.h>

int main(void) {
    changeover_engine engine;
    changeover_recorder feed;  // one per producer thread
    if (changeover_engine_create(NULL, &engine) < 0 ||
        changeover_register_json(engine, "{\"id\": \"news\", \"inputs\": ["
            "{\"priority\": 0, \"hot\": true, \"address\": \"udp://main\"},"
            "{\"priority\": 1, \"hot\": true, \"address\": \"udp://backup\"}]}") < 0 ||
        changeover_recorder_open(engine, "news", 0, 0, &feed) < 0) {
        fprintf(stderr, "%s\n", changeover_last_error_text());
        return 1;
    }
    if (changeover_record_bytes(feed, 1316) > 0)  // for every packet
        puts("send it");
    return changeover_engine_destroy(engine, NULL) < 0;
}
