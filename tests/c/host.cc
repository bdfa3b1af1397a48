// A host in C++17 that knows the C header only: types that are declared ahead, handles as values
// that many threads throw at each other, callbacks without captures.
struct changeover_event; // C structs have tags

#include <changeover.h>
#include <changeover.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#define CHECK(condition)                                                                     \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            std::fprintf(stderr, "%s:%d: %s: failed (%s)\n", __FILE__, __LINE__, #condition, \
                         changeover_last_error_text());                                      \
            std::abort();                                                                    \
        }                                                                                    \
    } while (0)

static_assert(std::is_trivially_copyable_v<changeover_engine> && sizeof(changeover_engine) == 8);
static_assert(std::is_standard_layout_v<changeover_event> && !std::is_pointer_v<changeover_recorder>);

namespace {

struct Host {
    std::atomic<int> events{0}, ends{0};
};

void on_event(changeover_engine, const changeover_event *event, void *user_data) {
    CHECK(event->size == sizeof *event);
    static_cast<Host *>(user_data)->events++;
}

void on_end(void *user_data) {
    static_cast<Host *>(user_data)->ends++;
}

changeover_engine make(Host &host) {
    auto callbacks = changeover_callbacks_init();
    callbacks.user_data = &host;
    callbacks.on_event = on_event;
    callbacks.destroy = on_end;
    auto options = changeover_engine_options_init();
    options.callbacks = &callbacks;
    changeover_engine engine{};
    CHECK(changeover_engine_create(&options, &engine) == CHANGEOVER_OK);
    return engine;
}

void add(changeover_engine engine, const std::string &id) {
    std::vector<changeover_input_config> inputs(3, changeover_input_config_init());
    for (std::size_t i = 0; i < inputs.size(); i++) {
        inputs[i].priority = static_cast<int32_t>(i);
        inputs[i].hot = 1;
    }
    auto stream = changeover_stream_config_init();
    stream.id = id.c_str();
    stream.inputs = inputs.data();
    stream.input_count = inputs.size();
    CHECK(changeover_register(engine, &stream) == CHANGEOVER_OK);
}

// Handles are opened here, used there, closed by a third, and thrown away by a fourth.
void handles_across_threads() {
    Host host;
    const changeover_engine engine = make(host);
    std::map<std::string, std::vector<changeover_recorder>> all;
    for (int s = 0; s < 8; s++) {
        const std::string id = "stream " + std::to_string(s);
        add(engine, id);
        for (int32_t i = 0; i < 3; i++) {
            changeover_recorder recorder{};
            CHECK(changeover_recorder_open(engine, id.c_str(), i, 0, &recorder) == CHANGEOVER_OK);
            all[id].push_back(recorder);
        }
    }
    std::atomic<long> forwarded{0}, counted{0}, closed{0};
    std::vector<std::thread> threads;
    for (auto &[id, recorders] : all)
        for (auto recorder : recorders)
            threads.emplace_back([&, recorder] {
                for (int i = 0; i < 2000; i++) {
                    const auto answer = changeover_record_bytes(recorder, 1316);
                    CHECK(answer >= 0);
                    (answer > 0 ? forwarded : counted)++;
                }
            });
    for (auto &thread : threads)
        thread.join();
    threads.clear();
    CHECK(forwarded == 8 * 2000 && counted == 2 * 8 * 2000);
    // Every packet was counted, where it belongs.
    for (auto &[id, recorders] : all)
        for (int32_t i = 0; i < 3; i++) {
            auto health = changeover_input_health_init();
            // As soon as the monitor has heard of the recorder.
            for (int look = 0; look < 2000 && health.packets != 2000; look++) {
                if (look > 0)
                    std::this_thread::sleep_for(std::chrono::milliseconds(5));
                CHECK(changeover_input_health_of(engine, id.c_str(), i, &health) == CHANGEOVER_OK);
            }
            CHECK(health.packets == 2000 && health.bytes == 2000 * 1316 && health.hot == 1);
            uint64_t epoch = 0;
            CHECK(changeover_recorder_epoch(recorders[static_cast<std::size_t>(i)], &epoch) == 0);
            CHECK(epoch == health.epoch);
        }
    // Everybody closes everything: one of them does.
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&] {
            for (auto &[id, recorders] : all)
                for (auto recorder : recorders) {
                    const auto answer = changeover_recorder_close(recorder);
                    CHECK(answer == CHANGEOVER_OK || answer == CHANGEOVER_INVALID_HANDLE);
                    closed += answer == CHANGEOVER_OK;
                }
        });
    for (auto &thread : threads)
        thread.join();
    CHECK(closed == 8 * 3);
    char *text = nullptr;
    std::size_t count = 0;
    CHECK(changeover_registered_streams(engine, &text, &count) == CHANGEOVER_OK && count == 8);
    CHECK(std::string(text).rfind("stream 0\nstream 1\n", 0) == 0);
    changeover_string_free(text);
    // What waits to be told when the engine ends is lost, so it is waited for.
    for (int i = 0; i < 4000 && host.events == 0; i++)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    // Two at once end the engine: one does.
    std::atomic<int> ended{0};
    std::thread first([&] { ended += changeover_engine_destroy(engine, nullptr) == CHANGEOVER_OK; });
    std::thread second([&] { ended += changeover_engine_destroy(engine, nullptr) == CHANGEOVER_OK; });
    first.join();
    second.join();
    CHECK(ended == 1 && host.ends == 1 && host.events > 0);
}

// What is thrown away open ends with its engine; what outlives it answers so.
void thrown_away() {
    Host host;
    const changeover_engine engine = make(host);
    add(engine, "news");
    std::vector<changeover_recorder> recorders;
    for (int i = 0; i < 50; i++) {
        changeover_recorder recorder{};
        changeover_events events{};
        changeover_timeline timeline{};
        changeover_eyes eyes{};
        changeover_ticket ticket{};
        CHECK(changeover_recorder_open(engine, "news", i % 3, 0, &recorder) == CHANGEOVER_OK);
        CHECK(changeover_events_open(engine, 0, &events) == CHANGEOVER_OK);
        CHECK(changeover_timeline_open(engine, nullptr, &timeline) == CHANGEOVER_OK);
        CHECK(changeover_eyes_open(engine, CHANGEOVER_EYES_MPEGTS, &eyes) == CHANGEOVER_OK);
        CHECK(changeover_switch_input(engine, "news", i % 3, &ticket) == CHANGEOVER_OK);
        recorders.push_back(recorder);
    }
    std::atomic<bool> stop{false};
    std::thread producer([&] {
        while (!stop)
            for (auto recorder : recorders)
                CHECK(changeover_record_bytes(recorder, 1) >= CHANGEOVER_INVALID_HANDLE);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK(changeover_engine_destroy(engine, nullptr) == CHANGEOVER_OK);
    stop = true;
    producer.join();
    for (auto recorder : recorders)
        CHECK(changeover_record_bytes(recorder, 1) == CHANGEOVER_INVALID_HANDLE);
    CHECK(host.ends == 1);
}

} // namespace

int main() {
    for (int i = 0; i < 5; i++) {
        handles_across_threads();
        thrown_away();
    }
    std::puts("C++ host: ok");
    return 0;
}
