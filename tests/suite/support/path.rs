//! The test that a thread works for, and the path of its servers.
//!
//! `#[on_both_servers]` makes two tests of a function, which run beside each other in one process. A
//! [`TestRun`] is one of them. The thread of the test and the threads of its servers carry it: servers
//! read their path in it, and `support::log` tells the lines of two runs apart by it.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// The server that the App of a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerPath {
    /// An `HttpServer`, in whose App the routes are mounted.
    Http,
    /// A server of `SocketIo::serve`.
    Direct,
}

/// A run of a test function on one of the paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TestRun {
    pub(crate) path: ServerPath,
    /// No other run of the process has this number.
    pub(crate) number: u64,
}

impl TestRun {
    /// Returns the run that this thread works for, if its test has a path.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.get()
    }

    /// Returns the run of this thread.
    ///
    /// # Panics
    ///
    /// If the test has no path.
    pub(crate) fn with_path() -> Self {
        PATH_WAS_READ.set(true);
        Self::current().expect("a test whose servers run on either path is #[on_both_servers]")
    }

    /// Lets this thread work for the run.
    pub(crate) fn enter(self) {
        CURRENT.set(Some(self));
    }
}

/// Runs a test on a path; `#[on_both_servers]` calls this.
///
/// # Panics
///
/// If the test panics, or starts no server that depends on the path.
pub(crate) fn run_on(path: ServerPath, test: Pin<Box<dyn Future<Output = ()>>>) {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // With one thread for all tests, the next one runs on this thread too.
    let _left_at_the_end = Leaving;
    TestRun { path, number }.enter();
    let runtime = Builder::new_current_thread().enable_all().build();
    // Actors of a test run beside it.
    LocalSet::new().block_on(&runtime.unwrap(), test);
    assert!(
        PATH_WAS_READ.get(),
        "no server of this test depends on the path: write #[tokio::test]"
    );
}

struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        CURRENT.set(None);
        PATH_WAS_READ.set(false);
    }
}

thread_local! {
    static CURRENT: Cell<Option<TestRun>> = const { Cell::new(None) };
    static PATH_WAS_READ: Cell<bool> = const { Cell::new(false) };
}

static NEXT: AtomicU64 = AtomicU64::new(1);
