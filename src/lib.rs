//! A Socket.IO server for [Actix](https://actix.rs): handlers are plain async functions, and
//! sessions, rooms, namespaces and the server itself are supervised actors.
//!
//! The server is mounted in any actix-web App. The App runs on a server of this crate, which owns
//! the WebSockets, or on any `HttpServer`. The server uses the current protocol, Socket.IO 5 over
//! Engine.IO 4, by HTTP long-polling and WebSocket. Clients are `socket.io-client` from version 3
//! on, python-socketio from version 5 on, and all others with this protocol.
//!
//! ```no_run
//! use actix_socketio::{Auth, ConnectError, Data, EmitError, Socket, SocketIo};
//! use actix_web::{App, web};
//!
//! #[derive(serde::Deserialize)]
//! struct Login {
//!     token: Option<String>,
//! }
//!
//! async fn enter(socket: Socket, Auth(login): Auth<Login>) -> Result<(), ConnectError> {
//!     if login.token.as_deref() != Some("secret") {
//!         return Err("not authorized".into());
//!     }
//!     socket.join("lobby").await.map_err(|error| error.to_string())?;
//!     Ok(())
//! }
//!
//! async fn message(socket: Socket, Data(text): Data<String>) -> Result<(), EmitError> {
//!     socket.to("lobby").emit("message", text).await
//! }
//!
//! #[actix_web::main]
//! async fn main() -> std::io::Result<()> {
//!     let io = SocketIo::builder().start()?;
//!     io.of("/")
//!         .on_connect(enter)
//!         .on("message", message)
//!         // The return value is the acknowledgement.
//!         .on("add", |Data((a, b)): Data<(i64, i64)>| async move { a + b });
//!
//!     let app = || App::new().route("/", web::get().to(|| async { "the program's own page" }));
//!     io.serve(app).bind(("127.0.0.1", 3000))?.run().await
//! }
//! ```
//!
//! # Handlers
//!
//! A handler is an async function. Its arguments are extractors, as in actix-web: [`Socket`],
//! [`Data`], [`Auth`], [`State`], [`Event`], [`Ack`], [`Handshake`], [`Session`] and others, or one
//! of the program ([`Extract`]). If an extractor fails, the handler is not called and the client
//! gets an error.
//!
//! ```
//! use actix_socketio::{Data, Event, Namespace, Socket, State};
//!
//! struct Motd(String);
//!
//! fn register(chat: &Namespace) {
//!     chat.on("motd", |motd: State<Motd>| async move { motd.0.clone() })
//!         .on("move", |socket: Socket, Data((x, y)): Data<(f64, f64)>| async move {
//!             socket.broadcast().emit("move", (x, y)).await
//!         })
//!         // All events that have no handler of their own.
//!         .fallback(|event: Event| async move { format!("no event {:?}", event.name()) });
//! }
//! ```
//!
//! # Acknowledgements and errors
//!
//! The return value of a handler is the acknowledgement: `()` is an empty one, a tuple has several
//! arguments, any other value is one argument. An `Err` is acknowledged as `{"error": text}`;
//! [`Handlers::on_error`] receives each failure and may replace the answer. A panic ends only its
//! own event.
//!
//! ```
//! use actix_socketio::{Ack, Data, HandlerError};
//!
//! async fn divide(Data((a, b)): Data<(i64, i64)>) -> Result<i64, HandlerError> {
//!     a.checked_div(b).ok_or_else(|| HandlerError::new("division by zero"))
//! }
//!
//! /// Acknowledges before it ends.
//! async fn long(ack: Ack) {
//!     ack.send("begun");
//! }
//! ```
//!
//! # Rooms and broadcasts
//!
//! A socket joins rooms, and is in the room of its own id. A broadcast names its recipients by
//! `to`, `except` and `broadcast`, in any order, and is encoded once. `socket.to(room)` excludes
//! the sender; `io.to(room)` includes all members.
//!
//! ```
//! use actix_socketio::{Data, EmitError, RoomError, Socket, SocketIo};
//!
//! async fn enter(socket: Socket, Data(room): Data<String>) -> Result<(), RoomError> {
//!     socket.join(room).await
//! }
//!
//! async fn news(io: SocketIo) -> Result<(), EmitError> {
//!     io.to(["lobby", "hall"]).except("quiet").emit("news", "hello").await
//! }
//! ```
//!
//! # Ask a client
//!
//! `call` sends an event to one client and returns its acknowledgement; `emit_with_ack` sends it to
//! all recipients of a broadcast and returns a stream of acknowledgements.
//!
//! ```
//! use std::time::Duration;
//!
//! use actix_socketio::{CallError, Socket};
//!
//! async fn ask(socket: Socket) -> Result<u32, CallError> {
//!     let age = socket.call("age", ()).await?;
//!     let votes = socket.everyone().timeout(Duration::from_secs(5));
//!     let votes = votes.emit_with_ack::<bool>("vote", age).await?.collect().await;
//!     println!("{} clients answered, {} did not", votes.answers.len(), votes.missing.len());
//!     Ok(age)
//! }
//! ```
//!
//! # Namespaces
//!
//! Handlers belong to a namespace, or to all namespaces whose names match a pattern. Clients cannot
//! connect to a namespace that the program does not name.
//!
//! ```
//! use actix_socketio::{Params, PatternError, SocketIo};
//!
//! #[derive(serde::Deserialize)]
//! struct Shop {
//!     id: u32,
//! }
//!
//! fn register(io: &SocketIo) -> Result<(), PatternError> {
//!     io.of("/admin").on("who", || async { "admin" });
//!     io.of_pattern("/shop-{id}")?
//!         .remove_when_empty()
//!         .on("which", |Params(shop): Params<Shop>| async move { shop.id });
//!     Ok(())
//! }
//! ```
//!
//! # Values of a client
//!
//! [`Socket::insert_extension`] keeps a value of any type on this node; the extractor [`Extension`]
//! returns it. A [`Session`] has values by key, which other nodes see and which recovery keeps.
//!
//! ```
//! use actix_socketio::{Auth, Extension, Session, SessionError, Socket};
//!
//! struct User(String);
//!
//! async fn enter(socket: Socket, session: Session, Auth(name): Auth<String>)
//! -> Result<(), SessionError> {
//!     session.insert("name", &name)?;
//!     socket.insert_extension(User(name));
//!     Ok(())
//! }
//!
//! async fn whoami(user: Extension<User>) -> String {
//!     user.0.clone()
//! }
//! ```
//!
//! # Actors
//!
//! Sessions, rooms, namespaces and the server are actors. Actors of the program send them messages,
//! receive events by [`Handlers::forward`], and receive panics by [`SocketIo::supervise`].
//!
//! ```
//! use actix::{Actor, Addr, Context, Handler};
//! use actix_socketio::{Emit, Event, Server, SocketIo};
//!
//! struct Auction {
//!     server: Addr<Server>,
//! }
//!
//! impl Actor for Auction {
//!     type Context = Context<Self>;
//! }
//!
//! impl Handler<Event> for Auction {
//!     type Result = ();
//!
//!     fn handle(&mut self, bid: Event, _: &mut Self::Context) {
//!         self.server.do_send(Emit::event("bid", bid.into_args()).to("auction"));
//!     }
//! }
//!
//! fn register(io: &SocketIo) {
//!     let auction = Auction { server: io.server() }.start();
//!     io.of("/").forward("bid", auction.recipient());
//! }
//! ```
//!
//! # WebTransport
//!
//! With the feature `webtransport`, `AppServer::webtransport` adds sessions over HTTP/3 to a server of
//! [`SocketIo::serve`], on a UDP port. Clients open them, or upgrade to them from polling.
//!
//! # Tests
//!
//! With the feature `testing`, `testing::TestClient` is a client in memory: no port, no browser,
//! and a clock that may be paused.
//!
//! # Clusters
//!
//! With the feature `redis`, `Builder::adapter` makes several servers one cluster, also with
//! servers on Node.js and in Python. An `Emitter` sends from a process that is not a server.
//!
//! # Order
//!
//! * Handlers of one socket start in the order of its events.
//! * Events that one task emits to a socket arrive in the order of the emits, including broadcasts;
//!   the CONNECT packet is first.
//! * After [`Socket::join`] has returned, the next emit to the room reaches the socket.
//!
//! The exact guarantees, with their limits and defaults, are in the repository's
//! `docs/semantics.md`; the structure of the crate is in its `ARCHITECTURE.md`.
//!
//! # Index
//!
//! * **Start and mount**: [`SocketIo`] and its [`Builder`]; the options [`Cors`],
//!   [`SlowClientPolicy`], [`SessionScope`], [`Transport`]; [`StartError`]. [`SocketIo::serve`]
//!   makes an [`AppServer`] of an [`AppFactory`], which runs as a [`RunningAppServer`] with its
//!   [`AppServerHandle`]; [`SocketIo::routes`] and [`SocketIo::tune`] are for an `HttpServer`
//!   ([`Tunable`]).
//! * **Name namespaces**: [`SocketIo::of`] returns a [`Namespace`]. [`SocketIo::of_pattern`] and
//!   [`SocketIo::of_predicate`] return a [`NamespacePattern`] ([`PatternError`]) of the namespaces
//!   that clients request. [`SocketIo::all_namespaces`] returns [`AllNamespaces`] together, and
//!   [`SocketIo::on_new_namespace`] is called for each new one.
//! * **Register handlers**: a namespace, a pattern and [`AllNamespaces`] deref to [`Handlers`], with
//!   [`on`](Handlers::on), [`on_any`](Handlers::on_any), [`fallback`](Handlers::fallback),
//!   [`on_connect`](Handlers::on_connect), [`on_disconnecting`](Handlers::on_disconnecting),
//!   [`on_disconnect`](Handlers::on_disconnect), [`forward`](Handlers::forward);
//!   [`off`](Handlers::off) removes them. A [`Handler`] takes the extractors [`Socket`],
//!   [`Data`], [`Auth`], [`State`], [`Params`], [`Handshake`], [`Extension`], [`Session`],
//!   [`SocketIo`], [`Namespace`], [`Event`], [`Ack`] and [`DisconnectReason`]; a program writes
//!   others with [`Extract`], for the context of a call: [`EventContext`],
//!   [`ConnectContext`] or [`DisconnectContext`], all of them a [`CallContext`]. A
//!   [`NamespaceHandlers`] is an object whose methods are handlers: it names each [`Method`] to its
//!   [`Registrar`].
//! * **Check clients and events first**: [`Handlers::middleware`] for clients,
//!   [`Handlers::event_middleware`] for each [`IncomingEvent`],
//!   [`Handlers::event_middleware_async`] if the check waits. An event as a value is an
//!   [`EventView`] of its name and arguments.
//! * **Limit clients**: [`Builder::max_sessions`] and its neighbours refuse new clients,
//!   [`Builder::events_per_second`] and [`Handlers::event_rate`] set a [`RateLimit`] with its
//!   [`RatePolicy`].
//! * **Know the client**: [`Builder::allow_request`] accepts or refuses a client. Its [`Handshake`]
//!   has the headers, the query ([`QueryError`]), the cookies, the address, also behind trusted
//!   proxies ([`IpNet`]), and the program's [`Extensions`]. A [`Session`] keeps values for it
//!   ([`SessionError`]), with the feature `session` those of actix-session (`HttpSession`,
//!   `LogoutStore`).
//! * **Answer**: by the return value, an [`EventOutcome`], which may be an `Err` such as
//!   [`HandlerError`]. [`AnyValue`] is JSON with binary, in both directions. The return value of a
//!   connect handler is a [`ConnectOutcome`], and [`ConnectError`] refuses the client. A failed
//!   extraction is a [`Rejection`]. [`Handlers::on_error`] receives each [`Failure`] with its
//!   [`FailureCause`].
//! * **Send**: [`Socket::emit`], [`Socket::call`], and a [`Broadcast`] by [`Socket::to`],
//!   [`Namespace::to`] or [`SocketIo::to`], to [`RoomNames`]. Acknowledgements of many are an
//!   [`AckStream`], collected as [`AckResults`]. [`Args`] forward an event unchanged, [`Bytes`] are
//!   sent as binary. The errors are [`EmitError`], [`CallError`], [`RoomError`] and [`ArgsError`].
//!   [`Namespace::on_any_outgoing`] receives each [`OutgoingEvent`].
//! * **Logins**: [`Socket::expires_at`] ends a login, [`Handlers::on_expiring`] may renew it.
//!   [`Socket::identify`] makes a socket findable by [`SocketIo::user`]; [`UserPolicy`] limits the
//!   sockets of a user, and the error is [`UserError`].
//! * **From outside of handlers**: [`Broadcast::fetch_sockets`],
//!   [`sockets_join`](Broadcast::sockets_join), [`sockets_leave`](Broadcast::sockets_leave) and
//!   [`disconnect_sockets`](Broadcast::disconnect_sockets); [`Namespace::close_room`];
//!   [`Socket::disconnect_with`] a [`DisconnectNotice`], which gives the client a reason;
//!   [`SocketIo::spawn`] runs a [`BackgroundTask`], and [`Socket::spawn`] one that ends with its
//!   socket.
//! * **From actors**: [`Emit`], [`Call`], [`CallMany`], [`FetchSockets`], [`JoinRooms`],
//!   [`LeaveRooms`], [`CloseRoom`], [`Disconnect`] and [`DisconnectSockets`] to the [`Server`];
//!   [`Emit`] and [`ListMembers`] to a [`Room`]; a [`SocketId`] names a socket
//!   ([`InvalidSocketId`]).
//! * **On many machines**: `Builder::adapter` with a `RedisAdapter` ([`AdapterError`]) makes
//!   servers one cluster; an `Emitter` (`EmitterBroadcast`) is for processes that are not servers
//!   (feature `redis`). [`ClusterResult`] holds the answers of the cluster, for example
//!   [`RemoteSocket`]s, and its [`Coverage`] names each [`NodeId`] without an answer.
//!   [`Namespace::on_server_side`] receives a [`ServerSideEvent`]. [`SocketIo::adapter_health`]
//!   returns an [`AdapterHealth`]; the error is [`ClusterError`].
//! * **Recover**: [`Builder::connection_state_recovery`], [`Socket::recovered`].
//! * **Supervise**: [`SocketIo::supervise`] sends a [`Panicked`] with its [`PanicSource`] for each
//!   panic, [`Namespace::watch_rooms`] sends a [`RoomEvent`] with its [`RoomEventKind`] for each
//!   change of a room; [`CloseReason`] is the reason of a session's end. [`Builder::on_limit`]
//!   receives a [`LimitHit`] each time a [`Limit`] is reached.
//! * **Run actors of the program**: [`SocketIo::supervisor`] begins a [`Supervisor`]
//!   ([`SupervisorBuilder`], [`Strategy`], [`BackOff`], [`SupervisorError`]). A [`ChildBuilder`]
//!   starts a child ([`Restart`], [`ChildStart`]) and returns its [`ChildRef`]; a child ends by
//!   [`ChildContext::fail`] or another [`ChildEnd`], and what it did not take is a [`DeadLetter`].
//!   [`SocketIo::supervision_tree`] returns a [`SupervisionTree`], whose nodes have a
//!   [`SupervisionRole`] and a [`ChildState`].
//! * **Choose the encoding**: [`Builder::parser`] and [`Builder::parser_when`] take [`JsonParser`],
//!   [`MessagePackParser`], or the program's own [`Parser`]. That encodes an [`OutgoingPacket`],
//!   whose [`PacketKind`] has [`PacketData`], as [`EngineMessage`]s; its [`PacketDecoder`] makes an
//!   [`IncomingPacket`], or a [`ParserError`].
//! * **Check by types**: [`event!`] makes an [`EventContract`]; [`Handlers::on_event`] takes
//!   handlers of [`Typed`] data, and [`Socket::emit_event`] and [`Socket::call_event`] send.
//!   [`Binary`] are bytes with a schema, and `Contracts` (feature `contracts`) writes TypeScript
//!   and AsyncAPI.
//! * **Test a program**: `testing::TestClient` (feature `testing`) is a client in memory, whose
//!   time may be paused; `testing::MemoryBroker` makes servers of one process a cluster.
//! * **See it run**: [`SocketIo::readiness`], [`SocketIo::slowest`] and [`Socket::stats`];
//!   `Builder::metrics_recorder` (feature `metrics`), `Builder::trace_parent` with `TraceParent`
//!   (feature `tracing`); `SocketIo::instrument` (feature `admin`) serves the Admin UI of
//!   Socket.IO, with the options `AdminOptions` and `AdminMode`; an invalid one is an `AdminError`.
//! * **Raw Engine.IO**: [`EngineIo`], the other [`Buildable`], and its
//!   [`EngineIoBuilder`]; [`EngineSession`], [`EngineMessage`], [`ReadyState`].

