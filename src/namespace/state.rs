//! Namespaces and patterns as plain data: the state shared by their clients, handlers and actors.
//!
//! The registry makes these values and finds them by name. No address of an actor is in them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use log::Level;
use parking_lot::RwLock;
use serde_json::{Value, json};

use crate::handler::Handlers;
use crate::logging::{LogKind, LogLimits, Quoted, cut};
use crate::members::Membership;
use crate::message::PanicSource;
use crate::panics::catch_panic;
use crate::pattern::{Parameters, Pattern};
use crate::tasks::TaskGroup;
use crate::user::UserPolicy;

/// The parts of a namespace, without its actor.
#[derive(Debug)]
pub(crate) struct NamespaceState {
    pub(crate) membership: Arc<Membership>,
    pub(crate) handlers: Handlers,
    /// The tasks beside its actors.
    pub(crate) tasks: TaskGroup<(PanicSource, Arc<str>)>,
    /// The number of connected and connecting clients, if the namespace is removed with the last
    /// one. Changed under the lock of the registry.
    pub(super) leases: Option<AtomicUsize>,
}

/// The namespaces of one pattern: the names that it accepts, and their shared parts.
#[derive(Debug)]
pub(crate) struct PatternState {
    pub(crate) matcher: NamespaceMatcher,
    pub(crate) handlers: Handlers,
    /// Its namespaces are removed with their last client.
    pub(crate) frees: AtomicBool,
    /// The rule for several sockets of one user, if the program has set one.
    pub(crate) user_policy: RwLock<Option<UserPolicy>>,
}

/// The names that a pattern accepts.
pub(crate) enum NamespaceMatcher {
    Pattern(Pattern),
    Predicate(Box<Predicate>),
}

/// Its arguments are a namespace's name and the client's CONNECT payload.
pub(crate) type Predicate = dyn Fn(&str, &Value) -> bool + Send + Sync;

impl NamespaceMatcher {
    /// Returns the parameters of a name that it accepts.
    pub(super) fn takes(
        &self,
        name: &str,
        auth: Option<&str>,
        log: &Arc<LogLimits>,
    ) -> Option<Parameters> {
        match self {
            Self::Pattern(pattern) => pattern.fit(name),
            Self::Predicate(predicate) => {
                let auth = auth.and_then(|auth| serde_json::from_str(auth).ok());
                let auth = auth.unwrap_or_else(|| json!({}));
                // Code of the program: if it panics, the name is not accepted.
                let taken = catch_panic(|| predicate(name, &auth)).unwrap_or_else(|panic| {
                    let (name, panic) = (Quoted(name), cut(panic));
                    let line =
                        format_args!("namespace predicate panicked, {name} is refused: {panic}");
                    log.write(LogKind::Panicked, Level::Error, line);
                    false
                });
                taken.then(Vec::new)
            }
        }
    }
}

/// The label of its namespaces in metrics.
impl fmt::Display for NamespaceMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => fmt::Display::fmt(pattern, f),
            Self::Predicate(_) => f.write_str("(predicate)"),
        }
    }
}

impl fmt::Debug for NamespaceMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => fmt::Debug::fmt(pattern, f),
            Self::Predicate(_) => f.write_str("Predicate"),
        }
    }
}
