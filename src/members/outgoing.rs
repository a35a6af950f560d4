//! The observers of a program's outgoing events.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use log::Level;
use parking_lot::RwLock;
use serde::Serialize;

use crate::id::SocketId;
use crate::logging::{LogKind, LogLimits, Quoted, cut, plain};
use crate::panics::catch_panic;
use crate::socketio::{Args, EventView};

/// An outgoing event before it is sent, the argument of
/// [`Namespace::on_any_outgoing`](crate::Namespace::on_any_outgoing).
///
/// # Examples
///
/// ```
/// use actix_socketio::{Namespace, OutgoingEvent};
///
/// fn watch(namespace: &Namespace) {
///     namespace.on_any_outgoing(|event: &OutgoingEvent<'_>| match event.recipient() {
///         Some(socket) => log::debug!("{} to {socket}", event.name()),
///         None => log::debug!("{} to many", event.name()),
///     });
/// }
/// ```
#[derive(Debug)]
pub struct OutgoingEvent<'a> {
    namespace: &'a str,
    view: EventView,
    recipient: Option<&'a SocketId>,
}

impl OutgoingEvent<'_> {
    /// Returns the namespace's name.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.namespace
    }

    /// Returns the recipient; `None` if there are many.
    #[must_use]
    pub fn recipient(&self) -> Option<SocketId> {
        self.recipient.cloned()
    }
}

impl Deref for OutgoingEvent<'_> {
    type Target = EventView;

    fn deref(&self) -> &EventView {
        &self.view
    }
}

/// The observers of a namespace's outgoing events.
#[derive(Default)]
pub(crate) struct Observers {
    all: RwLock<Vec<Observer>>,
    /// `true` if there are observers: checked before every event.
    any: AtomicBool,
    deliveries: RwLock<Vec<DeliveryObserver>>,
    /// `true` if there are observers of deliveries: checked before every event.
    delivered: AtomicBool,
}

/// Receives the name and the arguments of an event, and the recipients on this node.
pub(crate) type DeliveryObserver = Arc<dyn Fn(&str, &Args, &[SocketId]) + Send + Sync>;

pub(crate) type Observer = Arc<dyn Fn(&OutgoingEvent<'_>) + Send + Sync>;

impl Observers {
    pub(crate) fn add(&self, observer: Observer) {
        self.all.write().push(observer);
        self.any.store(true, Ordering::Release);
    }

    /// Adds an observer of the recipients of each event on this node, also of events of other nodes.
    #[cfg(feature = "admin")]
    pub(crate) fn add_of_deliveries(&self, observer: DeliveryObserver) {
        self.deliveries.write().push(observer);
        self.delivered.store(true, Ordering::Release);
    }

    /// Returns `true` if deliveries have observers.
    pub(crate) fn has_of_deliveries(&self) -> bool {
        cfg!(feature = "admin") && self.delivered.load(Ordering::Acquire)
    }

    /// Passes an event and its recipients to the observers of deliveries.
    pub(crate) fn show_delivery(&self, name: &str, args: &Args, recipients: &[SocketId]) {
        let observers = self.deliveries.read().clone();
        for observer in observers {
            observer(name, args, recipients);
        }
    }

    /// Passes an event that can be sent to the observers.
    pub(crate) fn show<T>(
        &self,
        namespace: &str,
        name: &str,
        data: &T,
        recipient: Option<&SocketId>,
    ) where
        T: Serialize + ?Sized,
    {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let observers = self.all.read().clone();
        // Code of the program, which must not prevent the event from being sent.
        let shown = catch_panic(|| {
            let Ok(args) = Args::from_value(data) else {
                return;
            };
            let event = OutgoingEvent {
                namespace,
                view: EventView::new(name, args),
                recipient,
            };
            for observer in &observers {
                observer(&event);
            }
        });
        if let Err(panic) = shown {
            let (name, namespace, panic) = (Quoted(name), plain(namespace), cut(panic));
            let line = format_args!(
                "`on_any_outgoing` panicked for event {name} in namespace {namespace}: {panic}"
            );
            LogLimits::of_process().write(LogKind::Panicked, Level::Error, line);
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers")
            .field("any", &self.any)
            .finish_non_exhaustive()
    }
}
