//! The two ends: feeders that send datagrams by a common schedule, and a receiver that has the
//! kernel's time of each.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) const DATAGRAM: usize = 1316;
/// Longest wait of a thread before it looks whether it is to end.
pub(crate) const LOOK: Duration = Duration::from_millis(50);
/// What the receiver's word says before anything has come.
pub(crate) const NOBODY: u8 = u8::MAX;

/// A socket of this machine with room for pauses of its reader.
pub(crate) fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    widen(&socket);
    socket
}

pub(crate) fn widen(socket: &UdpSocket) {
    // As much as the system allows; the default holds 100 datagrams.
    let _ = socket2::SockRef::from(socket).set_recv_buffer_size(4 << 20);
    socket.set_read_timeout(Some(LOOK)).expect("a socket takes a timeout");
}

/// Wakes this thread when it asked to be, not up to 50 us later.
pub(crate) fn sharpen_sleep() {
    // SAFETY: PR_SET_TIMERSLACK takes one unsigned long, and concerns this thread only.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

/// The schedule that all feeders share: datagram `n` is due at `n` periods, and carries the same
/// media in all of them.
#[derive(Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) origin: Instant,
    pub(crate) per_second: u64,
}

impl Schedule {
    pub(crate) fn period_ns(self) -> u64 {
        1_000_000_000 / self.per_second
    }

    fn number(self, now: Instant) -> u64 {
        (now - self.origin).as_nanos() as u64 / self.period_ns()
    }
}

/// A source of media, which can be made to fall silent.
pub(crate) struct Feeder {
    state: Arc<FeederState>,
    thread: Option<JoinHandle<()>>,
}

struct FeederState {
    sends: AtomicBool,
    ends: AtomicBool,
    /// How far behind the schedule its datagrams are, ns: less than a period.
    phase_ns: AtomicU64,
}

impl Feeder {
    pub(crate) fn start(feed: u8, to: SocketAddr, schedule: Schedule) -> Self {
        let state = Arc::new(FeederState {
            sends: AtomicBool::new(true),
            ends: AtomicBool::new(false),
            phase_ns: AtomicU64::new(0),
        });
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new()
            .name(format!("feeder-{feed}"))
            .spawn(move || feed_on(feed, to, schedule, &shared))
            .expect("a thread");
        Self { state, thread: Some(thread) }
    }

    pub(crate) fn pause(&self) {
        self.state.sends.store(false, Relaxed);
    }

    /// Sends again, this much behind the schedule, so that no two deaths lie alike between the
    /// backup's datagrams.
    pub(crate) fn resume(&self, phase_ns: u64) {
        self.state.phase_ns.store(phase_ns, Relaxed);
        self.state.sends.store(true, Relaxed);
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.state.ends.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn feed_on(feed: u8, to: SocketAddr, schedule: Schedule, state: &FeederState) {
    sharpen_sleep();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    socket.connect(to).expect("loopback");
    let mut datagram = [0x47; DATAGRAM];
    datagram[0] = feed;
    let mut next = schedule.number(Instant::now()) + 1;
    while !state.ends.load(Relaxed) {
        let phase = state.phase_ns.load(Relaxed);
        let due = schedule.origin + Duration::from_nanos(next * schedule.period_ns() + phase);
        let now = Instant::now();
        if now < due {
            std::thread::sleep(due - now);
        }
        if state.sends.load(Relaxed) {
            datagram[1..9].copy_from_slice(&next.to_le_bytes());
            // A relay that does not listen yet (a cold input) refuses; that is no matter here.
            let _ = socket.send(&datagram);
            next += 1;
        } else {
            std::thread::sleep(Duration::from_micros(200));
            next = schedule.number(Instant::now()) + 1;
        }
    }
}

/// A datagram as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// The kernel's time, ns.
    pub(crate) at: u64,
    pub(crate) feed: u8,
    pub(crate) number: u64,
}

/// The end of the line.
pub(crate) struct Receiver {
    state: Arc<ReceiverState>,
    pub(crate) addr: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

struct ReceiverState {
    arrivals: Mutex<Vec<Arrival>>,
    on_air: AtomicU8,
    ends: AtomicBool,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let socket = socket();
        stamp(&socket);
        let addr = socket.local_addr().expect("bound");
        let state = Arc::new(ReceiverState {
            arrivals: Mutex::default(),
            on_air: AtomicU8::new(NOBODY),
            ends: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new()
            .name("receiver".to_owned())
            .spawn(move || {
                while !shared.ends.load(Relaxed) {
                    if let Some(arrival) = receive(&socket) {
                        shared.arrivals.lock().expect("nobody panics").push(arrival);
                        shared.on_air.store(arrival.feed, Relaxed);
                    }
                }
            })
            .expect("a thread");
        Self { state, addr, thread: Some(thread) }
    }

    /// Whose datagram came last.
    pub(crate) fn on_air(&self) -> u8 {
        self.state.on_air.load(Relaxed)
    }

    /// Until something has come since the last taking.
    pub(crate) fn await_more(&self) {
        while self.state.arrivals.lock().expect("nobody panics").len() < 3 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// What has come since the last time.
    pub(crate) fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut self.state.arrivals.lock().expect("nobody panics"))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.state.ends.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Has the kernel put its time to each datagram.
fn stamp(socket: &UdpSocket) {
    let on: libc::c_int = 1;
    // SAFETY: the pointer is to an int of this frame, and its length is said.
    let failed = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    assert_eq!(failed, 0, "this system has no receive timestamps");
}

/// The next datagram with the kernel's time; `None` where none came for a while.
fn receive(socket: &UdpSocket) -> Option<Arrival> {
    let mut datagram = [0_u8; 2048];
    // Aligned as a control message is to be.
    let mut control = [0_u64; 16];
    let mut piece = libc::iovec { iov_base: datagram.as_mut_ptr().cast(), iov_len: datagram.len() };
    // SAFETY: all fields of a msghdr may be zero.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut piece;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: the message names buffers of this frame with their lengths.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) };
    if length != DATAGRAM as isize {
        return None;
    }
    // SAFETY: the kernel has filled the control buffer in; the walk stays within its length, and
    // a SCM_TIMESTAMPNS message carries one timespec.
    let at = unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        loop {
            assert!(!header.is_null(), "a datagram without a time");
            if (*header).cmsg_type == libc::SCM_TIMESTAMPNS {
                break libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned();
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    };
    let number = u64::from_le_bytes(datagram[1..9].try_into().expect("eight bytes"));
    let at = at.tv_sec as u64 * 1_000_000_000 + at.tv_nsec as u64;
    Some(Arrival { at, feed: datagram[0], number })
}
