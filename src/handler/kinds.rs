//! The kinds of handlers that a table holds, as plain values.
//!
//! `call.rs` makes them from the program's functions; the table keeps and calls them. Nothing here
//! is called.

use std::sync::Arc;

use futures_core::future::LocalBoxFuture;

use crate::error::{ConnectError, Rejection};
use crate::handler::extract::{ConnectContext, DisconnectContext, EventContext};
use crate::handler::transit::IncomingEvent;

/// Receives the result of a client's connect.
pub(crate) type Admission = Box<dyn FnOnce(Result<(), ConnectError>)>;

pub(crate) type EventHandler = Arc<dyn Fn(&EventContext<'_>) + Send + Sync>;
pub(crate) type ConnectHandler = Arc<dyn Fn(&ConnectContext<'_>, Admission) + Send + Sync>;
/// Receives a connected socket, which it cannot refuse: after its connect, or before the end of its
/// login.
pub(crate) type ConnectedHandler = Arc<dyn Fn(&ConnectContext<'_>) + Send + Sync>;
pub(crate) type LeaveHandler = Arc<dyn Fn(&DisconnectContext<'_>) + Send + Sync>;

/// Checks an event before its handlers.
pub(crate) type EventCheck =
    Arc<dyn Fn(&mut IncomingEvent<'_>) -> Result<(), Rejection> + Send + Sync>;

/// The same, with a future: it ends before the handlers of the event are called.
pub(crate) type AsyncEventCheck = Arc<dyn Fn(&EventContext<'_>) -> Checking + Send + Sync>;
/// An extractor that fails is the rejection too.
pub(crate) type Checking = Result<LocalBoxFuture<'static, Result<(), Rejection>>, Rejection>;
