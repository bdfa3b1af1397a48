//! What crosses the boundary by pointer: texts, structs that may grow, lists, results; and the
//! guard that stands inside every export.
//!
//! A struct that starts with its size is read as the kernel reads its extensible ones: what the
//! caller does not have is zero, what the caller has and we do not know must be zero. So every
//! combination of old and new works, or says that it does not. All its fields take any bit
//! pattern: integers, floats, pointers.

use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::{MaybeUninit, size_of};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use super::codes::{CHANGEOVER_OK, CHANGEOVER_PANIC, Refusal, note, note_text};

/// A `#[repr(C)]` struct of integers, floats and pointers whose first field is its `size_t size`.
///
/// # Safety
/// Every bit pattern is a valid value, and the first field is a `usize`.
pub(super) unsafe trait Sized0: Copy {
    /// What the caller calls it.
    const NAME: &'static str;
    /// The size that it had in ABI 0.
    const LEAST: usize;
}

/// Says that a struct follows the rules of [`Sized0`], and how large it was in ABI 0 (64 bits).
/// That number stays when the struct grows, or programs with the old header would be refused.
macro_rules! sized {
    ($($name:ident: $least:literal),+) => {$(
        // SAFETY: a `repr(C)` struct of integers, floats and pointers that begins with its size.
        unsafe impl $crate::ffi::boundary::Sized0 for $name {
            const NAME: &'static str = stringify!($name);
            #[cfg(target_pointer_width = "64")]
            const LEAST: usize = $least;
            #[cfg(not(target_pointer_width = "64"))]
            const LEAST: usize = std::mem::size_of::<Self>();
        }
        #[cfg(target_pointer_width = "64")]
        const _: () = assert!(std::mem::size_of::<$name>() >= $least);
        const _: () = assert!(std::mem::offset_of!($name, size) == 0);
    )+};
}
pub(super) use sized;

/// Runs an export's work: no panic leaves it, and what it refuses is noted.
pub(super) fn guard(work: impl FnOnce() -> Result<(), Refusal>) -> i32 {
    guard_or(|| work().map(|()| CHANGEOVER_OK))
}

/// The same for an export that answers a number of its own.
pub(super) fn guard_or(work: impl FnOnce() -> Result<i32, Refusal>) -> i32 {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(answer)) => answer,
        Ok(Err(refusal)) => note(&refusal),
        Err(panic) => panicked(&*panic),
    }
}

/// A panic was caught: it is logged, and answered with a code. What it says may be dropped here:
/// a payload whose own drop panics is the library's, and there is none.
#[cold]
pub(super) fn panicked(panic: &(dyn std::any::Any + Send)) -> i32 {
    let text = crate::hostcall::panic_text(panic);
    tracing::error!(target: "changeover", panic = text, "a panic was caught at the C boundary");
    note_text(CHANGEOVER_PANIC, text)
}

/// A text that must be there.
pub(super) fn text<'a>(name: &'static str, text: *const c_char) -> Result<&'a str, Refusal> {
    opt_text(name, text)?.ok_or(Refusal::Null(name))
}

/// A text that may be NULL.
pub(super) fn opt_text<'a>(
    name: &'static str,
    text: *const c_char,
) -> Result<Option<&'a str>, Refusal> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL; the header asks for a terminated text that stays as it is for the call.
    let bytes = unsafe { CStr::from_ptr(text) };
    bytes.to_str().map(Some).map_err(|_| Refusal::BadUtf8(name))
}

/// A text for people, where bad UTF-8 is no reason to lose it. NULL is empty.
pub(super) fn message(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as in `opt_text`.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// A list of `count` things; NULL is fine where there are none.
pub(super) fn list<'a, T: Copy>(
    name: &'static str,
    first: *const T,
    count: usize,
) -> Result<&'a [T], Refusal> {
    if count == 0 {
        return Ok(&[]);
    }
    if first.is_null() || !first.is_aligned() {
        return Err(Refusal::Null(name));
    }
    if count > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(Refusal::BadArgument { name, value: i64::MAX });
    }
    // SAFETY: not NULL, aligned, a size that exists; the header asks for `count` of them that stay
    // for the call.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// One thing of plain fields that must be there; `None` for NULL.
#[inline]
pub(super) fn one<'a, T: Copy>(thing: *const T) -> Option<&'a T> {
    // SAFETY: NULL is answered; otherwise the header asks for one that stays for the call.
    unsafe { thing.as_ref() }
}

/// Reads a struct that must be there.
pub(super) fn read<T: Sized0>(from: *const T) -> Result<T, Refusal> {
    if from.is_null() {
        return Err(Refusal::Null(T::NAME));
    }
    // SAFETY: not NULL; the header asks for a struct that begins with its size.
    let size = unsafe { from.cast::<usize>().read_unaligned() };
    read_sized(from.cast(), size)
}

/// Reads a struct that may be NULL.
pub(super) fn opt_read<T: Sized0>(from: *const T) -> Result<Option<T>, Refusal> {
    if from.is_null() { Ok(None) } else { read(from).map(Some) }
}

