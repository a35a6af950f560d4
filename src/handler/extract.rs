//! Extractors: they make the arguments of a handler from a packet.
//!
//! They run before the handler, on the packet's own bytes; an extractor copies the bytes that it
//! keeps. If one fails with a [`Rejection`], the handler does not run. It may read its context:
//!
//! | context | values |
//! | --- | --- |
//! | every [`CallContext`], also [`ConnectContext`] | the socket, with its handshake, `auth` payload, session and extensions; the states of the builder |
//! | [`EventContext`] | also the event; [`Ack`] takes the right to acknowledge |
//! | [`DisconnectContext`] | also the [`DisconnectReason`] |

use std::any::type_name;
use std::cell::{Cell, OnceCell};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::DeserializeOwned;

use crate::error::Rejection;
use crate::handler::context::NamespaceContext;
use crate::handler::reply::{Ack, Reply};
use crate::handler::tuples::for_each_tuple;
use crate::handshake::Handshake;
use crate::pattern::Parameters;
use crate::reason::DisconnectReason;
use crate::socket::Socket;
use crate::socketio::{Args, ArgsError, ArgsRef, EventView, Shortened};
use crate::telemetry::{EventTimer, RunningTimer};

/// Makes an argument of a handler from the context of its call.
///
/// `C` is the context: [`EventContext`] for an event, [`ConnectContext`] or [`DisconnectContext`].
/// If only the socket and the states are needed, implement it for all `C` with [`CallContext`].
///
/// # Examples
///
/// ```
/// use actix_socketio::{CallContext, Extract, Rejection};
///
/// /// The first room of the socket.
/// struct FirstRoom(String);
///
/// impl<C: CallContext> Extract<C> for FirstRoom {
///     fn extract(context: &C) -> Result<Self, Rejection> {
///         let room = context.socket().rooms().into_iter().next();
///         room.map(Self).ok_or_else(|| Rejection::Other("join a room first".into()))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a handler of `{C}`",
    label = "`{Self}` is not an extractor of `{C}`",
    note = "if a client sends it with an event, take `Data<T>`: `Data<{Self}>`; if it is in the \
            client's `auth` option: `Auth<{Self}>`; if it was given to the builder: `State<{Self}>`",
    note = "`Data`, `Event` and `Ack` are extractors of event handlers (`EventContext`) only, \
            `DisconnectReason` of disconnect handlers (`DisconnectContext`) only"
)]
pub trait Extract<C>: Sized {
    /// Makes the argument.
    ///
    /// # Errors
    ///
    /// A rejection that names the wrong value for the client and the log.
    fn extract(context: &C) -> Result<Self, Rejection>;
}

/// The parts that the context of every handler has.
///
/// # Examples
///
/// ```
/// use actix_socketio::{CallContext, SocketId};
///
/// fn who<C: CallContext>(context: &C) -> SocketId {
///     context.socket().id()
/// }
/// ```
pub trait CallContext {
    /// Returns the socket of the call.
    fn socket(&self) -> &Socket;

    /// Returns the builder's state of type `T`.
    fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>>;
}

/// A received event.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Extract, EventContext, Rejection};
///
/// /// The event's name, for a handler that has several.
/// struct Name(String);
///
/// impl Extract<EventContext<'_>> for Name {
///     fn extract(incoming: &EventContext<'_>) -> Result<Self, Rejection> {
///         Ok(Self(incoming.event().to_owned()))
///     }
/// }
/// ```
#[derive(Debug)]
pub struct EventContext<'a> {
    pub(crate) socket: &'a Socket,
    pub(crate) event: &'a Arc<str>,
    pub(crate) args: ArgsRef<'a>,
    /// The acknowledgement's id, until the right to answer is taken.
    pub(crate) ack: Cell<Option<u64>>,
    /// If an [`Ack`] was extracted: whether the handler has received it.
    pub(crate) lent: OnceCell<Arc<AtomicBool>>,
    pub(crate) context: &'a Arc<NamespaceContext>,
    /// Measures the calls of the event's handlers.
    pub(crate) timer: Option<&'a EventTimer>,
}

