/*
 * changeover for C++17: a thin wrapper of changeover.h, which is the manual. Nothing to link but
 * the library itself.
 *
 *     #include <changeover.hpp>
 *
 *     changeover::engine engine;
 *     engine.register_stream(changeover::stream_config("news")
 *                                .add(changeover::input_config::hot(0, "udp://main"))
 *                                .add(changeover::input_config::hot(1, "udp://backup")));
 *
 *     changeover::recorder recorder = engine.open_recorder("news", 0);  // one per producer thread
 *     while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0)
 *         if (recorder.record_bytes(std::size_t(n)).forward())
 *             send(out, buffer, std::size_t(n), 0);
 *
 * THE RULES.
 *
 * Names. changeover_foo_bar(engine, ...) is engine.foo_bar(...), changeover_recorder_foo(recorder)
 *   is recorder.foo(); what makes something is open_..., and register_stream is so called because
 *   `register` is C++'s. CHANGEOVER_FOO_BAR is foo::bar. Every class has handle(), for the C
 *   functions.
 *
 * Errors. What C answers with a negative code is thrown as changeover::error, with code(). Where a
 *   packet loop or a destructor needs it there is a try_ form besides, which never throws, and
 *   answers the number that the C function answers. Recording never throws: it answers a verdict.
 *   What needs memory may throw std::bad_alloc. Built with -fno-exceptions (all of a program, or
 *   nothing of it), what would be thrown is printed to stderr, and the program aborts.
 *
 * Handles (engine, recorder, events, eyes, timeline, ticket) close in their destructor, and can be
 *   moved, not copied. One that was moved from, or made by its default constructor, is empty:
 *   errc::invalid_handle. They may live longer than their engine. engine_ref is an engine that
 *   is not owned: a number, that callbacks get, and that can be copied.
 *
 * Texts are UTF-8. Stream ids and names of conditions are copied to the stack, nothing is
 *   allocated for them; one that has a NUL in it, or is too long, is refused like one in C that
 *   has a control character, or is too long. An address with a NUL is errc::bad_argument.
 *
 * Numbers of enumerations that a later library may answer stay as they are: have a `default` in a
 *   switch. 0 in a field of a configuration means its default, as in C.
 *
 * Callbacks run on threads of the engine. What they throw is caught (see driver, callbacks).
 *   Do not destroy an engine in its own callbacks: its destructor cannot, and leaves it running
 *   (engine::destroy tells). A moved engine is the same engine.
 */

#ifndef CHANGEOVER_HPP
#define CHANGEOVER_HPP

#if __cplusplus < 201703L && (!defined(_MSVC_LANG) || _MSVC_LANG < 201703L)
#error "changeover.hpp needs C++17"
#endif

#include <changeover.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace changeover {

using milliseconds = std::chrono::milliseconds;
using nanoseconds = std::chrono::nanoseconds;

// A timestamp that is not there.
inline constexpr std::int64_t no_timestamp = CHANGEOVER_NO_TIMESTAMP;

// CHANGEOVER_*: what a call answers where it refuses. Also an enumeration of std::error_code.
enum class errc : std::int32_t {
    ok = CHANGEOVER_OK,
    stale = CHANGEOVER_STALE,
    invalid_handle = CHANGEOVER_INVALID_HANDLE,
    null_argument = CHANGEOVER_NULL_ARGUMENT,
    bad_utf8 = CHANGEOVER_BAD_UTF8,
    bad_struct = CHANGEOVER_BAD_STRUCT,
    bad_argument = CHANGEOVER_BAD_ARGUMENT,
    bad_json = CHANGEOVER_BAD_JSON,
    forked = CHANGEOVER_FORKED,
    too_many_engines = CHANGEOVER_TOO_MANY_ENGINES,
    too_many_handles = CHANGEOVER_TOO_MANY_HANDLES,
    unsupported = CHANGEOVER_UNSUPPORTED,
    panic = CHANGEOVER_PANIC,
    no_descriptor = CHANGEOVER_NO_DESCRIPTOR,
    empty_stream_id = CHANGEOVER_EMPTY_STREAM_ID,
    bad_stream_id = CHANGEOVER_BAD_STREAM_ID,
    already_registered = CHANGEOVER_ALREADY_REGISTERED,
    unknown_stream = CHANGEOVER_UNKNOWN_STREAM,
    unknown_input = CHANGEOVER_UNKNOWN_INPUT,
    duplicate_priority = CHANGEOVER_DUPLICATE_PRIORITY,
    negative_duration = CHANGEOVER_NEGATIVE_DURATION,
    bad_number = CHANGEOVER_BAD_NUMBER,
    bad_condition = CHANGEOVER_BAD_CONDITION,
    too_many_conditions = CHANGEOVER_TOO_MANY_CONDITIONS,
    input_degraded = CHANGEOVER_INPUT_DEGRADED,
    input_stopped = CHANGEOVER_INPUT_STOPPED,
    stale_epoch = CHANGEOVER_STALE_EPOCH,
    recorder_open = CHANGEOVER_RECORDER_OPEN,
    would_block = CHANGEOVER_WOULD_BLOCK,
    timed_out = CHANGEOVER_TIMED_OUT,
    switch_failed = CHANGEOVER_SWITCH_FAILED,
    shut_down = CHANGEOVER_SHUT_DOWN,
    thread = CHANGEOVER_THREAD,
    bad_timebase = CHANGEOVER_BAD_TIMEBASE,
    bad_metrics_prefix = CHANGEOVER_BAD_METRICS_PREFIX
};

// CHANGEOVER_FAILBACK_*: who gets the stream back.
enum class failback : std::uint32_t {
    inherited = CHANGEOVER_FAILBACK_INHERITED,
    automatic = CHANGEOVER_FAILBACK_AUTOMATIC,
    never = CHANGEOVER_FAILBACK_NEVER
};

// CHANGEOVER_CUT_*: where a cut may fall.
enum class cut : std::uint32_t {
    inherited = CHANGEOVER_CUT_INHERITED,
    immediate = CHANGEOVER_CUT_IMMEDIATE,
    keyframe = CHANGEOVER_CUT_KEYFRAME
};

// CHANGEOVER_OBSERVE_*: decide and report, move nothing.
enum class observe : std::uint32_t {
    inherited = CHANGEOVER_OBSERVE_INHERITED,
    on = CHANGEOVER_OBSERVE_ON,
    off = CHANGEOVER_OBSERVE_OFF
};

// CHANGEOVER_SILENCE_*: how silence is judged.
enum class silence : std::uint32_t {
    inherited = CHANGEOVER_SILENCE_INHERITED,
    fixed = CHANGEOVER_SILENCE_FIXED,
    learned = CHANGEOVER_SILENCE_LEARNED
};

// CHANGEOVER_EVENT_*: what has happened.
enum class event_kind : std::uint32_t {
    input_degraded = CHANGEOVER_EVENT_INPUT_DEGRADED,
    input_impaired = CHANGEOVER_EVENT_INPUT_IMPAIRED,
    input_cleared = CHANGEOVER_EVENT_INPUT_CLEARED,
    input_recovered = CHANGEOVER_EVENT_INPUT_RECOVERED,
    input_started = CHANGEOVER_EVENT_INPUT_STARTED,
    switch_decided = CHANGEOVER_EVENT_SWITCH_DECIDED,
    input_failover = CHANGEOVER_EVENT_INPUT_FAILOVER,
    switch_armed = CHANGEOVER_EVENT_SWITCH_ARMED,
    first_packet = CHANGEOVER_EVENT_FIRST_PACKET,
    switch_refused = CHANGEOVER_EVENT_SWITCH_REFUSED,
    switch_failed = CHANGEOVER_EVENT_SWITCH_FAILED,
    override_set = CHANGEOVER_EVENT_OVERRIDE_SET,
    override_cleared = CHANGEOVER_EVENT_OVERRIDE_CLEARED,
    hold_set = CHANGEOVER_EVENT_HOLD_SET,
    hold_released = CHANGEOVER_EVENT_HOLD_RELEASED,
    exhausted = CHANGEOVER_EVENT_EXHAUSTED,
    restored = CHANGEOVER_EVENT_RESTORED,
    redundancy_lost = CHANGEOVER_EVENT_REDUNDANCY_LOST,
    redundancy_regained = CHANGEOVER_EVENT_REDUNDANCY_REGAINED,
    stall = CHANGEOVER_EVENT_STALL
};