#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// A client for the tests of programs.
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;

// The server side of the Admin UI.
#[cfg(feature = "admin")]
#[cfg_attr(docsrs, doc(cfg(feature = "admin")))]
mod admin;

// Typed events, checked against their contracts by the compiler.
mod contract;

// Wiring, and the HTTP edge where bytes come in.
mod server;
mod transport;

// The other nodes of a cluster.
#[cfg(feature = "cluster")]
#[cfg_attr(
    not(feature = "redis"),
    allow(
        dead_code,
        unused_imports,
        reason = "the parts for connections that break wait for a broker on a network"
    )
)]
mod adapter;

// The protocols on top of a session; namespaces, whose actors supervise one another; the sessions.
mod client;
mod namespace;
mod session;

// The program's own actors of rooms.
mod rooms;

// The restarts of actors, and their limit; the tasks beside actors.
mod supervision;
mod tasks;

// The program's handlers, and their handles.
mod handler;
mod socket;

// A namespace as data: its sockets, their rooms, and what goes to them.
#[cfg_attr(
    not(feature = "cluster"),
    allow(
        dead_code,
        unused_imports,
        reason = "an adapter delivers to sockets and restores them by the rest"
    )
)]
mod members;

// The output: a session's outbox, and the messages of actors.
mod link;
mod message;

