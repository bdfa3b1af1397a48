/*
 * changeover: a failover engine for live media inputs.
 *
 * Generated from src/ffi by cbindgen. Do not edit: change the sources, then
 *     CHANGEOVER_BLESS=1 cargo test --test capi header
 *
 * A stream has several redundant inputs. You tell the engine of every packet of every input
 * (changeover_record), and it answers whether that packet goes out. When the active input is
 * silent, starved, broken or reported bad, the engine moves the stream to the best other one; it
 * moves back when the better one has proved itself.
 *
 *     cc `pkg-config --cflags changeover` main.c `pkg-config --libs changeover`
 *
 *     changeover_engine engine;
 *     if (changeover_engine_create(NULL, &engine) < 0)
 *         die(changeover_last_error_text());
 *
 *     changeover_input_config inputs[2] = {changeover_input_config_init(),
 *                                          changeover_input_config_init()};
 *     inputs[0].address = "udp://main";
 *     inputs[0].hot = 1;
 *     inputs[1].address = "udp://backup";
 *     inputs[1].priority = 1;
 *     inputs[1].hot = 1;
 *     changeover_stream_config news = changeover_stream_config_init();
 *     news.id = "news";
 *     news.inputs = inputs;
 *     news.input_count = 2;
 *     changeover_register(engine, &news);
 *
 *     changeover_recorder recorder;    // one per producer thread
 *     changeover_recorder_open(engine, "news", 0, 0, &recorder);
 *     while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0)
 *         if (changeover_record_bytes(recorder, (uint32_t)n) > 0)
 *             send(out, buffer, (size_t)n, 0);
 *
 *     changeover_recorder_close(recorder);
 *     changeover_engine_destroy(engine, NULL);
 *
 * C99 or later, C++98 or later.
 *
 * THE RULES. Each function says where it differs.
 *
 * Answers. A function that answers int32_t (or int64_t) answers a negative CHANGEOVER_* code where
 *   it refuses: nothing was changed then, and nothing was written but the thread's last error.
 *   The list of codes is closed; changeover_strerror has a text for each,
 *   changeover_last_error_text what went wrong in particular.
 *
 * Handles (changeover_engine, changeover_recorder, ...) are numbers, not pointers; 0 is none. One
 *   that is stale, closed, of another kind or garbage answers CHANGEOVER_INVALID_HANDLE and touches
 *   nothing, also while other threads close it, and after its engine is gone. A number is not used
 *   again before 2^26 others were. What was opened on an engine ends with it.
 *
 * Structs that begin with `size` may grow in later versions. Make them with their init function
 *   (all 0 but the size): a program that was built with an older or newer header keeps working, or
 *   gets CHANGEOVER_BAD_STRUCT where it asks for what this library does not know. 0 in a field
 *   always means its default. `reserved` is 0.
 *
 * Pointers must be valid for the call; they are not kept. NULL answers CHANGEOVER_NULL_ARGUMENT,
 *   where it is not said to be fine. Texts are UTF-8 with a terminating 0. Texts that a function
 *   gives by char ** are yours: free them with changeover_string_free. Texts that it answers
 *   (const char *) are not.
 *
 * Threads. Every function may be called from any thread, at any time, also while another thread
 *   destroys the engine. changeover_record and its kin (_bytes, _batch, _precise, _at), with one
 *   recorder, are for one thread at a time; they are wait-free and async-signal-safe (not on an
 *   engine that is driven by hand; errno may change). changeover_record_packet is lock-free, and
 *   not async-signal-safe. Everything else takes short locks and waits for nobody's code, unless
 *   it says "may block".
 *
 * Callbacks (driver calls, notices) run on threads of the engine. They may call back into the API.
 *   What would have to wait for them (destroy, shutdown, waiting calls) answers
 *   CHANGEOVER_WOULD_BLOCK there. They must not throw, longjmp, or end their thread. None runs
 *   after changeover_engine_destroy has returned, but those that it says it had to leave behind.
 *   `destroy` is called once for each `user_data`, when nothing uses it any more.
 *
 * Panics do not cross: one answers CHANGEOVER_PANIC and is logged. Out of memory aborts.
 *
 * fork. The engine's threads are not in the child. There every call answers CHANGEOVER_FORKED,
 *   changeover_engine_destroy too (nothing is freed), and changeover_engine_create (locks of the
 *   process may be held by threads that are not there); recording counts in the child's copy of
 *   the memory, where nobody looks. Children of a process that had no engine at the time of the
 *   fork make engines of their own; exec is not concerned.
 *
 * A thread's first call should not come from a destructor of a pthread key: what the library then
 *   keeps for the thread (some 10 KiB) is never freed.
 *
 * dlclose. Destroy every engine before, and end every thread that has called the library: its last
 *   error is thread-local.
 */

#ifndef CHANGEOVER_H
#define CHANGEOVER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* The header's version; changeover_version() is the library's. */
#define CHANGEOVER_VERSION "0.1.0"
#define CHANGEOVER_VERSION_MAJOR 0
#define CHANGEOVER_VERSION_MINOR 1
#define CHANGEOVER_VERSION_PATCH 0
#define CHANGEOVER_VERSION_NUMBER (0 << 16 | 1 << 8 | 0)
/* The number in the library's SONAME. */
#define CHANGEOVER_ABI_VERSION 0

/* A timestamp that is not there: FFmpeg's AV_NOPTS_VALUE. */
#define CHANGEOVER_NO_TIMESTAMP INT64_MIN


// It worked.
#define CHANGEOVER_OK 0

// The recorder's (or id's) epoch is over: stop, and open a new recorder. Nothing was counted.
#define CHANGEOVER_STALE (-1)

// The handle is 0, closed, of another kind, of an engine that is gone, or garbage.
#define CHANGEOVER_INVALID_HANDLE (-2)

// A pointer is NULL that must not be.
#define CHANGEOVER_NULL_ARGUMENT (-3)

// A text is not UTF-8.
#define CHANGEOVER_BAD_UTF8 (-4)

// A struct's `size` is smaller than that of ABI 0, or it is larger than this library knows of
// and has something in the part that it does not know.
#define CHANGEOVER_BAD_STRUCT (-5)

// A number stands for nothing (an enumeration's value, a flag), or is out of range.
#define CHANGEOVER_BAD_ARGUMENT (-6)

// A JSON text cannot be read, or has a field that does not exist.
#define CHANGEOVER_BAD_JSON (-7)

// The call is made in a child of `fork`: the engine's threads live in the parent only.
#define CHANGEOVER_FORKED (-8)

// Every one of the 256 engine slots is taken, or its last engine is still in use by a call.
#define CHANGEOVER_TOO_MANY_ENGINES (-9)

// More than 67 million handles of one kind are open.
#define CHANGEOVER_TOO_MANY_HANDLES (-10)

// This platform, or this engine (driven by hand or not), has no such thing.
#define CHANGEOVER_UNSUPPORTED (-11)

// A panic was caught in the library: a defect of it. Please report it.
#define CHANGEOVER_PANIC (-12)

// The process has no file descriptor left.
#define CHANGEOVER_NO_DESCRIPTOR (-13)

// A stream id is empty.
#define CHANGEOVER_EMPTY_STREAM_ID (-20)

// A stream id is longer than 128 bytes, or has control characters.
#define CHANGEOVER_BAD_STREAM_ID (-21)

// A stream of this id is registered.
#define CHANGEOVER_ALREADY_REGISTERED (-22)

// No stream of this id is registered.
#define CHANGEOVER_UNKNOWN_STREAM (-23)

// The stream has no input of this priority.
#define CHANGEOVER_UNKNOWN_INPUT (-24)

// Two inputs have the same priority.
#define CHANGEOVER_DUPLICATE_PRIORITY (-25)

// A duration is negative.
#define CHANGEOVER_NEGATIVE_DURATION (-26)

// A number is not finite, negative, or too large for what it says.
#define CHANGEOVER_BAD_NUMBER (-27)

// A condition's name is empty, longer than 64 bytes, or has control characters.
#define CHANGEOVER_BAD_CONDITION (-28)

// The input has 16 conditions raised.
#define CHANGEOVER_TOO_MANY_CONDITIONS (-29)

// The input has failed and is not eligible.
#define CHANGEOVER_INPUT_DEGRADED (-30)

// The operator switched the input off.
#define CHANGEOVER_INPUT_STOPPED (-31)

// The epoch is over, or was never this input's.
#define CHANGEOVER_STALE_EPOCH (-32)

// The epoch's recorder is open already: use `changeover_recorder_sibling`.
#define CHANGEOVER_RECORDER_OPEN (-33)

// The call would have to wait where waiting is not possible: inside a callback or driver call,
// or on an engine that is driven by hand. Nothing was changed.
#define CHANGEOVER_WOULD_BLOCK (-34)