// CHANGEOVER_EYES_*: what datagrams are.
enum class eyes_format : std::uint32_t {
    mpegts = CHANGEOVER_EYES_MPEGTS,
    rtp_h264 = CHANGEOVER_EYES_RTP_H264,
    rtp_h265 = CHANGEOVER_EYES_RTP_H265
};

// CHANGEOVER_LOG_*.
enum class log_level : std::int32_t {
    warning = CHANGEOVER_LOG_WARNING,
    info = CHANGEOVER_LOG_INFO
};

// CHANGEOVER_WHEN_DEAD_*: what follows when a held input dies.
enum class when_dead : std::uint32_t {
    release = CHANGEOVER_WHEN_DEAD_RELEASE,
    keep = CHANGEOVER_WHEN_DEAD_KEEP
};

// CHANGEOVER_TRACK_*: what a packet carries; add them up with |.
enum class track : std::uint8_t {
    video = CHANGEOVER_TRACK_VIDEO,
    audio = CHANGEOVER_TRACK_AUDIO,
    other = CHANGEOVER_TRACK_OTHER
};

constexpr track operator|(track a, track b) noexcept {
    return static_cast<track>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

// CHANGEOVER_STATUS_*: the state of an input or a stream.
enum class status : std::uint32_t {
    idle = CHANGEOVER_STATUS_IDLE,
    active = CHANGEOVER_STATUS_ACTIVE,
    degraded = CHANGEOVER_STATUS_DEGRADED,
    stopped = CHANGEOVER_STATUS_STOPPED
};

// CHANGEOVER_REASON_*: why the active input changed.
enum class reason : std::uint32_t {
    none = 0,
    initial = CHANGEOVER_REASON_INITIAL,
    error = CHANGEOVER_REASON_ERROR,
    timeout = CHANGEOVER_REASON_TIMEOUT,
    manual = CHANGEOVER_REASON_MANUAL,
    failback = CHANGEOVER_REASON_FAILBACK,
    recovery = CHANGEOVER_REASON_RECOVERY,
    input_added = CHANGEOVER_REASON_INPUT_ADDED,
    input_removed = CHANGEOVER_REASON_INPUT_REMOVED,
    bitrate = CHANGEOVER_REASON_BITRATE,
    fps = CHANGEOVER_REASON_FPS,
    loss = CHANGEOVER_REASON_LOSS,
    track_silence = CHANGEOVER_REASON_TRACK_SILENCE,
    condition = CHANGEOVER_REASON_CONDITION,
    hold_released = CHANGEOVER_REASON_HOLD_RELEASED
};

// CHANGEOVER_MAPPED_*: what becomes of a packet on a timeline.
enum class mapped : std::int32_t {
    at = CHANGEOVER_MAPPED_AT,
    untimed = CHANGEOVER_MAPPED_UNTIMED,
    overlap = CHANGEOVER_MAPPED_OVERLAP,
    stale = CHANGEOVER_MAPPED_STALE
};

// A reason's name, as in the JSON; empty for one that is none.
inline std::string_view reason_name(reason why) noexcept {
    const char *name = changeover_reason_name(static_cast<std::uint32_t>(why));
    return name ? std::string_view(name) : std::string_view();
}

// The name of an event's kind, and of a state, as in the JSON; empty for one that is none.
inline std::string_view event_name(event_kind kind) noexcept {
    const char *name = changeover_event_name(static_cast<std::uint32_t>(kind));
    return name ? std::string_view(name) : std::string_view();
}
inline std::string_view status_name(status state) noexcept {
    const char *name = changeover_status_name(static_cast<std::uint32_t>(state));
    return name ? std::string_view(name) : std::string_view();
}

// What a code means.
inline const char *strerror(errc code) noexcept {
    return changeover_strerror(static_cast<std::int32_t>(code));
}

// The code of the last failed call on this thread, and its details (until the next one fails).
inline errc last_error() noexcept {
    return static_cast<errc>(changeover_last_error());
}
inline const char *last_error_text() noexcept {
    return changeover_last_error_text();
}

// The library's version as a number (CHANGEOVER_VERSION_NUMBER is the header's) and as a text, and
// its ABI (CHANGEOVER_ABI_VERSION is the header's).
inline std::uint32_t version() noexcept {
    return changeover_version();
}
inline const char *version_text() noexcept {
    return changeover_version_text();
}
inline std::uint32_t abi_version() noexcept {
    return changeover_abi_version();
}

// The codes as a category of std::error_code.
inline const std::error_category &category() noexcept {
    class codes final : public std::error_category {
        const char *name() const noexcept override { return "changeover"; }
        std::string message(int code) const override { return changeover_strerror(code); }
    };
    static const codes instance;
    return instance;
}

inline std::error_code make_error_code(errc code) noexcept {
    return std::error_code(static_cast<int>(code), category());
}

// What a call has refused: its code, and in what() the details.
class error : public std::runtime_error {
public:
    error(errc code, const std::string &what) : std::runtime_error(what), code_(code) {}

    errc code() const noexcept { return code_; }

private:
    errc code_;
};

namespace detail {

// Throws, where there are exceptions.
[[noreturn]] inline void raise(errc code, const char *what) {
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
    throw error(code, what);
#else
    std::fprintf(stderr, "changeover: %s (%d)\n", what, static_cast<int>(code));
    std::fflush(stderr);
    std::abort();
#endif
}

// An answer that is no code, or an exception with the last error's details.
inline std::int32_t checked(std::int32_t answer) {
    if (answer < 0) {
        const bool noted = changeover_last_error() == answer;
        raise(static_cast<errc>(answer),
              noted ? changeover_last_error_text() : changeover_strerror(answer));
    }
    return answer;
}

// Runs the host's code, for a caller that no exception may reach.
template <class Work, class Thrown>
void guarded(Work &&work, Thrown &&thrown) noexcept {
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
    try {
        work();
    } catch (const std::exception &exception) {
        thrown(exception.what());
    } catch (...) {
        thrown("something was thrown that is no std::exception");
    }
#else
    (void)thrown;
    work();
#endif
}

// An id or name with a terminating NUL, on the stack. One that C could not say, or that is too
// long, becomes one that the library refuses for the same reason.
class id {
public:
    explicit id(std::string_view text) noexcept {
        std::size_t length = text.size();
        if (length > most) {
            // As much as leaves no character in pieces, and dots until it is too long for certain.
            length = most - 8;
            while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80)
                --length;
        }
        if (length > 0)
            std::memcpy(text_, text.data(), length);
        if (length > 0 && std::memchr(text_, 0, length)) {
            for (std::size_t i = 0; i < length; ++i)
                text_[i] = text_[i] ? text_[i] : '\1';
        }
        if (text.size() > most) {
            std::memset(text_ + length, '.', most + 1 - length);
            length = most + 1;
        }
        text_[length] = 0;
    }
    id(const id &) = delete;
    id &operator=(const id &) = delete;

    const char *c_str() const noexcept { return text_; }

private:
    // The longest id, in bytes.
    static constexpr std::size_t most = 128;
    char text_[most + 2];
};

// A text that must not have a NUL inside.
inline const char *whole(const std::string &text, errc code, const char *what) {
    if (text.find('\0') != std::string::npos)
        raise(code, what);
    return text.c_str();
}

inline const char *json(const std::string &text) {
    return whole(text, errc::bad_json, "a JSON text has a NUL in it");
}

// A text that the library gave: freed whatever happens.
class text {
public:
    text() = default;
    text(const text &) = delete;
    text &operator=(const text &) = delete;
    ~text() { changeover_string_free(text_); }

    char **out() noexcept { return &text_; }
    std::string str() const { return text_ ? std::string(text_) : std::string(); }

private:
    char *text_ = nullptr;
};

// What a waiting call is given: nothing below 0, and at most what fits (49 days).
inline std::uint32_t timeout(milliseconds time) noexcept {
    if (time.count() <= 0)
        return 0;
    return time.count() >= milliseconds::rep(UINT32_MAX) ? UINT32_MAX
                                                         : static_cast<std::uint32_t>(time.count());
}

inline std::int64_t ms(milliseconds time) noexcept {
    return static_cast<std::int64_t>(time.count());
}

inline std::uint64_t ns(nanoseconds time) {
    if (time.count() < 0)
        raise(errc::negative_duration, "a time is negative");
    return static_cast<std::uint64_t>(time.count());
}

inline std::string_view view(const char *text) noexcept {
    return text ? std::string_view(text) : std::string_view();
}

// A handle that closes.
template <class Handle, std::int32_t (*Close)(Handle)>
class owned {
public:
    owned() noexcept = default;
    // Takes what C has opened.
    explicit owned(Handle handle) noexcept : handle_(handle) {}
    owned(owned &&from) noexcept : handle_(from.release()) {}
    owned &operator=(owned &&from) noexcept {
        if (this != &from) {
            close();
            handle_ = from.release();
        }
        return *this;
    }
    ~owned() { close(); }

    // For the C functions.
    Handle handle() const noexcept { return handle_; }
    // Whether there is one.
    explicit operator bool() const noexcept { return handle_.raw != 0; }
    // Lets go of it without closing it.
    Handle release() noexcept { return std::exchange(handle_, Handle{}); }
    // Closes it now; answers as C does. It is empty then.
    std::int32_t close() noexcept {
        return handle_.raw ? Close(release()) : CHANGEOVER_INVALID_HANDLE;
    }

private:
    Handle handle_{};
};

}  // namespace detail

