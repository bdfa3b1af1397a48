//! The closed list of codes that calls answer, their texts, and the calling thread's last error.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};

use crate::error::Error;

/// It worked.
pub const CHANGEOVER_OK: i32 = 0;
/// The recorder's (or id's) epoch is over: stop, and open a new recorder. Nothing was counted.
pub const CHANGEOVER_STALE: i32 = -1;
/// The handle is 0, closed, of another kind, of an engine that is gone, or garbage.
pub const CHANGEOVER_INVALID_HANDLE: i32 = -2;
/// A pointer is NULL that must not be.
pub const CHANGEOVER_NULL_ARGUMENT: i32 = -3;
/// A text is not UTF-8.
pub const CHANGEOVER_BAD_UTF8: i32 = -4;
/// A struct's `size` is smaller than that of ABI 0, or it is larger than this library knows of
/// and has something in the part that it does not know.
pub const CHANGEOVER_BAD_STRUCT: i32 = -5;
/// A number stands for nothing (an enumeration's value, a flag), or is out of range.
pub const CHANGEOVER_BAD_ARGUMENT: i32 = -6;
/// A JSON text cannot be read, or has a field that does not exist.
pub const CHANGEOVER_BAD_JSON: i32 = -7;
/// The call is made in a child of `fork`: the engine's threads live in the parent only.
pub const CHANGEOVER_FORKED: i32 = -8;
/// Every one of the 256 engine slots is taken, or its last engine is still in use by a call.
pub const CHANGEOVER_TOO_MANY_ENGINES: i32 = -9;
/// More than 67 million handles of one kind are open.
pub const CHANGEOVER_TOO_MANY_HANDLES: i32 = -10;
/// This platform, or this engine (driven by hand or not), has no such thing.
pub const CHANGEOVER_UNSUPPORTED: i32 = -11;
/// A panic was caught in the library: a defect of it. Please report it.
pub const CHANGEOVER_PANIC: i32 = -12;
/// The process has no file descriptor left.
pub const CHANGEOVER_NO_DESCRIPTOR: i32 = -13;

/// A stream id is empty.
pub const CHANGEOVER_EMPTY_STREAM_ID: i32 = -20;
/// A stream id is longer than 128 bytes, or has control characters.
pub const CHANGEOVER_BAD_STREAM_ID: i32 = -21;
/// A stream of this id is registered.
pub const CHANGEOVER_ALREADY_REGISTERED: i32 = -22;
/// No stream of this id is registered.
pub const CHANGEOVER_UNKNOWN_STREAM: i32 = -23;
/// The stream has no input of this priority.
pub const CHANGEOVER_UNKNOWN_INPUT: i32 = -24;
/// Two inputs have the same priority.
pub const CHANGEOVER_DUPLICATE_PRIORITY: i32 = -25;
/// A duration is negative.
pub const CHANGEOVER_NEGATIVE_DURATION: i32 = -26;
/// A number is not finite, negative, or too large for what it says.
pub const CHANGEOVER_BAD_NUMBER: i32 = -27;
/// A condition's name is empty, longer than 64 bytes, or has control characters.
pub const CHANGEOVER_BAD_CONDITION: i32 = -28;
/// The input has 16 conditions raised.
pub const CHANGEOVER_TOO_MANY_CONDITIONS: i32 = -29;
/// The input has failed and is not eligible.
pub const CHANGEOVER_INPUT_DEGRADED: i32 = -30;
/// The operator switched the input off.
pub const CHANGEOVER_INPUT_STOPPED: i32 = -31;
/// The epoch is over, or was never this input's.
pub const CHANGEOVER_STALE_EPOCH: i32 = -32;
/// The epoch's recorder is open already: use `changeover_recorder_sibling`.
pub const CHANGEOVER_RECORDER_OPEN: i32 = -33;
/// The call would have to wait where waiting is not possible: inside a callback or driver call,
/// or on an engine that is driven by hand. Nothing was changed.
pub const CHANGEOVER_WOULD_BLOCK: i32 = -34;
/// The time given to a waiting call is over.
pub const CHANGEOVER_TIMED_OUT: i32 = -35;
/// The switch was not carried out.
pub const CHANGEOVER_SWITCH_FAILED: i32 = -36;
/// The engine has been shut down.
pub const CHANGEOVER_SHUT_DOWN: i32 = -37;
/// The operating system refused a thread.
pub const CHANGEOVER_THREAD: i32 = -38;
/// A timebase's number is not positive, or its counter has a width outside 8 to 62 bits.
pub const CHANGEOVER_BAD_TIMEBASE: i32 = -39;
/// `metrics_prefix` is not letters, digits, `_` and `:`, without a digit first.
pub const CHANGEOVER_BAD_METRICS_PREFIX: i32 = -40;