// The data that a program keeps for a client.
mod data;

// The wire: values only, no I/O, no clock.
mod engineio;
mod socketio;
mod websocket;

// Plain data for all.
mod calendar;
mod clock;
#[cfg_attr(
    not(feature = "redis"),
    allow(
        dead_code,
        reason = "only the formats of Redis read all questions and replies"
    )
)]
mod cluster;
mod config;
mod error;
mod handshake;
mod id;
mod limits;
mod logging;
mod notice;
mod panics;
mod pattern;
mod random;
mod reason;
#[cfg(test)]
mod seeds;
mod telemetry;
mod type_map;
mod user;

pub use bytes::Bytes;
pub use ipnet::IpNet;

#[cfg(feature = "cluster")]
pub use adapter::AdapterSetup;
#[cfg(feature = "redis")]
pub use adapter::{Emitter, EmitterBroadcast, RedisAdapter};
#[cfg(feature = "admin")]
pub use admin::{AdminError, AdminMode, AdminOptions};
pub use client::{EngineSession, ReadyState};
pub use cluster::{AdapterError, AdapterHealth, ClusterError, Coverage, NodeId};
pub use config::{
    Cors, DrainOptions, PerMessageDeflate, SessionScope, SlowClientPolicy, Transport,
};
#[cfg(feature = "contracts")]
pub use contract::Contracts;
pub use contract::{Binary, ContractAnswer, EventContract, Typed, TypedArguments, is_event_name};
pub use data::Session;
pub use engineio::EngineMessage;
pub use error::{
    CallError, ConnectError, EmitError, HandlerError, Rejection, RoomError, SessionError, UserError,
};
pub use handler::{
    Ack, Auth, BackgroundTask, CallContext, ConnectContext, ConnectOutcome, Data,
    DisconnectContext, ErrorAnswer, Event, EventContext, EventOutcome, Extension, Extract, Failure,
    FailureCause, Handler, Handlers, IncomingEvent, LeaveOutcome, Method, NamespaceHandlers,
    Params, Registrar, State,
};
pub use handshake::{Extensions, Handshake, QueryError};
pub use id::{InvalidSocketId, SocketId};
pub use limits::{Limit, LimitHit, RateLimit, RatePolicy};
pub use link::SessionStats;
pub use members::{OutgoingEvent, ServerSideEvent};
pub use message::{
    AckResults, Call, CallMany, CloseRoom, Disconnect, DisconnectSockets, Emit, FetchSockets,
    JoinRooms, LeaveRooms, ListMembers, PanicSource, Panicked, RoomEvent, RoomEventKind, RoomNames,
};
pub use namespace::{Room, Server};
pub use notice::DisconnectNotice;
pub use pattern::PatternError;
pub use reason::{CloseReason, DisconnectReason};
pub use rooms::{
    Decision, DirectoryRoomStore, Dropped, Enter, IntoRoom, Joined, LeaveReason, Left,
    MemoryRoomStore, Returned, RoomActor, RoomActors, RoomContext, RoomHandler, RoomId, RoomStore,
    SaveOptions, SavedRoom, StoreError,
};
pub use server::{
    AllNamespaces, AppServer, AppServerHandle, Buildable, Builder, DrainReport, EngineIo,
    EngineIoBuilder, Namespace, NamespacePattern, NotReady, Readiness, RunningAppServer,
    SlowSession, SocketIo, StartError, Tunable,
};
#[cfg(feature = "session")]
pub use server::{HttpSession, LogoutStore};
pub use socket::{AckStream, Broadcast, ClusterResult, RemoteSocket, Socket};
pub use socketio::{
    AnyValue, Args, ArgsError, EventView, IncomingPacket, JsonParser, MessagePackParser,
    OutgoingPacket, PacketData, PacketDecoder, PacketKind, Parser, ParserError,
};
pub use supervision::{
    BackOff, ChildBuilder, ChildContext, ChildEnd, ChildRef, ChildStart, ChildState, DeadLetter,
    Restart, Strategy, SupervisionRole, SupervisionTree, Supervisor, SupervisorBuilder,
    SupervisorError,
};
#[cfg(feature = "tracing")]
pub use telemetry::TraceParent;
pub use transport::{AppFactory, ConnectionError, ServerSentEvents};
pub use user::UserPolicy;