// ---------------------------------------------------------------------------------------------
// Packets
// ---------------------------------------------------------------------------------------------

// What is recorded of one packet: changeover_packet, and setters that can be chained. In a hot loop
// make one before it, or use recorder::record_bytes.
struct packet : changeover_packet {
    // Of so many bytes.
    explicit packet(std::size_t size = 0) noexcept
        : changeover_packet(changeover_packet_of(size)) {}
    // changeover_sight.packet, for instance.
    packet(const changeover_packet &from) noexcept : changeover_packet(from) {}

    packet &with_frames(std::uint16_t begin) noexcept { return frames = begin, *this; }
    packet &with_lost(std::uint16_t before) noexcept { return lost = before, *this; }
    packet &with_tracks(track carried) noexcept {
        return tracks = static_cast<std::uint8_t>(carried), *this;
    }
    packet &with_keyframe(bool begins = true) noexcept { return keyframe = begins, *this; }
};
static_assert(sizeof(packet) == sizeof(changeover_packet), "arrays of one are arrays of the other");

// What becomes of a recorded packet.
class verdict {
public:
    // The answer of the C function.
    constexpr explicit verdict(std::int64_t answer) noexcept : answer_(answer) {}

    // Send it.
    constexpr bool forward() const noexcept { return answer_ > 0; }
    // The number of the cut that put the input on the air, 0 if it is not. It only ever grows:
    // several producer threads drop at their output what has a lower number than the last one.
    constexpr std::uint32_t cut() const noexcept {
        return answer_ > 0 ? static_cast<std::uint32_t>(answer_) : 0;
    }
    // It was counted; do not send it.
    constexpr bool dropped() const noexcept { return answer_ == 0; }
    // The epoch is over: open a new recorder.
    constexpr bool stale() const noexcept { return answer_ == CHANGEOVER_STALE; }
    // There is no such recorder or engine, or what else code() says.
    constexpr bool invalid() const noexcept { return answer_ < 0 && answer_ != CHANGEOVER_STALE; }
    // The code, where there is one; otherwise errc::ok.
    constexpr errc code() const noexcept {
        return answer_ < 0 ? static_cast<errc>(answer_) : errc::ok;
    }

private:
    std::int64_t answer_;
};

// A producer of one input, for one thread at a time.
class recorder : public detail::owned<changeover_recorder, changeover_recorder_close> {
public:
    using owned::owned;

    // changeover_record: wait-free, async-signal-safe.
    verdict record(const packet &one) const noexcept {
        return verdict(changeover_record(handle(), &one));
    }
    // The same for a packet of which only the size is known.
    verdict record_bytes(std::size_t size) const noexcept {
        const auto bytes = size > UINT32_MAX ? UINT32_MAX : static_cast<std::uint32_t>(size);
        return verdict(changeover_record_bytes(handle(), bytes));
    }
    // Several as one unit, with one verdict.
    verdict record_unit(const packet *first, std::size_t count) const noexcept {
        return verdict(changeover_record_batch(handle(), first, count, nullptr));
    }
    // Several, each with its own verdict: make one of each of the `count` numbers in `answers`.
    verdict record_batch(const packet *first, std::size_t count,
                         std::int64_t *answers) const noexcept {
        return verdict(changeover_record_batch(handle(), first, count, answers));
    }
    // With a clock reading of its own.
    verdict record_precise(const packet &one) const noexcept {
        return verdict(changeover_record_precise(handle(), &one));
    }
    // With your own time, by engine_ref::now(). Before the engine's beginning counts as that.
    verdict record_at(const packet &one, nanoseconds at) const noexcept {
        const auto time = at.count() < 0 ? 0 : static_cast<std::uint64_t>(at.count());
        return verdict(changeover_record_at(handle(), &one, time));
    }

    // Another producer of the same epoch, for another thread.
    recorder sibling() const {
        recorder other;
        detail::checked(try_sibling(other));
        return other;
    }
    std::int32_t try_sibling(recorder &out) const noexcept {
        changeover_recorder opened{};
        const std::int32_t answer = changeover_recorder_sibling(handle(), &opened);
        if (answer >= 0)
            out = recorder(opened);
        return answer;
    }

    // The epoch that it records for.
    std::uint64_t epoch() const {
        std::uint64_t epoch = 0;
        detail::checked(changeover_recorder_epoch(handle(), &epoch));
        return epoch;
    }

    // The priority that its input had when it was opened, and its stream's id.
    std::int32_t priority() const {
        std::int32_t priority = 0;
        detail::checked(changeover_recorder_priority(handle(), &priority));
        return priority;
    }
    std::string stream() const {
        detail::text text;
        detail::checked(changeover_recorder_stream(handle(), text.out()));
        return text.str();
    }

    // The source has failed: its input is degraded at once.
    void report_error(const std::string &why) const {
        detail::checked(try_report_error(why.c_str()));
    }
    std::int32_t try_report_error(const char *why) const noexcept {
        return changeover_recorder_report_error(handle(), why);
    }
};

// ---------------------------------------------------------------------------------------------
// Configuration
// ---------------------------------------------------------------------------------------------

// changeover_health_config. All rules are off unless set.
struct health_config {
    milliseconds step{};
    double bitrate_min_kbps = 0;
    double bitrate_min_percent = 0;
    milliseconds bitrate_hold{};
    milliseconds bitrate_clear{};
    double fps_min = 0;
    milliseconds fps_hold{};
    milliseconds fps_clear{};
    double loss_max_percent = 0;
    milliseconds loss_hold{};
    milliseconds loss_clear{};
    milliseconds video_silence{};
    milliseconds video_silence_clear{};
    changeover::silence silence = changeover::silence::inherited;
    milliseconds learned_floor{};
    milliseconds learned_ceiling{};
    double learned_confidence = 0;

