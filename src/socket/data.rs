//! What a program keeps for a socket: values by their types, on this node only, and the client's
//! session, which other nodes see.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::link::Session;
use crate::socket::Socket;

impl Socket {
    /// Attaches a value to this socket, and returns the value of its type that was there before.
    /// One value for each type; it goes with the last handle on the socket, so it must not hold
    /// one.
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
        self.core.locals.insert(value)
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
        self.core.locals.find()
    }

    /// Takes the value of this type off the socket, and returns it.
    pub fn remove_extension<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.core.locals.remove()
    }

    /// Returns the value under this key of what the program keeps for this client: of its
    /// [`session`](Self::session), as [`RemoteSocket::data`](crate::RemoteSocket::data) does for a
    /// socket of any node. `None` if there is none, or if it is no `T`.
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
        let value = self.core.session().value(key)?;
        serde_json::from_value(value).ok()
    }

    /// Returns all that the program keeps for this client, by key.
    #[must_use]
    pub fn all_data(&self) -> BTreeMap<String, Value> {
        self.core.session().entries()
    }

    /// Returns what the program keeps for this client by key, shared with the client's other
    /// sockets or not as [`Builder::session_scope`](crate::Builder::session_scope) says.
    #[must_use]
    pub fn session(&self) -> Session {
        self.core.session().clone()
    }
}