/// Reads an array of structs, each of the size that the first one says.
pub(super) fn read_list<T: Sized0>(
    name: &'static str,
    first: *const T,
    count: usize,
) -> Result<Vec<T>, Refusal> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if first.is_null() {
        return Err(Refusal::Null(name));
    }
    // SAFETY: as in `read`.
    let stride = unsafe { first.cast::<usize>().read_unaligned() };
    check_size::<T>(stride)?;
    if count > isize::MAX as usize / stride {
        return Err(Refusal::BadArgument { name, value: i64::MAX });
    }
    let mut all = Vec::new();
    for i in 0..count {
        let at = first.cast::<u8>().wrapping_add(i * stride);
        // SAFETY: the header asks for `count` structs of the first one's size.
        let size = unsafe { at.cast::<usize>().read_unaligned() };
        if size != stride {
            return Err(Refusal::BadStruct { name: T::NAME, size });
        }
        all.push(read_sized(at, size)?);
    }
    Ok(all)
}

/// Structs do not grow beyond this: a larger size is garbage.
const LARGEST: usize = 4096;

fn check_size<T: Sized0>(size: usize) -> Result<(), Refusal> {
    if (T::LEAST..=LARGEST).contains(&size) {
        Ok(())
    } else {
        Err(Refusal::BadStruct { name: T::NAME, size })
    }
}

fn read_sized<T: Sized0>(from: *const u8, size: usize) -> Result<T, Refusal> {
    check_size::<T>(size)?;
    let known = size.min(size_of::<T>());
    let mut read = MaybeUninit::<T>::zeroed();
    // SAFETY: `size` bytes are the caller's, `known` of them fit; any bytes are a value.
    let (value, beyond) = unsafe {
        ptr::copy_nonoverlapping(from, read.as_mut_ptr().cast::<u8>(), known);
        (read.assume_init(), std::slice::from_raw_parts(from.add(known), size - known))
    };
    if beyond.iter().any(|byte| *byte != 0) {
        return Err(Refusal::BadStruct { name: T::NAME, size });
    }
    Ok(value)
}

/// Writes a result that the caller must want.
pub(super) fn give<T: Copy>(name: &'static str, out: *mut T, value: T) -> Result<(), Refusal> {
    if out.is_null() {
        return Err(Refusal::Null(name));
    }
    // SAFETY: not NULL; the header asks for room for one.
    unsafe { out.write_unaligned(value) };
    Ok(())
}

/// Refuses a result's place before the work is done, so that nothing is lost.
pub(super) fn wanted<T>(name: &'static str, out: *mut T) -> Result<(), Refusal> {
    if out.is_null() { Err(Refusal::Null(name)) } else { Ok(()) }
}

/// How large the caller's struct for a result is.
pub(super) fn room<T: Sized0>(out: *mut T) -> Result<usize, Refusal> {
    wanted(T::NAME, out)?;
    // SAFETY: as in `read`.
    let size = unsafe { out.cast::<usize>().read_unaligned() };
    check_size::<T>(size).map(|()| size)
}

/// Writes a result struct: as much of it as the caller has room for; what we do not know of
/// becomes zero. Its `size` stays the caller's.
pub(super) fn give_sized<T: Sized0>(out: *mut T, value: &T) -> Result<(), Refusal> {
    let size = room(out)?;
    let known = size.min(size_of::<T>());
    // SAFETY: the caller has `size` bytes; `known` of them are ours to copy.
    unsafe {
        let out = out.cast::<u8>();
        ptr::copy_nonoverlapping(ptr::from_ref(value).cast::<u8>(), out, known);
        ptr::write_bytes(out.add(known), 0, size - known);
        out.cast::<usize>().write_unaligned(size);
    }
    Ok(())
}

/// Hands a text to the caller, who frees it with `changeover_string_free`.
pub(super) fn give_text(
    name: &'static str,
    out: *mut *mut c_char,
    text: String,
) -> Result<(), Refusal> {
    wanted(name, out)?;
    let text = CString::new(text).unwrap_or_else(|nul| {
        let text = String::from_utf8_lossy(&nul.into_vec()).replace('\0', " ");
        CString::new(text).unwrap_or_default()
    });
    give(name, out, text.into_raw())
}

/// Copies a text into a struct's array: as much as fits, cut between characters, terminated.
pub(super) fn fill<const N: usize>(room: &mut [c_char; N], text: &str) {
    let mut end = text.len().min(N - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    *room = [0; N];
    for (to, byte) in room.iter_mut().zip(text[..end].bytes()) {
        *to = byte as c_char;
    }
}

/// Frees a text that a call of this library gave. NULL is fine.
///
/// Any thread. A text is freed once; each call that gives one says so.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: the header asks for a text of this library, given and not freed yet.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// A host's data and how it is let go of.
#[derive(Debug)]
pub(super) struct Foreign {
    pub(super) user_data: *mut c_void,
    destroy: Option<extern "C" fn(user_data: *mut c_void)>,
    /// The call that brought it has worked: it is ours to let go of.
    owned: crate::sync::unmodelled::AtomicBool,
}

// SAFETY: the header says that callbacks, and `destroy`, are called from other threads: what the
// host gives must stand that. Here it is only handed on.
unsafe impl Send for Foreign {}
// SAFETY: as above.
unsafe impl Sync for Foreign {}

impl Foreign {
    pub(super) fn new(
        user_data: *mut c_void,
        destroy: Option<extern "C" fn(user_data: *mut c_void)>,
    ) -> Self {
        Self { user_data, destroy, owned: crate::sync::unmodelled::AtomicBool::new(false) }
    }

    /// From now on `destroy` will be called.
    pub(super) fn own(&self) {
        self.owned.store(true, crate::sync::Ordering::Release);
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let owned = self.owned.load(crate::sync::Ordering::Acquire);
        if let Some(destroy) = self.destroy.filter(|_| owned) {
            let _ = crate::hostcall::run(|| destroy(self.user_data));
        }
    }
}