    // The C struct of it.
    changeover_health_config c() const noexcept {
        changeover_health_config c = changeover_health_config_init();
        c.step_ms = detail::ms(step);
        c.bitrate_min_kbps = bitrate_min_kbps;
        c.bitrate_min_percent = bitrate_min_percent;
        c.bitrate_hold_ms = detail::ms(bitrate_hold);
        c.bitrate_clear_ms = detail::ms(bitrate_clear);
        c.fps_min = fps_min;
        c.fps_hold_ms = detail::ms(fps_hold);
        c.fps_clear_ms = detail::ms(fps_clear);
        c.loss_max_percent = loss_max_percent;
        c.loss_hold_ms = detail::ms(loss_hold);
        c.loss_clear_ms = detail::ms(loss_clear);
        c.video_silence_ms = detail::ms(video_silence);
        c.video_silence_clear_ms = detail::ms(video_silence_clear);
        c.silence = static_cast<std::uint32_t>(silence);
        c.learned_floor_ms = detail::ms(learned_floor);
        c.learned_ceiling_ms = detail::ms(learned_ceiling);
        c.learned_confidence = learned_confidence;
        return c;
    }
};

// changeover_engine_config: the engine's policy.
struct engine_config {
    milliseconds packet_timeout{};
    milliseconds connect_timeout{};
    milliseconds probe_cooldown{};
    milliseconds probe_timeout{};
    milliseconds stop_timeout{};
    milliseconds failback_cooldown{};
    milliseconds failback_stable{};
    std::uint32_t error_history = 0;
    std::uint32_t switch_history = 0;
    changeover::failback failback = changeover::failback::inherited;
    changeover::cut cut = changeover::cut::inherited;
    milliseconds cut_max_wait{};
    changeover::observe observe = changeover::observe::inherited;
    std::optional<health_config> health;
};

// changeover_input_config.
struct input_config {
    std::int32_t priority = 0;
    bool is_hot = false;
    std::string address;
    milliseconds packet_timeout{};
    milliseconds connect_timeout{};
    std::optional<health_config> health;

    // Its producer runs all the time.
    static input_config hot(std::int32_t priority, std::string address) {
        input_config made;
        made.priority = priority;
        made.is_hot = true;
        made.address = std::move(address);
        return made;
    }
    // The driver starts and stops it.
    static input_config cold(std::int32_t priority, std::string address) {
        input_config made = hot(priority, std::move(address));
        made.is_hot = false;
        return made;
    }
};

// changeover_stream_config.
struct stream_config {
    std::string id;
    std::string buffer_write_id;
    milliseconds packet_timeout{};
    milliseconds connect_timeout{};
    milliseconds failback_stable{};
    changeover::failback failback = changeover::failback::inherited;
    changeover::cut cut = changeover::cut::inherited;
    milliseconds cut_max_wait{};
    changeover::observe observe = changeover::observe::inherited;
    std::optional<health_config> health;
    std::vector<input_config> inputs;

    stream_config() = default;
    explicit stream_config(std::string stream) : id(std::move(stream)) {}

    stream_config &add(input_config input) {
        inputs.push_back(std::move(input));
        return *this;
    }
};

// changeover_inputs_update: one atomic change of a stream's inputs.
struct inputs_update {
    std::vector<input_config> added;
    std::vector<std::int32_t> removed;
    std::vector<input_config> updated;
};

// changeover_hold: an operator's hold.
struct hold {
    milliseconds ttl{};
    changeover::when_dead when_dead = changeover::when_dead::release;
};

namespace detail {

// C structs that point to each other, for one call.
class c_health {
public:
    explicit c_health(const std::optional<health_config> &from) {
        if (from)
            c_ = from->c();
    }
    const changeover_health_config *get() const noexcept { return c_.size ? &c_ : nullptr; }

private:
    changeover_health_config c_{};
};

class c_engine_config {
public:
    explicit c_engine_config(const engine_config &from)
        : health_(from.health), c_(changeover_engine_config_init()) {
        c_.packet_timeout_ms = ms(from.packet_timeout);
        c_.connect_timeout_ms = ms(from.connect_timeout);
        c_.probe_cooldown_ms = ms(from.probe_cooldown);
        c_.probe_timeout_ms = ms(from.probe_timeout);
        c_.stop_timeout_ms = ms(from.stop_timeout);
        c_.failback_cooldown_ms = ms(from.failback_cooldown);
        c_.failback_stable_ms = ms(from.failback_stable);
        c_.error_history = from.error_history;
        c_.switch_history = from.switch_history;
        c_.failback = static_cast<std::uint32_t>(from.failback);
        c_.cut = static_cast<std::uint32_t>(from.cut);
        c_.cut_max_wait_ms = ms(from.cut_max_wait);
        c_.observe = static_cast<std::uint32_t>(from.observe);
        c_.health = health_.get();
    }
    c_engine_config(const c_engine_config &) = delete;
    c_engine_config &operator=(const c_engine_config &) = delete;

    const changeover_engine_config *get() const noexcept { return &c_; }

private:
    c_health health_;
    changeover_engine_config c_;
};

class c_inputs {
public:
    explicit c_inputs(const std::vector<input_config> &from) {
        healths_.reserve(from.size());
        inputs_.reserve(from.size());
        for (const input_config &input : from) {
            healths_.emplace_back(input.health);
            changeover_input_config c = changeover_input_config_init();
            c.priority = input.priority;
            c.hot = input.is_hot;
            c.address = whole(input.address, errc::bad_argument, "an address has a NUL in it");
            c.packet_timeout_ms = ms(input.packet_timeout);
            c.connect_timeout_ms = ms(input.connect_timeout);
            c.health = healths_.back().get();
            inputs_.push_back(c);
        }
    }
    c_inputs(const c_inputs &) = delete;
    c_inputs &operator=(const c_inputs &) = delete;

    const changeover_input_config *get() const noexcept { return inputs_.data(); }
    std::size_t size() const noexcept { return inputs_.size(); }

private:
    std::vector<c_health> healths_;
    std::vector<changeover_input_config> inputs_;
};

}  // namespace detail

// ---------------------------------------------------------------------------------------------
// Results
// ---------------------------------------------------------------------------------------------

// changeover_event: all of its fields, and some of them as what they are.
struct event : changeover_event {
    event() noexcept : changeover_event(changeover_event_init()) {}
    // What a callback is given; of an older library, what that knows of.
    explicit event(const changeover_event &from) noexcept : event() {
        changeover_event &c = *this;
        std::memcpy(&c, &from, from.size < sizeof c ? from.size : sizeof c);
        size = sizeof c;
    }

    event_kind what() const noexcept { return static_cast<event_kind>(kind); }
    changeover::reason why() const noexcept { return static_cast<changeover::reason>(reason); }
    // The stream's id; empty where it concerns the engine.
    std::string_view stream_id() const noexcept { return stream; }
    // For people.
    std::string_view text() const noexcept { return detail; }
    std::optional<std::int32_t> from() const noexcept {
        return field(CHANGEOVER_EVENT_HAS_FROM, from_priority);
    }
    std::optional<std::int32_t> to() const noexcept {
        return field(CHANGEOVER_EVENT_HAS_TO, to_priority);
    }
    std::optional<std::int32_t> input() const noexcept {
        return field(CHANGEOVER_EVENT_HAS_INPUT, input_priority);
    }
    std::optional<std::chrono::microseconds> stall() const noexcept {
        const auto time = std::chrono::microseconds(static_cast<std::int64_t>(stall_us));
        return field(CHANGEOVER_EVENT_HAS_STALL, time);
    }
    std::optional<bool> on_keyframe() const noexcept {
        return field(CHANGEOVER_EVENT_HAS_ALIGNED, aligned != 0);
    }
    milliseconds duration() const noexcept {
        return milliseconds(static_cast<std::int64_t>(duration_ms));
    }
    // When it was.
    std::chrono::system_clock::time_point time() const noexcept {
        return std::chrono::system_clock::time_point(
            std::chrono::duration_cast<std::chrono::system_clock::duration>(
                nanoseconds(at_unix_ns)));
    }

private:
    template <class T>
    std::optional<T> field(std::uint32_t flag, T said) const noexcept {
        return (fields & flag) != 0 ? std::optional<T>(said) : std::nullopt;
    }
};

