//! The handlers of one namespace, found by the event's name.
//!
//! The table is replaced as a whole when a handler is added; see
//! [`SharedTable`](super::SharedTable). The program's registrations enter, and a packet's event;
//! the calls leave, each with its panic caught.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use log::Level;

use crate::error::{ConnectError, INTERNAL};
use crate::handler::extract::{ConnectContext, DisconnectContext, EventContext};
use crate::handler::failure::panicked;
use crate::handler::kinds::{
    Admission, AsyncEventCheck, ConnectHandler, ConnectedHandler, EventCheck, EventHandler,
    LeaveHandler,
};
use crate::handler::received::Received;
use crate::handler::transit::IncomingEvent;
use crate::limits::RateLimit;
use crate::logging::TARGET_EVENT;
use crate::panics::catch_panic;
use crate::telemetry::EventTimer;

/// All handlers of one namespace.
#[derive(Clone, Default)]
pub(crate) struct Table {
    /// The handlers that accept or refuse a client: middleware first, then connect handlers.
    admission: Arc<Vec<ConnectHandler>>,
    /// The number of middleware among them.
    middleware: usize,
    checks: Vec<EventCheck>,
    async_checks: Vec<AsyncEventCheck>,
    any: Vec<EventHandler>,
    /// Handlers by event, sorted by the length of the name and then by the name.
    events: Vec<EventEntry>,
    fallback: Option<(EventHandler, EventTimer)>,
    /// The rates of events that have one of their own.
    rates: BTreeMap<Arc<str>, RateLimit>,
    /// Hooks of the Admin UI for sockets that have connected.
    connected: Vec<ConnectedHandler>,
    expiring: Vec<ConnectedHandler>,
    disconnecting: Vec<LeaveHandler>,
    disconnect: Vec<LeaveHandler>,
}

/// The handlers of one event.
#[derive(Clone)]
struct EventEntry {
    name: Arc<str>,
    handlers: Vec<EventHandler>,
    timer: EventTimer,
}

impl Table {
    /// Adds a handler after the existing ones of the event.
    pub(crate) fn on(&mut self, event: &str, handler: EventHandler) {
        match self.position(event) {
            Ok(at) => self.events[at].handlers.push(handler),
            Err(at) => {
                let name = event.into();
                let entry = EventEntry {
                    timer: EventTimer::new(&name),
                    handlers: vec![handler],
                    name,
                };
                self.events.insert(at, entry);
            }
        }
    }

    /// Removes the handlers of an event. Returns whether there were any.
    pub(crate) fn off(&mut self, event: &str) -> bool {
        let found = self.position(event);
        if let Ok(at) = found {
            self.events.remove(at);
        }
        found.is_ok()
    }

    pub(crate) fn on_any(&mut self, handler: EventHandler) {
        self.any.push(handler);
    }

    pub(crate) fn fallback(&mut self, handler: EventHandler) {
        // A client chooses the names of these events, so none is a label.
        let timer = EventTimer::new(&"(fallback)".into());
        self.fallback = Some((handler, timer));
    }

    pub(crate) fn limit(&mut self, event: &str, rate: RateLimit) {
        self.rates.insert(event.into(), rate);
    }

    /// Returns `true` if an event has a rate of its own.
    pub(crate) fn has_rates(&self) -> bool {
        !self.rates.is_empty()
    }

    pub(crate) fn rate_of(&self, event: &str) -> Option<RateLimit> {
        self.rates.get(event).copied()
    }

    pub(crate) fn check(&mut self, check: EventCheck) {
        self.checks.push(check);
    }

    pub(crate) fn check_async(&mut self, check: AsyncEventCheck) {
        self.async_checks.push(check);
    }

    /// Returns the checks that an event must have passed before it is dispatched.
    pub(crate) fn async_checks(&self) -> &[AsyncEventCheck] {
        &self.async_checks
    }

    pub(crate) fn middleware(&mut self, handler: ConnectHandler) {
        Arc::make_mut(&mut self.admission).insert(self.middleware, handler);
        self.middleware += 1;
    }

    pub(crate) fn on_connect(&mut self, handler: ConnectHandler) {
        Arc::make_mut(&mut self.admission).push(handler);
    }

    #[cfg(feature = "admin")]
    pub(crate) fn on_connected(&mut self, hook: ConnectedHandler) {
        self.connected.push(hook);
    }

