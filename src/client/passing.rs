//! The connect and the disconnect of a socket: the calls of the program's handlers.
//!
//! Each step waits for the client's session, if that is in a store.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{ConnectError, INTERNAL, Rejection, RoomError, SessionError};
use crate::handler::{
    ConnectContext, DisconnectContext, FailureCause, NamespaceContext, Table, failed,
};
use crate::handshake::InitialRooms;
use crate::link::InFlight;
use crate::logging::TARGET_SOCKET;
use crate::members::{Entry, SocketState};
use crate::namespace::NamespaceState;
use crate::reason::DisconnectReason;
use crate::socket::Socket;

/// Calls the program's connect handlers. The namespace is notified after their changes of a stored
/// session are saved.
pub(super) fn admit(table: &Table, socket: &Socket, namespace: Arc<NamespaceState>) {
    let context = Arc::clone(&namespace.handlers.context);
    let admitted = socket.clone();
    let admission = Box::new(move |outcome: Result<(), ConnectError>| {
        match admitted.state().link.stored_session() {
            Some(session) if session.is_changed() => {
                let guard = InFlight::enter(&admitted.state().link, 0);
                let session = session.clone();
                session.after_save(Box::new(move |saved| {
                    if let Err(error) = &saved {
                        let context = &namespace.handlers.context;
                        failed_by_session(context, &admitted, "connect", error);
                    }
                    let outcome = outcome.and(saved.map_err(Into::into));
                    decide(&admitted, &namespace, outcome);
                    drop(guard);
                }));
            }
            _ => decide(&admitted, &namespace, outcome),
        }
    });
    let connecting = ConnectContext {
        socket,
        context: &context,
    };
    let handshake = &socket.state().link.handshake;
    let spans = &context.server_context.telemetry.spans;
    let parent = || handshake.header("traceparent");
    let scope = spans.connect(socket.namespace(), &socket.id(), parent);
    scope.within(|| table.admit(&connecting, admission));
}

/// Refuses a socket, or asks the actors of its namespace and rooms, as the program has decided.
fn decide(socket: &Socket, namespace: &Arc<NamespaceState>, outcome: Result<(), ConnectError>) {
    let entering = Entering {
        socket: socket.clone(),
        namespace: Arc::clone(namespace),
        is_decided: false,
    };
    match outcome {
        Err(error) => entering.refuse(&error),
        Ok(()) => entering.ask_namespace(),
    }
}

/// A socket that the program's handlers have accepted, and the actors of rooms not yet.
struct Entering {
    socket: Socket,
    namespace: Arc<NamespaceState>,
    is_decided: bool,
}

impl Entering {
    /// Asks the actor of the namespace, if it has one.
    fn ask_namespace(self) {
        if self.socket.membership().whole_host().is_none() {
            return self.join_initial_rooms(0, Box::new(()));
        }
        let socket = self.socket.clone();
        // An actor may need some time. A server that stops waits for its decision.
        let guard = InFlight::enter(&socket.state().link, 0);
        let answer = Box::new(move |decided: Result<Entry, ConnectError>| {
            match decided {
                Err(error) => self.refuse(&error),
                Ok(entry) => self.join_initial_rooms(0, entry),
            }
            drop(guard);
        });
        socket.membership().ask_namespace(socket.state(), answer);
    }

    /// Joins the rooms that the client of an event stream has named, from `at` on, and connects the
    /// socket. The entry into the namespace is held until then.
    fn join_initial_rooms(self, at: usize, entry: Entry) {
        let socket = self.socket.clone();
        let rooms = socket.state().link.handshake.get::<InitialRooms>();
        let Some(room) = rooms.as_ref().and_then(|rooms| rooms.0.get(at)) else {
            self.enter();
            return drop(entry);
        };
        let next = move |joined: Result<(), RoomError>| match joined {
            Ok(()) => self.join_initial_rooms(at + 1, entry),
            Err(error) => self.refuse(&ConnectError::new(error.to_string())),
        };
        socket
            .membership()
            .join_when_admitted(socket.state(), room, next);
    }