impl EventContext<'_> {
    /// Starts to measure the call of a handler.
    pub(crate) fn start_timer(&self) -> Option<RunningTimer> {
        let context = self.context;
        let telemetry = &context.server_context.telemetry;
        let timer = self.timer?;
        Some(timer.start(&telemetry.metrics, &context.label))
    }

    /// Takes the right to answer.
    pub(crate) fn take_reply(&self) -> Reply {
        self.reply(self.ack.take())
    }

    /// Gives an extracted [`Ack`] the right to answer, because the handler is called with it.
    pub(crate) fn hand_over(&self) {
        if let Some(handed) = self.lent.get() {
            handed.store(true, Ordering::Relaxed);
            self.ack.take();
        }
    }

    /// Lends the right to answer to an [`Ack`]; a second one does not get it.
    fn lend(&self) -> Ack {
        let id = self.ack.get().filter(|_| self.lent.get().is_none());
        Ack::lent(self.reply(id), self.lent.get_or_init(Arc::default))
    }

    fn reply(&self, id: Option<u64>) -> Reply {
        Reply {
            socket: self.socket.clone(),
            event: Arc::clone(self.event),
            id,
            context: Arc::clone(self.context),
        }
    }

    /// Returns the number of the client's bytes that a handler of this event may hold.
    pub(crate) fn size(&self) -> usize {
        self.event.len() + self.args.size()
    }

    /// Returns the same event without its first argument. It takes over the right to answer.
    pub(crate) fn behind_first(&self) -> EventContext<'_> {
        EventContext {
            args: self.args.behind_first(),
            ack: Cell::new(self.ack.take()),
            lent: OnceCell::new(),
            ..*self
        }
    }

    /// Returns the event's name.
    #[must_use]
    pub fn event(&self) -> &str {
        self.event
    }

    /// Reads the event's arguments, as [`Data`] does.
    ///
    /// # Errors
    ///
    /// Returns the argument that has the wrong type, and the cause.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        self.args.read()
    }
}

/// A connecting client.
///
/// # Examples
///
/// ```
/// use actix_socketio::{CallContext, ConnectContext, Extract, Rejection};
///
/// /// A client that comes over TLS.
/// struct Secure;
///
/// impl Extract<ConnectContext<'_>> for Secure {
///     fn extract(connecting: &ConnectContext<'_>) -> Result<Self, Rejection> {
///         match connecting.socket().handshake().is_secure() {
///             true => Ok(Self),
///             false => Err(Rejection::from("come by https")),
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub struct ConnectContext<'a> {
    pub(crate) socket: &'a Socket,
    pub(crate) context: &'a Arc<NamespaceContext>,
}

/// A client that is disconnecting or has disconnected.
///
/// # Examples
///
/// ```
/// use actix_socketio::{CallContext, Extract, DisconnectContext, Rejection};
///
/// /// How many rooms the socket is in.
/// struct Rooms(usize);
///
/// impl Extract<DisconnectContext<'_>> for Rooms {
///     fn extract(leaving: &DisconnectContext<'_>) -> Result<Self, Rejection> {
///         Ok(Self(leaving.socket().rooms().len()))
///     }
/// }
/// ```
#[derive(Debug)]
pub struct DisconnectContext<'a> {
    pub(crate) socket: &'a Socket,
    pub(crate) reason: DisconnectReason,
    pub(crate) context: &'a Arc<NamespaceContext>,
}

macro_rules! call_context {
    ($($context:ident)*) => {$(
        impl CallContext for $context<'_> {
            fn socket(&self) -> &Socket {
                self.socket
            }

            fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
                self.context.state()
            }
        }
    )*};
}

call_context!(EventContext ConnectContext DisconnectContext);

impl<C: CallContext> Extract<C> for Socket {
    fn extract(context: &C) -> Result<Self, Rejection> {
        Ok(context.socket().clone())
    }
}

/// The content of the client's first HTTP request.
impl<C: CallContext> Extract<C> for Handshake {
    fn extract(context: &C) -> Result<Self, Rejection> {
        Ok(context.socket().handshake().clone())
    }
}

/// The event's arguments: a tuple takes as many as it has members, any other type takes the first.
/// So `Data<[f64; 2]>` reads `emit("at", [1, 2])`, and `Data<(f64, f64)>` reads `emit("at", 1, 2)`.
/// Additional arguments are ignored, as in JavaScript. A missing one is `None` for an `Option` and
/// an error for any other type. [`Bytes`](crate::Bytes) at any depth of the type read attachments
/// only: a text or an array of numbers is refused. [`AnyValue`](crate::AnyValue) reads any
/// argument.
///
/// # Examples
///
/// ```
/// use actix_socketio::Data;
///
/// // socket.emit("move", 3, { fast: true })
/// #[derive(serde::Deserialize)]
/// struct Options { fast: bool }
/// async fn on_move(Data((steps, options)): Data<(u32, Option<Options>)>) {}
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data<T>(pub T);

impl<T: DeserializeOwned> Extract<EventContext<'_>> for Data<T> {
    fn extract(incoming: &EventContext<'_>) -> Result<Self, Rejection> {
        incoming.read().map(Self).map_err(Rejection::Data)
    }
}

/// The payload of the CONNECT packet, the client's `auth` option. If there is none it reads as
/// `{}`.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Auth, ConnectError};
///
/// // io("/", { auth: { token: "secret" } })
/// #[derive(serde::Deserialize)]
/// struct Login { token: Option<String> }
/// async fn enter(Auth(login): Auth<Login>) -> Result<(), ConnectError> {
///     match login.token.as_deref() {
///         Some("secret") => Ok(()),
///         _ => Err(ConnectError::new("not authorized")),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth<T>(pub T);

impl<C: CallContext, T: DeserializeOwned> Extract<C> for Auth<T> {
    fn extract(context: &C) -> Result<Self, Rejection> {
        context.socket().auth().map(Self)
    }
}

