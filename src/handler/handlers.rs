//! The registration of handlers, and the table that holds them.
//!
//! A program's functions enter, by the handle of a namespace, of a pattern, or of all namespaces.
//! They leave as entries of a shared table, which the sockets read.

use std::fmt;
use std::sync::Arc;

use actix::Recipient;

use crate::handler::call;
use crate::handler::{
    ConnectContext, ConnectOutcome, DisconnectContext, ErrorAnswer, Event, EventContext,
    EventOutcome, Extract, Failure, Handler, LeaveOutcome, NamespaceContext, ServerContext,
    SharedTable,
};
use crate::members::RoomKinds;

/// The handlers of a namespace, of the namespaces of a pattern, or of all namespaces.
///
/// [`Namespace`](crate::Namespace), [`NamespacePattern`](crate::NamespacePattern) and
/// [`AllNamespaces`](crate::AllNamespaces) deref to it, so these methods are theirs. Each method
/// that registers a handler returns the `Handlers` again, for the next one. Handlers may be added
/// while clients are connected.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Data, Handlers, SocketIo};
///
/// /// Several namespaces have these handlers.
/// fn arithmetic(handlers: &Handlers) {
///     handlers
///         .on("add", |Data((a, b)): Data<(i64, i64)>| async move { a + b })
///         .on("negate", |Data(a): Data<i64>| async move { -a });
/// }
///
/// fn register(io: &SocketIo) {
///     arithmetic(&io.of("/chat"));
///     arithmetic(&io.of("/game"));
/// }
/// ```
#[derive(Clone)]
pub struct Handlers {
    pub(crate) table: Arc<SharedTable>,
    pub(crate) context: Arc<NamespaceContext>,
    /// The rooms that have an actor of the program.
    pub(crate) rooms: Arc<RoomKinds>,
}

impl Handlers {
    /// Makes the handlers for all namespaces.
    pub(crate) fn common(server_context: &Arc<ServerContext>) -> Self {
        Self {
            table: Arc::default(),
            context: NamespaceContext::common(server_context),
            rooms: Arc::default(),
        }
    }

    /// Makes the handlers of one namespace or pattern, to which those for all are added. `label` is
    /// its name or pattern.
    pub(crate) fn following(common: &Self, label: &str) -> Self {
        Self {
            table: SharedTable::following(&common.table),
            context: NamespaceContext::within(&common.context.server_context, label),
            rooms: Arc::default(),
        }
    }

    /// Calls `handler` for an event. Its return value is the acknowledgement, if the client expects
    /// one: a tuple is sent as that many arguments, `()` as none, any other type as one. An `Err`
    /// and a panic go to [`on_error`](Self::on_error); without it they are sent as `{"error": …}`.
    ///
    /// Handlers of one socket start in the order of its events. Arguments are extractors:
    /// [`Socket`](crate::Socket), [`Data<T>`](crate::Data), [`Auth<T>`](crate::Auth),
    /// [`Event`](crate::Event), [`Ack`](crate::Ack), [`State<T>`](crate::State),
    /// [`Params<T>`](crate::Params), [`SocketIo`](crate::SocketIo),
    /// [`Namespace`](crate::Namespace). An event may have several handlers: they start in the order
    /// of their registration, and the first one answers. Handlers may be added while clients are
    /// connected. An event without a handler is acknowledged with an error.
    ///
    /// A handler that waits after its client has disconnected is dropped after
    /// [`handler_grace`](crate::Builder::handler_grace). A handler with a loop also waits for
    /// [`Socket::closed`](crate::Socket::closed), or starts the loop by
    /// [`Socket::spawn`](crate::Socket::spawn): a task of a socket ends with it, and does not count
    /// as a handler in flight.
    ///
    /// A name that Socket.IO reserves, such as `connect`, is refused: an error in the log names the
    /// replacement, and [`AppServer::bind`](crate::AppServer::bind) fails with it.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Data, EmitError, Namespace, Socket};
    ///
    /// async fn message(socket: Socket, Data(text): Data<String>) -> Result<(), EmitError> {
    ///     socket.to("lobby").emit("message", text).await
    /// }
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace
    ///         .on("message", message)
    ///         .on("add", |Data((a, b)): Data<(i64, i64)>| async move { a + b });
    /// }
    /// ```
    ///
    /// A loop that ends with its client:
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use actix_socketio::{EmitError, Socket};
    ///
    /// async fn watch(socket: Socket) -> Result<(), EmitError> {
    ///     loop {
    ///         tokio::select! {
    ///             () = socket.closed() => return Ok(()),
    ///             () = tokio::time::sleep(Duration::from_secs(1)) => {}
    ///         }
    ///         socket.emit("tick", ()).await?;
    ///     }
    /// }
    /// ```
    pub fn on<H, A>(&self, event: &str, handler: H) -> &Self
    where
        H: Handler<A>,
        H::Output: EventOutcome,
        A: for<'a> Extract<EventContext<'a>> + 'static,
    {
        if self.context.server_context.admits(event) {
            let handler = call::on_event(handler);
            self.table.change(|table| table.on(event, handler));
        }
        self
    }

