//! Handlers of clients whose session is in a store: called after it was loaded, and ended after it
//! was saved.
//!
//! Only they use this module. An event waits here with all its parts, in the session's line of
//! turns, and is then dispatched like any other.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::oneshot;

use crate::data::Session;
use crate::error::{Rejection, SessionError};
use crate::handler::context::NamespaceContext;
use crate::handler::extract::EventContext;
use crate::handler::failure::{FailureCause, failed};
use crate::handler::pending::Unfinished;
use crate::handler::received::Received;
use crate::handler::reply::Reply;
use crate::handler::table::Table;
use crate::link::InFlight;
use crate::panics::Caught;
use crate::reason::DisconnectReason;
use crate::socket::Socket;
use crate::socketio::Args;

impl Received<'_> {
    /// Dispatches the event after the session was loaded, in the order of arrival.
    pub(crate) fn dispatch_loaded(&self, table: &Arc<Table>, session: &Session) {
        let table = Arc::clone(table);
        let event = Waiting::of(self);
        // It counts as a handler in flight, so that the line is limited.
        let size = self.size();
        let guard = InFlight::enter(&self.socket.state().link, size);
        session.after_load(Box::new(move |loaded| {
            event.dispatch(&table, loaded);
            drop(guard);
        }));
    }
}

impl Reply {
    /// Ends the call after the session was saved; with an error if that failed.
    pub(crate) fn end_saved<T>(self, session: &Session, ended: Result<T, Unfinished>)
    where
        T: Serialize + 'static,
    {
        let (told, saved) = oneshot::channel();
        session.after_save(Box::new(move |outcome| {
            // The worker may have ended.
            let _ = told.send(outcome);
        }));
        let guard = InFlight::enter(&self.socket.state().link, 0);
        // The guard counts it as in flight, which a server that stops waits for.
        actix_rt::spawn(async move {
            let reply = self.clone();
            let ending = async move {
                match (ended, saved.await) {
                    (Ok(value), Ok(Err(error))) => {
                        self.reject(Rejection::Session(error));
                        self.discard(value);
                    }
                    (ended, _) => self.end(ended),
                }
            };
            if let Err(panic) = Caught::new(ending).await {
                reply.panicked(panic);
            }
            drop(guard);
        });
    }
}

/// Saves the changes of a handler without an answer.
pub(crate) fn save(context: &Arc<NamespaceContext>, socket: &Socket, event: &'static str) {
    if let Some(session) = socket.state().link.stored_session()
        && session.is_changed()
    {
        let (context, kept) = (Arc::clone(context), socket.clone());
        let guard = InFlight::enter_leaving(&socket.state().link);
        session.after_save(Box::new(move |saved| {
            if let Err(error) = saved {
                let cause = FailureCause::Rejected(Rejection::Session(error));
                failed(&context, &kept, event, cause);
            }
            drop(guard);
        }));
    }
}

/// An event that waits for its turn.
#[derive(Debug)]
pub(super) struct Waiting {
    socket: Socket,
    name: String,
    args: Args,
    id: Option<u64>,
    context: Arc<NamespaceContext>,
}

impl Waiting {
    pub(super) fn of(received: &Received<'_>) -> Self {
        Self {
            socket: received.socket.clone(),
            name: received.name.to_owned(),
            args: received.args.to_args(),
            id: received.id,
            context: Arc::clone(received.context),
        }
    }

    /// Returns `true` if the program has disconnected the socket: packets that a client sent before
    /// it knows that are dropped.
    pub(super) fn is_void(&self) -> bool {
        self.socket.state().end_reason() == Some(DisconnectReason::ServerNamespaceDisconnect)
    }

    fn received(&self) -> Received<'_> {
        Received {
            socket: &self.socket,
            name: &self.name,
            args: self.args.as_args_ref(),
            id: self.id,
            context: &self.context,
        }
    }

    /// Calls a check with the event, which cannot answer it.
    pub(super) fn with<T>(&self, check: impl FnOnce(&EventContext<'_>) -> T) -> T {
        let unanswered = Received {
            id: None,
            ..self.received()
        };
        let name = self.name.as_str().into();
        check(&unanswered.incoming(&name, None))
    }

    /// Dispatches the event after all its checks.
    pub(super) fn dispatch_checked(&self, table: &Arc<Table>) {
        if self.is_void() {
            return;
        }
        let received = self.received();
        match self.socket.state().link.stored_session() {
            None => table.dispatch(&received),
            Some(session) => received.dispatch_loaded(table, session),
        }
    }

    fn dispatch(&self, table: &Table, loaded: Result<(), SessionError>) {
        if self.is_void() {
            return;
        }
        match loaded {
            Ok(()) => table.dispatch(&self.received()),
            Err(error) => {
                let has_ended = error == SessionError::Ended;
                self.reply().reject(Rejection::Session(error));
                if has_ended {
                    self.socket.state().disconnect(true);
                }
            }
        }
    }

    pub(super) fn reply(&self) -> Reply {
        Reply {
            socket: self.socket.clone(),
            event: self.name.as_str().into(),
            id: self.id,
            context: Arc::clone(&self.context),
        }
    }
}