// changeover_stream_status: one stream at one moment.
struct stream_status : changeover_stream_status {
    stream_status() noexcept : changeover_stream_status(changeover_stream_status_init()) {}

    changeover::status state() const noexcept { return static_cast<changeover::status>(status); }
    std::optional<std::int32_t> active_input() const noexcept {
        return there(has_active, active_input_priority);
    }
    std::optional<std::int32_t> override_input() const noexcept {
        return there(has_override, override_input_priority);
    }
    std::optional<std::int32_t> pending_input() const noexcept {
        return there(has_pending, pending_input_priority);
    }
    std::optional<std::int32_t> held_input() const noexcept {
        return there(has_hold, hold_input_priority);
    }

private:
    static std::optional<std::int32_t> there(std::uint32_t is, std::int32_t priority) noexcept {
        return is ? std::optional<std::int32_t>(priority) : std::nullopt;
    }
};

// changeover_input_health: one input's health at one moment.
struct input_health : changeover_input_health {
    input_health() noexcept : changeover_input_health(changeover_input_health_init()) {}

    changeover::status state() const noexcept { return static_cast<changeover::status>(status); }
    // The latest failure, empty if there was none.
    std::string_view failure() const noexcept { return last_failure; }
};

// changeover_engine_stats: the engine's counters.
struct engine_stats : changeover_engine_stats {
    engine_stats() noexcept : changeover_engine_stats(changeover_engine_stats_init()) {}
};

// changeover_sight: what was seen in one datagram.
struct sight : changeover_sight {
    sight() noexcept : changeover_sight(changeover_sight_init()) {}

    bool has_rtp() const noexcept { return (fields & CHANGEOVER_SIGHT_HAS_RTP) != 0; }
    bool has_pcr() const noexcept { return (fields & CHANGEOVER_SIGHT_HAS_PCR) != 0; }
    bool has_pts() const noexcept { return (fields & CHANGEOVER_SIGHT_HAS_PTS) != 0; }
    bool has_dts() const noexcept { return (fields & CHANGEOVER_SIGHT_HAS_DTS) != 0; }
};

// ---------------------------------------------------------------------------------------------
// Events, eyes, timelines, tickets
// ---------------------------------------------------------------------------------------------

// A queue of the engine's events.
class events : public detail::owned<changeover_events, changeover_events_close> {
public:
    using owned::owned;

    // For poll: readable while there is something to read. Not to be read or closed.
    int fd() const { return detail::checked(changeover_events_fd(handle())); }

    // The next event, if there is one. errc::shut_down: none will come any more.
    std::optional<event> next() const {
        std::optional<event> found(std::in_place);
        return detail::checked(try_next(*found)) > 0 ? found : std::nullopt;
    }
    // 1, and it is in `out`; 0: none; negative: a code.
    std::int32_t try_next(event &out) const noexcept {
        return changeover_events_next(handle(), &out);
    }

    // The same, and waits for one.
    std::optional<event> wait(milliseconds at_most) const {
        std::optional<event> found(std::in_place);
        return detail::checked(try_wait(at_most, *found)) > 0 ? found : std::nullopt;
    }
    std::int32_t try_wait(milliseconds at_most, event &out) const noexcept {
        return changeover_events_wait(handle(), detail::timeout(at_most), &out);
    }

    // The next one with everything it says, as a JSON text.
    std::optional<std::string> next_json() const {
        detail::text text;
        const bool found = detail::checked(changeover_events_next_json(handle(), text.out())) > 0;
        return found ? std::optional<std::string>(text.str()) : std::nullopt;
    }

    // How many it has lost because it was full.
    std::uint64_t dropped() const {
        std::uint64_t count = 0;
        detail::checked(changeover_events_dropped(handle(), &count));
        return count;
    }
};

// What one input's datagrams are looked at with.
class eyes : public detail::owned<changeover_eyes, changeover_eyes_close> {
public:
    using owned::owned;

    // Whether it is media: record `out.packet`.
    bool look(const void *datagram, std::size_t length, sight &out) const {
        return detail::checked(try_look(datagram, length, out)) > 0;
    }
    std::int32_t try_look(const void *datagram, std::size_t length, sight &out) const noexcept {
        return changeover_eyes_look(handle(), static_cast<const std::uint8_t *>(datagram), length,
                                    &out);
    }
};

// What one tick lasts, and the width of the counter (0: it never wraps).
struct timebase {
    std::int32_t num = 1;
    std::int32_t den = 90000;
    std::uint32_t wrap_bits = 0;

    changeover_timebase c() const noexcept { return changeover_timebase{num, den, wrap_bits}; }
};

// A packet's times, in ticks.
struct stamps {
    std::int64_t dts = no_timestamp;
    std::int64_t pts = no_timestamp;
    std::int64_t duration = 0;
};

// changeover_timeline_options.
struct timeline_options {
    timebase output;
    std::optional<std::int64_t> start_dts;
    milliseconds max_jump{};
    bool by_dts_alone = false;
};

// Maps the times of many inputs onto one that goes on: one per output.
class timeline : public detail::owned<changeover_timeline, changeover_timeline_close> {
public:
    using owned::owned;

    // Maps one packet that was let through under `under` (verdict::cut). `out` is written for
    // mapped::at alone, and may be `in`.
    mapped map(std::uint32_t under, std::uint32_t of_track, const timebase &base, const stamps &in,
               stamps &out) const {
        return static_cast<mapped>(detail::checked(try_map(under, of_track, base, in, out)));
    }
    std::int32_t try_map(std::uint32_t under, std::uint32_t of_track, const timebase &base,
                         const stamps &in, stamps &out) const noexcept {
        changeover_stamps c = changeover_stamps_of(in.dts, in.pts, in.duration);
        const std::int32_t answer =
            changeover_timeline_map(handle(), under, of_track, base.c(), &c, &c);
        if (answer == CHANGEOVER_MAPPED_AT)
            out = stamps{c.dts, c.pts, c.duration};
        return answer;
    }

    // Maps a program clock reference: in 27 MHz ticks, or its 90 kHz base alone. None: do not
    // send it.
    std::optional<std::int64_t> pcr(std::uint32_t under, bool is_27mhz, std::int64_t value) const {
        std::int64_t out = 0;
        return detail::checked(try_pcr(under, is_27mhz, value, out)) > 0
                   ? std::optional<std::int64_t>(out)
                   : std::nullopt;
    }
    std::int32_t try_pcr(std::uint32_t under, bool is_27mhz, std::int64_t value,
                         std::int64_t &out) const noexcept {
        return changeover_timeline_pcr(handle(), under, is_27mhz, value, &out);
    }

    // The next packet begins a new turn.
    void restart() const { detail::checked(try_restart()); }
    std::int32_t try_restart() const noexcept { return changeover_timeline_restart(handle()); }
};

// The receipt of a switch or hold; the switch goes on without it.
class ticket : public detail::owned<changeover_ticket, changeover_ticket_close> {
public:
    using owned::owned;

    // Whether it is accepted; false: it is not decided yet. errc::switch_failed: it failed.
    bool outcome() const { return detail::checked(try_outcome()) > 0; }
    std::int32_t try_outcome() const noexcept { return changeover_ticket_outcome(handle()); }

    // Waits until it is accepted. errc::switch_failed, errc::timed_out.
    void wait(milliseconds at_most) const { detail::checked(try_wait(at_most)); }
    std::int32_t try_wait(milliseconds at_most) const noexcept {
        return changeover_ticket_wait(handle(), detail::timeout(at_most));
    }
};

