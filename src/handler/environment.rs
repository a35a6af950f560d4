//! What handlers share: the program's states, who is told of a panic, and who sees errors.
//!
//! [`Surroundings`] belong to the whole server. An [`Environment`] belongs to one namespace, or to
//! all namespaces of one pattern, and adds the error hook that is theirs alone.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use actix::Recipient;
use log::Level;
use parking_lot::{Mutex, RwLock};

use crate::handler::failure::ErrorHook;
use crate::logging::{LogKind, LogLimits};
use crate::message::Crashed;
use crate::socketio::is_reserved;

/// What all handlers of a server share.
pub(crate) struct Surroundings {
    states: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
    supervisors: RwLock<Vec<Recipient<Crashed>>>,
    on_error: RwLock<Option<ErrorHook>>,
    fault: Mutex<Option<String>>,
    /// Clients are told why a call of theirs failed, where no hook answers for it.
    pub(crate) tells_errors: bool,
    /// A client that asked is told that nobody handles its event.
    pub(crate) answers_unhandled: bool,
    /// How many lines of the log clients can cause.
    pub(crate) line_limits: Arc<LogLimits>,
}

impl Surroundings {
    /// Takes a state in, and returns it.
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, state: T) -> Arc<T> {
        let state = Arc::new(state);
        self.states
            .insert(TypeId::of::<T>(), Arc::clone(&state) as _);
        state
    }

    pub(crate) fn supervise(&self, supervisor: Recipient<Crashed>) {
        self.supervisors.write().push(supervisor);
    }

    /// Tells whether an event of this name may have a handler; one that may not is a fault of the
    /// program's, for the log and for who starts the server.
    pub(crate) fn admits(&self, event: &str) -> bool {
        if !is_reserved(event) {
            return true;
        }
        let instead = match event {
            "connect" => ": use on_connect",
            "disconnect" => ": use on_disconnect",
            "disconnecting" => ": use on_disconnecting",
            _ => "",
        };
        let fault = format!("event name {event:?} is reserved{instead}");
        log::error!("{fault}");
        self.fault.lock().get_or_insert(fault);
        false
    }

    /// Returns the first thing that the program registered in vain.
    pub(crate) fn fault(&self) -> Option<String> {
        self.fault.lock().clone()
    }

    /// Makes `hook` see the errors of namespaces that have no hook of their own.
    pub(crate) fn on_error(&self, hook: ErrorHook) {
        *self.on_error.write() = Some(hook);
    }

    /// Writes a panic to the log and tells everyone who asked.
    pub(crate) fn report(&self, crashed: &Crashed) {
        self.line_limits
            .write(LogKind::Panicked, Level::Error, format_args!("{crashed}"));
        self.supervisors.write().retain(|supervisor| {
            // A life-cycle message: rare, and it must not be lost to a full mailbox.
            supervisor.do_send(crashed.clone());
            supervisor.connected()
        });
    }
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            states: HashMap::new(),
            supervisors: RwLock::default(),
            on_error: RwLock::default(),
            fault: Mutex::default(),
            tells_errors: cfg!(debug_assertions),
            answers_unhandled: true,
            line_limits: LogLimits::new(),
        }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("states", &self.states.len())
            .finish_non_exhaustive()
    }
}

/// What the handlers of one namespace share.
pub(crate) struct Environment {
    pub(crate) surroundings: Arc<Surroundings>,
    on_error: RwLock<Option<ErrorHook>>,
    /// It is that of all namespaces together: its hook is the one of the surroundings.
    is_common: bool,
}

impl Environment {
    pub(crate) fn within(surroundings: &Arc<Surroundings>) -> Arc<Self> {
        Arc::new(Self {
            surroundings: Arc::clone(surroundings),
            on_error: RwLock::default(),
            is_common: false,
        })
    }

    /// Makes the one of what is registered for all namespaces.
    pub(crate) fn common(surroundings: &Arc<Surroundings>) -> Self {
        Self {
            surroundings: Arc::clone(surroundings),
            on_error: RwLock::default(),
            is_common: true,
        }
    }

    pub(crate) fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let state = self.surroundings.states.get(&TypeId::of::<T>())?;
        Arc::clone(state).downcast().ok()
    }

    /// Makes `hook` see this namespace's errors.
    pub(crate) fn on_error(&self, hook: ErrorHook) {
        if self.is_common {
            self.surroundings.on_error(hook);
        } else {
            *self.on_error.write() = Some(hook);
        }
    }

    /// Returns who sees errors here: the namespace's own hook, or the server's.
    pub(crate) fn error_hook(&self) -> Option<ErrorHook> {
        let own = self.on_error.read().clone();
        own.or_else(|| self.surroundings.on_error.read().clone())
    }

    pub(crate) fn report(&self, crashed: &Crashed) {
        self.surroundings.report(crashed);
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("surroundings", &self.surroundings)
            .finish_non_exhaustive()
    }
}
