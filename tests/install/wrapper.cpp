// What changeover.hpp adds to the C API: ownership, exceptions, texts, trampolines. Prints where
// it fails; its exit status is the number of failures.
#include <changeover.hpp>
#include <changeover.hpp>  // twice is fine

#include <atomic>
#include <condition_variable>
#include <deque>
#include <iostream>
#include <mutex>
#include <thread>

using namespace std::chrono_literals;
namespace co = changeover;

std::uint64_t second_epoch(const co::recorder &recorder);
const void *second_category();

static int failures = 0;

static void check(bool holds, const char *what, int line) {
    if (!holds) {
        std::cerr << "wrapper.cpp:" << line << ": " << what << '\n';
        ++failures;
    }
}
#define CHECK(...) check((__VA_ARGS__), #__VA_ARGS__, __LINE__)

// The code that a call throws.
template <class Call>
static co::errc thrown(Call &&call) {
    try {
        call();
    } catch (const co::error &error) {
        if (!*error.what())
            std::cerr << "no text\n";
        return error.code();
    }
    return co::errc::ok;
}

// Allocations on this thread, for what must make none.
static thread_local int allocations = 0;
void *operator new(std::size_t size) {
    ++allocations;
    if (void *memory = std::malloc(size))
        return memory;
    throw std::bad_alloc();
}
void operator delete(void *memory) noexcept {
    std::free(memory);
}
void operator delete(void *memory, std::size_t) noexcept {
    std::free(memory);
}

static co::stream_config news() {
    return co::stream_config("news")
        .add(co::input_config::hot(0, "udp://main"))
        .add(co::input_config::hot(1, "udp://backup"));
}

static co::engine by_hand(std::shared_ptr<co::driver> driver = nullptr) {
    co::engine_options options;
    options.config.packet_timeout = 200ms;
    options.config.connect_timeout = 200ms;
    options.config.failback_stable = 500ms;
    options.config.failback_cooldown = 500ms;
    options.driver = std::move(driver);
    options.hand_driven = true;
    return co::engine(options);
}

static void versions() {
    CHECK(co::version() == CHANGEOVER_VERSION_NUMBER);
    CHECK(std::string_view(co::version_text()) == CHANGEOVER_VERSION);
    CHECK(co::abi_version() == CHANGEOVER_ABI_VERSION);
    CHECK(&co::category() == second_category());
    const std::error_code code = co::errc::unknown_stream;
    CHECK(code.message() == co::strerror(co::errc::unknown_stream));
    CHECK(co::reason_name(co::reason::timeout) == "timeout");
    CHECK(co::reason_name(static_cast<co::reason>(999)).empty());
}

static void ownership() {
    co::engine engine = by_hand();
    const changeover_engine number = engine.handle();
    co::engine moved = std::move(engine);
    CHECK(!engine && moved && moved.handle().raw == number.raw);
    CHECK(engine.destroy() == CHANGEOVER_INVALID_HANDLE);
    moved.register_stream(news());

    co::recorder first = moved.open_recorder("news", 0);
    const changeover_recorder old = first.handle();
    co::recorder second = std::move(first);
    CHECK(!first && second.handle().raw == old.raw);
    CHECK(first.record(co::packet(1)).invalid());
    CHECK(thrown([&] { (void)first.epoch(); }) == co::errc::invalid_handle);
    CHECK(second_epoch(second) == second.epoch());
    co::recorder &self = second;
    second = std::move(self);
    CHECK(bool(second));
    // A move closes what was there.
    second = moved.open_recorder("news", 1);
    CHECK(changeover_recorder_close(old) == CHANGEOVER_INVALID_HANDLE);
    const changeover_recorder closed = second.handle();
    {
        const co::recorder gone = std::move(second);
    }
    CHECK(changeover_recorder_close(closed) == CHANGEOVER_INVALID_HANDLE);

    // They may live longer than their engine.
    co::recorder late = moved.open_recorder("news", 0);
    co::events events = moved.open_events();
    moved = by_hand();
    CHECK(changeover_engine_destroy(number, nullptr) == CHANGEOVER_INVALID_HANDLE);
    CHECK(late.record(co::packet(1)).code() == co::errc::invalid_handle);
    CHECK(thrown([&] { (void)events.next(); }) == co::errc::invalid_handle);
    CHECK(late.close() == CHANGEOVER_INVALID_HANDLE && !late);
    const changeover_engine released = moved.release();
    CHECK(!moved && changeover_engine_destroy(released, nullptr) == CHANGEOVER_OK);

    co::engine none(nullptr);
    CHECK(!none && thrown([&] { none.register_stream(news()); }) == co::errc::invalid_handle);
    CHECK(co::engine::try_create(co::engine_options(), none) == CHANGEOVER_OK && none);
    CHECK(none.shutdown() == 0);
    CHECK(thrown([&] { none.register_stream(news()); }) == co::errc::shut_down);
}

