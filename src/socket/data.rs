//! The values of a program for a socket: by type, on this node only, and the client's session,
//! which other nodes can read.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::data::Session;
use crate::socket::handle::Socket;

impl Socket {
    /// Attaches a value to this socket, and returns the previous value of its type. One value for
    /// each type. It is dropped with the last handle of the socket, so it must not contain one.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Auth, Socket, Extension};
    ///
    /// struct Nick(String);
    ///
    /// async fn enter(socket: Socket, Auth(nick): Auth<String>) {
    ///     socket.insert_extension(Nick(nick));
    /// }
    ///
    /// async fn whoami(nick: Extension<Nick>) -> String {
    ///     nick.0.clone()
    /// }
    /// ```
    pub fn insert_extension<T: Send + Sync + 'static>(&self, value: T) -> Option<Arc<T>> {
        self.state().extensions.insert(value)
    }

    /// Returns the value of this type that was attached to the socket.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::atomic::{AtomicU32, Ordering};
    /// # fn run(socket: &actix_socketio::Socket) {
    /// socket.insert_extension(AtomicU32::new(0));
    /// if let Some(count) = socket.extension::<AtomicU32>() {
    ///     count.fetch_add(1, Ordering::Relaxed);
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.state().extensions.find()
    }

    /// Removes the value of this type from the socket, and returns it.
    pub fn remove_extension<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.state().extensions.remove()
    }

    /// Returns the value under this key in the client's [`session`](Self::session), like
    /// [`RemoteSocket::data`](crate::RemoteSocket::data) for a socket of any node. Returns `None`
    /// if there is none, or if it is not a `T`.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(socket: &actix_socketio::Socket) -> Result<(), actix_socketio::SessionError> {
    /// socket.session().insert("name", "Ada")?;
    /// assert_eq!(socket.data::<String>("name").as_deref(), Some("Ada"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn data<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        self.state().session().get(key).ok().flatten()
    }

    /// Returns all values of the client's session, by key.
    #[must_use]
    pub fn all_data(&self) -> BTreeMap<String, Value> {
        self.state().session().entries()
    }

    /// Returns the client's session: its values by key.
    /// [`Builder::session_scope`](crate::Builder::session_scope) decides whether the client's other
    /// sockets share it.
    #[must_use]
    pub fn session(&self) -> Session {
        self.state().session().clone()
    }
}