// The time given to a waiting call is over.
#define CHANGEOVER_TIMED_OUT (-35)

// The switch was not carried out.
#define CHANGEOVER_SWITCH_FAILED (-36)

// The engine has been shut down.
#define CHANGEOVER_SHUT_DOWN (-37)

// The operating system refused a thread.
#define CHANGEOVER_THREAD (-38)

// A timebase's number is not positive, or its counter has a width outside 8 to 62 bits.
#define CHANGEOVER_BAD_TIMEBASE (-39)

// `metrics_prefix` is not letters, digits, `_` and `:`, without a digit first.
#define CHANGEOVER_BAD_METRICS_PREFIX (-40)

// Failback: as the level above says; for an engine, automatic.
#define CHANGEOVER_FAILBACK_INHERITED 0

// A better input that has proved itself gets the stream back.
#define CHANGEOVER_FAILBACK_AUTOMATIC 1

// Only the operator or a failure moves the stream.
#define CHANGEOVER_FAILBACK_NEVER 2

// Where a cut may fall: as the level above says; for an engine, immediately.
#define CHANGEOVER_CUT_INHERITED 0

// On the new input's next packet.
#define CHANGEOVER_CUT_IMMEDIATE 1

// On the new input's next packet that begins a video keyframe (`changeover_packet.keyframe`).
#define CHANGEOVER_CUT_KEYFRAME 2

// Observe: as the level above says; for an engine, off.
#define CHANGEOVER_OBSERVE_INHERITED 0

// Decide and report everything, move nothing.
#define CHANGEOVER_OBSERVE_ON 1

// Decisions are carried out.
#define CHANGEOVER_OBSERVE_OFF 2

// How silence is judged: as the level above says; for an engine, fixed.
#define CHANGEOVER_SILENCE_INHERITED 0

// By the packet timeout.
#define CHANGEOVER_SILENCE_FIXED 1

// By what is improbable for this input; the packet timeout stays the upper bound.
#define CHANGEOVER_SILENCE_LEARNED 2

// A driver call's answer: it worked.
#define CHANGEOVER_ANSWER_DONE 0

// It did not.
#define CHANGEOVER_ANSWER_FAILED 1

// There is no such operation (probes only; a start counts as failed).
#define CHANGEOVER_ANSWER_UNSUPPORTED 2

// The answer comes later, from any thread, by `changeover_answer`.
#define CHANGEOVER_ANSWER_LATER 3

// Log level: something needs attention.
#define CHANGEOVER_LOG_WARNING 1

// Log level: what happens.
#define CHANGEOVER_LOG_INFO 2

// `changeover_packet.tracks`: video.
#define CHANGEOVER_TRACK_VIDEO 1

// `changeover_packet.tracks`: audio.
#define CHANGEOVER_TRACK_AUDIO 2

// `changeover_packet.tracks`: something else: data, tables, padding.
#define CHANGEOVER_TRACK_OTHER 4

// What follows when a held input dies: the hold ends, the normal rules apply.
#define CHANGEOVER_WHEN_DEAD_RELEASE 0

// The stream stays with the dead input until the hold ends.
#define CHANGEOVER_WHEN_DEAD_KEEP 1

// A state. Input: eligible, but not the delivering active one. Stream: waiting for its first
// packets, or without inputs.
#define CHANGEOVER_STATUS_IDLE 0

// Input: the stream's active one, delivering; at most one. Stream: its active input delivers.
#define CHANGEOVER_STATUS_ACTIVE 1

// Input: failed, not eligible. Stream: exhausted, no usable input is left.
#define CHANGEOVER_STATUS_DEGRADED 2

// Switched off by the operator (a stream: all of its inputs).
#define CHANGEOVER_STATUS_STOPPED 3

// Why the active input changed: the stream's first activation.
#define CHANGEOVER_REASON_INITIAL 1

// A source reported an error, or its start failed.
#define CHANGEOVER_REASON_ERROR 2

// No packet for the packet timeout, or no first packet within the connect timeout.
#define CHANGEOVER_REASON_TIMEOUT 3

// The operator switched, or disabled the active input.
#define CHANGEOVER_REASON_MANUAL 4

// A better input has proved itself.
#define CHANGEOVER_REASON_FAILBACK 5

// The stream was exhausted and something came back.
#define CHANGEOVER_REASON_RECOVERY 6

// A better input was added.
#define CHANGEOVER_REASON_INPUT_ADDED 7

// The active input was removed.
#define CHANGEOVER_REASON_INPUT_REMOVED 8

// Its bitrate fell below the rule's minimum.
#define CHANGEOVER_REASON_BITRATE 9

// Its frame rate fell below the rule's minimum.
#define CHANGEOVER_REASON_FPS 10

// Its packet loss rose above the rule's maximum.
#define CHANGEOVER_REASON_LOSS 11

// Its video fell silent while its audio went on.
#define CHANGEOVER_REASON_TRACK_SILENCE 12

// The host raised a condition; the detail names it.
#define CHANGEOVER_REASON_CONDITION 13

// The operator's hold has ended, and a better input was waiting.
#define CHANGEOVER_REASON_HOLD_RELEASED 14

// An input failed: `input_priority`, `reason` (its class), `detail`.
#define CHANGEOVER_EVENT_INPUT_DEGRADED 1

// A health rule or a condition acts: `input_priority`, `reason` (the rule), `value`, `limit`,
// `detail`.
#define CHANGEOVER_EVENT_INPUT_IMPAIRED 2

// It is clear again: `input_priority`, `reason` (the rule).
#define CHANGEOVER_EVENT_INPUT_CLEARED 3

// A failed input is eligible again: `input_priority`, `detail` (`packets`, `probe`, `health`,
// `enabled`).
#define CHANGEOVER_EVENT_INPUT_RECOVERED 4

// The driver accepted a start: `input_priority`, `epoch`.
#define CHANGEOVER_EVENT_INPUT_STARTED 5

// A switch is decided: `from_priority`, `to_priority`, `reason`.
#define CHANGEOVER_EVENT_SWITCH_DECIDED 6

// A switch is effective, for whatever reason: `from_priority`, `to_priority`, `reason`, `detail`.
// (Whose packets go out tells CHANGEOVER_EVENT_FIRST_PACKET: later where the old input is dead and
// the new one is waited for, at the same time otherwise.)
#define CHANGEOVER_EVENT_INPUT_FAILOVER 7

// The target delivers; its next packet (`keyframe` 1: its next keyframe) makes the cut:
// `from_priority`, `to_priority`, `keyframe`, `duration_ms` (longest wait).
#define CHANGEOVER_EVENT_SWITCH_ARMED 8

// The first packet of the new input went out: `input_priority`, `stall_us`, `aligned`.
#define CHANGEOVER_EVENT_FIRST_PACKET 9

// A move that was wanted is not made now: `to_priority`, `reason`, `duration_ms` (how long the
// rule still holds), `detail` (the rule, and its numbers).
#define CHANGEOVER_EVENT_SWITCH_REFUSED 10

// A decided switch failed: `from_priority`, `to_priority`, `reason`, `detail`.
#define CHANGEOVER_EVENT_SWITCH_FAILED 11

// The operator's override is in force: `input_priority`.
#define CHANGEOVER_EVENT_OVERRIDE_SET 12

// It is gone: `input_priority`, `detail` (why).
#define CHANGEOVER_EVENT_OVERRIDE_CLEARED 13

// The operator's hold is in force: `input_priority`, `duration_ms` (its life).
#define CHANGEOVER_EVENT_HOLD_SET 14

// It has ended: `input_priority`, `detail` (why).
#define CHANGEOVER_EVENT_HOLD_RELEASED 15

// No usable input is left.
#define CHANGEOVER_EVENT_EXHAUSTED 16

// An exhausted stream is back: `input_priority`.
#define CHANGEOVER_EVENT_RESTORED 17

// Fewer than two usable inputs remain: `usable_inputs`.
#define CHANGEOVER_EVENT_REDUNDANCY_LOST 18

// Two or more are there again: `usable_inputs`.
#define CHANGEOVER_EVENT_REDUNDANCY_REGAINED 19

// The monitor woke much later than planned (`duration_ms`); silence is not judged by that time.
// It concerns the engine: `stream` is empty.
#define CHANGEOVER_EVENT_STALL 20

// `changeover_event.fields`: `from_priority` is there (otherwise: from none).
#define CHANGEOVER_EVENT_HAS_FROM 1

// `to_priority` is there.
#define CHANGEOVER_EVENT_HAS_TO 2

// `input_priority` is there.
#define CHANGEOVER_EVENT_HAS_INPUT 4

// `stall_us` is known.
#define CHANGEOVER_EVENT_HAS_STALL 8