// ---------------------------------------------------------------------------------------------
// The engine
// ---------------------------------------------------------------------------------------------

struct callbacks;

// An engine that is not owned: a number.
class engine_ref {
public:
    engine_ref() noexcept = default;
    explicit engine_ref(changeover_engine engine) noexcept : engine_(engine) {}

    // For the C functions.
    changeover_engine handle() const noexcept { return engine_; }
    explicit operator bool() const noexcept { return engine_.raw != 0; }

    // Ends the work and keeps the handles. Answers how many calls had to be left behind.
    std::uint64_t shutdown() const {
        std::uint64_t detached = 0;
        detail::checked(try_shutdown(&detached));
        return detached;
    }
    std::int32_t try_shutdown(std::uint64_t *detached = nullptr) const noexcept {
        return changeover_engine_shutdown(engine_, detached);
    }

    // Others in the place of those in force.
    inline void set_callbacks(changeover::callbacks others) const;
    void clear_callbacks() const { detail::checked(changeover_set_callbacks(engine_, nullptr)); }

    // Streams.
    void register_stream(const stream_config &stream) const {
        detail::checked(try_register_stream(stream));
    }
    inline std::int32_t try_register_stream(const stream_config &stream) const;
    void register_json(const std::string &stream) const {
        detail::checked(changeover_register_json(engine_, detail::json(stream)));
    }
    void unregister(std::string_view stream) const { detail::checked(try_unregister(stream)); }
    std::int32_t try_unregister(std::string_view stream) const noexcept {
        return changeover_unregister(engine_, detail::id(stream).c_str());
    }
    // ... and waits until every driver call and callback of it has returned.
    void unregister_and_wait(std::string_view stream, milliseconds at_most) const {
        detail::checked(try_unregister_and_wait(stream, at_most));
    }
    std::int32_t try_unregister_and_wait(std::string_view stream,
                                         milliseconds at_most) const noexcept {
        return changeover_unregister_and_wait(engine_, detail::id(stream).c_str(),
                                              detail::timeout(at_most));
    }
    bool is_registered(std::string_view stream) const {
        return detail::checked(changeover_is_registered(engine_, detail::id(stream).c_str())) > 0;
    }
    std::vector<std::string> registered_streams() const {
        detail::text text;
        std::size_t count = 0;
        detail::checked(changeover_registered_streams(engine_, text.out(), &count));
        std::vector<std::string> ids;
        ids.reserve(count);
        const std::string lines = text.str();
        for (std::size_t at = 0, end; (end = lines.find('\n', at)) != std::string::npos;
             at = end + 1)
            ids.push_back(lines.substr(at, end - at));
        return ids;
    }
    inline void update_inputs(std::string_view stream, const inputs_update &update) const;
    void update_inputs_json(std::string_view stream, const std::string &update) const {
        detail::checked(changeover_update_inputs_json(engine_, detail::id(stream).c_str(),
                                                      detail::json(update)));
    }
    // Empty: the stream's own id.
    void update_buffer_write_id(std::string_view stream, const std::string &buffer) const {
        const char *text =
            detail::whole(buffer, errc::bad_argument, "a buffer's id has a NUL in it");
        detail::checked(
            changeover_update_buffer_write_id(engine_, detail::id(stream).c_str(), text));
    }

    // The policy.
    void set_config(const engine_config &config) const {
        detail::checked(changeover_set_config(engine_, detail::c_engine_config(config).get()));
    }
    void set_config_json(const std::string &config) const {
        detail::checked(changeover_set_config_json(engine_, detail::json(config)));
    }
    std::string config_json() const {
        detail::text text;
        detail::checked(changeover_config_json(engine_, text.out()));
        return text.str();
    }

    // The operator.
    ticket switch_input(std::string_view stream, std::int32_t priority) const {
        changeover_ticket given{};
        detail::checked(
            changeover_switch_input(engine_, detail::id(stream).c_str(), priority, &given));
        return ticket(given);
    }
    void clear_override(std::string_view stream) const {
        detail::checked(changeover_clear_override(engine_, detail::id(stream).c_str()));
    }
    ticket hold_input(std::string_view stream, std::int32_t priority, const hold &how = {}) const {
        changeover_hold c = changeover_hold_init();
        c.ttl_ms = detail::ms(how.ttl);
        c.when_dead = static_cast<std::uint32_t>(how.when_dead);
        changeover_ticket given{};
        detail::checked(
            changeover_hold_input(engine_, detail::id(stream).c_str(), priority, &c, &given));
        return ticket(given);
    }
    void release_hold(std::string_view stream) const {
        detail::checked(changeover_release_hold(engine_, detail::id(stream).c_str()));
    }
    void set_input_enabled(std::string_view stream, std::int32_t priority, bool enabled) const {
        detail::checked(
            changeover_set_input_enabled(engine_, detail::id(stream).c_str(), priority, enabled));
    }

    // What you see, and the engine cannot. 0: the default times.
    void raise_condition(std::string_view stream, std::int32_t priority, std::string_view name,
                         milliseconds hold_time = {}, milliseconds clear_time = {}) const {
        const detail::id text(name);
        changeover_condition c = changeover_condition_init();
        c.name = text.c_str();
        c.hold_ms = detail::ms(hold_time);
        c.clear_ms = detail::ms(clear_time);
        detail::checked(
            changeover_raise_condition(engine_, detail::id(stream).c_str(), priority, &c));
    }
    void clear_condition(std::string_view stream, std::int32_t priority,
                         std::string_view name) const {
        detail::checked(changeover_clear_condition(engine_, detail::id(stream).c_str(), priority,
                                                   detail::id(name).c_str()));
    }
    // A source has failed. With an epoch: only if that is the open one.
    void report_input_error(std::string_view stream, std::int32_t priority, const std::string &why,
                            std::uint64_t epoch = 0) const {
        detail::checked(try_report_input_error(stream, priority, why.c_str(), epoch));
    }
    std::int32_t try_report_input_error(std::string_view stream, std::int32_t priority,
                                        const char *why, std::uint64_t epoch = 0) const noexcept {
        return changeover_report_input_error(engine_, detail::id(stream).c_str(), priority, epoch,
                                             why);
    }

    // Recording. `epoch`: that of the driver's start; for a hot input 0.
    recorder open_recorder(std::string_view stream, std::int32_t priority,
                           std::uint64_t epoch = 0) const {
        recorder made;
        detail::checked(try_open_recorder(stream, priority, epoch, made));
        return made;
    }
    std::int32_t try_open_recorder(std::string_view stream, std::int32_t priority,
                                   std::uint64_t epoch, recorder &out) const noexcept {
        changeover_recorder opened{};
        const std::int32_t answer =
            changeover_recorder_open(engine_, detail::id(stream).c_str(), priority, epoch, &opened);
        if (answer >= 0)
            out = recorder(opened);
        return answer;
    }
    // By id and priority, from any thread, without a recorder.
    verdict record_packet(std::string_view stream, std::int32_t priority) const noexcept {
        return verdict(changeover_record_packet(engine_, detail::id(stream).c_str(), priority));
    }

