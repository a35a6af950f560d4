//! The end of a socket, for programs that wait for it.
//!
//! A socket's state enters, with the reason of its end. Nothing here ends a socket.

use std::future::{Future, poll_fn};
use std::pin::pin;

use crate::link::waits_for_end;
use crate::socket::handle::Socket;

impl Socket {
    /// Waits until the socket has ended: its client has disconnected, was disconnected, or was
    /// refused. Returns at once if that has happened already.
    ///
    /// A handler with a loop counts as a handler in flight while it runs, and is dropped only after
    /// its client has been disconnected for [`handler_grace`](crate::Builder::handler_grace). It
    /// ends with its socket if it waits for this too. A server that stops does not wait for such a
    /// handler: it closes, and the handler ends. [`Socket::spawn`] runs a loop that does not count.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use actix_socketio::{EmitError, Socket};
    ///
    /// async fn watch(socket: Socket) -> Result<(), EmitError> {
    ///     loop {
    ///         tokio::select! {
    ///             () = socket.closed() => return Ok(()),
    ///             () = tokio::time::sleep(Duration::from_secs(1)) => {}
    ///         }
    ///         socket.emit("tick", ()).await?;
    ///     }
    /// }
    /// ```
    pub async fn closed(&self) {
        let mut ended = pin!(self.state().ended());
        poll_fn(|cx| {
            let polled = ended.as_mut().poll(cx);
            if polled.is_pending() {
                // A server that stops does not wait for a handler that waits for it.
                waits_for_end(true);
            }
            polled
        })
        .await;
    }
}