// `aligned` is there: the cut waited for a keyframe.
#define CHANGEOVER_EVENT_HAS_ALIGNED 16

// Send the packet with the times in `*out`.
#define CHANGEOVER_MAPPED_AT 0

// It has no time. Nothing was changed; send it or not.
#define CHANGEOVER_MAPPED_UNTIMED 1

// Its time on the output has been filled already: drop it.
#define CHANGEOVER_MAPPED_OVERLAP 2

// It belongs to an older cut: drop it.
#define CHANGEOVER_MAPPED_STALE 3

// Eyes for MPEG transport stream, plain or in RTP.
#define CHANGEOVER_EYES_MPEGTS 0

// Eyes for RTP with H.264 (RFC 6184).
#define CHANGEOVER_EYES_RTP_H264 1

// Eyes for RTP with H.265 (RFC 7798).
#define CHANGEOVER_EYES_RTP_H265 2

// `changeover_sight.fields`: `rtp_seq` and `rtp_timestamp` are there.
#define CHANGEOVER_SIGHT_HAS_RTP 1

// `pcr` is there.
#define CHANGEOVER_SIGHT_HAS_PCR 2

// `pts` is there.
#define CHANGEOVER_SIGHT_HAS_PTS 4

// `dts` is there.
#define CHANGEOVER_SIGHT_HAS_DTS 8

// The right to answer one driver call. 0 = none.
typedef struct changeover_answer_token {
    // Not for you.
    uint64_t raw;
} changeover_answer_token;

// Health rules: all off unless set. 0 of anything means inherited (input, then stream, then
// engine), and at the engine off, or the default named here. Make it with
// `changeover_health_config_init()`.
typedef struct changeover_health_config {
    // sizeof(changeover_health_config).
    size_t size;
    // Sampling step, ms; the sliding window is ten steps. Default 100.
    int64_t step_ms;
    // Least bitrate, kbit/s.
    double bitrate_min_kbps;
    // Least bitrate in percent of what the input usually delivers (known after 10 s).
    double bitrate_min_percent;
    // Too low for so long before it acts, ms. Default 3,000.
    int64_t bitrate_hold_ms;
    // Good for so long before the input is good again, ms. Default 5,000.
    int64_t bitrate_clear_ms;
    // Least frames per second.
    double fps_min;
    // As for the bitrate, ms. Default 3,000.
    int64_t fps_hold_ms;
    // As for the bitrate, ms. Default 5,000.
    int64_t fps_clear_ms;
    // Greatest packet loss, percent.
    double loss_max_percent;
    // As for the bitrate, ms. Default 3,000.
    int64_t loss_hold_ms;
    // As for the bitrate, ms. Default 5,000.
    int64_t loss_clear_ms;
    // No video for so long while audio flows, ms.
    int64_t video_silence_ms;
    // Video back for so long before the input is good again, ms. Default 5,000.
    int64_t video_silence_clear_ms;
    // `CHANGEOVER_SILENCE_*`: how silence is judged.
    uint32_t silence;
    // 0.
    uint32_t reserved;
    // Learned silence: never shorter than this, ms. Default 25.
    int64_t learned_floor_ms;
    // Learned silence: never longer than this, ms. Default: the packet timeout.
    int64_t learned_ceiling_ms;
    // Learned silence: the suspicion (phi) that is a failure. Default 8.
    double learned_confidence;
} changeover_health_config;

// The engine's policy. 0 of anything means the default named here. Make it with
// `changeover_engine_config_init()`.
typedef struct changeover_engine_config {
    // sizeof(changeover_engine_config).
    size_t size;
    // Silence of a running input after which it is degraded, ms. Default 30,000.
    int64_t packet_timeout_ms;
    // Longest time from a start to the first packet, ms. Default: the packet timeout.
    int64_t connect_timeout_ms;
    // Pause from a degradation, or a failed probe, to the next probe, ms. Default 8,000.
    int64_t probe_cooldown_ms;
    // Longest probe, ms. Default 3,000.
    int64_t probe_timeout_ms;
    // Longest stop, ms. Default 5,000.
    int64_t stop_timeout_ms;
    // Pause between a switch and the next failback, ms. Default 12,000.
    int64_t failback_cooldown_ms;
    // How long a better hot input must have delivered without a gap before a failback, ms.
    // Default 5,000.
    int64_t failback_stable_ms;
    // Errors kept per input. Default 5.
    uint32_t error_history;
    // Switches, decisions and refusals kept per stream. Default 20.
    uint32_t switch_history;
    // `CHANGEOVER_FAILBACK_*`.
    uint32_t failback;
    // `CHANGEOVER_CUT_*`.
    uint32_t cut;
    // Longest wait for a keyframe, ms; then any packet makes the cut. Default 3,000.
    int64_t cut_max_wait_ms;
    // `CHANGEOVER_OBSERVE_*`.
    uint32_t observe;
    // 0.
    uint32_t reserved;
    // Health rules of every stream and input; NULL = none.
    const changeover_health_config *health;
} changeover_engine_config;

// An engine. 0 = none. Like all handles a number, not a pointer: copy it, store it, pass it to
// other threads.
typedef struct changeover_engine {
    // Not for you.
    uint64_t raw;
} changeover_engine;

// One driver call. Everything it points to is valid until the callback returns.
typedef struct changeover_driver_call {
    // sizeof(changeover_driver_call), as the library knows it: fields beyond are not there.
    size_t size;
    // The engine that calls.
    changeover_engine engine;
    // The stream's id.
    const char *stream;
    // The activation (start, stop, rebind, request_keyframe): packets of it are recorded by a
    // recorder that is opened with it. 0 for a probe.
    uint64_t epoch;
    // The input. For stop: its priority when it was started or last rebound.
    int32_t input_priority;
    // Rebind: the priority that the activation had. Otherwise 0.
    int32_t from_priority;
    // Where the source is. NULL for stop.
    const char *address;
    // Where to write. Start only; otherwise NULL.
    const char *buffer_write_id;
    // Start and probe: for `changeover_answer`. Otherwise 0.
    changeover_answer_token answer;
    // 1 for a hot input (request_keyframe is called for those, too).
    uint32_t hot;
    // 0.
    uint32_t reserved;
} changeover_driver_call;

// What a driver does with one call, and answers (`CHANGEOVER_ANSWER_*`). One that fails may say
// why: `changeover_answer(call->answer, CHANGEOVER_ANSWER_FAILED, "no route")`, and then return
// the same; the first answer counts.
typedef int32_t (*changeover_driver_fn)(const changeover_driver_call *call, void *user_data);

// What a driver does with a call that needs no answer.
typedef void (*changeover_driver_note_fn)(const changeover_driver_call *call, void *user_data);

// Who brings cold inputs up and down. Make it with `changeover_driver_init()`. An engine whose
// inputs are all hot needs none.
//
// Calls come on worker threads of the engine, never on its monitor: each may block, take seconds,
// or call back into the API; none may throw or longjmp out. Calls for one input come in order
// and never overlap; a call past its deadline counts as failed, and what it answers later is
// ignored. A host that does not want to block answers CHANGEOVER_ANSWER_LATER, at once, keeps
// `call->answer`, and calls `changeover_answer` when it knows.
typedef struct changeover_driver {
    // sizeof(changeover_driver).
    size_t size;
    // Handed to every callback.
    void *user_data;
    // Called once with `user_data` when no call runs or will run any more; on any thread but
    // never a packet's. May be NULL. Not called if `changeover_engine_create` failed.
    void (*destroy)(void *user_data);
    // Bring the input up, so that its packets are recorded under `call->epoch`. Deadline: the
    // input's connect timeout. NULL: every start fails.
    changeover_driver_fn start;
    // Take the activation of `call->epoch` down; it is finished when this returns. Exactly one
    // for each start that was made, but for those that failed. Deadline: the stop timeout.
    changeover_driver_note_fn stop;
    // Say whether the source would deliver, without bringing it on the air. Deadline: the probe
    // timeout. NULL: unsupported; the engine takes packets as evidence, and starts as probes.
    changeover_driver_fn probe;
    // A running activation has another priority now: note it. May be NULL.
    changeover_driver_note_fn rebind;
    // A cut to this input waits for a keyframe: ask its encoder for one. May be NULL.
    changeover_driver_note_fn request_keyframe;
} changeover_driver;