    fn enter(mut self) {
        self.is_decided = true;
        enter(&self.socket, &self.namespace);
    }

    fn refuse(mut self, error: &ConnectError) {
        self.is_decided = true;
        self.refuse_with(error);
    }

    fn refuse_with(&self, error: &ConnectError) {
        count(&self.namespace, "refused");
        let server_context = &self.namespace.handlers.context.server_context;
        self.socket
            .refuse(&error.clone().shown(server_context.tells_errors));
    }
}

impl Drop for Entering {
    /// An actor has ended without a decision.
    fn drop(&mut self) {
        if !self.is_decided {
            self.refuse_with(&INTERNAL.into());
        }
    }
}

/// Connects a socket that the program has accepted, unless it has disconnected while the program
/// was deciding.
fn enter(socket: &Socket, namespace: &Arc<NamespaceState>) {
    let state = socket.state();
    match state.accept() {
        Ok(()) => {
            // If it is too late, the session knows it.
            if let Ok(missed) = socket.membership().enter(state) {
                let context = &namespace.handlers.context;
                count(namespace, "accepted");
                if state.resumed().is_some() {
                    let telemetry = &context.server_context.telemetry;
                    telemetry.metrics.recovered(&context.label, Some(missed));
                }
                log_connected(state);
                if let Some(check) = socket.recheck_user() {
                    socket.spawn(check);
                }
                state.link.wake();
                if cfg!(feature = "admin") {
                    let connected = ConnectContext {
                        socket,
                        context: &namespace.handlers.context,
                    };
                    namespace.handlers.table.read().connected(&connected);
                }
            }
        }
        // The program has accepted it, so its disconnect handlers run.
        Err(reason) => disconnected(socket, namespace, reason),
    }
}

/// Warns a client of the end of its login, and calls the program's handlers for it. If its session
/// is in a store, the handlers wait for the events before.
pub(super) fn expiring(socket: &Socket, namespace: &Arc<NamespaceState>, left: Duration) {
    socket.warn_of_expiry(left);
    let table = namespace.handlers.table.read();
    if !table.hears_expiring() {
        return;
    }
    let Some(session) = socket.state().link.stored_session() else {
        return tell_expiring(&table, socket, namespace);
    };
    let (socket, namespace) = (socket.clone(), Arc::clone(namespace));
    let guard = InFlight::enter(&socket.state().link, 0);
    session.after_load(Box::new(move |loaded| {
        match loaded {
            Ok(()) => tell_expiring(&table, &socket, &namespace),
            Err(error) => {
                failed_by_session(&namespace.handlers.context, &socket, "expiring", &error);
            }
        }
        drop(guard);
    }));
}

fn tell_expiring(table: &Table, socket: &Socket, namespace: &NamespaceState) {
    table.expiring(&ConnectContext {
        socket,
        context: &namespace.handlers.context,
    });
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
    let context = &namespace.handlers.context;
    let telemetry = &context.server_context.telemetry;
    let text = reason.as_str();
    telemetry.metrics.disconnected(&context.label, text);
    let table = namespace.handlers.table.read();
    table.disconnecting(&leaving);
    socket.membership().detach(socket.state(), reason);
    table.disconnected(&leaving);
}

/// Counts a client that has requested its former state and starts a new session.
pub(super) fn not_recovered(namespace: &NamespaceState) {
    let context = &namespace.handlers.context;
    let telemetry = &context.server_context.telemetry;
    telemetry.metrics.recovered(&context.label, None);
}

/// Counts a connect by its outcome.
fn count(namespace: &NamespaceState, outcome: &'static str) {
    let context = &namespace.handlers.context;
    let telemetry = &context.server_context.telemetry;
    telemetry.metrics.connected(&context.label, outcome);
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
