//! The messages of other nodes, delivered to the sockets of this one.
//!
//! Questions to clients, and server-side events of the program, wait in a task each.
//! [`Load`](crate::adapter::receiving::load::Load) limits their number. One beyond the limit is
//! refused, not queued, because messages behind it would wait for a client that may never answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use log::Level;

use crate::adapter::broker::Inbound;
use crate::adapter::context::NodeContext;
use crate::adapter::format::{
    Format, Incoming, MembershipChange, Received, Requester, check_length, from_fields,
};
use crate::adapter::forwarding::PollForwarder;
use crate::adapter::health::Health;
use crate::adapter::log_entry::LogEntry;
use crate::adapter::namespaces::Namespaces;
use crate::adapter::questions::Pending;
use crate::adapter::receiving::load::Load;
use crate::adapter::receiving::seen::Seen;
use crate::adapter::recovery::MOVED;
use crate::adapter::sending::Outbound;
use crate::cluster::{EmitFlags, EventPayload, Message, Question, Reply, Scope};
use crate::id::SocketId;
use crate::logging::{LogKind, LogLimits, Quoted, cut};
use crate::members::{Audience, EventSource, Membership, ServerSideEvent, SocketState, describe};
use crate::notice::DisconnectNotice;
use crate::panics::{Caught, catch_panic};
use crate::socket::{AckStream, ask};
use crate::tasks::TaskGroup;
use crate::telemetry::SpanScope;

/// Delivers messages of other nodes.
#[derive(Debug)]
pub(crate) struct Delivery {
    format: Arc<dyn Format>,
    namespaces: Arc<Namespaces>,
    outbound: Arc<Outbound>,
    pending: Arc<Pending>,
    forwarder: Arc<PollForwarder>,
    seen: Seen,
    /// Questions of other nodes that wait for clients of this one.
    questions: Arc<Load>,
    /// Server-side events of other nodes that the program is handling.
    server_side: Arc<Load>,
    /// The tasks of these until they are answered.
    answering: TaskGroup<&'static str>,
    tasks: TaskGroup<&'static str>,
    health: Arc<Health>,
    line_limits: Arc<LogLimits>,
}

