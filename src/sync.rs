//! The one place that names the shared-memory primitives, so that a model checker can take their
//! place: atomics, `Arc`, locks, threads and parking, and the lock-free parts taken from other
//! crates.
//!
//! Built with `--cfg loom`, the names stand for those of `sync/model.rs` and the models of
//! `src/models` run the crate's own code under loom (`scripts/models`).

#[cfg(loom)]
mod model;

/// Words that models do not look into: counts that are shown and decide nothing, and marks that go
/// with an `Arc`, whose own counters order them.
pub(crate) mod unmodelled {
    #[cfg(feature = "capi")]
    pub(crate) use std::sync::atomic::AtomicBool;
    pub(crate) use std::sync::atomic::AtomicU64;
}
pub(crate) use std::sync::{Arc, OnceLock, Weak};

#[cfg(loom)]
pub(crate) use self::model::*;
#[cfg(not(loom))]
pub(crate) use self::real::*;

/// Has a line brought near, without waiting for it. It changes nothing but the time.
#[inline]
pub(crate) fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing that the program sees; any address will do.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(
            std::ptr::from_ref(place).cast(),
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

#[cfg(not(loom))]
mod real {
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence,
    };
    pub(crate) use std::thread_local;
    use std::time::Instant;

    pub(crate) use arc_swap::{ArcSwap, Cache};
    /// A typed atomic; every use asserts at compile time that it is lock-free.
    pub(crate) use atomic::Atomic;
    pub(crate) use crossbeam_epoch as epoch;
    pub(crate) use crossbeam_queue::SegQueue;
    pub(crate) use parking_lot::{Mutex, MutexGuard};

    /// Threads, and how they wait.
    pub(crate) mod thread {
        pub(crate) use std::thread::{Builder, JoinHandle, Thread, park, park_timeout};
        #[cfg(feature = "capi")]
        pub(crate) use std::thread::{sleep, yield_now};
    }

    /// A condition variable for [`Mutex`].
    #[derive(Debug, Default)]
    pub(crate) struct Condvar(parking_lot::Condvar);

    impl Condvar {
        pub(crate) const fn new() -> Self {
            Self(parking_lot::Condvar::new())
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            self.0.wait(guard);
        }

        /// Waits up to the instant; answers whether the time is over.
        pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, until: Instant) -> bool {
            self.0.wait_until(guard, until).timed_out()
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
