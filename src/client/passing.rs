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
use crate::namespace::NamespaceState;
use crate::reason::DisconnectReason;
use crate::socket::{Core, Socket};

/// Calls the program's connect handlers. The namespace is notified after their changes of a stored
/// session are saved.
pub(super) fn admit(table: &Table, socket: &Socket, namespace: Arc<NamespaceState>) {
    let core = Arc::clone(socket.core());
    let context = Arc::clone(&namespace.context);
    let tells_errors = context.server_context.tells_errors;
    let admission = Box::new(move |outcome: Result<(), ConnectError>| {
        let link = Arc::clone(&core.link);
        let (asking, lease) = (Socket::new(Arc::clone(&core)), Arc::clone(&namespace));
        let decide = move |outcome: Result<(), ConnectError>| match outcome {
            Err(error) => core.refuse(&error.shown(tells_errors)),
            Ok(()) => enter(core, &namespace),
        };
        match link.stored_session() {
            Some(session) if session.is_changed() => {
                let guard = InFlight::enter(&link, 0);
                session.after_save(Box::new(move |saved| {
                    if let Err(error) = &saved {
                        failed_by_session(&lease.context, &asking, "connect", error);
                    }
                    decide(outcome.and(saved.map_err(Into::into)));
                    drop(guard);
                }));
            }
            _ => decide(outcome),
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
fn enter(core: Arc<Core>, namespace: &Arc<NamespaceState>) {
    match core.accept() {
        Ok(()) => {
            // If it is too late, the session knows it.
            if core.membership.enter(&core).is_ok() {
                log_connected(&core);
                core.link.wake();
            }
        }
        // The program has accepted it, so its disconnect handlers run.
        Err(reason) => disconnected(&Socket::new(core), namespace, reason),
    }
}

/// Notifies the program, then the namespace, that a socket has disconnected. If its session is in a
/// store, this waits for the events before it.
pub(super) fn disconnected(
    socket: &Socket,
    namespace: &Arc<NamespaceState>,
    reason: DisconnectReason,
) {
    let Some(session) = socket.core().link.stored_session() else {
        return leave(socket, namespace, reason);
    };
    let (socket, namespace) = (socket.clone(), Arc::clone(namespace));
    let guard = InFlight::enter_leaving(&socket.core().link);
    session.after_load(Box::new(move |loaded| {
        if let Err(error) = loaded {
            // Its disconnect handlers are called all the same, and see the unchanged session.
            failed_by_session(&namespace.context, &socket, "disconnect", &error);
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
        context: &namespace.context,
    };
    log::debug!(target: TARGET_SOCKET, "{} disconnected: {reason}", socket.core());
    let table = namespace.table.read();
    table.disconnecting(&leaving);
    socket.core().membership.detach(socket.core(), reason);
    table.disconnected(&leaving);
}

/// Logs that a client was accepted.
fn log_connected(core: &Core) {
    let again = if core.resumed().is_some() {
        " again"
    } else {
        ""
    };
    log::debug!(target: TARGET_SOCKET, "{core} connected{again}");
}