static void texts() {
    const co::engine engine = by_hand();
    engine.register_stream(news());
    const std::string longest(128, 'x'), too_long(129, 'x'), much_too_long(5000, 'x');
    const std::string_view with_nul("news\0x", 6);
    engine.register_stream(co::stream_config(longest));
    CHECK(engine.is_registered(longest) && engine.is_registered("news"));
    // Half a text: a view need not end where its NUL is.
    CHECK(engine.is_registered(std::string_view("newsreel", 4)));
    for (const std::string_view bad :
         {std::string_view(too_long), std::string_view(much_too_long), with_nul}) {
        CHECK(!engine.is_registered(bad));
        CHECK(thrown([&] { engine.register_stream(co::stream_config(std::string(bad))); }) ==
              co::errc::bad_stream_id);
        CHECK(thrown([&] { engine.unregister(bad); }) == co::errc::unknown_stream);
        CHECK(engine.record_packet(bad, 0).stale());
        CHECK(thrown([&] { engine.raise_condition("news", 0, bad); }) == co::errc::bad_condition);
    }
    // A long text is cut between characters, so that it is what is wrong with it.
    std::string umlauts;
    for (int i = 0; i < 200; ++i)
        umlauts += "\xC3\xBC";
    for (const std::string &bad : {umlauts, "x" + umlauts})
        CHECK(thrown([&] { engine.register_stream(co::stream_config(bad)); }) ==
              co::errc::bad_stream_id);
    CHECK(thrown([&] { engine.register_stream(co::stream_config("\xFF")); }) == co::errc::bad_utf8);
    CHECK(thrown([&] { engine.register_stream(co::stream_config("")); }) ==
          co::errc::empty_stream_id);
    CHECK(thrown([&] { engine.register_stream(co::stream_config()); }) ==
          co::errc::empty_stream_id);
    CHECK(!engine.is_registered(std::string_view()));
    CHECK(thrown([&] {
              engine.register_stream(
                  co::stream_config("a").add(co::input_config::hot(0, std::string(with_nul))));
          }) == co::errc::bad_argument);
    CHECK(thrown([&] { engine.register_json(std::string("{\"id\":\"a\"}\0", 11)); }) ==
          co::errc::bad_json);
    CHECK(thrown([&] { engine.register_stream(news()); }) == co::errc::already_registered);
    CHECK(co::last_error() == co::errc::already_registered);
    CHECK(std::string(co::last_error_text()).find("news") != std::string::npos);

    const auto ids = engine.registered_streams();
    CHECK(ids.size() == 2 && ids[0] == "news" && ids[1] == longest);
    CHECK(engine.status_json("news").front() == '{');
    CHECK(engine.metrics_text().find("changeover_") != std::string::npos);
    engine.set_config_json(engine.config_json());
    CHECK(engine.config_json().find("200") != std::string::npos);
    engine.register_json(
        R"({"id": "json", "inputs": [{"priority": 3, "hot": true, "address": "a"}]})");
    engine.update_inputs_json("json", R"({"removed": [3]})");
    CHECK(engine.status("json").input_count == 0);
}

