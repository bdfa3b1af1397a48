//! The contract of crossbeam-epoch in a model: what is deferred runs as soon as every guard that
//! was pinned before is gone, and not before.
//!
//! As early as the contract allows, so a look-up that relies on more is caught: what is destroyed
//! is only marked, and every look at it asserts that it is not. The fences are those that crossbeam
//! makes (a pin, a deferral and a reclamation have one each); the book of the pins itself costs no
//! interleaving.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool as Mark;
use std::sync::atomic::Ordering::Relaxed as Unmodelled;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicPtr, Ordering, fence};

/// Who is pinned, and what waits for that.
struct Book {
    /// Guards that are pinned, by number.
    pinned: Vec<u64>,
    next: u64,
    /// What waits for every guard with a smaller number.
    deferred: Vec<(u64, Box<dyn FnOnce()>)>,
}

/// One thread runs at a time, and no point of switching lies within a use of the book.
struct Shelf(std::sync::Mutex<Book>);

// SAFETY: the deferred functions are `Send` where they come in, and all of loom's threads are one
// thread of the system.
unsafe impl Send for Shelf {}
// SAFETY: as above; and the book is locked.
unsafe impl Sync for Shelf {}

#[derive(Clone)]
pub(crate) struct Collector(Arc<Shelf>);

pub(crate) struct LocalHandle {
    shelf: Arc<Shelf>,
    _not_send: PhantomData<Rc<RefCell<()>>>,
}

pub(crate) struct Guard(Option<(Arc<Shelf>, u64)>);

impl Collector {
    pub(crate) fn new() -> Self {
        let book = Book { pinned: Vec::new(), next: 1, deferred: Vec::new() };
        Self(Arc::new(Shelf(std::sync::Mutex::new(book))))
    }

    pub(crate) fn register(&self) -> LocalHandle {
        LocalHandle { shelf: Arc::clone(&self.0), _not_send: PhantomData }
    }
}

impl LocalHandle {
    pub(crate) fn pin(&self) -> Guard {
        let number = {
            let mut book = self.shelf.0.lock().expect("not poisoned");
            book.next += 1;
            let number = book.next;
            book.pinned.push(number);
            number
        };
        fence(Ordering::SeqCst);
        Guard(Some((Arc::clone(&self.shelf), number)))
    }
}

impl Guard {
    pub(crate) fn defer(&self, then: impl FnOnce() + Send + 'static) {
        fence(Ordering::SeqCst);
        let Some((shelf, _)) = &self.0 else { return then() };
        let mut book = shelf.0.lock().expect("not poisoned");
        book.next += 1;
        let before = book.next;
        book.deferred.push((before, Box::new(then)));
    }

    /// # Safety
    /// Nobody who is not pinned now can reach it any more.
    pub(crate) unsafe fn defer_destroy<T: 'static>(&self, shared: Shared<'_, T>) {
        let at = shared.node() as usize;
        self.defer(move || {
            let node = at as *const Node<T>;
            // SAFETY: nodes are never freed in a model that runs.
            unsafe { &*node }.destroyed.store(true, Unmodelled);
            // Whoever looks at it now races with this.
            // SAFETY: as above.
            unsafe { &*node }.whole.with_mut(|_| ());
        });
    }

    pub(crate) fn flush(&self) {
        if let Some((shelf, _)) = &self.0 {
            shelf.reclaim();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some((shelf, number)) = self.0.take() {
            // crossbeam unpins with a release store, and looks at all pins with a fence.
            fence(Ordering::SeqCst);
            shelf.0.lock().expect("not poisoned").pinned.retain(|pinned| *pinned != number);
            shelf.reclaim();
        }
    }
}

impl Shelf {
    fn reclaim(&self) {
        fence(Ordering::SeqCst);
        let ready: Vec<_> = {
            let mut book = self.0.lock().expect("not poisoned");
            let oldest = book.pinned.iter().min().copied().unwrap_or(u64::MAX);
            let (ready, waits) = std::mem::take(&mut book.deferred)
                .into_iter()
                .partition::<Vec<_>, _>(|(before, _)| *before < oldest);
            book.deferred = waits;
            ready
        };
        for (_, then) in ready {
            then();
        }
    }
}

/// A guard for values that nobody else can reach.
///
/// # Safety
/// As its name says.
pub(crate) unsafe fn unprotected() -> &'static Guard {
    static NOBODY: Guard = Guard(None);
    &NOBODY
}

pub(crate) struct Node<T> {
    value: T,
    destroyed: Mark,
    /// Written when the node is made and when it is destroyed, read at each look: loom sees a look
    /// that nothing orders behind the making.
    whole: UnsafeCell<()>,
}

pub(crate) struct Owned<T>(*mut Node<T>);

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Self {
        let whole = UnsafeCell::new(());
        whole.with_mut(|_| ());
        Self(Box::into_raw(Box::new(Node { value, destroyed: Mark::new(false), whole })))
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: out of `Box::into_raw`, and owned.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

pub(crate) struct Shared<'g, T>(*mut Node<T>, PhantomData<&'g Guard>);

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

/// The lowest bit of an address.
const TAG: usize = 1;

impl<'g, T> Shared<'g, T> {
    pub(crate) fn null() -> Self {
        Self(std::ptr::null_mut(), PhantomData)
    }

    pub(crate) fn tag(self) -> usize {
        self.0 as usize & TAG
    }

    pub(crate) fn with_tag(self, tag: usize) -> Self {
        Self(self.0.map_addr(|at| at & !TAG | tag), PhantomData)
    }

    fn node(self) -> *mut Node<T> {
        self.0.map_addr(|at| at & !TAG)
    }

    pub(crate) fn is_null(self) -> bool {
        self.node().is_null()
    }

    /// # Safety
    /// Not null, and not destroyed: which is asserted.
    #[track_caller]
    pub(crate) unsafe fn deref(self) -> &'g T {
        // SAFETY: nodes are never freed in a model that runs.
        let node = unsafe { &*self.node() };
        assert!(!node.destroyed.load(Unmodelled), "a look at what was reclaimed");
        node.whole.with(|_| ());
        &node.value
    }

    /// # Safety
    /// Nobody else has it.
    pub(crate) unsafe fn into_owned(self) -> Owned<T> {
        Owned(self.node())
    }
}

/// What can be put into an [`Atomic`].
pub(crate) trait Pointer<T> {
    fn into_raw(self) -> *mut Node<T>;
}

impl<T> Pointer<T> for Owned<T> {
    fn into_raw(self) -> *mut Node<T> {
        std::mem::ManuallyDrop::new(self).0
    }
}

impl<T> Pointer<T> for Shared<'_, T> {
    fn into_raw(self) -> *mut Node<T> {
        self.0
    }
}

pub(crate) struct Atomic<T>(AtomicPtr<Node<T>>);

impl<T> Atomic<T> {
    pub(crate) fn null() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    #[track_caller]
    pub(crate) fn load<'g>(&self, order: Ordering, _: &'g Guard) -> Shared<'g, T> {
        Shared(self.0.load(order), PhantomData)
    }

    #[track_caller]
    pub(crate) fn store(&self, new: impl Pointer<T>, order: Ordering) {
        self.0.store(new.into_raw(), order);
    }

    #[track_caller]
    pub(crate) fn swap<'g>(
        &self,
        new: impl Pointer<T>,
        order: Ordering,
        _: &'g Guard,
    ) -> Shared<'g, T> {
        Shared(self.0.swap(new.into_raw(), order), PhantomData)
    }
}
