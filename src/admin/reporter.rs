//! The messages to the pages, and in development mode the changes of sockets and events.
//!
//! Hooks of sockets, rooms and deliveries enter; each leaves as a broadcast in the namespace of the
//! pages, on all nodes. A page keeps a list of sockets and of rooms, so their changes pass one actor,
//! which keeps their order.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use actix::{Actor, Addr, ArbiterHandle, Context, Handler, Message};
use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

use crate::admin::details::SocketDetails;
use crate::calendar::iso_time;
use crate::handler::{ConnectContext, DisconnectContext, EventContext};
use crate::id::SocketId;
use crate::message::{RoomEvent, RoomEventKind};
use crate::server::Namespace;
use crate::socket::{Broadcast, RemoteSocket};
use crate::socketio::Args;

/// Sends to the pages.
pub(super) struct Reporter {
    namespace: String,
    pages: Broadcast,
    /// Other nodes may have pages.
    is_node: bool,
    /// The sockets of each session, by its number.
    sessions: Mutex<HashMap<u64, Vec<(String, SocketId)>>>,
    /// Set at the start, in development mode.
    journal: OnceLock<Addr<Journal>>,
}

impl Reporter {
    pub(super) fn new(admin: &Namespace, is_node: bool) -> Arc<Self> {
        Arc::new(Self {
            namespace: admin.name().to_owned(),
            pages: admin.everyone(),
            is_node,
            sessions: Mutex::default(),
            journal: OnceLock::new(),
        })
    }

    /// Starts the actor of changes.
    pub(super) fn start(self: &Arc<Self>, arbiter: &ArbiterHandle) {
        let reporter = Arc::clone(self);
        let journal = Journal::start_in_arbiter(arbiter, |_| Journal { reporter });
        // Set once: a server has one reporter.
        let _ = self.journal.set(journal);
    }

    /// Returns `true` if a page may receive a message.
    pub(super) fn is_watched(&self) -> bool {
        self.is_node || self.pages.count() > 0
    }

    /// Sends an event to all pages.
    pub(super) fn send<T: Serialize>(&self, event: &str, data: T) {
        // A slow page is not waited for, and it connects again if it has missed something.
        if let Err(error) = self.pages.emit_sync(event, data) {
            log::debug!("Admin UI: {event} not sent: {error}");
        }
    }

    /// Reports the changes of rooms and the sent events of a namespace.
    pub(super) fn follow(self: &Arc<Self>, namespace: &Namespace) {
        if namespace.name() == self.namespace {
            return;
        }
        if let Some(journal) = self.journal.get() {
            namespace.watch_rooms(journal.clone().recipient());
        }
        let (reporter, name) = (Arc::clone(self), namespace.name().to_owned());
        namespace.observe_deliveries(Arc::new(move |event, args, recipients| {
            reporter.sent(&name, event, args, recipients);
        }));
    }

    pub(super) fn connected(&self, context: &ConnectContext<'_>) {
        let socket = context.socket;
        let namespace = socket.namespace().to_owned();
        let number = socket.state().link.number;
        let mut sessions = self.sessions.lock();
        let sockets = sessions.entry(number).or_default();
        sockets.push((namespace.clone(), socket.id()));
        drop(sessions);
        if self.is_watched() {
            let socket = RemoteSocket::here(socket.clone());
            let details = SocketDetails::of(&namespace, &socket);
            self.write("socket_connected", &(details, now()));
        }
    }

    pub(super) fn disconnected(&self, context: &DisconnectContext<'_>) {
        let socket = context.socket;
        let (namespace, id) = (socket.namespace(), socket.id());
        let number = socket.state().link.number;
        let mut sessions = self.sessions.lock();
        if let Some(sockets) = sessions.get_mut(&number) {
            sockets.retain(|(name, socket)| name != namespace || *socket != id);
            if sockets.is_empty() {
                sessions.remove(&number);
            }
        }
        drop(sessions);
        // A recovered socket has the id of its predecessor, which the page would remove.
        let successor = socket.membership().socket(&id);
        let is_replaced = successor.is_some_and(|it| !Arc::ptr_eq(&it, socket.state()));
        if self.is_watched() && !is_replaced {
            let reason = context.reason.as_str();
            self.write("socket_disconnected", &(namespace, &id, reason, now()));
            // Node.js has a room for it; no watcher of rooms is notified of it here.
            self.write("room_left", &(namespace, &id, &id, now()));
        }
    }