/// Why a call answers a code.
#[derive(Debug)]
pub(super) enum Refusal {
    InvalidHandle,
    Null(&'static str),
    BadUtf8(&'static str),
    BadStruct { name: &'static str, size: usize },
    BadArgument { name: &'static str, value: i64 },
    BadJson(String),
    Forked,
    TooManyEngines,
    TooManyHandles,
    Unsupported(&'static str),
    NoDescriptor,
    BadTimebase(String),
    Engine(Error),
}

impl Refusal {
    /// The code. Exhaustive: a new error cannot ship without one.
    pub(super) fn code(&self) -> i32 {
        match self {
            Self::InvalidHandle => CHANGEOVER_INVALID_HANDLE,
            Self::Null(_) => CHANGEOVER_NULL_ARGUMENT,
            Self::BadUtf8(_) => CHANGEOVER_BAD_UTF8,
            Self::BadStruct { .. } => CHANGEOVER_BAD_STRUCT,
            Self::BadArgument { .. } => CHANGEOVER_BAD_ARGUMENT,
            Self::BadJson(_) => CHANGEOVER_BAD_JSON,
            Self::Forked => CHANGEOVER_FORKED,
            Self::TooManyEngines => CHANGEOVER_TOO_MANY_ENGINES,
            Self::TooManyHandles => CHANGEOVER_TOO_MANY_HANDLES,
            Self::Unsupported(_) => CHANGEOVER_UNSUPPORTED,
            Self::NoDescriptor => CHANGEOVER_NO_DESCRIPTOR,
            Self::BadTimebase(_) => CHANGEOVER_BAD_TIMEBASE,
            Self::Engine(error) => match error {
                Error::EmptyStreamId => CHANGEOVER_EMPTY_STREAM_ID,
                Error::BadStreamId { .. } => CHANGEOVER_BAD_STREAM_ID,
                Error::AlreadyRegistered { .. } => CHANGEOVER_ALREADY_REGISTERED,
                Error::UnknownStream { .. } => CHANGEOVER_UNKNOWN_STREAM,
                Error::UnknownInput { .. } => CHANGEOVER_UNKNOWN_INPUT,
                Error::DuplicatePriority { .. } => CHANGEOVER_DUPLICATE_PRIORITY,
                Error::NegativeDuration { .. } => CHANGEOVER_NEGATIVE_DURATION,
                Error::BadNumber { .. } => CHANGEOVER_BAD_NUMBER,
                Error::BadCondition { .. } => CHANGEOVER_BAD_CONDITION,
                Error::TooManyConditions { .. } => CHANGEOVER_TOO_MANY_CONDITIONS,
                Error::InputDegraded { .. } => CHANGEOVER_INPUT_DEGRADED,
                Error::InputStopped { .. } => CHANGEOVER_INPUT_STOPPED,
                Error::StaleEpoch { .. } => CHANGEOVER_STALE_EPOCH,
                Error::RecorderOpen { .. } => CHANGEOVER_RECORDER_OPEN,
                Error::WouldBlock { .. } => CHANGEOVER_WOULD_BLOCK,
                Error::TimedOut { .. } => CHANGEOVER_TIMED_OUT,
                Error::SwitchFailed { .. } => CHANGEOVER_SWITCH_FAILED,
                Error::ShutDown => CHANGEOVER_SHUT_DOWN,
                Error::BadMetricsPrefix { .. } => CHANGEOVER_BAD_METRICS_PREFIX,
                Error::Thread { .. } => CHANGEOVER_THREAD,
            },
        }
    }

    /// The details, for people.
    fn text(&self) -> String {
        match self {
            Self::Null(name) => format!("{name} is NULL"),
            Self::BadUtf8(name) => format!("{name} is not UTF-8"),
            Self::BadStruct { name, size } => format!(
                "{name}.size is {size}: make it with the init function, and set only what you know"
            ),
            Self::BadArgument { name, value } => {
                format!("{name} cannot be {value}: the header says what it can be")
            }
            Self::BadJson(why) => format!("the JSON text cannot be read: {why}"),
            Self::Unsupported(what) => (*what).to_owned(),
            Self::BadTimebase(why) => why.clone(),
            Self::Engine(error) => error.to_string(),
            plain => describe(plain.code()).to_string_lossy().into_owned(),
        }
    }
}

/// What a code means.
fn describe(code: i32) -> &'static CStr {
    match code {
        CHANGEOVER_OK => c"it worked",
        CHANGEOVER_STALE => c"the epoch is over: open a new recorder",
        CHANGEOVER_INVALID_HANDLE => c"the handle is 0, closed, of another kind, or garbage",
        CHANGEOVER_NULL_ARGUMENT => c"a pointer is NULL that must not be",
        CHANGEOVER_BAD_UTF8 => c"a text is not UTF-8",
        CHANGEOVER_BAD_STRUCT => c"a struct's size is not usable",
        CHANGEOVER_BAD_ARGUMENT => c"a number stands for nothing, or is out of range",
        CHANGEOVER_BAD_JSON => c"a JSON text cannot be read",
        CHANGEOVER_FORKED => c"the engine's threads live in the parent of this process",
        CHANGEOVER_TOO_MANY_ENGINES => c"every engine slot is taken: destroy an engine first",
        CHANGEOVER_TOO_MANY_HANDLES => c"too many handles are open: close some",
        CHANGEOVER_UNSUPPORTED => c"there is no such thing here",
        CHANGEOVER_NO_DESCRIPTOR => c"the process has no file descriptor left",
        CHANGEOVER_PANIC => c"a panic was caught in the library: please report it",
        CHANGEOVER_EMPTY_STREAM_ID => c"a stream id is empty",
        CHANGEOVER_BAD_STREAM_ID => c"a stream id is too long or has control characters",
        CHANGEOVER_ALREADY_REGISTERED => c"a stream of this id is registered already",
        CHANGEOVER_UNKNOWN_STREAM => c"no stream of this id is registered",
        CHANGEOVER_UNKNOWN_INPUT => c"the stream has no input of this priority",
        CHANGEOVER_DUPLICATE_PRIORITY => c"two inputs have the same priority",
        CHANGEOVER_NEGATIVE_DURATION => c"a duration is negative",
        CHANGEOVER_BAD_NUMBER => c"a number is not finite, negative, or too large",
        CHANGEOVER_BAD_CONDITION => c"a condition's name is not usable",
        CHANGEOVER_TOO_MANY_CONDITIONS => c"the input has too many conditions raised",
        CHANGEOVER_INPUT_DEGRADED => c"the input has failed and is not eligible",
        CHANGEOVER_INPUT_STOPPED => c"the input is switched off",
        CHANGEOVER_STALE_EPOCH => c"the epoch is not the input's open one",
        CHANGEOVER_RECORDER_OPEN => c"the epoch has a recorder: open a sibling of it",
        CHANGEOVER_WOULD_BLOCK => c"the call would have to wait where it cannot",
        CHANGEOVER_TIMED_OUT => c"the time is over",
        CHANGEOVER_SWITCH_FAILED => c"the switch was not carried out",
        CHANGEOVER_SHUT_DOWN => c"the engine is shut down",
        CHANGEOVER_THREAD => c"the operating system refused a thread",
        CHANGEOVER_BAD_TIMEBASE => c"a timebase is not usable",
        CHANGEOVER_BAD_METRICS_PREFIX => c"metric names cannot begin like this",
        _ => c"no code of this library",
    }
}

thread_local! {
    static LAST: RefCell<(i32, CString)> = RefCell::new((CHANGEOVER_OK, CString::default()));
}

/// Notes what a call answers on this thread.
pub(super) fn note(refusal: &Refusal) -> i32 {
    note_text(refusal.code(), refusal.text())
}

pub(super) fn note_text(code: i32, text: String) -> i32 {
    let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
    // A thread that is ending has no last error any more.
    let _ = LAST.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = (code, text);
        }
    });
    code
}

/// What a code means, in English: a constant text, never NULL, not to be freed.
///
/// Any thread; wait-free. Numbers that are no code get a text that says so.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_strerror(code: i32) -> *const c_char {
    describe(code).as_ptr()
}

/// The code that the last failed call on this thread answered; `CHANGEOVER_OK` if none has.
///
/// Calls that work do not change it. `changeover_record` and its kin never write it (they may be
/// called from signal handlers): their code is the answer itself. A thread that is ending, and has
/// lost its thread-local data, has none.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_last_error() -> i32 {
    LAST.try_with(|last| last.borrow().0).unwrap_or(CHANGEOVER_OK)
}

/// The details of the last failed call on this thread: which argument, which stream, what to do.
/// Never NULL, not to be freed; valid until the next call on this thread that fails. Read it in a
/// statement of its own, not in one argument list with the call.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_last_error_text() -> *const c_char {
    LAST.try_with(|last| last.borrow().1.as_ptr()).unwrap_or(c"".as_ptr())
}
