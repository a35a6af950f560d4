//! Objects whose methods are a namespace's handlers.

use std::fmt;
use std::sync::Arc;

use crate::handler::{
    Bound, ConnectContext, ConnectOutcome, DisconnectContext, EventContext, EventOutcome, Extract,
    Handlers, LeaveOutcome, Method,
};

/// An object whose methods are the handlers of a namespace; its fields are their shared state.
///
/// [`Handlers::register`] registers it. A method's first argument is the object, `self: Arc<Self>`;
/// the others are extractors.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use actix_socketio::{Data, Registrar, NamespaceHandlers, Socket, SocketIo};
///
/// #[derive(Default)]
/// struct Counter { total: AtomicU64 }
///
/// impl Counter {
///     async fn enter(self: Arc<Self>, socket: Socket) {
///         log::info!("{} sees {}", socket.id(), self.total.load(Ordering::Relaxed));
///     }
///
///     async fn add(self: Arc<Self>, Data(n): Data<u64>) -> u64 {
///         self.total.fetch_add(n, Ordering::Relaxed) + n
///     }
/// }
///
/// impl NamespaceHandlers for Counter {
///     fn register(methods: &Registrar<'_, Self>) {
///         methods.on_connect(Self::enter).on("add", Self::add);
///     }
/// }
///
/// fn register(io: &SocketIo) {
///     io.of("/counter").register(Counter::default());
/// }
/// ```
pub trait NamespaceHandlers: Send + Sync + Sized + 'static {
    /// Names the methods, and the events that they handle.
    fn register(methods: &Registrar<'_, Self>);
}

/// Registers an object's methods; the rules are those of the methods of [`Handlers`] with the same
/// names.
pub struct Registrar<'a, T> {
    handlers: &'a Handlers,
    object: &'a Arc<T>,
}

impl Handlers {
    /// Registers the methods of an object as handlers, and returns the object; see
    /// [`NamespaceHandlers`].
    pub fn register<T: NamespaceHandlers>(&self, object: T) -> Arc<T> {
        let object = Arc::new(object);
        T::register(&Registrar {
            handlers: self,
            object: &object,
        });
        object
    }
}

impl<T: Send + Sync + 'static> Registrar<'_, T> {
    /// Calls the method for an event.
    pub fn on<M, A>(&self, event: &str, method: M) -> &Self
    where
        M: Method<T, A>,
        M::Output: EventOutcome,
        A: for<'c> Extract<EventContext<'c>> + 'static,
    {
        self.handlers.on(event, self.bound(method));
        self
    }

    /// Calls the method for every event, before its own handlers.
    pub fn on_any<M, A>(&self, method: M) -> &Self
    where
        M: Method<T, A>,
        M::Output: EventOutcome,
        A: for<'c> Extract<EventContext<'c>> + 'static,
    {
        self.handlers.on_any(self.bound(method));
        self
    }

    /// Calls the method for every event that has no handler of its own.
    pub fn fallback<M, A>(&self, method: M) -> &Self
    where
        M: Method<T, A>,
        M::Output: EventOutcome,
        A: for<'c> Extract<EventContext<'c>> + 'static,
    {
        self.handlers.fallback(self.bound(method));
        self
    }

    /// Calls the method to accept or refuse a connecting client.
    pub fn on_connect<M, A>(&self, method: M) -> &Self
    where
        M: Method<T, A>,
        M::Output: ConnectOutcome,
        A: for<'c> Extract<ConnectContext<'c>> + 'static,
    {
        self.handlers.on_connect(self.bound(method));
        self
    }

    /// Calls the method when a client has been warned that its login ends.
    pub fn on_expiring<M, A>(&self, method: M) -> &Self
    where
        M: Method<T, A>,
        M::Output: LeaveOutcome,
        A: for<'c> Extract<ConnectContext<'c>> + 'static,
    {
        self.handlers.on_expiring(self.bound(method));
        self
    }

    /// Calls the method while a client disconnects and is still in its rooms.
    pub fn on_disconnecting<M, A>(&self, method: M) -> &Self
    where
        M: Method<T, A>,
        M::Output: LeaveOutcome,
        A: for<'c> Extract<DisconnectContext<'c>> + 'static,
    {
        self.handlers.on_disconnecting(self.bound(method));
        self
    }

    /// Calls the method after a client has disconnected.
    pub fn on_disconnect<M, A>(&self, method: M) -> &Self
    where
        M: Method<T, A>,
        M::Output: LeaveOutcome,
        A: for<'c> Extract<DisconnectContext<'c>> + 'static,
    {
        self.handlers.on_disconnect(self.bound(method));
        self
    }

    fn bound<M>(&self, method: M) -> Bound<T, M> {
        Bound {
            object: Arc::clone(self.object),
            method,
        }
    }
}

impl<T> fmt::Debug for Registrar<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registrar").finish_non_exhaustive()
    }
}