    // What there is to see.
    std::string status_json(std::string_view stream) const {
        detail::text text;
        detail::checked(changeover_status_json(engine_, detail::id(stream).c_str(), text.out()));
        return text.str();
    }
    stream_status status(std::string_view stream) const {
        stream_status out;
        detail::checked(try_status(stream, out));
        return out;
    }
    std::int32_t try_status(std::string_view stream, stream_status &out) const noexcept {
        return changeover_status(engine_, detail::id(stream).c_str(), &out);
    }
    std::optional<std::int32_t> active_input(std::string_view stream) const {
        std::int32_t priority = 0;
        return detail::checked(try_active_input(stream, priority)) > 0
                   ? std::optional<std::int32_t>(priority)
                   : std::nullopt;
    }
    std::int32_t try_active_input(std::string_view stream, std::int32_t &priority) const noexcept {
        return changeover_active_input(engine_, detail::id(stream).c_str(), &priority);
    }
    bool is_exhausted(std::string_view stream) const {
        return detail::checked(changeover_is_exhausted(engine_, detail::id(stream).c_str())) > 0;
    }
    changeover::input_health input_health(std::string_view stream, std::int32_t priority) const {
        changeover::input_health out;
        detail::checked(
            changeover_input_health_of(engine_, detail::id(stream).c_str(), priority, &out));
        return out;
    }
    std::string input_health_json(std::string_view stream, std::int32_t priority) const {
        detail::text text;
        detail::checked(changeover_input_health_json(engine_, detail::id(stream).c_str(), priority,
                                                     text.out()));
        return text.str();
    }
    engine_stats stats() const {
        engine_stats out;
        detail::checked(changeover_stats(engine_, &out));
        return out;
    }
    std::string metrics_text() const {
        detail::text text;
        detail::checked(changeover_metrics_text(engine_, text.out()));
        return text.str();
    }
    // Its precise clock: time since it was made.
    nanoseconds now() const {
        std::uint64_t time = 0;
        detail::checked(changeover_now_ns(engine_, &time));
        return nanoseconds(static_cast<nanoseconds::rep>(time));
    }

    // A queue of at most so many events (0: 1,024).
    events open_events(std::size_t capacity = 0) const {
        changeover_events opened{};
        detail::checked(changeover_events_open(engine_, capacity, &opened));
        return events(opened);
    }
    eyes open_eyes(eyes_format format) const {
        changeover_eyes opened{};
        detail::checked(changeover_eyes_open(engine_, static_cast<std::uint32_t>(format), &opened));
        return eyes(opened);
    }
    timeline open_timeline(const timeline_options &options = {}) const {
        changeover_timeline_options c = changeover_timeline_options_init();
        c.output = options.output.c();
        c.has_start = options.start_dts.has_value();
        c.start_dts = options.start_dts.value_or(0);
        c.max_jump_ms = detail::timeout(options.max_jump);
        c.by_dts_alone = options.by_dts_alone;
        changeover_timeline opened{};
        detail::checked(changeover_timeline_open(engine_, &c, &opened));
        return timeline(opened);
    }

    // An engine that is driven by hand.
    void hand_advance(nanoseconds by) const {
        detail::checked(changeover_hand_advance(engine_, detail::ns(by)));
    }
    void hand_stall(nanoseconds by) const {
        detail::checked(changeover_hand_stall(engine_, detail::ns(by)));
    }
    // Answers how many.
    std::int32_t hand_run_calls() const {
        return detail::checked(changeover_hand_run_calls(engine_));
    }

protected:
    changeover_engine engine_{};
};

// The right to answer one driver call: a number.
class answer_token {
public:
    answer_token() noexcept = default;
    explicit answer_token(changeover_answer_token token) noexcept : token_(token) {}

    changeover_answer_token handle() const noexcept { return token_; }
    explicit operator bool() const noexcept { return token_.raw != 0; }

    // Each answers whether it was taken; false: the token is used up. Never throws or blocks.
    bool done() const noexcept {
        return changeover_answer(token_, CHANGEOVER_ANSWER_DONE, nullptr) >= 0;
    }
    bool failed(const std::string &why) const noexcept { return failed(why.c_str()); }
    bool failed(const char *why) const noexcept {
        return changeover_answer(token_, CHANGEOVER_ANSWER_FAILED, why) >= 0;
    }
    bool unsupported() const noexcept {
        return changeover_answer(token_, CHANGEOVER_ANSWER_UNSUPPORTED, nullptr) >= 0;
    }

private:
    changeover_answer_token token_{};
};

// What a driver answers.
class answer {
public:
    static answer done() { return answer(CHANGEOVER_ANSWER_DONE, {}); }
    // Like throwing an exception that says why.
    static answer failed(std::string why) {
        return answer(CHANGEOVER_ANSWER_FAILED, std::move(why));
    }
    static answer unsupported() { return answer(CHANGEOVER_ANSWER_UNSUPPORTED, {}); }
    // It comes later, from any thread, by driver_call::token.
    static answer later() { return answer(CHANGEOVER_ANSWER_LATER, {}); }

    std::int32_t c() const noexcept { return answer_; }
    const std::string &why() const noexcept { return why_; }

private:
    answer(std::int32_t kind, std::string why) : answer_(kind), why_(std::move(why)) {}

    std::int32_t answer_;
    std::string why_;
};

// One driver call: changeover_driver_call. Its texts are there until the call returns.
class driver_call {
public:
    explicit driver_call(const changeover_driver_call &call) noexcept : call_(call) {}

    engine_ref engine() const noexcept { return engine_ref(call_.engine); }
    std::string_view stream() const noexcept { return detail::view(call_.stream); }
    // 0 for a probe.
    std::uint64_t epoch() const noexcept { return call_.epoch; }
    std::int32_t priority() const noexcept { return call_.input_priority; }
    // Rebind: the priority that it had.
    std::int32_t from_priority() const noexcept { return call_.from_priority; }
    // Empty for stop.
    std::string_view address() const noexcept { return detail::view(call_.address); }
    // Start only.
    std::string_view buffer_write_id() const noexcept {
        return detail::view(call_.buffer_write_id);
    }
    // Start and probe: for answer::later.
    answer_token token() const noexcept { return answer_token(call_.answer); }
    bool is_hot() const noexcept { return call_.hot != 0; }
    const changeover_driver_call &c() const noexcept { return call_; }

private:
    const changeover_driver_call &call_;
};

// Who brings cold inputs up and down: changeover_driver. Calls come on worker threads, several at
// once (but never for one input). Each may block, within its deadline.
//
// What start and probe throw is an answer::failed with its what(). What the others throw goes to
// `thrown`.
class driver {
public:
    driver() = default;
    driver(const driver &) = delete;
    driver &operator=(const driver &) = delete;
    virtual ~driver() = default;

    virtual answer start(const driver_call &call) = 0;
    virtual void stop(const driver_call &call) = 0;
    virtual answer probe(const driver_call &) { return answer::unsupported(); }
    virtual void rebind(const driver_call &) {}
    virtual void request_keyframe(const driver_call &) {}
    // By default it is lost.
    virtual void thrown(const driver_call &, const char *) noexcept {}
};

// What the host wants to be told: changeover_callbacks. All on one thread of the engine, one at a
// time; the texts are there until the call returns. Each may be empty.
struct callbacks {
    std::function<void(engine_ref, std::string_view stream)> on_exhausted;
    std::function<void(engine_ref, std::string_view stream)> on_restored;
    std::function<void(engine_ref, const event &)> on_event;
    std::function<void(engine_ref, log_level, std::string_view line)> on_log;
    // What one of the above has thrown; by default it is lost. Throws nothing itself.
    std::function<void(const char *what)> on_exception;
};

// changeover_engine_options.
struct engine_options {
    engine_config config;
    // Not needed where all inputs are hot. Destroyed when no call of it runs or will run any more.
    std::shared_ptr<changeover::driver> driver;
    changeover::callbacks callbacks;
    // Empty: `changeover`.
    std::string metrics_prefix;
    milliseconds shutdown_timeout{};
    std::uint32_t driver_workers = 0;
    std::uint32_t max_stuck_calls = 0;
    // No threads; a clock that moves by hand_advance alone. For tests.
    bool hand_driven = false;
};

namespace detail {

// What the library calls a driver by.
struct driver_host {
    std::shared_ptr<driver> host;

    static driver &of(void *user_data) noexcept {
        return *static_cast<driver_host *>(user_data)->host;
    }