// Something that happened. What a kind does not say is 0. Make it with `changeover_event_init()`
// before it is written to.
typedef struct changeover_event {
    // sizeof(changeover_event).
    size_t size;
    // Ascending within the engine, from 1.
    uint64_t id;
    // When, on the engine's clock, ns.
    uint64_t at_ns;
    // When, ns since 1970-01-01 UTC.
    int64_t at_unix_ns;
    // `CHANGEOVER_EVENT_*`.
    uint32_t kind;
    // `CHANGEOVER_REASON_*`, or 0.
    uint32_t reason;
    // `CHANGEOVER_EVENT_HAS_*`: which of the fields below are there that could be 0.
    uint32_t fields;
    // The input left.
    int32_t from_priority;
    // The input taken or wanted.
    int32_t to_priority;
    // The input concerned.
    int32_t input_priority;
    // Usable inputs.
    uint32_t usable_inputs;
    // The cut waits for a keyframe: 1.
    uint32_t keyframe;
    // The cut fell on a keyframe: 1.
    uint32_t aligned;
    // 0.
    uint32_t reserved;
    // The activation.
    uint64_t epoch;
    // A time that the kind names, ms.
    uint64_t duration_ms;
    // From the last packet of the old input to the first of the new one, us.
    uint64_t stall_us;
    // What was measured: kbit/s, frames/s, percent, or ms.
    double value;
    // The rule's limit, in the same unit.
    double limit;
    // The stream's id; empty where it concerns the engine.
    char stream[136];
    // For people; cut short where it is longer (the JSON form has all of it).
    char detail[256];
} changeover_event;

// What the host wants to be told. Make it with `changeover_callbacks_init()`.
//
// All are called on one thread of the engine (its notifier), one at a time, in the order of what
// happened; a slow one delays nobody's decisions (but the callbacks behind it). They may call
// back into the API, `changeover_unregister` included; what would have to wait (among it
// `changeover_engine_destroy`) answers CHANGEOVER_WOULD_BLOCK there. They must not throw or
// longjmp out. After `changeover_unregister` has returned none begins for that stream (one that
// the notifier is just about to enter may still come; `changeover_unregister_and_wait` waits for
// it), after `changeover_engine_destroy` none at all. On an engine that is driven by hand they run
// inside the call that causes them.
typedef struct changeover_callbacks {
    // sizeof(changeover_callbacks).
    size_t size;
    // Handed to every callback.
    void *user_data;
    // Called once with `user_data`, when no callback runs or will run any more: when others
    // have taken their place, or the engine ends; on any thread but never a packet's. May be
    // NULL. Not called if the call that brought it failed.
    void (*destroy)(void *user_data);
    // A stream has no usable input left.
    void (*on_exhausted)(changeover_engine engine, const char *stream, void *user_data);
    // An exhausted stream is back.
    void (*on_restored)(changeover_engine engine, const char *stream, void *user_data);
    // Anything has happened. Where it is slow, the oldest of 1,024 waiting events are lost;
    // `changeover_events_open` counts what it loses. `event` is valid until it returns.
    void (*on_event)(changeover_engine engine, const changeover_event *event, void *user_data);
    // A line for the log: the same in one line of text, for people who read JSON. `level` is
    // `CHANGEOVER_LOG_*`.
    void (*on_log)(changeover_engine engine, int32_t level, const char *line, void *user_data);
} changeover_callbacks;

// How an engine is to be. Everything may stay 0. Make it with `changeover_engine_options_init()`.
typedef struct changeover_engine_options {
    // sizeof(changeover_engine_options).
    size_t size;
    // The policy; NULL = every default.
    const changeover_engine_config *config;
    // Who brings cold inputs up and down; NULL where all inputs are hot.
    const changeover_driver *driver;
    // What you want to be told; NULL = nothing (there is also `changeover_events_open`).
    const changeover_callbacks *callbacks;
    // What metric names begin with. NULL = `changeover`.
    const char *metrics_prefix;
    // How long a shutdown waits for driver calls and callbacks, ms. 0 = default 5,000.
    int64_t shutdown_timeout_ms;
    // Driver calls that may run at once. 0 = default 256.
    uint32_t driver_workers;
    // Driver calls past their deadline whose workers are replaced. 0 = default 256.
    uint32_t max_stuck_calls;
    // 1: no threads; a clock that moves by `changeover_hand_advance` alone. For tests.
    uint32_t hand_driven;
    // 0.
    uint32_t reserved;
} changeover_engine_options;

// One input of a stream. Make it with `changeover_input_config_init()`.
typedef struct changeover_input_config {
    // sizeof(changeover_input_config): the same in every element of an array.
    size_t size;
    // Unique in the stream; lower is better; negative is legal.
    int32_t priority;
    // 1: its producer runs all the time (hot). 0: the driver starts and stops it (cold).
    uint32_t hot;
    // Where the source is: travels to the driver as it is. NULL = empty. Two inputs with equal
    // addresses are the same source (a renumbering keeps it on the air).
    const char *address;
    // This input's packet timeout, ms. 0 = the stream's.
    int64_t packet_timeout_ms;
    // This input's connect timeout, ms. 0 = the stream's.
    int64_t connect_timeout_ms;
    // Health rules of its own; NULL = the stream's.
    const changeover_health_config *health;
} changeover_input_config;

// A stream and its inputs. Make it with `changeover_stream_config_init()`.
typedef struct changeover_stream_config {
    // sizeof(changeover_stream_config).
    size_t size;
    // 1 to 128 bytes of UTF-8 without control characters.
    const char *id;
    // Where ingest writes; travels to the driver with each start. NULL or empty = the id.
    const char *buffer_write_id;
    // The stream's packet timeout, ms. 0 = the engine's.
    int64_t packet_timeout_ms;
    // The stream's connect timeout, ms. 0 = the engine's.
    int64_t connect_timeout_ms;
    // As in `changeover_engine_config`, ms. 0 = the engine's.
    int64_t failback_stable_ms;
    // `CHANGEOVER_FAILBACK_*`.
    uint32_t failback;
    // `CHANGEOVER_CUT_*`.
    uint32_t cut;
    // Longest wait for a keyframe, ms, where `cut` is CHANGEOVER_CUT_KEYFRAME. Default 3,000.
    int64_t cut_max_wait_ms;
    // `CHANGEOVER_OBSERVE_*`.
    uint32_t observe;
    // 0.
    uint32_t reserved;
    // Health rules of its inputs; NULL = the engine's.
    const changeover_health_config *health;
    // The inputs, in any order. None is legal.
    const changeover_input_config *inputs;
    // How many.
    size_t input_count;
} changeover_stream_config;

// One atomic change of a stream's inputs. Make it with `changeover_inputs_update_init()`.
typedef struct changeover_inputs_update {
    // sizeof(changeover_inputs_update).
    size_t size;
    // New inputs. A priority that is also in `removed` is a replacement.
    const changeover_input_config *added;
    // How many.
    size_t added_count;
    // Priorities of inputs that go.
    const int32_t *removed;
    // How many.
    size_t removed_count;
    // Inputs that stay under their priority with a new configuration.
    const changeover_input_config *updated;
    // How many.
    size_t updated_count;
} changeover_inputs_update;

// The engine's counters, and how late its monitor has been. Make it with
// `changeover_engine_stats_init()` before it is written to.
typedef struct changeover_engine_stats {
    // sizeof(changeover_engine_stats).
    size_t size;
    // Registered streams.
    uint64_t streams;
    // The clock tick in force, ns.
    uint64_t tick_ns;
    // Times the monitor has woken.
    uint64_t wakes_total;
    // Wake-ups so late that silence was not judged by them.
    uint64_t stalls_total;
    // Deadlines that were looked at.
    uint64_t deadlines_total;
    // How late the monitor was for the last deadline it slept for, ns.
    uint64_t lateness_last_ns;
    // The worst, ns.
    uint64_t lateness_max_ns;
    // The median (to 25 %), ns.
    uint64_t lateness_p50_ns;
    // The 99th percentile (to 25 %), ns.
    uint64_t lateness_p99_ns;
    // Events lost by slow subscribers.
    uint64_t events_dropped_total;
    // Driver calls that are past their deadline and have not returned.
    uint64_t stuck_calls;
    // Failovers, over all streams.
    uint64_t failovers_total;
} changeover_engine_stats;

// A producer of one input. 0 = none.
typedef struct changeover_recorder {
    // Not for you.
    uint64_t raw;
} changeover_recorder;

// What is recorded of one packet (or datagram: whatever you record at once). Everything but
// `bytes` is optional: what you do not know stays 0, and the rules that need it are not judged.
// `changeover_packet_of(bytes)` makes one. In a hot loop, make one before it, and set its fields
// for each packet: compilers copy a struct that a function returns through memory, which takes
// longer than recording it.
typedef struct changeover_packet {
    // Its size.
    uint32_t bytes;
    // Video frames that begin in it.
    uint16_t frames;
    // Packets that were lost right before it, by your own sequence or continuity check.
    uint16_t lost;
    // `CHANGEOVER_TRACK_*`, added up. Other bits are ignored.
    uint8_t tracks;
    // Not 0: a keyframe begins in it. A cut can fall on it if it carries video, or if nothing is
    // said of its tracks.
    uint8_t keyframe;
    // 0, or a later version may take it for something. (The struct never grows.)
    uint8_t reserved[6];
} changeover_packet;

