//! A descriptor that a C event loop can wait on: readable while a subscription has something to
//! read, or nothing more will come. An eventfd; Linux only.

use crate::events::Bell;

/// Both ends of one eventfd.
#[derive(Debug)]
pub(super) struct EventFd {
    #[cfg(target_os = "linux")]
    file: std::fs::File,
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::{AsRawFd, FromRawFd};

    use super::{Bell, EventFd};

    impl EventFd {
        /// `None` where the process has no descriptor left.
        pub(in crate::ffi) fn new() -> Option<Self> {
            // SAFETY: takes no pointers.
            let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
            // SAFETY: a descriptor that was just made, and is owned by nobody else.
            (fd >= 0).then(|| Self { file: unsafe { File::from_raw_fd(fd) } })
        }

        pub(in crate::ffi) fn descriptor(&self) -> Option<i32> {
            Some(self.file.as_raw_fd())
        }
    }

    /// It never blocks: a counter that is full is readable all the same, one that is empty is
    /// silent already.
    impl Bell for EventFd {
        fn ring(&self) {
            let _ = (&self.file).write(&1_u64.to_ne_bytes());
        }

        fn hush(&self) {
            let _ = (&self.file).read(&mut [0; 8]);
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl EventFd {
    pub(super) fn new() -> Option<Self> {
        Some(Self {})
    }

    pub(super) fn descriptor(&self) -> Option<i32> {
        None
    }
}

#[cfg(not(target_os = "linux"))]
impl Bell for EventFd {
    fn ring(&self) {}

    fn hush(&self) {}
}
