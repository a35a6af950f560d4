//! The record of a socket for its recovery on another node, and the snapshot for this one.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::members::login::{Login, LoginTimes};
use crate::members::recovery::state::{RecoveryState, SocketSnapshot};
use crate::members::socket::SocketState;

/// The state of a client for its recovery on another node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PersistedSocket {
    pub(crate) sid: String,
    pub(crate) pid: String,
    /// Its namespace; empty if another kind of server has stored it, which does not name it.
    pub(crate) namespace: String,
    /// The rooms, and the event after which each was joined.
    pub(crate) rooms: Vec<(String, String)>,
    pub(crate) data: BTreeMap<String, Value>,
    pub(crate) entitled_from: String,
    /// The event after which it was accepted.
    pub(crate) entered: String,
    /// The events of other nodes that it had received before it connected.
    pub(crate) received: Vec<(String, u64)>,
    /// The number of its moves to another node.
    pub(crate) moves: u64,
    /// The times of its login.
    pub(crate) login: LoginTimes,
}

/// Returns the record of a socket for another node.
pub(crate) fn persisted(
    socket: &SocketState,
    resume: &RecoveryState,
    received: Vec<(String, u64)>,
) -> PersistedSocket {
    let joined = resume.joined.lock();
    let rooms = joined.iter();
    PersistedSocket {
        sid: socket.id.as_str().to_owned(),
        pid: resume.pid.as_str().to_owned(),
        namespace: socket.namespace.as_ref().to_owned(),
        rooms: rooms
            .map(|(room, since)| (room.as_ref().to_owned(), since.text.as_ref().to_owned()))
            .collect(),
        data: socket.session().entries(),
        entitled_from: resume.entitled_from().text.as_ref().to_owned(),
        entered: resume.entered.lock().text.as_ref().to_owned(),
        received,
        moves: resume.moves,
        login: login(socket),
    }
}

pub(super) fn snapshot(socket: &SocketState, resume: &RecoveryState) -> SocketSnapshot {
    SocketSnapshot {
        id: socket.id.clone(),
        pid: resume.pid,
        rooms: resume.joined.lock().clone(),
        extensions: socket.extensions.share(),
        session: socket.session().clone(),
        entitled_from: resume.entitled_from(),
        entered: resume.entered.lock().clone(),
        moves: resume.moves,
        login: login(socket),
    }
}

fn login(socket: &SocketState) -> LoginTimes {
    socket.login().map(Login::times).unwrap_or_default()
}

impl SocketSnapshot {
    pub(crate) fn into_persisted(
        self,
        namespace: &str,
        received: Vec<(String, u64)>,
    ) -> PersistedSocket {
        let rooms = self.rooms.iter();
        PersistedSocket {
            sid: self.id.as_str().to_owned(),
            pid: self.pid.as_str().to_owned(),
            namespace: namespace.to_owned(),
            rooms: rooms
                .map(|(room, since)| (room.as_ref().to_owned(), since.text.as_ref().to_owned()))
                .collect(),
            data: self.session.entries(),
            entitled_from: self.entitled_from.text.as_ref().to_owned(),
            entered: self.entered.text.as_ref().to_owned(),
            received,
            moves: self.moves,
            login: self.login,
        }
    }
}
