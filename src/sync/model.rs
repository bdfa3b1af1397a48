//! What [`crate::sync`] stands for in a model: loom's primitives, and stand-ins for the lock-free
//! parts of other crates.
//!
//! loom tries every interleaving, and every value that a weak load may see. What it cannot look
//! into is put in other words: a queue is a locked one, a swapped table is a lock beside the word
//! that caches compare, and the epochs are their contract ([`epoch`]). `Arc` stays std's: its
//! counters are not modelled.

pub(crate) mod epoch;

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use loom::sync::atomic;
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

/// loom's know no constant beginnings.
macro_rules! model_thread_local {
    ($(#[$about:meta])* static $name:ident: $type:ty = const { $value:expr };) => {
        loom::thread_local! { $(#[$about])* static $name: $type = $value; }
    };
}
pub(crate) use model_thread_local as thread_local;

/// Threads, and how they wait. A wait that would end by time ends by a wake only: what relies on
/// the time alone shows as a deadlock.
///
/// Parking is made of a lock and a condition here: loom's own wakes a thread that waits for
/// something else, too.
pub(crate) mod thread {
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    pub(crate) use loom::thread::yield_now;

    use super::{Condvar, Mutex};

    #[derive(Clone, Debug, Default)]
    pub(crate) struct Thread(Arc<Token>);

    #[derive(Debug, Default)]
    struct Token {
        is_there: Mutex<bool>,
        come: Condvar,
    }

    loom::thread_local! {
        static SELF: Thread = Thread::default();
    }

    impl Thread {
        pub(crate) fn unpark(&self) {
            *self.0.is_there.lock() = true;
            self.0.come.notify_one();
        }
    }

    pub(crate) fn current() -> Thread {
        SELF.with(Clone::clone)
    }

    pub(crate) fn park() {
        let token = current().0;
        let mut is_there = token.is_there.lock();
        while !*is_there {
            token.come.wait(&mut is_there);
        }
        *is_there = false;
    }

    pub(crate) fn park_timeout(_: Duration) {
        park();
    }

    pub(crate) fn sleep(_: Duration) {
        yield_now();
    }

    pub(crate) struct Builder;

    pub(crate) struct JoinHandle<T> {
        inner: loom::thread::JoinHandle<T>,
        thread: Arc<std::sync::Mutex<Option<Thread>>>,
    }

    impl Builder {
        pub(crate) fn new() -> Self {
            Self
        }

        pub(crate) fn name(self, _: String) -> Self {
            self
        }

        pub(crate) fn spawn<T: 'static>(
            self,
            life: impl FnOnce() -> T + 'static,
        ) -> io::Result<JoinHandle<T>> {
            let thread = Arc::new(std::sync::Mutex::new(None));
            let own = Arc::clone(&thread);
            let inner = loom::thread::spawn(move || {
                *own.lock().expect("not poisoned") = Some(current());
                life()
            });
            Ok(JoinHandle { inner, thread })
        }
    }

    impl<T> JoinHandle<T> {
        pub(crate) fn thread(&self) -> Thread {
            loop {
                // It says so first of all.
                if let Some(thread) = self.thread.lock().expect("not poisoned").clone() {
                    return thread;
                }
                yield_now();
            }
        }

        pub(crate) fn join(self) -> std::thread::Result<T> {
            self.inner.join()
        }
    }
}

/// A typed atomic word.
pub(crate) struct Atomic<T>(atomic::AtomicU64, PhantomData<T>);

impl<T: bytemuck::NoUninit> Atomic<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(atomic::AtomicU64::new(word(value)), PhantomData)
    }

    pub(crate) const fn is_lock_free() -> bool {
        size_of::<T>() == 8
    }

    #[track_caller]
    pub(crate) fn load(&self, order: Ordering) -> T {
        value(self.0.load(order))
    }

    #[track_caller]
    pub(crate) fn store(&self, new: T, order: Ordering) {
        self.0.store(word(new), order);
    }

    #[track_caller]
    pub(crate) fn compare_exchange(
        &self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<T, T> {
        let done = self.0.compare_exchange(word(current), word(new), success, failure);
        done.map(value).map_err(value)
    }
}

impl<T: bytemuck::NoUninit + Default> Default for Atomic<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for Atomic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn word<T: bytemuck::NoUninit>(value: T) -> u64 {
    u64::from_ne_bytes(*bytemuck::bytes_of(&value).first_chunk().expect("a word of 64 bits"))
}

fn value<T: Copy>(word: u64) -> T {
    assert!(size_of::<T>() == 8);
    // SAFETY: of that size, and only ever what `word` made of a `T`.
    unsafe { std::mem::transmute_copy(&word) }
}

/// Stands for memory that is used without any lock: loom finds a use that nothing orders.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Memory(loom::cell::UnsafeCell<()>);

#[cfg(test)]
// SAFETY: there is nothing in it; what loom finds is the point.
unsafe impl Sync for Memory {}

#[cfg(test)]
impl Memory {
    #[track_caller]
    pub(crate) fn read(&self) {
        self.0.with(|_| ());
    }

    #[track_caller]
    pub(crate) fn write(&self) {
        self.0.with_mut(|_| ());
    }
}

/// A lock that panics where another thread panicked with it, which ends the model.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().expect("no thread panics in a model that holds")))
    }

    #[track_caller]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|guard| MutexGuard(Some(guard)))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("held")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("held")
    }
}

