//! The client itself: one namespace of one session.

use std::rc::Rc;
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::EmitError;
use crate::id::SocketId;
use crate::link::Outgoing;
use crate::message::namespace_name;
use crate::server::SocketIo;
use crate::socketio::{EventView, PacketLimits, is_reserved};
use crate::testing::answer;
use crate::testing::builder::TestClientBuilder;
use crate::testing::error::{ConnectFailed, TestError};
use crate::testing::event::ReceivedEvent;
use crate::testing::inbox::{Event, State};
use crate::testing::session::Session;

/// A client for tests, connected to one namespace. [`join`](Self::join) connects it to another one
/// in the same session.
///
/// If all clients of a session are dropped, the session ends like that of a closed client.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use actix_socketio::testing::TestClient;
/// use actix_socketio::{Data, Socket, SocketIo};
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let io = SocketIo::builder().start()?;
/// io.of("/")
///     .on("add", |Data((a, b)): Data<(i64, i64)>| async move { a + b })
///     .on("say", |socket: Socket, Data(text): Data<String>| async move {
///         socket.broadcast().emit("said", text).await
///     });
///
/// let (ann, bob) = (TestClient::connect(&io).await?, TestClient::connect(&io).await?);
/// assert_eq!(ann.call::<i64>("add", (1, 2)).await?, 3);
/// ann.emit("say", "hello").await?;
/// let said: String = bob.expect("said", Duration::from_secs(1)).await?;
/// assert_eq!(said, "hello");
/// assert!(ann.received().await.is_empty());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct TestClient {
    session: Rc<Session>,
    namespace: String,
}

impl TestClient {
    /// Connects to the namespace `/`.
    ///
    /// # Errors
    ///
    /// Every variant of [`ConnectFailed`].
    pub async fn connect(io: &SocketIo) -> Result<Self, ConnectFailed> {
        Self::builder(io).connect().await
    }

    /// Returns a builder for a client with more options.
    pub fn builder(io: &SocketIo) -> TestClientBuilder {
        TestClientBuilder::new(io)
    }

    /// Connects to another namespace in the same session.
    ///
    /// # Errors
    ///
    /// [`ConnectFailed::Refused`] and [`ConnectFailed::NoAnswer`].
    pub async fn join(&self, namespace: &str) -> Result<Self, ConnectFailed> {
        Self::enter(Rc::clone(&self.session), namespace, None).await
    }

    /// Connects to another namespace in the same session, with a payload: an object.
    ///
    /// # Errors
    ///
    /// The same as of [`join`](Self::join).
    pub async fn join_with(&self, namespace: &str, auth: &Value) -> Result<Self, ConnectFailed> {
        Self::enter(Rc::clone(&self.session), namespace, Some(auth)).await
    }

    pub(crate) async fn enter(
        session: Rc<Session>,
        namespace: &str,
        auth: Option<&Value>,
    ) -> Result<Self, ConnectFailed> {
        let namespace = namespace_name(namespace);
        session.inbox(|inbox| inbox.sockets.remove(&namespace));
        let connect = session.encoder().client_connect(&namespace, auth);
        let sent = session.post(&connect).await;
        sent.map_err(|_| ConnectFailed::NoAnswer)?;
        let answered = session.wait(ANSWER_LIMIT, |inbox| {
            let socket = inbox.sockets.get(&namespace)?;
            Some(socket.state.clone()).filter(|state| *state != State::Connecting)
        });
        match answered.await {
            Some(State::Connected { .. }) => Ok(Self { session, namespace }),
            Some(State::Refused { message, data }) => Err(ConnectFailed::Refused { message, data }),
            _ => Err(ConnectFailed::NoAnswer),
        }
    }

    /// Returns the name of the client's namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the socket's id; `None` if the client is disconnected.
    #[must_use]
    pub fn id(&self) -> Option<SocketId> {
        match self.state() {
            State::Connected { id } => id.parse().ok(),
            _ => None,
        }
    }

