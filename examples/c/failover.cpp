// Two feeds of one stream: the main one dies, the backup takes over; the main one comes back, and
// gets the stream back. The same program in C: failover.c; in Rust: ../failover.rs.
//
//     c++ -std=c++17 failover.cpp -o failover `pkg-config --cflags --libs changeover` -pthread
//
// Ends within 5 s; its exit status is 0 if both happened.
#include <changeover.hpp>

#include <atomic>
#include <iostream>
#include <mutex>
#include <thread>

using namespace std::chrono_literals;

constexpr int main_feed = 0, backup_feed = 1;  // priorities: lower is better

static std::atomic<bool> alive[2] = {true, true};
static std::atomic<bool> ending{false};

// The output, that all feeds write to.
class output {
public:
    // Sends a packet, unless its thread comes late: a newer cut has been written by then.
    void send(std::uint32_t cut) {
        const std::lock_guard<std::mutex> guard(lock_);
        if (cut >= newest_cut_) {
            newest_cut_ = cut;
            ++sent_;  // here it would go to the socket
        }
    }
    unsigned sent() const { return sent_; }

private:
    std::mutex lock_;
    std::uint32_t newest_cut_ = 0;
    unsigned sent_ = 0;
};

// One feed: a packet every 5 ms, as long as it is alive.
static void feed(const changeover::engine &engine, int priority, output &out) {
    changeover::recorder recorder = engine.open_recorder("news", priority);
    while (!ending) {
        std::this_thread::sleep_for(5ms);
        if (!alive[priority])
            continue;
        const changeover::verdict verdict = recorder.record_bytes(1316);
        if (verdict.forward())
            out.send(verdict.cut());
        else if (verdict.stale())  // a new connection would begin like this
            recorder = engine.open_recorder("news", priority);
    }
}

// Prints what happens, until the stream's packets come from this input. False: they do not.
static bool on_the_air(const changeover::events &events, int priority) {
    while (const auto event = events.wait(2s)) {
        const auto at = event->at_ns / 1'000'000;
        switch (event->what()) {
            case changeover::event_kind::input_degraded:
                std::cout << at << " ms  input " << event->input_priority
                          << " failed: " << event->text() << '\n';
                break;
            case changeover::event_kind::input_recovered:
                std::cout << at << " ms  input " << event->input_priority << " delivers again\n";
                break;
            case changeover::event_kind::input_failover:
                std::cout << at << " ms  switched from " << event->from_priority << " to "
                          << event->to_priority << ": " << changeover::reason_name(event->why())
                          << '\n';
                break;
            case changeover::event_kind::first_packet:
                std::cout << at << " ms  first packet of " << event->input_priority << ", after "
                          << event->stall_us / 1000 << " ms\n";
                if (event->input_priority == priority)
                    return true;
                break;
            default:
                break;
        }
    }
    return false;
}

int main() try {
    // Shorter times than a real stream's: packet_timeout is when silence is a failure.
    changeover::engine_options options;
    options.config.packet_timeout = 200ms;
    options.config.failback_stable = 500ms;
    options.config.failback_cooldown = 500ms;
    changeover::engine engine(options);
    const changeover::events events = engine.open_events();
    engine.register_stream(changeover::stream_config("news")
                               .add(changeover::input_config::hot(main_feed, "udp://main"))
                               .add(changeover::input_config::hot(backup_feed, "udp://backup")));

    output out;
    std::thread feeds[] = {std::thread([&] { feed(engine, main_feed, out); }),
                           std::thread([&] { feed(engine, backup_feed, out); })};

    const bool started = on_the_air(events, main_feed);
    std::this_thread::sleep_for(300ms);
    std::cout << "the main feed is killed\n";
    alive[main_feed] = false;
    const bool failover = on_the_air(events, backup_feed);
    std::cout << "the main feed is back\n";
    alive[main_feed] = true;
    const bool failback = on_the_air(events, main_feed);
    std::cout << engine.status_json("news") << '\n';

    ending = true;
    for (std::thread &thread : feeds)
        thread.join();
    std::cout << "failover: " << (failover ? "yes" : "NO")
              << ", failback: " << (failback ? "yes" : "NO") << ", " << out.sent()
              << " packets sent\n";
    return started && failover && failback ? 0 : 1;
} catch (const changeover::error &error) {
    std::cerr << changeover::strerror(error.code()) << ": " << error.what() << '\n';
    return 1;
}
