//! Supervision: an actor that ends is made again in its own mailbox, under its own address.
//!
//! actix itself restarts an actor only after a regular stop; a panic ends it permanently. Here each
//! poll of an actor runs where its panic is caught (`life.rs`). After a panic the message that caused
//! it is lost and its sender gets `MailboxError::Closed`. The messages behind it wait in the mailbox
//! (`mailbox.rs`) for the next life (`child.rs`). The crate's own actors are restarted at once, and
//! given up if they panic too often (`lone.rs`); then their parent is notified. Those of the program
//! have a [`Supervisor`] (`supervisor.rs`, `node.rs`), whose decisions are pure (`group.rs`,
//! `restart.rs`, `intensity.rs`). Servers, sockets and namespaces are not known here.

mod arbiter;
mod child;
mod child_ref;
mod context;
mod dead_letter;
mod end;
mod group;
mod intensity;
mod life;
mod lone;
mod mailbox;
mod node;
mod restart;
mod root;
mod supervisor;
mod supervisor_error;
mod tree;
mod vitals;

pub(crate) use arbiter::lasting_arbiter;
pub(crate) use child::{FIRST_LIFE, Parent, run_on};
pub use child_ref::ChildRef;
pub use context::ChildContext;
pub use dead_letter::DeadLetter;
pub use end::ChildEnd;
pub(crate) use intensity::{RestartIntensity, RestartWindow};
pub(crate) use life::is_abandoned;
pub(crate) use lone::{ChildPanic, start_mortal, start_on};
pub(crate) use mailbox::{Command, Letter, Mailbox};
pub use restart::{BackOff, Restart, Strategy};
pub(crate) use root::{SupervisionReports, SupervisionRoot};
pub use supervisor::{ChildBuilder, ChildStart, Supervisor, SupervisorBuilder};
pub use supervisor_error::SupervisorError;
pub use tree::{ChildState, SupervisionRole, SupervisionTree};
pub(crate) use vitals::Vitals;
