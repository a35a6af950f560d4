//! The errors of a test client.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::EmitError;
use crate::socketio::ArgsError;

/// The reason why a client is not connected.
///
/// # Examples
///
/// ```
/// use actix_socketio::testing::{ConnectFailed, TestClient};
/// use actix_socketio::{ConnectError, SocketIo};
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let io = SocketIo::builder().start()?;
/// io.of("/").on_connect(|| async { Err::<(), _>(ConnectError::new("closed today")) });
/// match TestClient::connect(&io).await {
///     Err(ConnectFailed::Refused { message, .. }) => assert_eq!(message, "closed today"),
///     other => panic!("{other:?}"),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectFailed {
    /// The request of the handshake had another status than 200.
    Http {
        /// The status, for example 401.
        status: u16,
        /// The response's body.
        body: String,
    },
    /// The namespace refused the client: the data of its `connect_error` event.
    Refused {
        /// The error's message.
        message: String,
        /// The error's data.
        data: Option<Value>,
    },
    /// The CONNECT payload cannot be written as JSON.
    Encode(ArgsError),
    /// The program has made an invalid registration, such as a handler of a reserved event name. A
    /// real server would not start.
    Program(String),
    /// The session ended, or no response arrived within five seconds.
    NoAnswer,
}

impl fmt::Display for ConnectFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { status, body } => {
                write!(f, "the handshake failed with status {status}: {body}")
            }
            Self::Refused {
                message,
                data: None,
            } => write!(f, "refused: {message}"),
            Self::Refused {
                message,
                data: Some(data),
            } => write!(f, "refused: {message}, with {data}"),
            Self::Encode(error) => write!(f, "the auth payload cannot be sent: {error}"),
            Self::Program(fault) => f.write_str(fault),
            Self::NoAnswer => f.write_str("the server did not respond to the CONNECT packet"),
        }
    }
}

impl std::error::Error for ConnectFailed {}

/// The reason why a step of a test failed.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use actix_socketio::SocketIo;
/// use actix_socketio::testing::TestClient;
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let io = SocketIo::builder().start()?;
/// let client = TestClient::connect(&io).await?;
/// let error = client.expect::<u8>("news", Duration::from_millis(1)).await.unwrap_err();
/// assert_eq!(error.to_string(), r#"no event "news" within 1ms; received nothing"#);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum TestError {
    /// The client is no longer connected to its namespace.
    NotConnected,
    /// The expected event did not arrive in time; other events that arrived are named.
    Missing {
        /// The expected event.
        expected: String,
        /// The time limit.
        limit: Duration,
        /// The names of the events that arrived instead and are still in the queue.
        came: Vec<String>,
    },
    /// The data have another type than requested.
    Data(ArgsError),
    /// The event cannot be sent.
    Emit(EmitError),
    /// The handler of a call failed, or the event has no handler. The value is the acknowledgement.
    Failed(Map<String, Value>),
}

impl fmt::Display for TestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected => f.write_str("the client is not connected"),
            Self::Missing {
                expected,
                limit,
                came,
            } => {
                write!(f, "no {expected} within {limit:?}; ")?;
                match came.as_slice() {
                    [] => f.write_str("received nothing"),
                    came => write!(f, "received {}", came.join(", ")),
                }
            }
            Self::Data(error) => write!(f, "received invalid data: {error}"),
            Self::Emit(error) => error.fmt(f),
            Self::Failed(answer) => {
                let nothing = Value::Null;
                let error = answer.get("error").unwrap_or(&nothing);
                write!(f, "the call failed: {error}")?;
                match answer.get("data") {
                    Some(data) => write!(f, ", with {data}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for TestError {}

impl From<ArgsError> for TestError {
    fn from(error: ArgsError) -> Self {
        Self::Data(error)
    }
}

impl From<EmitError> for TestError {
    fn from(error: EmitError) -> Self {
        Self::Emit(error)
    }
}
