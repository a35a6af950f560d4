//! The number of a worker's WebSockets that are held directly.
//!
//! A connection counts from its takeover to its end. The server reads the number for its limit of
//! connections, and is notified of each end.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

/// One WebSocket of this worker.
pub(super) struct CountedWebSocket(());

impl CountedWebSocket {
    pub(super) fn begin() -> Self {
        HERE.with(|here| here.count.set(here.count.get() + 1));
        Self(())
    }
}

impl Drop for CountedWebSocket {
    fn drop(&mut self) {
        // At the end of the thread no task waits.
        let _ = HERE.try_with(|here| {
            here.count.set(here.count.get() - 1);
            here.ended.notify_one();
        });
    }
}

/// Returns the number of this worker's WebSockets.
pub(crate) fn websockets_here() -> usize {
    HERE.with(|here| here.count.get())
}

/// Returns the notification of the end of a WebSocket of this worker.
pub(crate) fn websocket_ended() -> Rc<Notify> {
    HERE.with(|here| Rc::clone(&here.ended))
}

#[derive(Default)]
struct WebSockets {
    count: Cell<usize>,
    ended: Rc<Notify>,
}

thread_local! {
    static HERE: WebSockets = WebSockets::default();
}
