//! The connect and the disconnect of a socket: the calls of the program's handlers.
//!
//! Each step waits for the client's session, if that is in a store.

use std::sync::Arc;

use crate::error::{ConnectError, Rejection, SessionError};
use crate::handler::{
    ConnectContext, DisconnectContext, FailureCause, NamespaceContext, Table, failed,
};
use crate::link::InFlight;
use crate::logging::TARGET_SOCKET;
use crate::members::SocketState;
use crate::namespace::NamespaceState;
use crate::reason::DisconnectReason;
use crate::socket::Socket;

/// Calls the program's connect handlers. The namespace is notified after their changes of a stored
/// session are saved.
pub(super) fn admit(table: &Table, socket: &Socket, namespace: Arc<NamespaceState>) {
    let accepted = socket.clone();
    let context = Arc::clone(&namespace.handlers.context);
    let tells_errors = context.server_context.tells_errors;
    let admission = Box::new(move |outcome: Result<(), ConnectError>| {
        let (socket, context) = (accepted, Arc::clone(&namespace.handlers.context));
        let decide = move |socket: &Socket, outcome: Result<(), ConnectError>| match outcome {
            Err(error) => socket.refuse(&error.shown(tells_errors)),
            Ok(()) => enter(socket, &namespace),
        };
        match socket.state().link.stored_session() {
            Some(session) if session.is_changed() => {
                let guard = InFlight::enter(&socket.state().link, 0);
                let session = session.clone();
                session.after_save(Box::new(move |saved| {
                    if let Err(error) = &saved {
                        failed_by_session(&context, &socket, "connect", error);
                    }
                    decide(&socket, outcome.and(saved.map_err(Into::into)));
                    drop(guard);
                }));
            }
            _ => decide(&socket, outcome),
        }
    });
    let connecting = ConnectContext {
        socket,
        context: &context,
    };
    table.admit(&connecting, admission);
}

/// Connects a socket that the program has accepted, unless it has disconnected while the program
/// was deciding.
fn enter(socket: &Socket, namespace: &Arc<NamespaceState>) {
    let state = socket.state();
    match state.accept() {
        Ok(()) => {
            // If it is too late, the session knows it.
            if socket.membership().enter(state).is_ok() {
                log_connected(state);
                state.link.wake();
            }
        }
        // The program has accepted it, so its disconnect handlers run.
        Err(reason) => disconnected(socket, namespace, reason),
    }
}

/// Notifies the program, then the namespace, that a socket has disconnected. If its session is in a
/// store, this waits for the events before it.
pub(super) fn disconnected(
    socket: &Socket,
    namespace: &Arc<NamespaceState>,
    reason: DisconnectReason,
) {
    let Some(session) = socket.state().link.stored_session() else {
        return leave(socket, namespace, reason);
    };
    let (socket, namespace) = (socket.clone(), Arc::clone(namespace));
    let guard = InFlight::enter_leaving(&socket.state().link);
    session.after_load(Box::new(move |loaded| {
        if let Err(error) = loaded {
            // Its disconnect handlers are called all the same, and see the unchanged session.
            failed_by_session(&namespace.handlers.context, &socket, "disconnect", &error);
        }
        leave(&socket, &namespace, reason);
        drop(guard);
    }));
}

pub(super) fn failed_by_session(
    context: &NamespaceContext,
    socket: &Socket,
    event: &str,
    error: &SessionError,
) {
    let cause = FailureCause::Rejected(Rejection::Session(error.clone()));
    failed(context, socket, event, cause);
}

fn leave(socket: &Socket, namespace: &NamespaceState, reason: DisconnectReason) {
    let leaving = DisconnectContext {
        socket,
        reason,
        context: &namespace.handlers.context,
    };
    log::debug!(target: TARGET_SOCKET, "{} disconnected: {reason}", socket.state());
    let table = namespace.handlers.table.read();
    table.disconnecting(&leaving);
    socket.membership().detach(socket.state(), reason);
    table.disconnected(&leaving);
}

/// Logs that a client was accepted.
fn log_connected(state: &SocketState) {
    let again = if state.resumed().is_some() {
        " again"
    } else {
        ""
    };
    log::debug!(target: TARGET_SOCKET, "{state} connected{again}");
}
