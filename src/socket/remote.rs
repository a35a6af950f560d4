//! A socket of any node of the cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cluster::{CLIENT_ENTRY, ClusterError, Details};
use crate::error::{CallError, EmitError};
use crate::id::SocketId;
use crate::members::{Audience, LoginAge, Membership, describe};
use crate::message::RoomNames;
use crate::notice::DisconnectNotice;
use crate::socket::broadcast::Broadcast;
use crate::socket::handle::Socket;
use crate::user::user_of;

/// A socket of any node of the cluster, from
/// [`Broadcast::fetch_sockets`](crate::Broadcast::fetch_sockets): its description at that time, and
/// operations on it. A socket of this node is a [`Socket`] too.
///
/// # Examples
///
/// ```
/// # async fn run(io: actix_socketio::SocketIo) -> Result<(), actix_socketio::EmitError> {
/// for socket in io.in_room("lobby").fetch_sockets().await {
///     socket.emit("you are", socket.id()).await?;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RemoteSocket {
    membership: Arc<Membership>,
    id: SocketId,
    location: Location,
}

#[derive(Clone)]
enum Location {
    Local(Socket),
    Remote(Arc<Details>, Option<LoginAge>),
}

impl RemoteSocket {
    pub(crate) fn here(socket: Socket) -> Self {
        Self {
            membership: Arc::clone(socket.membership()),
            id: socket.id(),
            location: Location::Local(socket),
        }
    }

    /// Returns `None` if another kind of node has ids of another form.
    pub(crate) fn there(membership: &Arc<Membership>, mut details: Details) -> Option<Self> {
        let login = LoginAge::take(&mut details.handshake);
        Some(Self {
            membership: Arc::clone(membership),
            id: details.id.parse().ok()?,
            location: Location::Remote(Arc::new(details), login),
        })
    }

