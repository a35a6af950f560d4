//! Typed variants of the methods that take an event's name. The compiler checks the types, then
//! they call those methods.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::contract::{ContractAnswer, EventContract, TypedArguments};
use crate::error::{CallError, EmitError};
use crate::handler::{EventContext, EventOutcome, Extract, Handler, Handlers};
use crate::server::{Namespace, NamespacePattern, SocketIo};
use crate::socket::{Broadcast, Socket};

impl Handlers {
    /// Calls `handler` for the event of a contract, as [`on`](Self::on) does for a name.
    ///
    /// Among the handler's arguments is exactly one [`Typed`](crate::Typed) of the contract, and it
    /// returns the contract's answer, or a `Result` of it. Any other handler does not compile.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Namespace, Socket, Typed, event};
    ///
    /// event! { pub Say("say", String => usize); }
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace.on_event(Say, |_: Socket, Typed(text): Typed<Say>| async move {
    ///         text.len()
    ///     });
    /// }
    /// ```
    ///
    /// An answer of another type does not compile:
    ///
    /// ```compile_fail,E0277
    /// use actix_socketio::{Namespace, Socket, Typed, event};
    ///
    /// event! { pub Say("say", String => usize); }
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace.on_event(Say, |_: Socket, Typed(text): Typed<Say>| async move {
    ///         text
    ///     });
    /// }
    /// ```
    ///
    /// A handler of plain data does not compile either, even if the type is right:
    ///
    /// ```compile_fail,E0277
    /// use actix_socketio::{Namespace, Data, Socket, event};
    ///
    /// event! { pub Say("say", String => usize); }
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace.on_event(Say, |_: Socket, Data(text): Data<String>| async move {
    ///         text.len()
    ///     });
    /// }
    /// ```
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the value only names the contract"
    )]
    pub fn on_event<E, H, A, const AT: usize>(&self, event: E, handler: H) -> &Self
    where
        E: EventContract,
        H: Handler<A>,
        H::Output: ContractAnswer<E::Answer> + EventOutcome,
        A: TypedArguments<E, AT> + for<'a> Extract<EventContext<'a>> + 'static,
    {
        let _ = event;
        self.on(E::NAME, handler)
    }
}

impl Socket {
    /// Sends the event of a contract to this client, as [`emit`](Self::emit) does.
    ///
    /// # Errors
    ///
    /// Every variant of [`EmitError`] except `TooManyCalls`. The event was not sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{EmitError, Socket, event};
    ///
    /// event! { pub Welcome("welcome", (String, u32)); }
    ///
    /// async fn greet(socket: Socket) -> Result<(), EmitError> {
    ///     socket.emit_event(Welcome, ("Ada".to_owned(), 1815)).await
    /// }
    /// ```
    ///
    /// Other data does not compile:
    ///
    /// ```compile_fail,E0308
    /// use actix_socketio::{EmitError, Socket, event};
    ///
    /// event! { pub Welcome("welcome", (String, u32)); }
    ///
    /// async fn greet(socket: Socket) -> Result<(), EmitError> {
    ///     socket.emit_event(Welcome, ("Ada".to_owned(), "1815")).await
    /// }
    /// ```
    pub async fn emit_event<E>(&self, event: E, data: E::Data) -> Result<(), EmitError>
    where
        E: EventContract,
        E::Data: Serialize,
    {
        let _ = event;
        self.emit(E::NAME, data).await
    }

    /// Sends the event of a contract and waits for the client's acknowledgement, as
    /// [`call`](Self::call) does.
    ///
    /// # Errors
    ///
    /// Every variant of [`CallError`].
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{CallError, Socket, event};
    ///
    /// event! { pub Ask("ask", String => u32); }
    ///
    /// async fn age(socket: Socket) -> Result<u32, CallError> {
    ///     socket.call_event(Ask, "age".to_owned()).await
    /// }
    /// ```
    ///
    /// An answer of another type does not compile:
    ///
    /// ```compile_fail,E0308
    /// use actix_socketio::{CallError, Socket, event};
    ///
    /// event! { pub Ask("ask", String => u32); }
    ///
    /// async fn age(socket: Socket) -> Result<String, CallError> {
    ///     socket.call_event(Ask, "age".to_owned()).await
    /// }
    /// ```
    pub async fn call_event<E>(&self, event: E, data: E::Data) -> Result<E::Answer, CallError>
    where
        E: EventContract,
        E::Data: Serialize,
        E::Answer: DeserializeOwned,
    {
        let _ = event;
        self.call(E::NAME, data).await
    }
}

impl Broadcast {
    /// Sends the event of a contract to one client and waits for its acknowledgement, as
    /// [`call`](Self::call) does.
    ///
    /// # Errors
    ///
    /// The same as of [`call`](Self::call).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use actix_socketio::{CallError, Socket, event};
    ///
    /// event! { pub Ask("ask", String => u32); }
    ///
    /// async fn age(socket: Socket) -> Result<u32, CallError> {
    ///     let socket = socket.timeout(Duration::from_secs(5));
    ///     socket.call_event(Ask, "age".to_owned()).await
    /// }
    /// ```
    pub async fn call_event<E>(self, event: E, data: E::Data) -> Result<E::Answer, CallError>
    where
        E: EventContract,
        E::Data: Serialize,
        E::Answer: DeserializeOwned,
    {
        let _ = event;
        self.call(E::NAME, data).await
    }

    /// Sends the event of a contract, as [`emit`](Self::emit) does.
    ///
    /// # Errors
    ///
    /// [`EmitError::Encode`]. The event was sent to no client.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{EmitError, Socket, event};
    ///
    /// event! { pub News("news", String); }
    ///
    /// async fn tell(socket: Socket) -> Result<(), EmitError> {
    ///     socket.to("lobby").emit_event(News, "hello".to_owned()).await
    /// }
    /// ```
    pub async fn emit_event<E>(self, event: E, data: E::Data) -> Result<(), EmitError>
    where
        E: EventContract,
        E::Data: Serialize,
    {
        let _ = event;
        self.emit(E::NAME, data).await
    }
}

/// Adds `emit_event` to a type with a method `emit` of its own.
macro_rules! emit_event {
    ($($handle:ident, $to:literal;)*) => {$(
        impl $handle {
            #[doc = concat!("Sends the event of a contract to everyone in ", $to, ", as")]
            /// [`emit`](Self::emit) does.
            ///
            /// # Errors
            ///
            /// [`EmitError::Encode`]. The event was sent to no client.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use actix_socketio::{EmitError, ", stringify!($handle), ", event};")]
            ///
            /// event! { pub News("news", String); }
            ///
            #[doc = concat!("async fn tell(all: ", stringify!($handle), ") -> Result<(), EmitError> {")]
            ///     all.emit_event(News, "hello".to_owned()).await
            /// }
            /// ```
            pub async fn emit_event<E>(&self, event: E, data: E::Data) -> Result<(), EmitError>
            where
                E: EventContract,
                E::Data: Serialize,
            {
                let _ = event;
                self.emit(E::NAME, data).await
            }
        }
    )*};
}

emit_event! {
    SocketIo, "the namespace `/`";
    Namespace, "the namespace";
    NamespacePattern, "every namespace of this kind";
}