// The receipt of a switch or hold. 0 = none.
typedef struct changeover_ticket {
    // Not for you.
    uint64_t raw;
} changeover_ticket;

// An operator's hold. Make it with `changeover_hold_init()`.
typedef struct changeover_hold {
    // sizeof(changeover_hold).
    size_t size;
    // Its life from acceptance on, ms. 0 = default 600,000.
    int64_t ttl_ms;
    // `CHANGEOVER_WHEN_DEAD_*`.
    uint32_t when_dead;
    // 0.
    uint32_t reserved;
} changeover_hold;

// Something that you see in an input and the engine cannot: black picture, frozen picture,
// silence. Make it with `changeover_condition_init()`.
typedef struct changeover_condition {
    // sizeof(changeover_condition).
    size_t size;
    // 1 to 64 bytes of UTF-8 without control characters.
    const char *name;
    // Raised for so long before it acts, ms. 0 = default 3,000.
    int64_t hold_ms;
    // Cleared for so long before the input is good again, ms. 0 = default 5,000.
    int64_t clear_ms;
} changeover_condition;

// One stream at one moment. Make it with `changeover_stream_status_init()` before it is written
// to. The histories are in the JSON form.
typedef struct changeover_stream_status {
    // sizeof(changeover_stream_status).
    size_t size;
    // `CHANGEOVER_STATUS_*`.
    uint32_t status;
    // No usable input is left: 1.
    uint32_t exhausted;
    // Anything runs for it: 1.
    uint32_t pipeline_active;
    // Decisions are only reported: 1.
    uint32_t observe;
    // Whether the four priorities below are there: 1.
    uint32_t has_active;
    // See above.
    uint32_t has_override;
    // See above.
    uint32_t has_pending;
    // See above.
    uint32_t has_hold;
    // The input that the stream carries.
    int32_t active_input_priority;
    // The operator's override.
    int32_t override_input_priority;
    // The target of a switch that is decided and not effective yet.
    int32_t pending_input_priority;
    // The operator's hold.
    int32_t hold_input_priority;
    // Inputs.
    uint32_t input_count;
    // Inputs that are neither degraded nor stopped.
    uint32_t usable_inputs;
    // Effective switches since registration, for whatever reason (the operator's and failbacks
    // too); the first activation is none.
    uint64_t failovers_total;
} changeover_stream_status;

// One input's health at one moment. Make it with `changeover_input_health_init()` before it is
// written to.
typedef struct changeover_input_health {
    // sizeof(changeover_input_health).
    size_t size;
    // The input.
    int32_t priority;
    // `CHANGEOVER_STATUS_*`.
    uint32_t status;
    // Its producer runs all the time: 1.
    uint32_t hot;
    // It runs: an accepted start or an open recorder, and no stop since: 1.
    uint32_t running;
    // A packet or a probe has proved it since its last failure or edit: 1.
    uint32_t proved;
    // Health rules and conditions that act.
    uint32_t impaired_count;
    // When its last packet came, ns since 1970-01-01 UTC; 0 = never.
    int64_t last_packet_unix_ns;
    // Its open epoch; 0 = none.
    uint64_t epoch;
    // Bitrate, kbit/s.
    double bitrate_kbps;
    // Packet loss, percent.
    double packet_loss;
    // Frames per second.
    double fps;
    // Packets since registration or the last edit of its address.
    uint64_t packets;
    // Bytes since then (by-id packets carry none).
    uint64_t bytes;
    // Video frames since then, as far as you said.
    uint64_t frames;
    // Packets lost since then, as far as you said.
    uint64_t lost;
    // Packets on which a keyframe cut may fall.
    uint64_t keyframes;
    // What it usually delivers, kbit/s; 0 = not learned yet.
    double reference_kbps;
    // Learned silence: so long a silence is a failure, ms; 0 = not learned (yet).
    double learned_timeout_ms;
    // How improbable the present silence is: phi.
    double suspicion;
    // What a failback to it has to wait for, ms.
    uint64_t required_stable_ms;
    // The latest failure, also after it was cleared; empty = none. Cut short where it is longer.
    char last_failure[256];
} changeover_input_health;

// An event queue. 0 = none.
typedef struct changeover_events {
    // Not for you.
    uint64_t raw;
} changeover_events;

// What one tick lasts: `num / den` seconds (FFmpeg's AVRational), and the width of the counter. A
// plain value: it never grows.
typedef struct changeover_timebase {
    // 1 or more.
    int32_t num;
    // 1 or more.
    int32_t den;
    // Width of a counter that wraps, in bits, 8 to 62 (MPEG-TS 33, RTP 32); 0 = it never wraps
    // (what FFmpeg's demuxers hand out).
    uint32_t wrap_bits;
} changeover_timebase;

// How a timeline is to be. Make it with `changeover_timeline_options_init()`.
typedef struct changeover_timeline_options {
    // sizeof(changeover_timeline_options).
    size_t size;
    // The output's timebase, for all tracks; `wrap_bits` is not applied: output times go on
    // rising. All 0 = 1/90000.
    changeover_timebase output;
    // 1: the very first packet goes to `start_dts` (0: to its own time).
    uint32_t has_start;
    // In output ticks; at most 2^61 from 0.
    int64_t start_dts;
    // A longer leap of an input's clock, ms, is met like a cut. 0 = default 10,000.
    uint32_t max_jump_ms;
    // 1: every track continues one frame behind its last DTS, even if a frame is then shown at
    // the time of one of the old input, or before it (B-frames).
    uint32_t by_dts_alone;
} changeover_timeline_options;

// A timeline. 0 = none.
typedef struct changeover_timeline {
    // Not for you.
    uint64_t raw;
} changeover_timeline;

// A packet's times, in ticks.
typedef struct changeover_stamps {
    // sizeof(changeover_stamps).
    size_t size;
    // When it is decoded, or CHANGEOVER_NO_TIMESTAMP.
    int64_t dts;
    // When it is shown, or CHANGEOVER_NO_TIMESTAMP.
    int64_t pts;
    // How long it lasts; 0 = not known.
    int64_t duration;
} changeover_stamps;

// What one input's datagrams are looked at with. 0 = none.
typedef struct changeover_eyes {
    // Not for you.
    uint64_t raw;
} changeover_eyes;

// What was seen in one datagram. Make it with `changeover_sight_init()` before it is written to.
typedef struct changeover_sight {
    // sizeof(changeover_sight).
    size_t size;
    // For `changeover_record`: bytes of media, frames, losses, tracks, keyframe.
    changeover_packet packet;
    // Where in the datagram the media is, without RTP header and padding.
    size_t media_offset;
    // How long it is; 0 if it is none.
    size_t media_len;
    // Continuity counters that jumped in it.
    uint32_t continuity_errors;
    // RTP packets that are lost for good, as far as this datagram tells.
    uint32_t rtp_lost;
    // It was here before: 1; its frames are not told again.
    uint32_t is_repeat;
    // `CHANGEOVER_SIGHT_HAS_*`.
    uint32_t fields;
    // The RTP sequence number.
    uint32_t rtp_seq;
    // The RTP timestamp.
    uint32_t rtp_timestamp;
    // The first programme clock reference in it, 27 MHz modulo 2^33 x 300.
    uint64_t pcr;
    // Presentation time of the first video PES in it (or of the first one), 90 kHz modulo 2^33.
    uint64_t pts;
    // Decoding time of the same PES.
    uint64_t dts;
} changeover_sight;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Which ABI this library has: the number in its SONAME, and the one that the header was made for
// (CHANGEOVER_ABI_VERSION). Within one ABI, functions are only added and structs only grow.
uint32_t changeover_abi_version(void);

// The library's version, as `MAJOR << 16 | MINOR << 8 | PATCH`: compare it with
// CHANGEOVER_VERSION_NUMBER, the header's. Wait-free, async-signal-safe.
uint32_t changeover_version(void);

// The library's version as a text, `0.1.0`. Not to be freed. Wait-free, async-signal-safe.
const char *changeover_version_text(void);

// What a code means, in English: a constant text, never NULL, not to be freed.
//
// Any thread; wait-free. Numbers that are no code get a text that says so.
const char *changeover_strerror(int32_t code);

// The code that the last failed call on this thread answered; `CHANGEOVER_OK` if none has.
//
// Calls that work do not change it. `changeover_record` and its kin never write it (they may be
// called from signal handlers): their code is the answer itself. A thread that is ending, and has
// lost its thread-local data, has none.
int32_t changeover_last_error(void);