/// A condition variable for [`Mutex`].
#[derive(Debug, Default)]
pub(crate) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    #[track_caller]
    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.0.take().expect("held");
        guard.0 = Some(self.0.wait(held).expect("no thread panics in a model that holds"));
    }

    /// As [`wait`](Self::wait): the time never comes.
    #[track_caller]
    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _: Instant) -> bool {
        self.wait(guard);
        false
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// An unbounded queue.
#[derive(Debug)]
pub(crate) struct SegQueue<T>(Mutex<VecDeque<T>>);

impl<T> SegQueue<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    #[track_caller]
    pub(crate) fn push(&self, value: T) {
        self.0.lock().push_back(value);
    }

    #[track_caller]
    pub(crate) fn pop(&self) -> Option<T> {
        self.0.lock().pop_front()
    }

    #[track_caller]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

/// A value that is swapped whole: a lock, and the word that a [`Cache`] compares without it.
#[derive(Debug)]
pub(crate) struct ArcSwap<T> {
    word: AtomicPtr<T>,
    value: Mutex<Arc<T>>,
}

impl<T> ArcSwap<T> {
    pub(crate) fn from_pointee(value: T) -> Self {
        let value = Arc::new(value);
        let word = AtomicPtr::new(Arc::as_ptr(&value).cast_mut());
        Self { word, value: Mutex::new(value) }
    }

    #[track_caller]
    pub(crate) fn load_full(&self) -> Arc<T> {
        Arc::clone(&self.value.lock())
    }

    #[track_caller]
    pub(crate) fn load(&self) -> Arc<T> {
        self.load_full()
    }

    #[track_caller]
    pub(crate) fn swap(&self, new: Arc<T>) -> Arc<T> {
        let mut value = self.value.lock();
        // arc-swap exchanges its word with SeqCst.
        self.word.swap(Arc::as_ptr(&new).cast_mut(), Ordering::SeqCst);
        std::mem::replace(&mut *value, new)
    }
}

/// A reader's copy of the latest value that it saw.
#[derive(Debug)]
pub(crate) struct Cache<A, T> {
    swap: A,
    cached: T,
}

impl<A: Deref<Target = ArcSwap<T>>, T> Cache<A, Arc<T>> {
    pub(crate) fn new(swap: A) -> Self {
        let cached = swap.load_full();
        Self { swap, cached }
    }

    pub(crate) fn arc_swap(&self) -> &ArcSwap<T> {
        &self.swap
    }

    /// arc-swap's cache compares with a relaxed load.
    #[track_caller]
    pub(crate) fn load(&mut self) -> &Arc<T> {
        if self.swap.word.load(Ordering::Relaxed).cast_const() != Arc::as_ptr(&self.cached) {
            self.cached = self.swap.load_full();
        }
        &self.cached
    }
}
