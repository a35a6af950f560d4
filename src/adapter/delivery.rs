//! What other nodes say, done to the sockets of this one.
//!
//! Clients that are asked, and the program where it is called, are waited for in a task each;
//! [`Load`](crate::adapter::load::Load) bounds how many. One beyond that is refused, not queued: what
//! came in order would wait behind a client that may never answer.

use std::sync::Arc;
use std::time::Duration;

use log::Level;

use crate::adapter::format::{Asker, Change, Heard, Word};
use crate::adapter::node::Node;
use crate::adapter::restore::MOVED;
use crate::cluster::{Content, Manner, Message, Question, Reply, Scope};
use crate::id::SocketId;
use crate::logging::{LogKind, Quoted, cut};
use crate::panics::{Caught, catch_panic};
use crate::socket::{Answers, Audience, Core, Membership, Origin, ServerSideEvent, ask, describe};

/// Does what was said. It never waits: what takes time is done in a task of its own.
pub(crate) fn receive(node: &Arc<Node>, heard: Heard, origin: Origin<'_>) {
    let membership = || node.membership(&heard.namespace);
    match heard.word {
        Word::Answered { request, reply } => node.answered(heard.from, &request, reply),
        Word::Told(message) => {
            if let Some(membership) = membership() {
                told(node, &membership, message, origin);
            }
        }
        Word::Asked(asker, question) => {
            if let Some(membership) = membership() {
                asked(node, &membership, asker, question);
            }
        }
        Word::Single {
            asker,
            socket,
            change,
        } => {
            if let Some(membership) = membership() {
                single(node, &membership, &asker, socket, &change);
            }
        }
    }
}

/// Tells whether this node's clients take an event of another node, which may allow more.
fn fits(node: &Node, membership: &Membership, content: &Content) -> bool {
    match content.0.check(membership.packets) {
        Ok(()) => true,
        Err(error) => {
            let namespace = Quoted(membership.name());
            let line =
                format_args!("event of another node in namespace {namespace} dropped: {error}");
            node.line_limits.write(LogKind::Foreign, Level::Warn, line);
            false
        }
    }
}

fn told(node: &Arc<Node>, membership: &Arc<Membership>, message: Message, origin: Origin<'_>) {
    match message {
        Message::Emit {
            content,
            scope,
            manner,
        } => {
            if !fits(node, membership, &content) {
                return;
            }
            // What comes next from other nodes does not wait for clients of this one.
            let _ = membership.relay(&scope.into(), manner, &content.0, origin, |_| ());
        }
        Message::Join { scope, rooms } => {
            change_all(membership, scope, &Change::Join(rooms));
        }
        Message::Leave { scope, rooms } => {
            change_all(membership, scope, &Change::Leave(rooms));
        }
        Message::Disconnect { scope, .. } if scope.except.first().is_some_and(|it| it == MOVED) => {
            moved(membership, &scope);
        }
        Message::Disconnect { scope, close } => {
            change_all(membership, scope, &Change::Disconnect { close });
        }
        Message::CloseRoom { room } => {
            membership.close_room(&room);
        }
        Message::ServerSide(content) => {
            server_side(node, membership, &content, None);
        }
    }
}

fn change_all(membership: &Membership, scope: Scope, change: &Change) {
    for socket in membership.select(&scope.into()) {
        apply(membership, &socket, change);
    }
}

fn apply(membership: &Membership, socket: &Arc<Core>, change: &Change) {
    match change {
        Change::Join(rooms) => {
            for room in rooms {
                // One that is just leaving joins nothing.
                let _ = membership.join(socket, room);
            }
        }
        Change::Leave(rooms) => {
            for room in rooms {
                membership.leave(socket, room);
            }
        }
        Change::Disconnect { close } => socket.disconnect(*close),
    }
}

/// Has one socket do something, if it is one of this node.
fn single(node: &Node, membership: &Membership, asker: &Asker, socket: SocketId, change: &Change) {
    let Some(socket) = membership.socket(socket) else {
        return;
    };
    apply(membership, &socket, change);
    if !asker.request.is_empty() {
        node.answer(membership.name(), asker, &Reply::Done);
    }
}

/// Lets go of sockets whose clients have come back to another node.
fn moved(membership: &Membership, scope: &Scope) {
    let moves = scope.except.get(1).and_then(|moves| moves.parse().ok());
    let (Some(recovery), Some(moves)) = (&membership.recovery, moves) else {
        return;
    };
    for id in scope.rooms.iter().filter_map(|id| id.parse().ok()) {
        let gone = recovery.lock().moved_away(id, moves, recovery.options());
        // What the program has attached to it goes outside of the lock.
        drop(gone);
    }
}