    template <answer (driver::*Method)(const driver_call &)>
    static std::int32_t ask(const changeover_driver_call *call, void *user_data) {
        std::int32_t kind = CHANGEOVER_ANSWER_FAILED;
        guarded(
            [&] {
                const answer made = (of(user_data).*Method)(driver_call(*call));
                // The first answer counts, and this one says why.
                if (made.c() == CHANGEOVER_ANSWER_FAILED)
                    changeover_answer(call->answer, CHANGEOVER_ANSWER_FAILED, made.why().c_str());
                kind = made.c();
            },
            [&](const char *what) {
                changeover_answer(call->answer, CHANGEOVER_ANSWER_FAILED, what);
            });
        return kind;
    }

    template <void (driver::*Method)(const driver_call &)>
    static void tell(const changeover_driver_call *call, void *user_data) {
        guarded([&] { (of(user_data).*Method)(driver_call(*call)); },
                [&](const char *what) { of(user_data).thrown(driver_call(*call), what); });
    }

    static void destroy(void *user_data) {
        guarded([&] { delete static_cast<driver_host *>(user_data); }, [](const char *) {});
    }

    changeover_driver c() {
        changeover_driver made = changeover_driver_init();
        made.user_data = this;
        made.destroy = destroy;
        made.start = ask<&driver::start>;
        made.stop = tell<&driver::stop>;
        made.probe = ask<&driver::probe>;
        made.rebind = tell<&driver::rebind>;
        made.request_keyframe = tell<&driver::request_keyframe>;
        return made;
    }
};

// What the library calls the callbacks by.
struct callbacks_host {
    callbacks host;

    template <class Call>
    static void run(void *user_data, Call &&call) {
        callbacks &host = static_cast<callbacks_host *>(user_data)->host;
        guarded([&] { call(host); },
                [&](const char *what) {
                    if (host.on_exception)
                        host.on_exception(what);
                });
    }
    static void exhausted(changeover_engine engine, const char *stream, void *user_data) {
        run(user_data, [&](callbacks &to) { to.on_exhausted(engine_ref(engine), view(stream)); });
    }
    static void restored(changeover_engine engine, const char *stream, void *user_data) {
        run(user_data, [&](callbacks &to) { to.on_restored(engine_ref(engine), view(stream)); });
    }
    static void happened(changeover_engine engine, const changeover_event *what, void *user_data) {
        run(user_data, [&](callbacks &to) { to.on_event(engine_ref(engine), event(*what)); });
    }
    static void log(changeover_engine engine, std::int32_t level, const char *line,
                    void *user_data) {
        run(user_data, [&](callbacks &to) {
            to.on_log(engine_ref(engine), static_cast<log_level>(level), view(line));
        });
    }
    static void destroy(void *user_data) {
        guarded([&] { delete static_cast<callbacks_host *>(user_data); }, [](const char *) {});
    }

    changeover_callbacks c() {
        changeover_callbacks made = changeover_callbacks_init();
        made.user_data = this;
        made.destroy = destroy;
        made.on_exhausted = host.on_exhausted ? exhausted : nullptr;
        made.on_restored = host.on_restored ? restored : nullptr;
        made.on_event = host.on_event ? happened : nullptr;
        made.on_log = host.on_log ? log : nullptr;
        return made;
    }
};

}  // namespace detail

// An engine. Its destructor ends it, and may block.
class engine : public engine_ref {
public:
    // With every default.
    engine() : engine(engine_options()) {}
    explicit engine(const engine_options &options) : engine(nullptr) {
        detail::checked(try_create(options, *this));
    }
    // None yet.
    explicit engine(std::nullptr_t) noexcept {}
    engine(engine &&from) noexcept : engine_ref(from.release()) {}
    engine &operator=(engine &&from) noexcept {
        if (this != &from) {
            destroy();
            engine_ = from.release();
        }
        return *this;
    }
    ~engine() { destroy(); }

    // Makes one in `out`, whose own is ended.
    static std::int32_t try_create(const engine_options &options, engine &out) {
        const detail::c_engine_config config(options.config);
        std::unique_ptr<detail::driver_host> driver;
        if (options.driver)
            driver.reset(new detail::driver_host{options.driver});
        std::unique_ptr<detail::callbacks_host> told(new detail::callbacks_host{options.callbacks});
        const changeover_driver c_driver = driver ? driver->c() : changeover_driver_init();
        const changeover_callbacks c_callbacks = told->c();

        changeover_engine_options c = changeover_engine_options_init();
        c.config = config.get();
        c.driver = driver ? &c_driver : nullptr;
        c.callbacks = &c_callbacks;
        const char *prefix = detail::whole(options.metrics_prefix, errc::bad_argument,
                                           "metrics_prefix has a NUL in it");
        c.metrics_prefix = *prefix ? prefix : nullptr;
        c.shutdown_timeout_ms = detail::ms(options.shutdown_timeout);
        c.driver_workers = options.driver_workers;
        c.max_stuck_calls = options.max_stuck_calls;
        c.hand_driven = options.hand_driven;

        changeover_engine made{};
        const std::int32_t answer = changeover_engine_create(&c, &made);
        if (answer >= 0) {
            // They are the library's now, which calls their `destroy`.
            (void)driver.release();
            (void)told.release();
            out = engine(made);
        }
        return answer;
    }

    // Takes what C has created.
    explicit engine(changeover_engine created) noexcept : engine_ref(created) {}
    // Lets go of it without ending it.
    changeover_engine release() noexcept { return std::exchange(engine_, changeover_engine{}); }

    // Ends it now; answers as C does. It is empty then, unless it could not be ended here
    // (CHANGEOVER_WOULD_BLOCK).
    std::int32_t destroy(std::uint64_t *detached = nullptr) noexcept {
        if (!engine_.raw)
            return CHANGEOVER_INVALID_HANDLE;
        const std::int32_t answer = changeover_engine_destroy(engine_, detached);
        if (answer != CHANGEOVER_WOULD_BLOCK)
            engine_ = changeover_engine{};
        return answer;
    }
};

inline void engine_ref::set_callbacks(changeover::callbacks others) const {
    std::unique_ptr<detail::callbacks_host> told(new detail::callbacks_host{std::move(others)});
    const changeover_callbacks c = told->c();
    detail::checked(changeover_set_callbacks(engine_, &c));
    (void)told.release();
}

inline std::int32_t engine_ref::try_register_stream(const stream_config &stream) const {
    const detail::id id(stream.id);
    const detail::c_health health(stream.health);
    const detail::c_inputs inputs(stream.inputs);
    changeover_stream_config c = changeover_stream_config_init();
    c.id = id.c_str();
    c.buffer_write_id = detail::whole(stream.buffer_write_id, errc::bad_argument,
                                      "buffer_write_id has a NUL in it");
    c.packet_timeout_ms = detail::ms(stream.packet_timeout);
    c.connect_timeout_ms = detail::ms(stream.connect_timeout);
    c.failback_stable_ms = detail::ms(stream.failback_stable);
    c.failback = static_cast<std::uint32_t>(stream.failback);
    c.cut = static_cast<std::uint32_t>(stream.cut);
    c.cut_max_wait_ms = detail::ms(stream.cut_max_wait);
    c.observe = static_cast<std::uint32_t>(stream.observe);
    c.health = health.get();
    c.inputs = inputs.get();
    c.input_count = inputs.size();
    return changeover_register(engine_, &c);
}

inline void engine_ref::update_inputs(std::string_view stream, const inputs_update &update) const {
    const detail::c_inputs added(update.added);
    const detail::c_inputs updated(update.updated);
    changeover_inputs_update c = changeover_inputs_update_init();
    c.added = added.get();
    c.added_count = added.size();
    c.removed = update.removed.data();
    c.removed_count = update.removed.size();
    c.updated = updated.get();
    c.updated_count = updated.size();
    detail::checked(changeover_update_inputs(engine_, detail::id(stream).c_str(), &c));
}

}  // namespace changeover

template <>
struct std::is_error_code_enum<changeover::errc> : std::true_type {};

#endif  // CHANGEOVER_HPP