impl Delivery {
    pub(crate) fn new(
        context: &NodeContext,
        namespaces: &Arc<Namespaces>,
        outbound: &Arc<Outbound>,
        pending: &Arc<Pending>,
        forwarder: &Arc<PollForwarder>,
        requests_in_flight: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            format: Arc::clone(&context.format),
            namespaces: Arc::clone(namespaces),
            outbound: Arc::clone(outbound),
            pending: Arc::clone(pending),
            forwarder: Arc::clone(forwarder),
            seen: Seen::default(),
            questions: Load::new(requests_in_flight),
            server_side: Load::new(requests_in_flight),
            answering: context.tasks.new_group(),
            tasks: context.tasks.clone(),
            health: Arc::clone(&context.health),
            line_limits: Arc::clone(&context.line_limits),
        })
    }

    /// Accepts no more server-side events, and waits until the program has answered the present
    /// ones.
    pub(crate) async fn settled(&self) {
        self.answering.ended().await;
    }

    /// Delivers one message. It never waits: slow work runs in a task of its own.
    fn deliver(&self, heard: Incoming, origin: EventSource<'_>) {
        if let Received::Answered { request, reply } = heard.word {
            return self.pending.answered(heard.from, &request, reply);
        }
        let Some(membership) = self.namespaces.get(&heard.namespace) else {
            return;
        };
        let scope = SpanScope::delivery(&heard.namespace);
        scope.within(|| self.deliver_to(&membership, heard, origin));
    }

    fn deliver_to(&self, membership: &Arc<Membership>, heard: Incoming, origin: EventSource<'_>) {
        match heard.word {
            // The broker knows the nodes.
            Received::Answered { .. } | Received::Presence(_) => {}
            Received::Message(message) => self.message(membership, message, origin),
            Received::Asked(requester, question) => self.asked(membership, requester, question),
            Received::Single {
                requester,
                socket,
                change,
            } => self.single(membership, &requester, &socket, &change),
        }
    }

    /// Runs the delivery of one message. A panic must not end the connection, and an unreadable
    /// message must not affect the next one.
    fn guard(&self, what: &dyn fmt::Display, deliver: impl FnOnce() -> Result<(), String>) {
        match catch_panic(deliver) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                self.health.unreadable();
                let line = format_args!("{what} dropped: {error}");
                self.line_limits.write(LogKind::Foreign, Level::Warn, line);
            }
            Err(panic) => {
                self.tasks.report("delivery", format!("{what}: {panic}"));
            }
        }
    }

    /// Returns `true` if an event of another node, which may have higher limits, is within the
    /// limits of this node.
    fn fits(&self, membership: &Membership, content: &EventPayload) -> bool {
        match content.0.check(membership.packets) {
            Ok(()) => true,
            Err(error) => {
                let namespace = Quoted(membership.name());
                let line =
                    format_args!("event of another node in namespace {namespace} dropped: {error}");
                self.line_limits.write(LogKind::Foreign, Level::Warn, line);
                false
            }
        }
    }

    fn message(&self, membership: &Arc<Membership>, message: Message, origin: EventSource<'_>) {
        match message {
            Message::Emit { scope, .. } if scope.is_for_other_kinds() => {}
            Message::Emit {
                content,
                scope,
                flags,
            } => {
                if !self.fits(membership, &content) {
                    return;
                }
                let audience = scope.into();
                membership.relayed_to(&content.0, &audience);
                // The next message of other nodes does not wait for clients of this one.
                let _ = membership.relay(&audience, flags, &content.0, origin, |_| ());
            }
            Message::Join { scope, rooms } => {
                change_all(membership, scope, &MembershipChange::Join(rooms));
            }
            Message::Leave { scope, rooms } => {
                change_all(membership, scope, &MembershipChange::Leave(rooms));
            }
            Message::Disconnect { scope, .. }
                if scope.except.first().is_some_and(|it| it == MOVED) =>
            {
                moved(membership, &scope);
            }
            Message::Disconnect { mut scope, close } => {
                if let Some(notice) = scope.take_notice() {
                    return disconnect_with(membership, scope, notice);
                }
                change_all(membership, scope, &MembershipChange::Disconnect { close });
            }
            Message::CloseRoom { room } => {
                membership.close_room(&room);
            }
            Message::ServerSide(content) => {
                self.call_program(membership, &content, None);
            }
        }
    }

    /// Changes one socket, if it belongs to this node.
    fn single(
        &self,
        membership: &Arc<Membership>,
        requester: &Requester,
        socket: &SocketId,
        change: &MembershipChange,
    ) {
        let Some(socket) = membership.socket(socket) else {
            return;
        };
        apply(membership, &socket, change);
        if !requester.request.is_empty() {
            self.outbound
                .answer(membership.name(), requester, &Reply::Done);
        }
    }

    fn asked(&self, membership: &Arc<Membership>, requester: Requester, question: Question) {
        let namespace = membership.name();
        match question {
            Question::Emit {
                content,
                scope,
                flags,
                limit,
            } => {
                let audience = scope.into();
                self.ask_clients(membership, requester, &content, &audience, flags, limit);
            }
            Question::Sockets(scope) => {
                let sockets = membership.select(&scope.into());
                let sockets = sockets.iter().map(|socket| describe(socket)).collect();
                self.outbound
                    .answer(namespace, &requester, &Reply::Sockets(sockets));
            }
            Question::Ids(rooms) => {
                let scope = Scope {
                    rooms,
                    except: Vec::new(),
                };
                let sockets = membership.select(&scope.into());
                let ids = sockets.iter().map(|socket| socket.id.as_str().to_owned());
                self.outbound
                    .answer(namespace, &requester, &Reply::Ids(ids.collect()));
            }
            Question::Rooms => {
                let rooms = membership.rooms().into_iter();
                let mut rooms: Vec<_> = rooms.map(|(name, _)| name.as_ref().to_owned()).collect();
                // For other kinds of nodes each socket is a room of its own.
                if !requester.is_native {
                    let ids = membership.all().into_iter();
                    rooms.extend(ids.map(|socket| socket.id.as_str().to_owned()));
                }
                self.outbound
                    .answer(namespace, &requester, &Reply::Rooms(rooms));
            }
            Question::ServerSide(content) => {
                self.call_program(membership, &content, Some(requester));
            }
        }
    }

    /// Asks the clients of this node, and passes on their answers.
    fn ask_clients(
        &self,
        membership: &Arc<Membership>,
        requester: Requester,
        content: &EventPayload,
        audience: &Audience,
        flags: EmitFlags,
        limit: Duration,
    ) {
        let sockets = if self.fits(membership, content) {
            membership.select(audience)
        } else {
            Vec::new()
        };
        let count = sockets.len();
        self.outbound
            .answer(membership.name(), &requester, &Reply::Asked(count));
        if count == 0 {
            return;
        }
        let Some(place) = self.questions.enter("questions") else {
            let reply = Reply::Gone(count);
            return self.outbound.answer(membership.name(), &requester, &reply);
        };
        let id = membership.next_ack();
        let mut packet = membership.relayed(Some(id), &content.0);
        if flags.uncompressed {
            packet = packet.without_compression();
        }
        let mut answers: AckStream<()> = ask(sockets, id, &packet, flags.volatile, limit).answers;
        let (outbound, membership) = (Arc::clone(&self.outbound), Arc::clone(membership));
        self.tasks.spawn("question to clients", async move {
            let mut place = Some(place);
            while let Some((socket, args)) = answers.next_args().await {
                // The place is free before the other node reads the last answer, because it may ask
                // again.
                if answers.is_complete() {
                    place = None;
                }
                outbound.answer(
                    membership.name(),
                    &requester,
                    &Reply::Acknowledged(socket, args),
                );
            }
            drop(place);
            let missing = answers.missing().len();
            // After the limit some of them may be connected and silent; the other node notices that
            // by its own limit, which may be later by the time of the message.
            if missing > 0 && !answers.has_timed_out() {
                outbound.answer(membership.name(), &requester, &Reply::Gone(missing));
            }
        });
    }

    /// Calls the program, and passes its answer on to the node that asked.
    fn call_program(
        &self,
        membership: &Arc<Membership>,
        content: &EventPayload,
        requester: Option<Requester>,
    ) {
        let Some(event) = ServerSideEvent::of(&content.0) else {
            return;
        };
        let name = event.name().to_owned();
        // Without a listener there is no answer, as on the Node.js server.
        let Some(listener) = membership.server_side.listener(&name) else {
            return;
        };
        if self.answering.is_ending() {
            log::debug!("server-side event {name:?} dropped: the server is stopping");
            return;
        }
        let Some(place) = self.server_side.enter("server-side events") else {
            return;
        };
        let (outbound, membership) = (Arc::clone(&self.outbound), Arc::clone(membership));
        let line_limits = Arc::clone(&self.line_limits);
        let answering = async move {
            let called = match catch_panic(|| (listener.hear)(event)) {
                Err(panic) => Err(panic),
                Ok(answering) => Caught::new(answering).await,
            };
            drop(place);
            match (called, requester) {
                (Ok(Ok(answered)), requester) => {
                    if answered.has_failed {
                        let (name, json) = (Quoted(&name), cut(answered.args.as_json()));
                        let line =
                            format_args!("listener of server-side event {name} failed: {json}");
                        line_limits.write(LogKind::Failed, Level::Warn, line);
                    }
                    if let Some(requester) = requester {
                        let reply = Reply::ServerSide(answered.args);
                        outbound.answer(membership.name(), &requester, &reply);
                    }
                }
                (Ok(Err(error)), _) => {
                    let name = Quoted(&name);
                    let line = format_args!(
                        "answer to server-side event {name} cannot be encoded: {error}"
                    );
                    line_limits.write(LogKind::Failed, Level::Error, line);
                }
                (Err(panic), _) => (listener.panicked)(panic),
            }
        };
        self.answering.spawn("server-side event", answering);
    }
}

