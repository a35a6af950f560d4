//! The list of all sockets that a page gets at first, in development mode.
//!
//! The namespaces of this server enter; the sockets of all nodes in them leave, and those in the
//! namespaces that only other nodes have. A server cannot ask for sockets in a namespace of which it
//! is no member, so it asks the other servers in the namespace of the pages.

use std::collections::HashSet;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::admin::details::SocketDetails;
use crate::server::{Namespace, SocketIo};
use crate::socket::RemoteSocket;

/// Returns the sockets of all namespaces on all nodes. `admin` is the namespace of the pages.
pub(super) async fn all_sockets(io: &SocketIo, admin: &str) -> Vec<SocketDetails> {
    let namespaces = io.all_namespaces().namespaces();
    let known = namespaces.iter().map(|it| it.name().to_owned()).collect();
    let (mut found, elsewhere) = tokio::join!(here(namespaces), elsewhere(io, admin, known));
    found.extend(elsewhere);
    if found.len() > MAX_LISTED {
        let number = found.len();
        log::warn!("Admin UI: the page lists {MAX_LISTED} of {number} sockets");
        found.truncate(MAX_LISTED);
    }
    found
}

/// Answers the other servers, which ask for the sockets of namespaces that they do not have.
pub(super) fn answer(io: &SocketIo, admin: &Namespace) {
    let io = io.downgrade();
    admin.on_server_side(QUESTION, move |event| {
        let io = io.upgrade();
        async move {
            let known: HashSet<String> = event.read().unwrap_or_default();
            let namespaces = io.iter().flat_map(|io| io.all_namespaces().namespaces());
            let unknown = namespaces.filter(|namespace| !known.contains(namespace.name()));
            let sockets = unknown.flat_map(|namespace| {
                let sockets = namespace.sockets().into_iter().map(RemoteSocket::here);
                let details = sockets.map(|socket| SocketDetails::of(namespace.name(), &socket));
                details.collect::<Vec<_>>()
            });
            sockets.take(MAX_LISTED).collect::<Vec<_>>()
        }
    });
}

/// Returns the sockets of all nodes in the namespaces of this server.
async fn here(namespaces: Vec<Namespace>) -> Vec<SocketDetails> {
    let mut found = Vec::new();
    let mut namespaces = namespaces.into_iter();
    let mut asked = JoinSet::new();
    loop {
        while asked.len() < MAX_QUESTIONS
            && let Some(namespace) = namespaces.next()
        {
            asked.spawn(sockets_of(namespace));
        }
        match asked.join_next().await {
            Some(Ok((namespace, sockets))) => {
                let details = sockets.iter();
                found.extend(details.map(|socket| SocketDetails::of(namespace.name(), socket)));
            }
            Some(Err(error)) => log::debug!("Admin UI: sockets not listed: {error}"),
            None => return found,
        }
    }
}

async fn sockets_of(namespace: Namespace) -> (Namespace, Vec<RemoteSocket>) {
    let sockets = namespace.fetch_sockets().await;
    let sockets = sockets.iter().cloned().collect();
    (namespace, sockets)
}

/// Returns the sockets of the other nodes in namespaces that are not known here. Nodes of other
/// kinds do not answer, so the time limit is short.
async fn elsewhere(io: &SocketIo, admin: &str, known: Vec<String>) -> Vec<SocketDetails> {
    let Some(admin) = io.namespace(admin).filter(|_| io.is_node()) else {
        return Vec::new();
    };
    let asked = admin.server_side_emit_with_ack(QUESTION, known, ANSWER_LIMIT);
    match asked.await {
        Ok(answers) => {
            let answers = answers.iter().filter_map(|answer| answer.read().ok());
            answers.flat_map(Vec::into_iter).collect()
        }
        Err(error) => {
            log::debug!("Admin UI: sockets of other servers not listed: {error}");
            Vec::new()
        }
    }
}

/// The event between the servers.
const QUESTION: &str = "admin sockets of other namespaces";

/// The time in which another server must answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// The namespaces whose sockets are asked for at a time.
const MAX_QUESTIONS: usize = 8;

/// The sockets that a page gets in its first list, so that the list fits into a packet. It gets the
/// later ones as they connect.
const MAX_LISTED: usize = 1000;
