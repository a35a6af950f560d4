//! The options of the event stream.

use std::fmt;
use std::sync::Arc;

use crate::handshake::Handshake;

/// Server-sent events, for [`Builder::server_sent_events`](crate::Builder::server_sent_events): a
/// transport in one direction, for `EventSource` in browsers, for curl, and for programs without a
/// client of Socket.IO.
///
/// `GET /socket.io/events?namespace=/news&room=public` opens a session and a socket, which the
/// program sees like any other: middleware and connect handlers run, rooms, broadcasts and
/// disconnects reach it. Each event of the server is one event of the stream. Its name is the
/// event's name, and its data is the JSON array of the arguments, with binary as base64.
///
/// | query | meaning |
/// | --- | --- |
/// | `namespace` | the namespace, `/` by default |
/// | `room` | a room that the socket joins, if [`rooms`](Self::rooms) allows it; may be repeated |
/// | `auth` | the `auth` payload, a JSON object |
/// | `lastEventId` | the last id of the stream, for clients that cannot set `Last-Event-ID` |
///
/// The response begins after the connect handlers. If they refuse the client it is 403 with the
/// error as JSON, and `EventSource` does not reconnect. The first event is `connect`, its data has
/// the socket's id. If the server has
/// [`connection_state_recovery`](crate::Builder::connection_state_recovery), every event has an id,
/// and a client that reconnects within the window gets the events that it missed: `EventSource`
/// sends the last id by itself. If the program disconnects the socket, the last event is
/// `disconnect`, and a page should close its `EventSource`, which otherwise reconnects.
///
/// A call of such a client is never answered. Each `ping_interval` a comment is sent.
///
/// # Examples
///
/// ```
/// use actix_socketio::{ServerSentEvents, SocketIo};
///
/// // Everybody may listen to public rooms.
/// let events = ServerSentEvents::new().rooms(|_, _, room| room.starts_with("public:"));
/// let builder = SocketIo::builder().server_sent_events(events);
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct ServerSentEvents {
    rooms: Option<Arc<RoomRule>>,
}

type RoomRule = dyn Fn(&Handshake, &str, &str) -> bool + Send + Sync;

impl ServerSentEvents {
    /// Starts with the default options: no client may name a room.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the rule for the rooms that clients name. It gets the handshake, the namespace and the
    /// room, and returns whether the client may join. If it returns `false` for one of them, the
    /// client receives 403; if it panics, 500. A connect handler may join any room itself.
    pub fn rooms(
        mut self,
        rule: impl Fn(&Handshake, &str, &str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.rooms = Some(Arc::new(rule));
        self
    }

    /// Returns `true` if the client may join the room.
    pub(crate) fn allows(&self, handshake: &Handshake, namespace: &str, room: &str) -> bool {
        let rule = self.rooms.as_ref();
        rule.is_some_and(|rule| rule(handshake, namespace, room))
    }
}

impl fmt::Debug for ServerSentEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSentEvents").finish_non_exhaustive()
    }
}
