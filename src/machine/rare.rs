//! A part of a machine that most machines never need: a pointer until it is first written.

use std::ops::{Deref, DerefMut};

/// What stands for a part that is not there.
pub(crate) trait Absent: Default + 'static {
    fn absent() -> &'static Self;
}

/// Reads as the default until it is written.
#[derive(Clone, Debug)]
pub(crate) struct Rare<T>(Option<Box<T>>);

impl<T> Rare<T> {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// For changes that are none where it is not there.
    pub(crate) fn there(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// Back to the default.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

impl<T: Absent> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or_else(|| T::absent())
    }
}

impl<T: Absent> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(Box::default)
    }
}