// The packet path: verdicts, no exception, no allocation.
static void recording() {
    const co::engine engine = by_hand();
    engine.register_stream(news());
    const co::recorder main_feed = engine.open_recorder("news", 0);
    const co::recorder backup = engine.open_recorder("news", 1);
    const co::verdict first = main_feed.record(co::packet(1316)
                                                   .with_frames(1)
                                                   .with_tracks(co::track::video | co::track::audio)
                                                   .with_keyframe()
                                                   .with_lost(2));
    CHECK(first.forward() && first.cut() > 0 && !first.dropped() && !first.stale() &&
          !first.invalid());
    CHECK(first.code() == co::errc::ok);
    engine.hand_advance(1ms);

    const int before = allocations;
    CHECK(backup.record(co::packet(1316)).dropped());
    const co::packet several[3] = {co::packet(100), co::packet(200), co::packet(300)};
    std::int64_t answers[3];
    CHECK(main_feed.record_unit(several, 3).forward());
    CHECK(main_feed.record_batch(several, 3, answers).forward());
    CHECK(co::verdict(answers[0]).cut() == first.cut());
    CHECK(main_feed.record_precise(co::packet(1)).forward());
    CHECK(main_feed.record_at(co::packet(1), 500us).forward());
    CHECK(engine.record_packet("news", 0).forward());
    CHECK(engine.record_packet("nobody", 0).stale());
    CHECK(engine.record_packet("news", 7).stale());
    CHECK(co::engine_ref().record_packet("news", 0).invalid());
    CHECK(main_feed.record_batch(nullptr, 3, nullptr).code() == co::errc::null_argument);
    CHECK(allocations == before);

    const co::input_health health = engine.input_health("news", 0);
    CHECK(main_feed.record_bytes(7).forward());
    CHECK(health.packets == 10 && health.lost == 2 && health.frames == 1);
    CHECK(health.state() == co::status::active && health.failure().empty());
    CHECK(main_feed.stream() == "news" && main_feed.priority() == 0 && backup.priority() == 1);
    CHECK(engine.input_health_json("news", 0).find("\"packets\":11") != std::string::npos);
    main_feed.report_error("no signal");
    CHECK(main_feed.record(co::packet(1)).stale());
    CHECK(engine.input_health("news", 0).failure().find("no signal") != std::string_view::npos);
    engine.report_input_error("news", 1, "gone");
    CHECK(engine.is_exhausted("news"));
    CHECK(engine.now() == 1ms && engine.stats().streams == 1);
}

static void operators_and_events() {
    const co::engine engine = by_hand();
    const co::events events = engine.open_events();
    CHECK(events.fd() >= 0 && events.dropped() == 0);
    engine.register_stream(news());
    const co::recorder recorders[2] = {engine.open_recorder("news", 0),
                                       engine.open_recorder("news", 1)};
    const auto run = [&](int ms) {
        for (int i = 0; i < ms; ++i) {
            for (const co::recorder &recorder : recorders)
                (void)recorder.record(co::packet(1316));
            engine.hand_advance(1ms);
        }
    };
    run(20);
    CHECK(engine.active_input("news") == 0);
    const co::ticket ticket = engine.switch_input("news", 1);
    run(20);
    CHECK(ticket.outcome());
    ticket.wait(0ms);
    const co::stream_status status = engine.status("news");
    CHECK(status.state() == co::status::active && status.active_input() == 1 &&
          status.override_input() == 1);
    CHECK(!status.held_input() && !status.pending_input() && status.usable_inputs == 2);
    bool moved = false, json = false;
    while (const auto event = events.next()) {
        if (event->what() != co::event_kind::input_failover)
            continue;
        moved = true;
        CHECK(event->from() == 0 && event->to() == 1 && event->why() == co::reason::manual);
        CHECK(event->stream_id() == "news" && event->id > 0 &&
              event->time() > std::chrono::system_clock::time_point());
        CHECK(!event->on_keyframe() && !event->stall());
    }
    CHECK(moved);
    engine.clear_override("news");
    co::hold hold;
    hold.ttl = 10s;
    hold.when_dead = co::when_dead::keep;
    (void)engine.hold_input("news", 1, hold);
    run(20);
    CHECK(engine.status("news").held_input() == 1);
    while (const auto text = events.next_json())
        json = json || text->find("hold") != std::string::npos ||
               text->find("Hold") != std::string::npos;
    CHECK(json);
    engine.release_hold("news");
    engine.raise_condition("news", 0, "black", 10ms, 10ms);
    engine.clear_condition("news", 0, "black");
    engine.set_input_enabled("news", 0, false);
    CHECK(thrown([&] { (void)engine.switch_input("news", 0); }) == co::errc::input_stopped);
    CHECK(thrown([&] { (void)engine.switch_input("news", 9); }) == co::errc::unknown_input);
    co::inputs_update update;
    update.added.push_back(co::input_config::cold(2, "udp://third"));
    update.removed.push_back(0);
    engine.update_inputs("news", update);
    CHECK(engine.status("news").input_count == 2);
    engine.update_buffer_write_id("news", "elsewhere");
    co::engine_config policy;
    policy.health.emplace();
    policy.health->silence = co::silence::learned;
    policy.health->loss_max_percent = 5;
    policy.cut = co::cut::keyframe;
    engine.set_config(policy);
    CHECK(engine.config_json().find("learned") != std::string::npos);
    co::event event;
    CHECK(events.try_next(event) >= 0 && events.try_wait(0ms, event) >= 0);
    CHECK(thrown([&] { engine.hand_advance(-1ms); }) == co::errc::negative_duration);
}

