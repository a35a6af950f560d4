//! An event that the server has sent to a test client.

use std::ops::Deref;
use std::rc::Rc;

use serde::Serialize;

use crate::members::Answer;
use crate::socketio::{EventView, PacketLimits};
use crate::testing::error::TestError;
use crate::testing::session::Session;

/// An event as received, to read and, if the server expects it, to acknowledge.
///
/// # Examples
///
/// ```
/// use actix_socketio::SocketIo;
/// use actix_socketio::testing::TestClient;
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let io = SocketIo::builder().start()?;
/// let client = TestClient::connect(&io).await?;
/// io.emit("news", ("hello", 7)).await?;
/// let news = client.received().await.remove(0);
/// assert_eq!((news.name(), news.args().as_json()), ("news", r#""hello",7"#));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct ReceivedEvent {
    pub(crate) session: Rc<Session>,
    pub(crate) namespace: String,
    pub(crate) view: EventView,
    /// The id of the acknowledgement, if the server expects one.
    pub(crate) id: Option<u64>,
}

impl ReceivedEvent {
    /// Returns the event's namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns `true` if the server expects an acknowledgement.
    #[must_use]
    pub fn wants_ack(&self) -> bool {
        self.id.is_some()
    }

    /// Acknowledges the event. Does nothing if the server does not expect it.
    ///
    /// # Errors
    ///
    /// [`TestError::NotConnected`], and [`TestError::Data`] if the answer cannot be written.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use actix_socketio::testing::TestClient;
    /// use actix_socketio::{CallError, Socket, SocketIo};
    ///
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let io = SocketIo::builder().start()?;
    /// io.of("/").on("older", |socket: Socket| async move {
    ///     let age: u32 = socket.call("age", ()).await?;
    ///     socket.emit("age in a year", age + 1).await?;
    ///     Ok::<_, CallError>(())
    /// });
    /// let client = TestClient::connect(&io).await?;
    /// client.emit("older", ()).await?;
    /// let asked = client.expect_event("age", Duration::from_secs(1)).await?;
    /// asked.answer(36).await?;
    /// let age: u32 = client.expect("age in a year", Duration::from_secs(1)).await?;
    /// assert_eq!(age, 37);
    /// # Ok(()) }
    /// ```
    pub async fn answer(self, data: impl Serialize) -> Result<(), TestError> {
        let Some(id) = self.id else { return Ok(()) };
        let encoder = self.session.encoder();
        match encoder.ack(&self.namespace, id, &data, PacketLimits::NONE)? {
            Answer::Value(packet) => self.session.post(&packet).await,
            // JavaScript has no `Err`, so it is a value like any other.
            Answer::Error(json) => {
                let packet = encoder.ack_error(&self.namespace, id, &json, None);
                self.session.post(&packet).await
            }
        }
    }
}

impl Deref for ReceivedEvent {
    type Target = EventView;

    fn deref(&self) -> &EventView {
        &self.view
    }
}