    /// Returns `true` if the client is connected to its namespace, by the packets received so far.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self.state(), State::Connected { .. })
    }

    /// Returns the headers of the response to the handshake's request, including cookies.
    /// [`TestClientBuilder::handshake`] returns those of a refusal.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    /// use actix_socketio::testing::TestClient;
    /// use actix_web::cookie::Cookie;
    ///
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let io = SocketIo::builder().cookie(Cookie::new("io", "")).start()?;
    /// let client = TestClient::connect(&io).await?;
    /// assert!(client.response_headers().contains_key("set-cookie"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn response_headers(&self) -> &HeaderMap {
        self.session.response_headers()
    }

    /// Sends an event. A tuple is sent as that many arguments, `()` as none, any other type as one.
    /// [`Bytes`](crate::Bytes) at any depth are sent as binary.
    ///
    /// The event's handlers have run up to their first wait when this returns.
    ///
    /// # Errors
    ///
    /// [`TestError::NotConnected`] and [`TestError::Emit`].
    pub async fn emit(&self, name: &str, data: impl Serialize) -> Result<(), TestError> {
        self.check()?;
        let packet = self.event(None, name, &data)?;
        self.session.post(&packet).await
    }

    /// Sends the event `message`.
    ///
    /// # Errors
    ///
    /// The same as of [`emit`](Self::emit).
    pub async fn send(&self, data: impl Serialize) -> Result<(), TestError> {
        self.emit("message", data).await
    }

    /// Sends an event, and returns the server's acknowledgement. The type is read as by
    /// [`Data`](crate::Data). The timeout is five seconds.
    ///
    /// # Errors
    ///
    /// Every variant of [`TestError`]: [`TestError::Failed`] if the handler failed, or if the event
    /// has no handler. To read the error itself, use `serde_json::Value`, or another type that
    /// reads `{"error": …}`.
    pub async fn call<R: DeserializeOwned>(
        &self,
        name: &str,
        data: impl Serialize,
    ) -> Result<R, TestError> {
        self.check()?;
        let (told, answered) = oneshot::channel();
        let id = self.session.inbox(|inbox| {
            inbox.next_call += 1;
            let id = inbox.next_call;
            inbox.calls.insert((self.namespace.clone(), id), told);
            id
        });
        let packet = self.event(Some(id), name, &data)?;
        self.session.post(&packet).await?;
        match timeout(ANSWER_LIMIT, answered).await {
            Ok(Ok(args)) => answer::read(&args),
            Ok(Err(_)) => Err(TestError::NotConnected),
            Err(_) => Err(self.missing(format!("acknowledgement of {name:?}"), ANSWER_LIMIT)),
        }
    }

    /// Waits until everything that the server has queued for this client has arrived: the packets
    /// of handlers that have run, and those of the test itself.
    pub async fn settle(&self) {
        self.session.settle(ANSWER_LIMIT).await;
    }

    /// Takes all received events in order, after everything queued has arrived; see
    /// [`settle`](Self::settle).
    pub async fn received(&self) -> Vec<ReceivedEvent> {
        self.settle().await;
        let events: Vec<Event> = self.session.inbox(|inbox| {
            let socket = inbox.sockets.get_mut(&self.namespace);
            socket
                .map(|socket| socket.events.drain(..).collect())
                .unwrap_or_default()
        });
        events.into_iter().map(|event| self.shown(event)).collect()
    }

    /// Waits for the next event of this name, and reads its data. Other events stay in the queue.
    ///
    /// # Errors
    ///
    /// [`TestError::Missing`], which names the events that arrived instead, [`TestError::Data`],
    /// and [`TestError::Emit`] for a reserved name, which no event has.
    pub async fn expect<T: DeserializeOwned>(
        &self,
        name: &str,
        limit: Duration,
    ) -> Result<T, TestError> {
        Ok(self.expect_event(name, limit).await?.read()?)
    }

    /// Waits for the next event of this name. Other events stay in the queue.
    ///
    /// # Errors
    ///
    /// [`TestError::Missing`], which names the events that arrived instead, and [`TestError::Emit`]
    /// for a reserved name, which no event has.
    pub async fn expect_event(
        &self,
        name: &str,
        limit: Duration,
    ) -> Result<ReceivedEvent, TestError> {
        if is_reserved(name) {
            return Err(EmitError::ReservedEvent(name.to_owned()).into());
        }
        let found = self.session.wait(limit, |inbox| {
            let events = &mut inbox.sockets.get_mut(&self.namespace)?.events;
            let at = events.iter().position(|event| event.name == name)?;
            events.remove(at)
        });
        match found.await {
            Some(event) => Ok(self.shown(event)),
            None => Err(self.missing(format!("event {name:?}"), limit)),
        }
    }

    /// Waits until the server has disconnected the client, or its session has ended.
    ///
    /// # Errors
    ///
    /// [`TestError::Missing`], if it is still connected.
    pub async fn disconnected(&self, limit: Duration) -> Result<(), TestError> {
        let left = self.session.wait(limit, |inbox| {
            let socket = inbox.sockets.get(&self.namespace);
            let is_connected =
                socket.is_some_and(|socket| matches!(socket.state, State::Connected { .. }));
            (!is_connected).then_some(())
        });
        let missing = || self.missing("end of the connection".to_owned(), limit);
        left.await.ok_or_else(missing)
    }

    /// Disconnects from the namespace; the session continues.
    ///
    /// # Errors
    ///
    /// [`TestError::NotConnected`].
    pub async fn disconnect(&self) -> Result<(), TestError> {
        self.check()?;
        let disconnect = self.session.encoder().disconnect(&self.namespace);
        self.session.post(&disconnect).await?;
        self.session.inbox(|inbox| {
            if let Some(socket) = inbox.sockets.get_mut(&self.namespace) {
                socket.state = State::Left;
            }
        });
        Ok(())
    }

    /// Ends the whole session, like a closed client.
    pub async fn close(self) {
        self.session.close().await;
    }

    /// Encodes an event as the server does: the packets are the same in both directions.
    fn event(
        &self,
        id: Option<u64>,
        name: &str,
        data: &impl Serialize,
    ) -> Result<Outgoing, TestError> {
        let encoder = self.session.encoder();
        Ok(encoder.event(&self.namespace, id, name, data, PacketLimits::NONE)?)
    }

    fn state(&self) -> State {
        self.session.inbox(|inbox| {
            let socket = inbox.sockets.get(&self.namespace);
            socket.map_or(State::Left, |socket| socket.state.clone())
        })
    }

    fn check(&self) -> Result<(), TestError> {
        if self.is_connected() {
            Ok(())
        } else {
            Err(TestError::NotConnected)
        }
    }

    fn shown(&self, event: Event) -> ReceivedEvent {
        ReceivedEvent {
            session: Rc::clone(&self.session),
            namespace: self.namespace.clone(),
            view: EventView::new(event.name, event.args),
            id: event.id,
        }
    }

    fn missing(&self, expected: String, limit: Duration) -> TestError {
        let came = self.session.inbox(|inbox| {
            let socket = inbox.sockets.get(&self.namespace);
            let events = socket.map(|socket| &socket.events);
            let names = events
                .into_iter()
                .flatten()
                .map(|event| format!("{:?}", event.name));
            names.collect()
        });
        TestError::Missing {
            expected,
            limit,
            came,
        }
    }
}

/// The timeout for responses of the server.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