// The details of the last failed call on this thread: which argument, which stream, what to do.
// Never NULL, not to be freed; valid until the next call on this thread that fails. Read it in a
// statement of its own, not in one argument list with the call.
const char *changeover_last_error_text(void);

// Frees a text that a call of this library gave. NULL is fine.
//
// Any thread. A text is freed once; each call that gives one says so.
void changeover_string_free(char *text);

// Answers a driver call that was answered CHANGEOVER_ANSWER_LATER (or is still running; the
// first answer counts). `answer` is one of the other `CHANGEOVER_ANSWER_*`; `why` is for people,
// may be NULL, and is used where it failed.
//
// Any thread, also inside callbacks. Never blocks. The token is used up, whether or not the
// answer came in time (what comes too late is ignored). Answers CHANGEOVER_INVALID_HANDLE for
// one that is used up: by an answer, by the stop of its activation, by a later call of its kind
// for the same input, or by the end of the stream or the engine.
int32_t changeover_answer(changeover_answer_token token, int32_t answer, const char *why);

// Makes an engine and starts its threads. `options` NULL = every default.
//
// Any thread. The first one in a process takes about a millisecond (it calibrates its clock).
// Everything that `options` points to is copied, but for the `user_data`s, which are yours until
// their `destroy` is called. On error `*out` is not written, and no `destroy` is called:
// CHANGEOVER_TOO_MANY_ENGINES (256), _THREAD, _FORKED, and what is wrong with the options.
int32_t changeover_engine_create(const changeover_engine_options *options, changeover_engine *out);

// Ends an engine: unregisters every stream, lets the final stops run, ends the threads, closes
// everything that was opened on it. Notices that wait to be told are lost. Handles of it answer
// CHANGEOVER_INVALID_HANDLE from then on. `detached_calls` may be NULL; otherwise it gets the
// number of driver calls and callbacks that had not returned, or could not begin, within the
// shutdown timeout: their threads were left to themselves, and they must not use the engine any
// more.
//
// Any thread but the engine's own: inside a callback or driver call it answers
// CHANGEOVER_WOULD_BLOCK, and nothing is changed. May block. Other threads may be in any call on
// the engine meanwhile. Destroying twice answers CHANGEOVER_INVALID_HANDLE.
int32_t changeover_engine_destroy(changeover_engine engine, uint64_t *detached_calls);

// The same without letting go of the handles: afterwards calls that would change something answer
// CHANGEOVER_SHUT_DOWN, recorders CHANGEOVER_STALE; event queues can be read to their end, and
// what was opened can be closed. Destroy it all the same.
int32_t changeover_engine_shutdown(changeover_engine engine, uint64_t *detached_calls);

// Takes other callbacks in the place of those in force; NULL = none. Those replaced may still
// be running (on the notifier thread) when this returns; their `destroy` is called after that.
//
// Any thread, also inside a callback.
int32_t changeover_set_callbacks(changeover_engine engine, const changeover_callbacks *callbacks);

// Starts supervising a stream. Its best input is started (or, hot, awaited); this call waits for
// nobody. Everything is copied.
//
// Any thread. On error nothing is changed: CHANGEOVER_ALREADY_REGISTERED, _EMPTY_STREAM_ID,
// _BAD_STREAM_ID, _DUPLICATE_PRIORITY, _NEGATIVE_DURATION, _BAD_NUMBER, _SHUT_DOWN.
int32_t changeover_register(changeover_engine engine, const changeover_stream_config *stream);

// The same from a JSON text; what it leaves out is 0. The names are those of the struct, but that
// rules stand in groups, and `cut`, `failback`, `silence` and `observe` are words:
//   {"id": "news", "packet_timeout_ms": 200, "failback_stable_ms": 5000, "failback": "never",
//    "cut": {"keyframe": {"max_wait_ms": 3000}}, "observe": false,
//    "health": {"step_ms": 100,
//               "bitrate": {"min_kbps": 500, "min_percent": 70, "hold_ms": 3000,
//                           "clear_ms": 5000},
//               "fps": {"min": 20}, "loss": {"max_percent": 5},
//               "track_silence": {"video_ms": 2000},
//               "silence": {"learned": {"floor_ms": 25}}},
//    "inputs": [{"priority": 0, "hot": true, "address": "udp://main"},
//               {"priority": 1, "address": "udp://backup", "health": {"fps": {"min": 10}}}]}
int32_t changeover_register_json(changeover_engine engine, const char *stream);

// Ends supervision of a stream. After this returns no event, callback or driver call of it
// begins, except one final stop for each activation still running. Those that run, or that
// another thread is just about to enter, may finish (`changeover_unregister_and_wait` waits for
// them). Its recorders answer CHANGEOVER_STALE (close them all the same).
//
// Any thread, also inside callbacks of the same stream.
int32_t changeover_unregister(changeover_engine engine, const char *stream);

// The same, and waits until every driver call and callback of the stream has returned: up to
// `timeout_ms` milliseconds. CHANGEOVER_TIMED_OUT: it is unregistered, but a call has not
// returned. CHANGEOVER_WOULD_BLOCK (inside a callback or driver call; driven by hand): nothing
// is changed. May block.
int32_t changeover_unregister_and_wait(changeover_engine engine,
                                       const char *stream,
                                       uint32_t timeout_ms);

// Whether a stream of this id is registered: 1 or 0; negative: a code. Any thread.
int32_t changeover_is_registered(changeover_engine engine, const char *stream);

// The ids of all registered streams, sorted, one to a line (ids have no control characters).
// `count` may be NULL. Free the text with `changeover_string_free`. Any thread.
int32_t changeover_registered_streams(changeover_engine engine, char **out, size_t *count);

// Adds, removes and updates inputs in one atomic step; at most one move results.
//
// Any thread. On error nothing is changed: CHANGEOVER_DUPLICATE_PRIORITY for one that is added
// though it exists, or named twice; _UNKNOWN_INPUT for one that is removed or updated though it
// does not exist; _NEGATIVE_DURATION, _BAD_NUMBER, _UNKNOWN_STREAM.
int32_t changeover_update_inputs(changeover_engine engine,
                                 const char *stream,
                                 const changeover_inputs_update *update);

// The same from a JSON text: `{"added": [...], "removed": [2], "updated": [...]}`.
int32_t changeover_update_inputs_json(changeover_engine engine,
                                      const char *stream,
                                      const char *update);

// Has ingest write elsewhere: the active input (and one being started) restarts on the new
// buffer. NULL or empty = the stream's own id. Any thread.
int32_t changeover_update_buffer_write_id(changeover_engine engine,
                                          const char *stream,
                                          const char *buffer_write_id);

// Changes the policy, at once, for every stream. Inputs that are degraded stay so. Any thread.
int32_t changeover_set_config(changeover_engine engine, const changeover_engine_config *config);

// The same from a JSON text, as `changeover_config_json` gives it. What it leaves out is the
// default, not what was before.
int32_t changeover_set_config_json(changeover_engine engine, const char *config);

// The policy as it was set, as a JSON text. Free it with `changeover_string_free`. Any thread.
int32_t changeover_config_json(changeover_engine engine, char **out);

// The engine's counters. `out->size` must be set. Any thread.
int32_t changeover_stats(changeover_engine engine, changeover_engine_stats *out);

// Everything in OpenMetrics text. Free it with `changeover_string_free`. Any thread.
int32_t changeover_metrics_text(changeover_engine engine, char **out);

// The engine's precise clock: nanoseconds since it was made. On error `*out` is not written.
int32_t changeover_now_ns(changeover_engine engine, uint64_t *out);

// Opens the recorder of one producer thread for an input.
//
// `epoch`: for a cold input the one of the driver's start (`changeover_driver_call.epoch`); for a
// hot input 0: each opening begins a new epoch and makes the previous recorder stale.
//
// An input that is degraded for silence keeps its epoch: go on with the same recorder, its packets
// make the input eligible again. An epoch ends by a reported error, a stop, an edit of the
// address, the input's removal, or another opening.
//
// Any thread; takes short locks, not for the packet path. Close it with
// `changeover_recorder_close`; it ends with its engine. On error `*out` is not written:
// CHANGEOVER_UNKNOWN_STREAM, _UNKNOWN_INPUT, _STALE_EPOCH, _RECORDER_OPEN.
int32_t changeover_recorder_open(changeover_engine engine,
                                 const char *stream,
                                 int32_t priority,
                                 uint64_t epoch,
                                 changeover_recorder *out);

// Opens another producer of the same epoch, for another thread. From the first one on, each
// record reads one more cache line.
//
// Any thread. On error `*out` is not written: CHANGEOVER_STALE_EPOCH when the epoch is over.
int32_t changeover_recorder_sibling(changeover_recorder recorder, changeover_recorder *out);