fn asked(node: &Arc<Node>, membership: &Arc<Membership>, asker: Asker, question: Question) {
    let namespace = membership.name();
    match question {
        Question::Emit {
            content,
            scope,
            manner,
            limit,
        } => {
            let audience = scope.into();
            ask_clients(node, membership, asker, &content, &audience, manner, limit);
        }
        Question::Sockets(scope) => {
            let sockets = membership.select(&scope.into());
            let sockets = sockets.iter().map(|socket| describe(socket)).collect();
            node.answer(namespace, &asker, &Reply::Sockets(sockets));
        }
        Question::Ids(rooms) => {
            let scope = Scope {
                rooms,
                except: Vec::new(),
            };
            let sockets = membership.select(&scope.into());
            let ids = sockets.iter().map(|socket| socket.id.as_str().to_owned());
            node.answer(namespace, &asker, &Reply::Ids(ids.collect()));
        }
        Question::Rooms => {
            let rooms = membership.rooms().into_iter();
            let mut rooms: Vec<_> = rooms.map(|(name, _)| name.as_ref().to_owned()).collect();
            // To other kinds of nodes each socket is a room of its own.
            if !asker.kin {
                let ids = membership.all().into_iter();
                rooms.extend(ids.map(|socket| socket.id.as_str().to_owned()));
            }
            node.answer(namespace, &asker, &Reply::Rooms(rooms));
        }
        Question::ServerSide(content) => {
            server_side(node, membership, &content, Some(asker));
        }
    }
}

/// Asks the clients of this node, and passes on what each answers.
fn ask_clients(
    node: &Arc<Node>,
    membership: &Arc<Membership>,
    asker: Asker,
    content: &Content,
    audience: &Audience,
    manner: Manner,
    limit: Duration,
) {
    let sockets = if fits(node, membership, content) {
        membership.select(audience)
    } else {
        Vec::new()
    };
    let count = sockets.len();
    node.answer(membership.name(), &asker, &Reply::Asked(count));
    if count == 0 {
        return;
    }
    let Some(place) = node.questions.enter("questions") else {
        return node.answer(membership.name(), &asker, &Reply::Gone(count));
    };
    let id = membership.next_ack();
    let mut packet = membership.relayed(Some(id), &content.0);
    if manner.uncompressed {
        packet = packet.without_compression();
    }
    let mut answers: Answers<()> = ask(sockets, id, &packet, manner.volatile, limit).answers;
    let (node, membership) = (Arc::clone(node), Arc::clone(membership));
    let arbiter = node.arbiter.clone();
    arbiter.spawn(async move {
        let mut place = Some(place);
        while let Some((socket, args)) = answers.next_args().await {
            // The place is free before the other node reads the last answer: it may ask again.
            if answers.is_complete() {
                place = None;
            }
            node.answer(
                membership.name(),
                &asker,
                &Reply::Acknowledged(socket, args),
            );
        }
        drop(place);
        let missing = answers.missing().len();
        if missing > 0 {
            node.answer(membership.name(), &asker, &Reply::Gone(missing));
        }
    });
}

/// Calls the program, and passes its answer on to who wants one.
fn server_side(
    node: &Arc<Node>,
    membership: &Arc<Membership>,
    content: &Content,
    asker: Option<Asker>,
) {
    let Some(event) = ServerSideEvent::of(&content.0) else {
        return;
    };
    let name = event.name().to_owned();
    // Nobody answers for a program that does not listen, as on the Node.js server.
    let Some(listener) = membership.server_side.listener(&name) else {
        return;
    };
    if node.answering.is_closed() {
        log::debug!("server-side event {name:?} is passed over: the server stops");
        return;
    }
    let Some(place) = node.server_side.enter("server-side events") else {
        return;
    };
    let (node, membership) = (Arc::clone(node), Arc::clone(membership));
    let (arbiter, answering) = (node.arbiter.clone(), node.answering.clone());
    arbiter.spawn(answering.track_future(async move {
        let called = match catch_panic(|| (listener.hear)(event)) {
            Err(panic) => Err(panic),
            Ok(answering) => Caught::new(answering).await,
        };
        drop(place);
        match (called, asker) {
            (Ok(Ok(answered)), asker) => {
                if answered.has_failed {
                    let (name, json) = (Quoted(&name), cut(answered.args.as_json()));
                    let line = format_args!("listener of server-side event {name} failed: {json}");
                    node.line_limits.write(LogKind::Failed, Level::Warn, line);
                }
                if let Some(asker) = asker {
                    let reply = Reply::ServerSide(answered.args);
                    node.answer(membership.name(), &asker, &reply);
                }
            }
            (Ok(Err(error)), _) => {
                let name = Quoted(&name);
                let line =
                    format_args!("answer to server-side event {name} cannot be sent: {error}");
                node.line_limits.write(LogKind::Failed, Level::Error, line);
            }
            (Err(panic), _) => (listener.panicked)(panic),
        }
    }));
}