impl Inbound for Delivery {
    fn received(&self, subscription: &str, channel: &str, payload: &Bytes) {
        self.guard(
            &format_args!("message on channel {}", Quoted(channel)),
            || {
                if self.forwarder.is_heard_on(channel) {
                    return self.forwarder.received(payload);
                }
                check_length(payload.len())?;
                if let Some(heard) = self.format.decode(subscription, channel, payload)? {
                    self.deliver(heard, EventSource::SingleNode);
                }
                Ok(())
            },
        );
    }

    fn entry(&self, stream: &str, entry: &LogEntry) {
        let own = entry.uid == self.format.uid();
        let again = |number| !self.seen.is_new(stream, &entry.uid, number);
        if own || entry.namespace.is_empty() || entry.sequence.is_some_and(again) {
            return;
        }
        self.guard(&format_args!("entry {} of a stream", entry.id), || {
            check_length(entry.data.len())?;
            let heard = from_fields(&entry.uid, &entry.namespace, &entry.kind, &entry.data)?;
            if let Some(heard) = heard {
                self.deliver(heard, entry.origin());
            }
            Ok(())
        });
    }

    fn listens(&self, listens: bool) {
        self.forwarder.listens(listens);
    }
}

fn change_all(membership: &Arc<Membership>, scope: Scope, change: &MembershipChange) {
    for socket in membership.select(&scope.into()) {
        apply(membership, &socket, change);
    }
}

fn disconnect_with(membership: &Membership, scope: Scope, notice: DisconnectNotice) {
    let notice = Arc::new(notice);
    for socket in membership.select(&scope.into()) {
        // A socket that has ended meanwhile is no error.
        let _ = membership.disconnect_with(&socket, &notice);
    }
}

fn apply(membership: &Arc<Membership>, socket: &Arc<SocketState>, change: &MembershipChange) {
    match change {
        MembershipChange::Join(rooms) => {
            for room in rooms {
                // A socket that is just disconnecting joins no rooms.
                membership.join_when_admitted(socket, room, drop);
            }
        }
        MembershipChange::Leave(rooms) => {
            for room in rooms {
                membership.leave(socket, room);
            }
        }
        MembershipChange::Disconnect { close } => socket.disconnect(*close),
    }
}

/// Removes sockets whose clients have reconnected to another node.
fn moved(membership: &Membership, scope: &Scope) {
    let moves = scope.except.get(1).and_then(|moves| moves.parse().ok());
    let Some(moves) = moves else {
        return;
    };
    for id in scope.rooms.iter().filter_map(|id| id.parse().ok()) {
        membership.take_moved(&id, moves);
    }
}