    /// Returns the socket's public id.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.id.clone()
    }

    /// Returns the socket itself, if it belongs to this node.
    #[must_use]
    pub fn socket(&self) -> Option<Socket> {
        match &self.location {
            Location::Local(socket) => Some(socket.clone()),
            Location::Remote(..) => None,
        }
    }

    /// Returns the names of its rooms, at the time of the request for a remote socket; the room of
    /// its own id is not listed.
    #[must_use]
    pub fn rooms(&self) -> Vec<String> {
        match &self.location {
            Location::Local(socket) => socket.rooms(),
            Location::Remote(details, _) => {
                let rooms = details.rooms.iter();
                let is_own = |room: &&String| **room == details.id || user_of(room).is_some();
                rooms.filter(|room| !is_own(room)).cloned().collect()
            }
        }
    }

    /// Returns the user of [`Socket::identify`], at the time of the request for a remote socket.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        match &self.location {
            Location::Local(socket) => socket.user(),
            Location::Remote(details, _) => {
                let user = details.rooms.iter().find_map(|room| user_of(room));
                user.map(str::to_owned)
            }
        }
    }

    /// Returns the beginning of its login; for other kinds of nodes that of its connection.
    pub(crate) fn login(&self) -> Option<LoginAge> {
        match &self.location {
            Location::Local(socket) => LoginAge::of(socket.state()),
            Location::Remote(_, login) => *login,
        }
    }

    /// Returns the value under this key in its [`Session`](crate::Session), or in `socket.data` on
    /// a Node.js server. Returns `None` if there is none, or if it is not a `T`.
    #[must_use]
    pub fn data<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        match &self.location {
            Location::Local(socket) => socket.data(key),
            Location::Remote(details, _) => {
                let value = details.data.get(key).filter(|_| key != CLIENT_ENTRY)?;
                serde_json::from_value(value.clone()).ok()
            }
        }
    }

    /// Returns all values that its program keeps for it, by key.
    #[must_use]
    pub fn all_data(&self) -> BTreeMap<String, Value> {
        match &self.location {
            Location::Local(socket) => socket.all_data(),
            Location::Remote(details, _) => {
                let mut data = details.data.clone();
                data.remove(CLIENT_ENTRY);
                data
            }
        }
    }

    /// Returns its handshake as the Node.js server writes it: an object with `headers`, `query`,
    /// `address`, `issued` (milliseconds since 1970), `time` (the same as text), `url`, `auth`,
    /// `secure` and `xdomain`.
    #[must_use]
    pub fn handshake(&self) -> Value {
        match &self.location {
            Location::Local(socket) => {
                let mut handshake = describe(socket.state()).handshake;
                LoginAge::take(&mut handshake);
                handshake
            }
            Location::Remote(details, _) => details.handshake.clone(),
        }
    }

    /// Sends an event to this client.
    ///
    /// # Errors
    ///
    /// The same as of [`Broadcast::emit`](crate::Broadcast::emit).
    pub async fn emit<T: Serialize>(&self, event: &str, data: T) -> Result<(), EmitError> {
        self.alone().emit(event, data).await
    }

    /// Sends an event and waits for the client's acknowledgement, as [`Socket::call`] does.
    ///
    /// # Errors
    ///
    /// Every variant of [`CallError`].
    pub async fn call<R: DeserializeOwned>(
        &self,
        event: &str,
        data: impl Serialize,
    ) -> Result<R, CallError> {
        self.alone().call(event, data).await
    }

    /// Sets the timeout of this client's acknowledgement, for [`Broadcast::call`].
    #[must_use = "a broadcast does nothing by itself"]
    pub fn timeout(&self, limit: Duration) -> Broadcast {
        self.alone().timeout(limit)
    }

    /// Makes it join rooms, within the limits of its server.
    ///
    /// # Errors
    ///
    /// [`ClusterError`], if its node will not receive it.
    pub async fn join(&self, rooms: impl RoomNames) -> Result<(), ClusterError> {
        self.alone().sockets_join(rooms).await.map(|_| ())
    }

    /// Makes it leave rooms.
    ///
    /// # Errors
    ///
    /// [`ClusterError`], if its node will not receive it.
    pub async fn leave(&self, rooms: impl RoomNames) -> Result<(), ClusterError> {
        self.alone().sockets_leave(rooms).await.map(|_| ())
    }

    /// Disconnects it from its namespace, like [`Socket::disconnect`].
    ///
    /// # Errors
    ///
    /// [`ClusterError`], if its node will not receive it.
    pub async fn disconnect(&self, close: bool) -> Result<(), ClusterError> {
        self.alone().disconnect_sockets(close).await.map(|_| ())
    }

    /// Disconnects it and gives its client the reason, like [`Socket::disconnect_with`].
    ///
    /// # Errors
    ///
    /// [`ClusterError`], if its node will not receive it.
    pub async fn disconnect_with(
        &self,
        notice: impl Into<DisconnectNotice>,
    ) -> Result<(), ClusterError> {
        let gone = self.alone().disconnect_sockets_with(notice).await;
        gone.map(|_| ())
    }

    /// Returns the id and the transport of the client of a socket of this server or another one, if
    /// that server has the Admin UI.
    #[cfg(feature = "admin")]
    pub(crate) fn client(&self) -> Option<Value> {
        match &self.location {
            Location::Local(socket) => describe(socket.state()).data.remove(CLIENT_ENTRY),
            Location::Remote(details, _) => details.data.get(CLIENT_ENTRY).cloned(),
        }
    }

    fn alone(&self) -> Broadcast {
        Broadcast::of(
            &self.membership,
            Audience {
                rooms: Some(vec![self.id.as_str().to_owned()]),
                ..Audience::default()
            },
        )
    }
}

impl PartialEq for RemoteSocket {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for RemoteSocket {}

impl fmt::Debug for RemoteSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSocket")
            .field("id", &self.id)
            .field("is_here", &matches!(self.location, Location::Local(_)))
            .finish_non_exhaustive()
    }
}