    pub(crate) fn on_expiring(&mut self, handler: ConnectedHandler) {
        self.expiring.push(handler);
    }

    pub(crate) fn on_disconnecting(&mut self, handler: LeaveHandler) {
        self.disconnecting.push(handler);
    }

    pub(crate) fn on_disconnect(&mut self, handler: LeaveHandler) {
        self.disconnect.push(handler);
    }

    /// Returns `true` if nothing is registered.
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            admission,
            middleware: _,
            checks,
            async_checks,
            any,
            events,
            fallback,
            rates,
            connected,
            expiring,
            disconnecting,
            disconnect,
        } = self;
        admission.is_empty()
            && checks.is_empty()
            && async_checks.is_empty()
            && any.is_empty()
            && events.is_empty()
            && fallback.is_none()
            && rates.is_empty()
            && connected.is_empty()
            && expiring.is_empty()
            && disconnecting.is_empty()
            && disconnect.is_empty()
    }

    /// Returns this table with the registrations for all namespaces. Checks of a client or of an
    /// event are run for all namespaces first; an event's handlers of the namespace are called
    /// first, and answer.
    pub(crate) fn with(&self, common: &Self) -> Self {
        let (mut middleware, mut connect) = (Vec::new(), Vec::new());
        for table in [common, self] {
            let (first, then) = table.admission.split_at(table.middleware);
            middleware.extend_from_slice(first);
            connect.extend_from_slice(then);
        }
        let mut table = Self {
            middleware: middleware.len(),
            admission: Arc::new([middleware, connect].concat()),
            checks: [&common.checks[..], &self.checks].concat(),
            async_checks: [&common.async_checks[..], &self.async_checks].concat(),
            any: [&common.any[..], &self.any].concat(),
            events: self.events.clone(),
            rates: common.rates.clone(),
            fallback: self.fallback.clone().or_else(|| common.fallback.clone()),
            connected: [&self.connected[..], &common.connected].concat(),
            expiring: [&self.expiring[..], &common.expiring].concat(),
            disconnecting: [&self.disconnecting[..], &common.disconnecting].concat(),
            disconnect: [&self.disconnect[..], &common.disconnect].concat(),
        };
        for (event, rate) in &self.rates {
            table.rates.insert(Arc::clone(event), *rate);
        }
        for entry in &common.events {
            for handler in &entry.handlers {
                table.on(&entry.name, Arc::clone(handler));
            }
        }
        table
    }

    /// Calls the event's handlers in order; an event without a handler is answered with an error.
    pub(crate) fn dispatch(&self, received: &Received<'_>) {
        let (scope, received) = received.in_span();
        scope.within(|| self.check_and_deliver(&received));
    }

    fn check_and_deliver(&self, received: &Received<'_>) {
        if log::log_enabled!(target: TARGET_EVENT, Level::Debug) {
            received.log();
        }
        if self.checks.is_empty() {
            return self.deliver(received);
        }
        let mut event = IncomingEvent::new(received);
        for check in &self.checks {
            let reply = || received.incoming(&received.name.into(), None).take_reply();
            match catch_panic(|| check(&mut event)) {
                Ok(Ok(())) => {}
                Ok(Err(rejection)) => return reply().reject(rejection),
                Err(panic) => return reply().panicked(panic),
            }
        }
        self.deliver(&event.outcome(received));
    }

    /// Calls the program's checks of a connecting client; without any the client is accepted.
    pub(crate) fn admit(&self, connecting: &ConnectContext<'_>, admission: Admission) {
        let resumed = connecting.socket.state().resumed();
        let skips = resumed.is_some_and(|resumed| resumed.skips_middleware);
        let first = if skips { self.middleware } else { 0 };
        let handlers = Admitting {
            handlers: Arc::clone(&self.admission),
            middleware: self.middleware,
        };
        handlers.ask_from(first, connecting, admission);
    }

    /// Calls the hooks for a socket that has connected.
    pub(crate) fn connected(&self, connected: &ConnectContext<'_>) {
        tell_connected(&self.connected, "connected", connected);
    }

    /// Returns `true` if the program has handlers for the warning of a login that ends.
    pub(crate) fn hears_expiring(&self) -> bool {
        !self.expiring.is_empty()
    }

    /// Notifies the program that a client was warned of the end of its login.
    pub(crate) fn expiring(&self, connected: &ConnectContext<'_>) {
        tell_connected(&self.expiring, "expiring", connected);
    }

    /// Notifies the program that a socket is disconnecting, while it is still in its rooms.
    pub(crate) fn disconnecting(&self, leaving: &DisconnectContext<'_>) {
        tell(&self.disconnecting, "disconnecting", leaving);
    }

    /// Notifies the program that a socket has disconnected.
    pub(crate) fn disconnected(&self, leaving: &DisconnectContext<'_>) {
        tell(&self.disconnect, "disconnect", leaving);
    }

    fn deliver(&self, received: &Received<'_>) {
        if !self.any.is_empty() {
            let unanswered = Received {
                id: None,
                ..*received
            };
            call_all(&self.any, &unanswered.incoming(&received.name.into(), None));
        }
        match (self.position(received.name), &self.fallback) {
            (Ok(at), _) => {
                let entry = &self.events[at];
                let incoming = received.incoming(&entry.name, Some(&entry.timer));
                call_all(&entry.handlers, &incoming);
            }
            (Err(_), Some((fallback, timer))) => {
                call(
                    fallback,
                    &received.incoming(&received.name.into(), Some(timer)),
                );
            }
            (Err(_), None) => {
                let name = received.name.into();
                received.incoming(&name, None).take_reply().unhandled();
            }
        }
    }

    fn position(&self, event: &str) -> Result<usize, usize> {
        // By length first: names are compared by bytes only if their lengths are equal, which is
        // rare.
        self.events.binary_search_by(|entry| {
            let by_length = entry.name.len().cmp(&event.len());
            by_length.then_with(|| entry.name.as_ref().cmp(event))
        })
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.events.iter().map(|entry| &entry.name);
        f.debug_list().entries(names).finish()
    }
}