    /// Removes all handlers of an event. Returns whether there were any. Calls in flight are
    /// finished.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[actix_web::main] async fn main() -> Result<(), actix_socketio::StartError> {
    /// let io = actix_socketio::SocketIo::builder().start()?;
    /// io.of("/").on("now", || async { "late" });
    /// assert!(io.of("/").off("now"));
    /// assert!(!io.of("/").off("now"));
    /// # Ok(()) }
    /// ```
    pub fn off(&self, event: &str) -> bool {
        self.table.change(|table| table.off(event))
    }

    /// Calls `handler` for every event, before its own handlers. Its return value is not sent; an
    /// `Err` goes to [`on_error`](Self::on_error). Several are called in the order of their
    /// registration.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Event, Namespace};
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace.on_any(|event: Event| async move { log::debug!("{}", event.name()) });
    /// }
    /// ```
    pub fn on_any<H, A>(&self, handler: H) -> &Self
    where
        H: Handler<A>,
        H::Output: EventOutcome,
        A: for<'a> Extract<EventContext<'a>> + 'static,
    {
        let handler = call::on_event(handler);
        self.table.change(|table| table.on_any(handler));
        self
    }

    /// Calls `handler` for every event without a handler of its own; its return value is the
    /// acknowledgement. A second one replaces the first.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Event, Namespace};
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace.fallback(|event: Event| async move { format!("what is {}?", event.name()) });
    /// }
    /// ```
    pub fn fallback<H, A>(&self, handler: H) -> &Self
    where
        H: Handler<A>,
        H::Output: EventOutcome,
        A: for<'a> Extract<EventContext<'a>> + 'static,
    {
        let handler = call::on_event(handler);
        self.table.change(|table| table.fallback(handler));
        self
    }

    /// Makes an actor a handler of an event. It receives each as an [`Event`](crate::Event), and
    /// may answer if it is the event's first handler.
    ///
    /// Events that the actor has not handled yet count as handlers in flight, for up to the
    /// server's `ack_timeout`, so that a client cannot fill its mailbox without limit. If the actor
    /// has ended, or drops the event without an answer, the client receives `{"error": …}`.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix::{Actor, Addr, Context, Handler};
    /// use actix_socketio::{Event, Namespace};
    ///
    /// struct Counter(u64);
    ///
    /// impl Actor for Counter {
    ///     type Context = Context<Self>;
    /// }
    ///
    /// impl Handler<Event> for Counter {
    ///     type Result = ();
    ///
    ///     fn handle(&mut self, mut event: Event, _: &mut Self::Context) {
    ///         self.0 += 1;
    ///         if let Some(ack) = event.take_ack() {
    ///             ack.send(self.0);
    ///         }
    ///     }
    /// }
    ///
    /// fn register(namespace: &Namespace, counter: Addr<Counter>) {
    ///     namespace.forward("count", counter.recipient());
    /// }
    /// ```
    pub fn forward(&self, event: &str, actor: Recipient<Event>) -> &Self {
        if self.context.server_context.admits(event) {
            let handler = call::forward(actor);
            self.table.change(|table| table.on(event, handler));
        }
        self
    }

