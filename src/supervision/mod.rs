//! Supervision: an actor that ends is made again in its own mailbox, under its own address.
//!
//! actix itself restarts an actor only after a regular stop; a panic ends it permanently. Here each
//! poll of an actor runs where its panic is caught (`life.rs`). After a panic the message that caused
//! it is lost and its sender gets `MailboxError::Closed`. The messages behind it wait in the mailbox
//! (`mailbox.rs`) for the next life (`child.rs`). The crate's own actors are restarted at once, and
//! given up if they panic too often (`lone.rs`); then their parent is notified.

mod arbiter;
mod child;
mod end;
mod intensity;
mod life;
mod lone;
mod mailbox;
mod vitals;

pub(crate) use arbiter::lasting_arbiter;
pub(crate) use child::{FIRST_LIFE, Parent, run_on};
pub(crate) use end::ChildEnd;
pub(crate) use intensity::{RestartIntensity, RestartWindow};
pub(crate) use life::is_abandoned;
pub(crate) use lone::{ChildPanic, start_mortal, start_on};
pub(crate) use mailbox::{Command, Letter, Mailbox};
pub(crate) use vitals::Vitals;