/// Calls one handler after another. The first one takes the right to answer.
fn call_all(handlers: &[EventHandler], incoming: &EventContext<'_>) {
    for handler in handlers {
        call(handler, incoming);
    }
}

fn call(handler: &EventHandler, incoming: &EventContext<'_>) {
    // An extractor may run code of the program, such as a `Deserialize`.
    if let Err(panic) = catch_panic(|| handler(incoming)) {
        incoming.take_reply().panicked(panic);
    }
}

/// The handlers that are called for one client.
struct Admitting {
    handlers: Arc<Vec<ConnectHandler>>,
    /// The number of middleware among them.
    middleware: usize,
}

impl Admitting {
    /// Calls the handlers from `at` on, each after the previous one has accepted.
    fn ask_from(self, at: usize, connecting: &ConnectContext<'_>, admission: Admission) {
        let Some(handler) = self.handlers.get(at).cloned() else {
            return admission(Ok(()));
        };
        if at == self.middleware {
            // As on Node.js: the socket is in its namespace after middleware has accepted it, so
            // its connect handlers may find it there and send to it.
            let socket = connecting.socket;
            socket.membership().appear(socket.state());
        }
        let next = if at + 1 == self.handlers.len() {
            admission
        } else {
            let (socket, context) = (connecting.socket.clone(), connecting.context.clone());
            Box::new(move |outcome: Result<(), ConnectError>| match outcome {
                Ok(()) => {
                    let connecting = ConnectContext {
                        socket: &socket,
                        context: &context,
                    };
                    self.ask_from(at + 1, &connecting, admission);
                }
                Err(error) => admission(Err(error)),
            })
        };
        if let Err(panic) = catch_panic(|| handler(connecting, next)) {
            panicked(connecting.context, connecting.socket, "connect", panic);
            connecting.socket.refuse(&INTERNAL.into());
        }
    }
}

fn tell_connected(handlers: &[ConnectedHandler], event: &str, connected: &ConnectContext<'_>) {
    for handler in handlers {
        if let Err(panic) = catch_panic(|| handler(connected)) {
            panicked(connected.context, connected.socket, event, panic);
        }
    }
}

fn tell(handlers: &[LeaveHandler], event: &str, leaving: &DisconnectContext<'_>) {
    for handler in handlers {
        if let Err(panic) = catch_panic(|| handler(leaving)) {
            panicked(leaving.context, leaving.socket, event, panic);
        }
    }
}
