//! Handlers: the program's async functions, and their calls.
//!
//! A packet's event and its socket enter; the function's return value leaves as the
//! acknowledgement. User code runs only here, and always inside `catch_unwind`. Nothing here
//! depends on the transport of a packet or the actor of the socket.

mod call;
mod checks;
mod context;
mod extension;
mod extract;
mod failure;
mod function;
mod future_slots;
mod handlers;
mod kinds;
mod line;
mod method;
mod outcome;
mod pending;
mod received;
mod registrar;
mod reply;
mod shared;
mod table;
mod task;
mod trace_parent;
mod transit;
mod tuples;
mod turn;

pub(crate) use context::{NamespaceContext, ServerContext};
pub use extension::Extension;
pub(crate) use extract::read_parameters;
pub use extract::{
    Auth, CallContext, ConnectContext, Data, DisconnectContext, Event, EventContext, Extract,
    Params, State,
};
pub(crate) use failure::failed;
pub use failure::{ErrorAnswer, Failure, FailureCause};
pub use function::Handler;
pub(crate) use future_slots::FutureSlots;
pub use handlers::Handlers;
pub(crate) use kinds::EventHandler;
pub(crate) use line::EventLine;
pub(crate) use method::Bound;
pub use method::Method;
pub use outcome::{ConnectOutcome, EventOutcome, LeaveOutcome};
pub(crate) use pending::{Pending, Unfinished};
pub(crate) use received::Received;
pub use registrar::{NamespaceHandlers, Registrar};
pub use reply::Ack;
pub(crate) use shared::{SharedTable, TableView};
pub(crate) use table::Table;
pub use task::BackgroundTask;
pub(crate) use task::Tasks;
pub use transit::IncomingEvent;
pub(crate) use tuples::for_each_tuple;