// Closes a recorder. Packets under the handle answer CHANGEOVER_INVALID_HANDLE from now on; one
// that is being recorded at this moment is at worst counted where nobody looks (its memory is
// not used again for a second, and never freed).
//
// Any thread; takes short locks. Closing twice answers CHANGEOVER_INVALID_HANDLE.
int32_t changeover_recorder_close(changeover_recorder recorder);

// The epoch that a recorder records for. On error `*out` is not written.
int32_t changeover_recorder_epoch(changeover_recorder recorder, uint64_t *out);

// The priority that the recorder's input had when it was opened. On error `*out` is not written.
int32_t changeover_recorder_priority(changeover_recorder recorder, int32_t *out);

// The id of the recorder's stream. Free it with `changeover_string_free`.
int32_t changeover_recorder_stream(changeover_recorder recorder, char **out);

// Reports that the recorder's source has failed: its input is degraded at once, and its epoch
// ends. `why` is for people and may be NULL.
//
// Any thread; takes a short lock, waits for nobody.
int32_t changeover_recorder_report_error(changeover_recorder recorder, const char *why);

// Records a packet, and answers whether to forward it.
//
// Above 0: forward it. The number is that of the cut that put this input on the air; it only ever
// grows, so a host with several producer threads drops at its output whatever carries a lower
// number than the last one it wrote. (It fits 32 bits: `(uint32_t)answer` is the `cut` of
// `changeover_timeline_map`.) 0: do not forward it; it was counted. Negative: a code;
// nothing was counted. CHANGEOVER_STALE: the epoch is over, open a new recorder.
// CHANGEOVER_INVALID_HANDLE: there is no such recorder. CHANGEOVER_NULL_ARGUMENT.
//
// Wait-free and async-signal-safe: no lock, no allocation, no last error; a system call (one
// wake-up) only with the first packet that the engine waits for. One thread at a time per
// recorder: of two that use one at once nothing breaks, but counts are lost. It is stamped with
// the engine's coarse time (a tick of 1 to 4 ms).
int64_t changeover_record(changeover_recorder recorder, const changeover_packet *packet);

// The same for a packet of which only the size is known.
int64_t changeover_record_bytes(changeover_recorder recorder, uint32_t bytes);

// Records several packets of one recorder at once: cheaper per packet than one by one.
//
// With `verdicts` NULL they are one unit (the transport packets of a datagram, say): all are
// counted, and the one answer holds for all; a keyframe cut falls on it if it can fall on any
// of them. With `verdicts` (room for `count`) each gets its own verdict, as if recorded one by
// one, and the answer is the last one's. `count` 0 answers 0 and does nothing.
//
// As `changeover_record`: wait-free (in steps of packets), async-signal-safe, no last error. Also
// answers CHANGEOVER_BAD_ARGUMENT for a count that no array can have.
int64_t changeover_record_batch(changeover_recorder recorder,
                                const changeover_packet *packets,
                                size_t count,
                                int64_t *verdicts);

// As `changeover_record`, with a clock reading of its own instead of the coarse time (about 10 ns
// where the CPU's counter is usable, and entering the engine). Silence counts from exactly then, not
// from the next tick; where every input is recorded so, the engine ticks every 16 ms only.
int64_t changeover_record_precise(changeover_recorder recorder,
                                  const changeover_packet *packet);

// As `changeover_record`, with your own time, in nanoseconds of `changeover_now_ns`. It is
// clamped to [the previous packet's time, now].
int64_t changeover_record_at(changeover_recorder recorder,
                             const changeover_packet *packet,
                             uint64_t at_ns);

// Records one packet by id and priority: any thread, several at once, no recorder needed.
//
// Answers as `changeover_record`; CHANGEOVER_STALE, with no other effect, for an unknown id or
// priority. It carries no size, so it counts packets only, and packets of a dead connection
// cannot be told from those of a live one. It counts while the input has an open epoch (a hot
// input without a recorder gets one from its first packet).
//
// Lock-free (but for the first such packet of an input, which takes the stream's lock for a moment),
// and some 30 ns slower than `changeover_record`. NOT async-signal-safe. On error
// (CHANGEOVER_INVALID_HANDLE, _NULL_ARGUMENT, _BAD_UTF8) the last error is written.
int64_t changeover_record_packet(changeover_engine engine,
                                 const char *stream,
                                 int32_t priority);

// Moves the stream to this input and keeps it there (override) until that input degrades or is
// removed, disabled or overridden. Refused at once where the input cannot be taken; what became
// of the switch the ticket tells. Accepted: the override is in force, the input is being taken;
// its first packet may go out later (CHANGEOVER_EVENT_FIRST_PACKET). `ticket` may be NULL;
// otherwise close it with `changeover_ticket_close`.
//
// Any thread; takes short locks. On error nothing is changed, `*ticket` is not written:
// CHANGEOVER_UNKNOWN_STREAM, _UNKNOWN_INPUT, _INPUT_DEGRADED, _INPUT_STOPPED.
int32_t changeover_switch_input(changeover_engine engine,
                                const char *stream,
                                int32_t priority,
                                changeover_ticket *ticket);

// Takes the operator's override back; the normal rules apply again. Any thread.
int32_t changeover_clear_override(changeover_engine engine, const char *stream);

// Moves the stream to this input and keeps it there for a while. `hold` NULL = ten minutes,
// released when the input dies. Otherwise as `changeover_switch_input`.
int32_t changeover_hold_input(changeover_engine engine,
                              const char *stream,
                              int32_t priority,
                              const changeover_hold *hold,
                              changeover_ticket *ticket);

// Ends the operator's hold; the normal rules apply again. Any thread.
int32_t changeover_release_hold(changeover_engine engine, const char *stream);

// What became of a switch: 1 accepted, 0 not decided yet, CHANGEOVER_SWITCH_FAILED (the last
// error says why). Any thread; does not wait.
int32_t changeover_ticket_outcome(changeover_ticket ticket);

// Waits up to `timeout_ms` milliseconds until a switch is accepted: CHANGEOVER_OK (0, not 1 as
// above) when it is, CHANGEOVER_SWITCH_FAILED, CHANGEOVER_TIMED_OUT; CHANGEOVER_WOULD_BLOCK where
// it is not decided and waiting is not possible. May block.
int32_t changeover_ticket_wait(changeover_ticket ticket, uint32_t timeout_ms);

// Lets go of a receipt; the switch goes on. Any thread.
int32_t changeover_ticket_close(changeover_ticket ticket);

// Raises a condition: it acts after its hold time, unless it is cleared before. Raising it again
// changes its times. An edit of the input's address clears all.
//
// Any thread. CHANGEOVER_BAD_CONDITION, _NEGATIVE_DURATION, _TOO_MANY_CONDITIONS (16), and as
// for all: _UNKNOWN_STREAM, _UNKNOWN_INPUT.
int32_t changeover_raise_condition(changeover_engine engine,
                                   const char *stream,
                                   int32_t priority,
                                   const changeover_condition *condition);

// A condition is over. The input is good again after its clear time. One that was not raised is
// ignored. Any thread.
int32_t changeover_clear_condition(changeover_engine engine,
                                   const char *stream,
                                   int32_t priority,
                                   const char *name);

// Reports that a source has failed: its input is degraded at once. With an epoch, a report about
// another one than the open one is ignored; 0 means whatever is current. `why` is for people and
// may be NULL. Any thread.
int32_t changeover_report_input_error(changeover_engine engine,
                                      const char *stream,
                                      int32_t priority,
                                      uint64_t epoch,
                                      const char *why);

// Switches an input off (0: it is no candidate any more; an active one is left) or on (1: it is
// eligible, and unproved). Any thread.
int32_t changeover_set_input_enabled(changeover_engine engine,
                                     const char *stream,
                                     int32_t priority,
                                     uint32_t enabled);

// A reason's name, as in the JSON (`timeout`, `failback`, ...): a constant text, not to be freed;
// NULL for a number that stands for none. Any thread; wait-free.
const char *changeover_reason_name(uint32_t reason);

// The name of a `CHANGEOVER_STATUS_*`, as in the JSON (`idle`, ...); otherwise as
// `changeover_reason_name`.
const char *changeover_status_name(uint32_t status);

// One stream with its inputs and histories, as a JSON text. Free it with
// `changeover_string_free`.
//
// Any thread; takes short locks, and stops no packet.
int32_t changeover_status_json(changeover_engine engine, const char *stream, char **out);

// One stream, in short. `out->size` must be set. On error nothing else of it is written. Any
// thread; takes short locks.
int32_t changeover_status(changeover_engine engine,
                          const char *stream,
                          changeover_stream_status *out);

// The input that the stream carries: 1, with its priority in `*priority`; 0: none; negative: a
// code. Any thread.
int32_t changeover_active_input(changeover_engine engine, const char *stream, int32_t *priority);