    /// Calls `handler` before the connect handlers, to accept or refuse a client; `Err` refuses it,
    /// with the error's message and data. Several are called in the order of their registration,
    /// each after the previous one has accepted. Arguments are those of
    /// [`on_connect`](Self::on_connect).
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Auth, ConnectError, Namespace};
    /// use serde_json::json;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Login { token: Option<String> }
    ///
    /// async fn known(Auth(login): Auth<Login>) -> Result<(), ConnectError> {
    ///     match login.token {
    ///         Some(_) => Ok(()),
    ///         None => Err(ConnectError::new("log in first").with_data(json!({ "code": 401 }))),
    ///     }
    /// }
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace.middleware(known);
    /// }
    /// ```
    #[doc(alias = "use")]
    pub fn middleware<H, A>(&self, handler: H) -> &Self
    where
        H: Handler<A>,
        H::Output: ConnectOutcome,
        A: for<'a> Extract<ConnectContext<'a>> + 'static,
    {
        let handler = call::on_connect(handler);
        self.table.change(|table| table.middleware(handler));
        self
    }

    /// Calls `handler` when a client connects; `Err` refuses it, with the error's message and data.
    ///
    /// The client receives its CONNECT packet after the handler has accepted it. Earlier emits to
    /// it follow that packet, and its earlier events wait. Arguments are extractors:
    /// [`Socket`](crate::Socket), [`Auth<T>`](crate::Auth), [`State<T>`](crate::State),
    /// [`Params<T>`](crate::Params), [`SocketIo`](crate::SocketIo),
    /// [`Namespace`](crate::Namespace). An argument of the wrong type refuses the client too, and
    /// so does a panic. Several handlers are called one after another. Without a handler every
    /// client is accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Auth, ConnectError, Namespace, Socket};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Login {
    ///     token: String,
    /// }
    ///
    /// async fn enter(socket: Socket, Auth(login): Auth<Login>) -> Result<(), ConnectError> {
    ///     if login.token != "secret" {
    ///         return Err("not authorized".into());
    ///     }
    ///     socket.join("lobby").await.map_err(|error| error.to_string())?;
    ///     Ok(())
    /// }
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace.on_connect(enter);
    /// }
    /// ```
    pub fn on_connect<H, A>(&self, handler: H) -> &Self
    where
        H: Handler<A>,
        H::Output: ConnectOutcome,
        A: for<'a> Extract<ConnectContext<'a>> + 'static,
    {
        let handler = call::on_connect(handler);
        self.table.change(|table| table.on_connect(handler));
        self
    }

    /// Calls `handler` while an accepted client disconnects and is still in its rooms. The client
    /// leaves them at the handler's first wait, or at its end. Arguments are those of
    /// [`on_disconnect`](Self::on_disconnect).
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{EmitError, Namespace, Socket};
    ///
    /// async fn leaving(socket: Socket) -> Result<(), EmitError> {
    ///     for room in socket.rooms() {
    ///         socket.to(room).emit("left", socket.id()).await?;
    ///     }
    ///     Ok(())
    /// }
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace.on_disconnecting(leaving);
    /// }
    /// ```
    pub fn on_disconnecting<H, A>(&self, handler: H) -> &Self
    where
        H: Handler<A>,
        H::Output: LeaveOutcome,
        A: for<'a> Extract<DisconnectContext<'a>> + 'static,
    {
        let handler = call::on_leave("disconnecting", handler);
        self.table.change(|table| table.on_disconnecting(handler));
        self
    }

    /// Calls `handler` after an accepted client has disconnected and left its rooms. Arguments are
    /// extractors: [`Socket`](crate::Socket), [`DisconnectReason`](crate::DisconnectReason),
    /// [`Auth<T>`](crate::Auth), [`State<T>`](crate::State), [`Params<T>`](crate::Params),
    /// [`SocketIo`](crate::SocketIo), [`Namespace`](crate::Namespace). Events can no longer be sent
    /// to the socket. Several are called in the order of their registration.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{DisconnectReason, Namespace, Socket};
    ///
    /// async fn left(socket: Socket, reason: DisconnectReason) {
    ///     log::info!("{} left: {reason}", socket.id());
    /// }
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace.on_disconnect(left);
    /// }
    /// ```
    pub fn on_disconnect<H, A>(&self, handler: H) -> &Self
    where
        H: Handler<A>,
        H::Output: LeaveOutcome,
        A: for<'a> Extract<DisconnectContext<'a>> + 'static,
    {
        let handler = call::on_leave("disconnect", handler);
        self.table.change(|table| table.on_disconnect(handler));
        self
    }

    /// Calls `handler` when a client has been warned that its login ends
    /// ([`Socket::expires_at`](crate::Socket::expires_at)). It may renew the login, for example
    /// after it has called the client. Arguments are the extractors of connect handlers. Several
    /// are called in the order of their registration. An `Err` is sent to
    /// [`on_error`](Self::on_error) as a failure of `expiring`, and the login ends in time.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// use actix_socketio::{CallError, Namespace, Socket};
    ///
    /// async fn renew(socket: Socket) -> Result<(), CallError> {
    ///     let is_present: bool = socket.call("are you there", ()).await?;
    ///     if is_present {
    ///         socket.expires_at(SystemTime::now() + Duration::from_secs(3600));
    ///     }
    ///     Ok(())
    /// }
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace.on_expiring(renew);
    /// }
    /// ```
    pub fn on_expiring<H, A>(&self, handler: H) -> &Self
    where
        H: Handler<A>,
        H::Output: LeaveOutcome,
        A: for<'a> Extract<ConnectContext<'a>> + 'static,
    {
        let handler = call::on_expiring(handler);
        self.table.change(|table| table.on_expiring(handler));
        self
    }

    /// Calls `hook` for every failure of a handler here: an `Err`, a panic, arguments of the wrong
    /// type, a refused event. The hook's return value is the acknowledgement; with `None` the
    /// client receives `{"error": …}` by the rule of
    /// [`Builder::error_details`](crate::Builder::error_details). A second hook replaces the first.
    /// A refused client stays refused, whatever the hook returns. With
    /// [`ErrorAnswer::Nothing`](crate::ErrorAnswer::Nothing) no acknowledgement is sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Failure, Namespace};
    /// use serde_json::json;
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace.on_error(|failure: &Failure<'_>| {
    ///         log::warn!("{failure}");
    ///         Some(json!({ "ok": false }))
    ///     });
    /// }
    /// ```
    pub fn on_error<F, R>(&self, hook: F) -> &Self
    where
        F: Fn(&Failure<'_>) -> R + Send + Sync + 'static,
        R: Into<ErrorAnswer>,
    {
        let hook = move |failure: &Failure<'_>| hook(failure).into();
        self.context.on_error(Arc::new(hook));
        self
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers").finish_non_exhaustive()
    }
}