    /// Reports the new transport of the sockets of a session.
    pub(super) fn upgraded(&self, number: u64, transport: &'static str) {
        let sockets = self.sessions.lock().get(&number).cloned();
        for (namespace, id) in sockets.unwrap_or_default() {
            if self.is_watched() {
                let update = Update {
                    id,
                    nsp: &namespace,
                    transport,
                };
                self.write("socket_updated", &(update,));
            }
        }
    }

    pub(super) fn received(&self, context: &EventContext<'_>) {
        let namespace = context.socket.namespace();
        if namespace == self.namespace || !self.is_watched() {
            return;
        }
        let args = context.args.to_args();
        let list = list(context.event, args.as_json(), args.attachments());
        self.send(
            "event_received",
            (namespace, context.socket.id(), list, now()),
        );
    }

    fn sent(&self, namespace: &str, event: &str, args: &Args, recipients: &[SocketId]) {
        if !self.is_watched() {
            return;
        }
        let (list, now) = (list(event, args.as_json(), args.attachments()), now());
        for id in recipients.iter().take(MAX_RECIPIENTS) {
            self.send("event_sent", (namespace, id, &list, &now));
        }
    }

    /// Sends a change after those before it.
    fn write<T: Serialize>(&self, event: &'static str, data: &T) {
        if let (Some(journal), Ok(args)) = (self.journal.get(), Args::from_value(data)) {
            // A life-cycle message, one or two for each change of a socket.
            journal.do_send(Change { event, args });
        }
    }
}

/// The message `socket_updated`.
#[derive(Serialize)]
struct Update<'a> {
    id: SocketId,
    nsp: &'a str,
    transport: &'static str,
}

/// Sends the changes of sockets and rooms in their order.
struct Journal {
    reporter: Arc<Reporter>,
}

impl Actor for Journal {
    type Context = Context<Self>;
}

/// A change of a socket.
#[derive(Message)]
#[rtype(result = "()")]
struct Change {
    event: &'static str,
    args: Args,
}

impl Handler<Change> for Journal {
    type Result = ();

    fn handle(&mut self, Change { event, args }: Change, _: &mut Self::Context) {
        self.reporter.send(event, args);
    }
}

impl Handler<RoomEvent> for Journal {
    type Result = ();

    fn handle(&mut self, event: RoomEvent, _: &mut Self::Context) {
        let (name, id) = match event.change {
            RoomEventKind::Joined(id) => ("room_joined", id),
            RoomEventKind::Left(id) => ("room_left", id),
            RoomEventKind::Created | RoomEventKind::Deleted => return,
        };
        if self.reporter.is_watched() {
            let (namespace, room) = (event.namespace.as_ref(), event.room.as_ref());
            self.reporter.send(name, (namespace, room, id, now()));
        }
    }
}

/// Returns the name and the arguments of an event as one list. Large arguments are not shown.
fn list(event: &str, args: &str, attachments: &[Bytes]) -> Args {
    let size = args.len() + attachments.iter().map(Bytes::len).sum::<usize>();
    let name = Value::from(event);
    if size > MAX_SHOWN {
        let shown = format!("{name},\"({size} bytes)\"");
        return Args::new(shown, Vec::new());
    }
    let comma = if args.is_empty() { "" } else { "," };
    Args::new(format!("{name}{comma}{args}"), attachments.to_vec())
}

/// Returns the present time, in milliseconds since 1970.
pub(super) fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or_default()
}

/// Returns the present time as `JSON.stringify` writes a `Date`.
fn now() -> String {
    let now = i64::try_from(milliseconds()).unwrap_or_default();
    iso_time(now).unwrap_or_default()
}

/// The recipients of one event that are reported. Each is a message of its own, so a broadcast to
/// many would be a multiple of its cost.
const MAX_RECIPIENTS: usize = 100;

/// The largest arguments of an event that are shown, in bytes.
const MAX_SHOWN: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_an_event_begins_with_its_name() {
        assert_eq!(list("a\"b", "1,{}", &[]).as_json(), r#""a\"b",1,{}"#);
        assert_eq!(list("a", "", &[]).as_json(), r#""a""#);
        let fits = "1".repeat(MAX_SHOWN);
        assert_eq!(list("a", &fits, &[]).as_json(), format!("\"a\",{fits}"));
        let large = "1".repeat(MAX_SHOWN + 1);
        assert_eq!(list("a", &large, &[]).as_json(), r#""a","(16385 bytes)""#);
    }
}