static void media() {
    const co::engine engine = by_hand();
    const co::eyes eyes = engine.open_eyes(co::eyes_format::mpegts);
    std::uint8_t null_packet[188] = {0x47, 0x1F, 0xFF, 0x10};
    co::sight sight;
    CHECK(eyes.look(null_packet, sizeof null_packet, sight));
    CHECK(sight.packet.bytes == sizeof null_packet && sight.media_len == sizeof null_packet &&
          !sight.has_rtp() && !sight.has_pcr());
    CHECK(!eyes.look("no media", 8, sight));

    co::timeline_options options;
    options.start_dts = 1000;
    const co::timeline timeline = engine.open_timeline(options);
    co::stamps stamps{90'000, 90'000, 3'000};
    CHECK(timeline.map(1, 0, co::timebase(), stamps, stamps) == co::mapped::at &&
          stamps.dts == 1000);
    CHECK(timeline.map(1, 0, co::timebase(), co::stamps(), stamps) == co::mapped::untimed &&
          stamps.dts == 1000);
    CHECK(timeline.try_map(1, 0, co::timebase{0, 1, 0}, stamps, stamps) == CHANGEOVER_BAD_TIMEBASE);
    CHECK(!timeline.pcr(7, false, 0));
    timeline.restart();
}

// A driver that does what the test says, and counts.
struct puppet : co::driver {
    enum { succeed, fail, throw_it, throw_odd, later } mode = succeed;
    std::atomic<int> starts{0}, stops{0}, probes{0}, lost{0};
    static std::atomic<int> alive;
    std::string address, buffer;
    co::answer_token owed;
    std::uint64_t epoch = 0;

    puppet() { ++alive; }
    ~puppet() override { --alive; }

    co::answer start(const co::driver_call &call) override {
        ++starts;
        address = call.address();
        buffer = call.buffer_write_id();
        epoch = call.epoch();
        CHECK(call.stream() == "cold" && call.priority() == 0 && call.engine() && !call.is_hot());
        switch (mode) {
            case succeed:
                return co::answer::done();
            case fail:
                return co::answer::failed("no such source");
            case throw_it:
                throw std::runtime_error("cable is out");
            case throw_odd:
                throw 7;
            case later:
                break;
        }
        owed = call.token();
        return co::answer::later();
    }
    void stop(const co::driver_call &call) override {
        ++stops;
        CHECK(call.address().empty() && !call.token());
        throw std::logic_error("stop cannot fail");
    }
    co::answer probe(const co::driver_call &) override {
        ++probes;
        return co::answer::unsupported();
    }
    void thrown(const co::driver_call &, const char *what) noexcept override {
        lost += std::string_view(what) == "stop cannot fail";
    }
};
std::atomic<int> puppet::alive{0};

static void drivers() {
    for (const auto mode :
         {puppet::succeed, puppet::fail, puppet::throw_it, puppet::throw_odd, puppet::later}) {
        auto driver = std::make_shared<puppet>();
        driver->mode = mode;
        co::engine engine = by_hand(driver);
        co::stream_config cold("cold");
        cold.buffer_write_id = "buffer";
        engine.register_stream(cold.add(co::input_config::cold(0, "srt://far")));
        CHECK(engine.hand_run_calls() >= 1);
        CHECK(driver->starts == 1 && driver->address == "srt://far" && driver->buffer == "buffer" &&
              driver->epoch > 0);
        const std::string failure(engine.input_health("cold", 0).failure());
        switch (mode) {
            case puppet::later:
                CHECK(driver->owed && driver->owed.done() && !driver->owed.done() &&
                      !driver->owed.failed("too late"));
                engine.hand_advance(0ms);
                [[fallthrough]];
            case puppet::succeed: {
                CHECK(failure.empty());
                const co::recorder recorder = engine.open_recorder("cold", 0, driver->epoch);
                CHECK(recorder.record(co::packet(1)).forward() &&
                      recorder.epoch() == driver->epoch);
                break;
            }
            case puppet::fail:
                CHECK(failure.find("no such source") != std::string::npos);
                break;
            case puppet::throw_it:
                CHECK(failure.find("cable is out") != std::string::npos);
                break;
            case puppet::throw_odd:
                CHECK(failure.find("no std::exception") != std::string::npos);
                break;
        }
        if (mode == puppet::succeed) {
            engine.unregister("cold");
            engine.hand_run_calls();
            CHECK(driver->stops == 1 && driver->lost == 1);
        }
        driver.reset();
        CHECK(puppet::alive == 1);
        CHECK(engine.destroy() == CHANGEOVER_OK);
        CHECK(puppet::alive == 0);
    }
    // Not called, and not lost, where the engine cannot be made.
    co::engine_options options;
    options.driver = std::make_shared<puppet>();
    options.config.packet_timeout = -1ms;
    CHECK(thrown([&] { co::engine engine(options); }) == co::errc::negative_duration);
    options.driver.reset();
    CHECK(puppet::alive == 0);
}

// Callbacks of an engine with threads: they throw, call back, and are let go of.
static void notices() {
    std::mutex lock;
    std::condition_variable changed;
    std::deque<std::string> seen;
    auto kept = std::make_shared<int>(0);
    const auto note = [&](std::string what) {
        const std::lock_guard<std::mutex> guard(lock);
        seen.push_back(std::move(what));
        changed.notify_all();
    };
    const auto wait_for = [&](const std::string &what) {
        std::unique_lock<std::mutex> guard(lock);
        return changed.wait_for(guard, 5s, [&] {
            for (const std::string &line : seen)
                if (line.find(what) != std::string::npos)
                    return true;
            return false;
        });
    };
    co::engine_options options;
    options.config.packet_timeout = 50ms;
    options.callbacks.on_exhausted = [&, kept](co::engine_ref engine, std::string_view stream) {
        co::engine cannot(engine.handle());
        note("exhausted " + std::string(stream) + " " + std::to_string(cannot.destroy()) + " " +
             std::to_string(engine.is_exhausted(stream)));
        (void)cannot.release();
    };
    options.callbacks.on_event = [&](co::engine_ref, const co::event &event) {
        if (event.what() == co::event_kind::first_packet)
            throw std::runtime_error("thrown in on_event");
    };
    options.callbacks.on_log = [&](co::engine_ref, co::log_level level, std::string_view line) {
        note(std::string(line));
        if (level == co::log_level::warning)
            note("a warning");
    };
    options.callbacks.on_exception = [&](const char *what) { note(what); };
    co::engine engine(options);
    options.callbacks = {};
    const co::events events = engine.open_events();
    engine.register_stream(co::stream_config("news").add(co::input_config::hot(0, "a")));
    (void)engine.record_packet("news", 0);
    const auto event = events.wait(5s);
    CHECK(event && event->stream_id() == "news");
    CHECK(wait_for("thrown in on_event") && wait_for("changeover: news: ") &&
          wait_for("a warning"));
    CHECK(wait_for("exhausted news -34 1"));
    CHECK(kept.use_count() == 2);
    co::callbacks others;
    others.on_restored = [&](co::engine_ref, std::string_view) { note("is back"); };
    engine.set_callbacks(others);
    (void)engine.record_packet("news", 0);
    CHECK(wait_for("is back"));
    for (int i = 0; i < 500 && kept.use_count() > 1; ++i)
        std::this_thread::sleep_for(10ms);
    CHECK(kept.use_count() == 1);
    engine.clear_callbacks();
    engine.unregister_and_wait("news", 5s);
    CHECK(engine.try_shutdown() == CHANGEOVER_OK);
    co::event last;
    while (events.try_next(last) > 0) {
    }
    CHECK(thrown([&] { (void)events.next(); }) == co::errc::shut_down);
}

int main() {
    versions();
    ownership();
    texts();
    recording();
    operators_and_events();
    media();
    drivers();
    notices();
    if (failures == 0)
        std::cout << "wrapper: all holds\n";
    return failures;
}
