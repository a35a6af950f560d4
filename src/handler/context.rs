//! The shared state of handlers: the program's states, the receivers of panics, and the error hook.
//!
//! [`ServerContext`] belongs to the whole server. A [`NamespaceContext`] belongs to one namespace,
//! or to all namespaces of one pattern, and adds their own error hook.

use std::fmt;
use std::sync::Arc;

use actix::Recipient;
use log::Level;
use parking_lot::{Mutex, RwLock};

use crate::handler::failure::ErrorHook;
use crate::limits::LimitHooks;
use crate::logging::{LogKind, LogLimits};
use crate::message::Panicked;
use crate::socketio::is_reserved;
use crate::telemetry::Telemetry;
use crate::type_map::TypeMap;

/// The state shared by all handlers of a server.
pub(crate) struct ServerContext {
    states: TypeMap,
    supervisors: RwLock<Vec<Recipient<Panicked>>>,
    on_error: RwLock<Option<ErrorHook>>,
    fault: Mutex<Option<String>>,
    /// Clients receive the cause of a failed call, if no hook answers.
    pub(crate) tells_errors: bool,
    /// An event without a handler is acknowledged with an error.
    pub(crate) answers_unhandled: bool,
    /// The rate limits of log lines that clients cause.
    pub(crate) line_limits: Arc<LogLimits>,
    /// Set by the builder at the start.
    pub(crate) telemetry: Telemetry,
    /// Set by the builder at the start.
    pub(crate) limit_hooks: LimitHooks,
}

impl ServerContext {
    /// Adds a state, and returns it.
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, state: T) -> Arc<T> {
        let state = Arc::new(state);
        self.states.insert(Arc::clone(&state));
        state
    }

    pub(crate) fn supervise(&self, supervisor: Recipient<Panicked>) {
        self.supervisors.write().push(supervisor);
    }

    /// Returns `true` if an event of this name may have a handler. A reserved name is an error of
    /// the program: it is logged, and the server does not start.
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

    /// Returns the first invalid registration of the program.
    pub(crate) fn fault(&self) -> Option<String> {
        self.fault.lock().clone()
    }

    /// Sets the error hook of namespaces that have none of their own.
    pub(crate) fn on_error(&self, hook: ErrorHook) {
        *self.on_error.write() = Some(hook);
    }

    /// Logs a panic and sends it to all supervisors.
    pub(crate) fn report(&self, crashed: &Panicked) {
        self.telemetry.metrics.panicked(crashed.source.label());
        self.line_limits
            .write(LogKind::Panicked, Level::Error, format_args!("{crashed}"));
        self.supervisors.write().retain(|supervisor| {
            // A life-cycle message: rare, and a full mailbox must not drop it.
            supervisor.do_send(crashed.clone());
            supervisor.connected()
        });
    }
}

impl Default for ServerContext {
    fn default() -> Self {
        Self {
            states: TypeMap::default(),
            supervisors: RwLock::default(),
            on_error: RwLock::default(),
            fault: Mutex::default(),
            tells_errors: cfg!(debug_assertions),
            answers_unhandled: true,
            line_limits: LogLimits::new(),
            telemetry: Telemetry::default(),
            limit_hooks: LimitHooks::default(),
        }
    }
}

impl fmt::Debug for ServerContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerContext")
            .field("states", &self.states)
            .finish_non_exhaustive()
    }
}

/// The state shared by the handlers of one namespace.
pub(crate) struct NamespaceContext {
    pub(crate) server_context: Arc<ServerContext>,
    /// The name of the namespace, or the pattern of its namespaces, for metrics: a client cannot
    /// add values to it.
    pub(crate) label: Arc<str>,
    on_error: RwLock<Option<ErrorHook>>,
    /// `true` if it belongs to all namespaces together: its hook is that of the server_context.
    is_common: bool,
}

impl NamespaceContext {
    pub(crate) fn within(server_context: &Arc<ServerContext>, label: &str) -> Arc<Self> {
        Arc::new(Self {
            server_context: Arc::clone(server_context),
            label: label.into(),
            on_error: RwLock::default(),
            is_common: false,
        })
    }

    /// Makes the context of registrations for all namespaces.
    pub(crate) fn common(server_context: &Arc<ServerContext>) -> Arc<Self> {
        Arc::new(Self {
            server_context: Arc::clone(server_context),
            label: "".into(),
            on_error: RwLock::default(),
            is_common: true,
        })
    }

    pub(crate) fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.server_context.states.get()
    }

    /// Sets the error hook of this namespace.
    pub(crate) fn on_error(&self, hook: ErrorHook) {
        if self.is_common {
            self.server_context.on_error(hook);
        } else {
            *self.on_error.write() = Some(hook);
        }
    }

    /// Returns the error hook: that of the namespace, or that of the server.
    pub(crate) fn error_hook(&self) -> Option<ErrorHook> {
        let own = self.on_error.read().clone();
        own.or_else(|| self.server_context.on_error.read().clone())
    }

    pub(crate) fn report(&self, crashed: &Panicked) {
        self.server_context.report(crashed);
    }
}

impl fmt::Debug for NamespaceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamespaceContext")
            .field("server_context", &self.server_context)
            .finish_non_exhaustive()
    }
}
