//! The registration of checks of events: rates and middleware, before any handler.
//!
//! A program's rates and functions enter; they leave as entries of the table.

use std::sync::Arc;

use crate::error::Rejection;
use crate::handler::call;
use crate::handler::{EventContext, Extract, Handler, Handlers, IncomingEvent};
use crate::limits::RateLimit;

/// Checks of events, before their handlers.
impl Handlers {
    /// Sets the rate of one event for each socket, in place of
    /// [`Builder::events_per_second`](crate::Builder::events_per_second), also if the event has no
    /// handler yet. The rate of a namespace replaces that of
    /// [`all_namespaces`](crate::SocketIo::all_namespaces).
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Data, Namespace, RateLimit, RatePolicy};
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace
    ///         .on("search", |Data(text): Data<String>| async move { text.len() })
    ///         .event_rate("search", RateLimit::new(5).policy(RatePolicy::Drop));
    /// }
    /// ```
    pub fn event_rate(&self, event: &str, rate: impl Into<RateLimit>) -> &Self {
        let rate = rate.into();
        self.table.change(|table| table.limit(event, rate));
        self
    }

    /// Calls `check` for every event before its handlers: it may read, change or refuse it. Several
    /// are called in the order of their registration, each with the result of the previous one.
    ///
    /// A refused event calls no handler and goes to [`on_error`](Self::on_error). Without it a
    /// client that expects an acknowledgement receives `{"error": …}` with the rejection's text. A
    /// check does not wait, because events are handled in order.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{IncomingEvent, Namespace, Rejection};
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace.event_middleware(|event: &mut IncomingEvent<'_>| match event.name() {
    ///         "admin" if !event.socket().rooms().contains(&"admins".to_owned()) => {
    ///             Err(Rejection::from("not for you"))
    ///         }
    ///         _ => Ok(()),
    ///     });
    /// }
    /// ```
    #[doc(alias = "use")]
    pub fn event_middleware<F>(&self, check: F) -> &Self
    where
        F: Fn(&mut IncomingEvent<'_>) -> Result<(), Rejection> + Send + Sync + 'static,
    {
        let check = Arc::new(check);
        self.table.change(|table| table.check(check));
        self
    }

    /// Calls an async function for every event before its handlers, and before those of
    /// [`event_middleware`](Self::event_middleware). It may wait, for example for a database, and
    /// `Err` refuses the event. It cannot change it. Its arguments are extractors.
    ///
    /// The order of a socket's events is kept: while one waits, the later ones of the same socket
    /// wait too, and all of them count for
    /// [`Builder::max_concurrent_handlers`](crate::Builder::max_concurrent_handlers). Other sockets
    /// do not wait. If the program disconnects the socket in the meantime, its waiting events are
    /// dropped. A panic is answered as that of a handler.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Event, Namespace, Rejection, Socket};
    ///
    /// async fn may(_user: &str, _event: &str) -> bool {
    ///     // For example a query of a database.
    ///     true
    /// }
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace.event_middleware_async(|socket: Socket, event: Event| async move {
    ///         match may(socket.id().as_str(), event.name()).await {
    ///             true => Ok(()),
    ///             false => Err(Rejection::from("not for you")),
    ///         }
    ///     });
    /// }
    /// ```
    pub fn event_middleware_async<H, A>(&self, check: H) -> &Self
    where
        H: Handler<A, Output = Result<(), Rejection>>,
        A: for<'a> Extract<EventContext<'a>> + 'static,
    {
        let check = call::check(check);
        self.table.change(|table| table.check_async(check));
        self
    }
}