/// The parameters of the namespace's name, if it was made by
/// [`SocketIo::of_pattern`](crate::SocketIo::of_pattern): `T` is a struct with a field for each, or
/// a map. Any other namespace has none.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Data, NamespacePattern, Params, PatternError, SocketIo};
///
/// #[derive(serde::Deserialize)]
/// struct Shop { id: u32 }
///
/// fn register(io: &SocketIo) -> Result<(), PatternError> {
///     io.of_pattern("/shop-{id}")?
///         .on("price", |Params(shop): Params<Shop>, Data(item): Data<String>| async move {
///             format!("{item} in shop {}", shop.id)
///         });
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params<T>(pub T);

impl<C: CallContext, T: DeserializeOwned> Extract<C> for Params<T> {
    fn extract(context: &C) -> Result<Self, Rejection> {
        read_parameters(context.socket().membership().parameters()).map(Self)
    }
}

/// Reads the parameters of a name.
pub(crate) fn read_parameters<T: DeserializeOwned>(
    parameters: &Parameters,
) -> Result<T, Rejection> {
    let refused = |error: &dyn std::fmt::Display| Rejection::Params(Shortened(error).to_string());
    // serde reads numbers from a form's text; the parameters are texts.
    let text = serde_urlencoded::to_string(parameters).map_err(|error| refused(&error))?;
    serde_urlencoded::from_str(&text).map_err(|error| refused(&error))
}

/// A value of [`Builder::state`](crate::Builder::state), shared by all handlers.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use actix_socketio::{SocketIo, State};
///
/// #[derive(Default)]
/// struct Visits(AtomicU64);
///
/// async fn count(visits: State<Visits>) -> u64 {
///     visits.0.fetch_add(1, Ordering::Relaxed) + 1
/// }
///
/// let builder = SocketIo::builder().state(Visits::default());
/// ```
#[derive(Debug)]
pub struct State<T>(Arc<T>);

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: CallContext, T: Send + Sync + 'static> Extract<C> for State<T> {
    fn extract(context: &C) -> Result<Self, Rejection> {
        let state = context.state().map(Self);
        state.ok_or(Rejection::State(type_name::<T>()))
    }
}

/// An event as a value: its socket, and an [`EventView`] of its name and arguments as received.
///
/// As an extractor it gives a handler the whole event. As a message it is sent by
/// [`Handlers::forward`](crate::Handlers::forward) to an actor, with the right to answer.
///
/// # Examples
///
/// ```
/// use actix_socketio::{EmitError, Event, Socket};
///
/// // Passes an event on to a room as it came, attachments and all.
/// async fn relay(socket: Socket, event: Event) -> Result<(), EmitError> {
///     socket.to("lobby").emit(event.name(), event.args()).await
/// }
/// ```
#[derive(Debug, actix::Message)]
#[rtype(result = "()")]
pub struct Event {
    socket: Socket,
    view: EventView,
    ack: Option<Ack>,
}

impl Event {
    /// Makes an event that takes over the right to answer.
    pub(crate) fn forwarded(incoming: &EventContext<'_>) -> Self {
        Self {
            ack: Some(Ack::new(incoming.take_reply())),
            ..Self::of(incoming)
        }
    }

    /// Returns `true` if the client expects an acknowledgement and this event has the right to
    /// answer.
    pub(crate) fn is_answering(&self) -> bool {
        self.ack.as_ref().is_some_and(Ack::is_wanted)
    }

    fn of(incoming: &EventContext<'_>) -> Self {
        Self {
            socket: incoming.socket.clone(),
            view: EventView::new(Arc::clone(incoming.event), incoming.args.to_args()),
            ack: None,
        }
    }

    /// Returns the socket that sent the event.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Returns the arguments as received, as an owned value.
    #[must_use]
    pub fn into_args(self) -> Args {
        self.view.into_args()
    }

    /// Takes the right to answer; `None` in a handler, in which [`Ack`] is a separate argument.
    pub fn take_ack(&mut self) -> Option<Ack> {
        self.ack.take()
    }
}

impl Deref for Event {
    type Target = EventView;

    fn deref(&self) -> &EventView {
        &self.view
    }
}

impl Extract<EventContext<'_>> for Event {
    fn extract(incoming: &EventContext<'_>) -> Result<Self, Rejection> {
        Ok(Self::of(incoming))
    }
}

impl Extract<EventContext<'_>> for Ack {
    fn extract(incoming: &EventContext<'_>) -> Result<Self, Rejection> {
        Ok(incoming.lend())
    }
}

impl Extract<DisconnectContext<'_>> for DisconnectReason {
    fn extract(leaving: &DisconnectContext<'_>) -> Result<Self, Rejection> {
        Ok(leaving.reason)
    }
}

macro_rules! extract_tuple {
    ($($part:ident)*) => {
        impl<Context, $($part: Extract<Context>),*> Extract<Context> for ($($part,)*) {
            #[allow(unused_variables, reason = "the empty tuple looks at nothing")]
            fn extract(context: &Context) -> Result<Self, Rejection> {
                Ok(($($part::extract(context)?,)*))
            }
        }
    };
}

for_each_tuple!(extract_tuple);