// Whether the stream is exhausted (no usable input is left): 1 or 0; negative: a code. Any
// thread.
int32_t changeover_is_exhausted(changeover_engine engine, const char *stream);

// One input's configuration and health, as a JSON text. Free it with `changeover_string_free`.
// Any thread; takes short locks.
int32_t changeover_input_health_json(changeover_engine engine,
                                     const char *stream,
                                     int32_t priority,
                                     char **out);

// One input's health. `out->size` must be set. On error nothing else of it is written. Any
// thread; takes short locks.
int32_t changeover_input_health_of(changeover_engine engine,
                                   const char *stream,
                                   int32_t priority,
                                   changeover_input_health *out);

// The name of an event's kind, as in the JSON (`input.degraded`, ...): a constant text, not to be
// freed; NULL for a number that stands for none. Any thread; wait-free.
const char *changeover_event_name(uint32_t kind);

// Opens a queue of the engine's events from now on: `capacity` of them at most (0 = 1,024). A full
// one loses its oldest events, with a count, and delays nobody. Any number of queues; each has
// every event.
//
// Any thread. Close it with `changeover_events_close`; it ends with its engine. On error
// `*out` is not written; CHANGEOVER_NO_DESCRIPTOR: the process has none left.
int32_t changeover_events_open(changeover_engine engine, size_t capacity, changeover_events *out);

// Closes a queue, and its descriptor. Events in it are lost.
//
// Any thread; a call that waits in it returns at its time. Closing twice answers
// CHANGEOVER_INVALID_HANDLE.
int32_t changeover_events_close(changeover_events events);

// The queue's descriptor, for poll, select, epoll: readable while there is something to read, and
// for ever once the engine is shut down. Do not read from it or close it: it is the queue's, and
// ends with it. Negative: a code (CHANGEOVER_UNSUPPORTED on other systems than Linux).
int32_t changeover_events_fd(changeover_events events);

// Takes the next event out of the queue: 1 if there is one (in `*out`), 0 if there is none.
// CHANGEOVER_SHUT_DOWN: none, and none will come any more. `out->size` must be set.
//
// Any thread; several that read one queue share its events between them. Does not wait.
int32_t changeover_events_next(changeover_events events, changeover_event *out);

// The same, and waits for one up to `timeout_ms` milliseconds. May block; answers
// CHANGEOVER_WOULD_BLOCK where that cannot be (inside a callback; on an engine that is driven
// by hand), unless `timeout_ms` is 0 or there is an event.
int32_t changeover_events_wait(changeover_events events,
                               uint32_t timeout_ms,
                               changeover_event *out);

// As `changeover_events_next`, with everything that the event says, as a JSON text. Free it with
// `changeover_string_free`.
int32_t changeover_events_next_json(changeover_events events, char **out);

// How many events the queue has lost because it was full. On error `*out` is not written.
int32_t changeover_events_dropped(changeover_events events, uint64_t *out);

// Moves the clock of an engine that is driven by hand forward, and fires every deadline on the
// way at its exact time. 0 is a wake-up of the monitor and nothing else.
// CHANGEOVER_UNSUPPORTED: it is not driven by hand.
int32_t changeover_hand_advance(changeover_engine engine, uint64_t by_ns);

// Lets time pass unseen by an engine that is driven by hand: as when its monitor is starved of
// the processor. The next wake-up is a late one.
int32_t changeover_hand_stall(changeover_engine engine, uint64_t by_ns);

// Carries out the driver calls that wait on an engine that is driven by hand, on this thread,
// and those that come of it; answers how many (at most 10,000 at a time).
int32_t changeover_hand_run_calls(changeover_engine engine);

// Opens a timeline: it maps the times of many inputs, each on a clock of its own, onto one that
// goes on without a gap or a step back. One per output. `options` NULL = every default.
//
// At a cut the new input's first packet continues its track one frame behind the old one's last;
// all tracks get the same offset, so that the new input's A/V offset is kept to the tick; DTS
// strictly rises per track. Begin an input's turn with its video keyframe.
//
// Any thread. Close it with `changeover_timeline_close`; it ends with its engine.
int32_t changeover_timeline_open(changeover_engine engine,
                                 const changeover_timeline_options *options,
                                 changeover_timeline *out);

// Closes a timeline. Any thread. Closing twice answers CHANGEOVER_INVALID_HANDLE.
int32_t changeover_timeline_close(changeover_timeline timeline);

// Maps one packet of output track `track` (any number: the output stream's index, the PID), whose
// times are in ticks of `base`, and that was let through under `cut` (the answer of
// `changeover_record`). A number above all before it begins a new turn. Call it in the order in
// which packets are sent; what it answers is taken as sent.
//
// Answers `CHANGEOVER_MAPPED_*`, or a code. `*out` is written for CHANGEOVER_MAPPED_AT only, in
// output ticks; it may be the same struct as `stamps`; its `size` must be set. The DTS is always
// there, the PTS if there was one that a clock can show.
//
// Any thread; takes a short lock of its own.
int32_t changeover_timeline_map(changeover_timeline timeline,
                                uint32_t cut,
                                uint32_t track,
                                changeover_timebase base,
                                const changeover_stamps *stamps,
                                changeover_stamps *out);

// Maps a program clock reference of the input that is on the air under `cut`: with `is_27mhz` 1
// in 27 MHz ticks (base * 300 + extension), with 0 its 90 kHz base alone; back in the same,
// wrapped. 1: `*out` is written; 0: do not send it (the cut is another one, no packet with a
// time has come since, or the clock is about to leap); negative: a code.
int32_t changeover_timeline_pcr(changeover_timeline timeline,
                                uint32_t cut,
                                uint32_t is_27mhz,
                                int64_t value,
                                int64_t *out);

// The next packet begins a new turn, as after a cut, under the same number: you know that the
// input has connected anew. Any thread.
int32_t changeover_timeline_restart(changeover_timeline timeline);

// Opens eyes: one for each input, which see its datagrams in the order in which they came.
// `format` is `CHANGEOVER_EYES_*`.
//
// Any thread. Close it with `changeover_eyes_close`; it ends with its engine.
int32_t changeover_eyes_open(changeover_engine engine, uint32_t format, changeover_eyes *out);

// Closes eyes. Any thread. Closing twice answers CHANGEOVER_INVALID_HANDLE.
int32_t changeover_eyes_close(changeover_eyes eyes);

// Looks at the input's next datagram: 1: it is media, record `out->packet`; 0: it is not (nothing
// is kept of it); negative: a code. `out->size` must be set.
//
// Any thread; takes a short lock of its own; allocates nothing.
int32_t changeover_eyes_look(changeover_eyes eyes,
                             const uint8_t *datagram,
                             size_t len,
                             changeover_sight *out);

/*
 * Init functions: everything 0, but the size.
 */
#define CHANGEOVER_INIT_(type)                   \
    static inline type type##_init(void) {       \
        type value;                              \
        memset(&value, 0, sizeof value);         \
        value.size = sizeof value;               \
        return value;                            \
    }

CHANGEOVER_INIT_(changeover_health_config)
CHANGEOVER_INIT_(changeover_engine_config)
CHANGEOVER_INIT_(changeover_input_config)
CHANGEOVER_INIT_(changeover_stream_config)
CHANGEOVER_INIT_(changeover_inputs_update)
CHANGEOVER_INIT_(changeover_driver)
CHANGEOVER_INIT_(changeover_callbacks)
CHANGEOVER_INIT_(changeover_engine_options)
CHANGEOVER_INIT_(changeover_engine_stats)
CHANGEOVER_INIT_(changeover_condition)
CHANGEOVER_INIT_(changeover_hold)
CHANGEOVER_INIT_(changeover_stream_status)
CHANGEOVER_INIT_(changeover_input_health)
CHANGEOVER_INIT_(changeover_event)
CHANGEOVER_INIT_(changeover_stamps)
CHANGEOVER_INIT_(changeover_timeline_options)
CHANGEOVER_INIT_(changeover_sight)

#undef CHANGEOVER_INIT_

/* A packet of so many bytes, of which nothing else is known. */
static inline changeover_packet changeover_packet_of(size_t bytes) {
    changeover_packet packet;
    memset(&packet, 0, sizeof packet);
    packet.bytes = bytes > UINT32_MAX ? UINT32_MAX : bytes & UINT32_MAX;
    return packet;
}

/* Times of a packet; CHANGEOVER_NO_TIMESTAMP where there is none. */
static inline changeover_stamps changeover_stamps_of(int64_t dts, int64_t pts, int64_t duration) {
    changeover_stamps stamps = changeover_stamps_init();
    stamps.dts = dts;
    stamps.pts = pts;
    stamps.duration = duration;
    return stamps;
}

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CHANGEOVER_H */
