//! The end of a socket, for programs that wait for it.
//!
//! A socket's state comes in, which knows its end. Nothing here ends a socket.

use crate::socket::Socket;

impl Socket {
    /// Waits until the socket has ended: its client has left, or was disconnected, or refused. It
    /// returns at once if that has happened already.
    ///
    /// A handler that loops holds a place among the handlers in flight for as long as it runs, also
    /// when its client has gone. It ends with its socket if it waits for this too.
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
        self.core.ended().await;
    }
}
