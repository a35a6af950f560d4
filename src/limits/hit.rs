//! One hit of a limit, as the program's hook sees it.

use std::net::IpAddr;

use crate::id::SocketId;
use crate::limits::Limit;

/// A client, or the program, has reached a limit of the server; for
/// [`Builder::on_limit`](crate::Builder::on_limit).
///
/// # Examples
///
/// ```
/// use actix_socketio::{Limit, LimitHit, SocketIo};
///
/// fn seen(hit: &LimitHit<'_>) {
///     if hit.limit() == Limit::EventsPerSecond {
///         println!("{:?} sends more than {} events per second", hit.address(), hit.value());
///     }
/// }
///
/// let builder = SocketIo::builder().on_limit(seen);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LimitHit<'a> {
    limit: Limit,
    value: u64,
    address: Option<IpAddr>,
    namespace: Option<&'a str>,
    event: Option<&'a str>,
    socket_id: Option<&'a SocketId>,
}

impl<'a> LimitHit<'a> {
    pub(crate) fn new(limit: Limit, value: impl TryInto<u64>) -> Self {
        Self {
            limit,
            value: value.try_into().unwrap_or(u64::MAX),
            address: None,
            namespace: None,
            event: None,
            socket_id: None,
        }
    }

    pub(crate) fn of_address(self, address: Option<IpAddr>) -> Self {
        Self { address, ..self }
    }

    pub(crate) fn in_namespace(self, namespace: &'a str) -> Self {
        Self {
            namespace: Some(namespace),
            ..self
        }
    }

    pub(crate) fn of_event(self, event: &'a str) -> Self {
        Self {
            event: Some(event),
            ..self
        }
    }

    pub(crate) fn of_socket(self, id: &'a SocketId) -> Self {
        Self {
            socket_id: Some(id),
            ..self
        }
    }

    /// Returns the limit.
    #[must_use]
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// Returns the configured value: a number, bytes, or for a time milliseconds.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.value
    }

    /// Returns the client's address, seen through the trusted proxies.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Returns the name of the namespace, if the limit concerns one. A client may have chosen it.
    #[must_use]
    pub fn namespace(&self) -> Option<&'a str> {
        self.namespace
    }

    /// Returns the name of the event, if the limit concerns one. If the client has sent it, the
    /// client has chosen the name.
    #[must_use]
    pub fn event(&self) -> Option<&'a str> {
        self.event
    }

    /// Returns the id of the socket, if the limit concerns one.
    #[must_use]
    pub fn socket_id(&self) -> Option<SocketId> {
        self.socket_id.cloned()
    }
}
