//! Events with an acknowledgement: to one socket, and to many.

use std::time::Duration;

use actix::Message;
use serde::Serialize;

use crate::cluster::Coverage;
use crate::error::{CallError, EmitError};
use crate::id::SocketId;
use crate::message::address::{Address, addressed};
use crate::socketio::{Args, ArgsError};

/// Sends an event to one socket of any namespace. The result of the message is its acknowledgement.
///
/// # Examples
///
/// ```
/// # use actix_socketio::{Call, Server, SocketId};
/// # async fn run(server: actix::Addr<Server>, id: SocketId) -> Result<(), Box<dyn std::error::Error>> {
/// let answer = server.send(Call::to(id).event("ask", 1)).await??;
/// let number: i64 = answer.read()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Message)]
#[rtype(result = "Result<Args, CallError>")]
pub struct Call {
    pub(crate) socket: SocketId,
    pub(crate) event: String,
    pub(crate) data: Result<Args, ArgsError>,
    pub(crate) timeout: Option<Duration>,
}

impl Call {
    /// Names the socket.
    #[must_use]
    pub fn to(socket: SocketId) -> Self {
        Self {
            socket,
            event: "message".to_owned(),
            data: Ok(Args::default()),
            timeout: None,
        }
    }

    /// Names the event and its data. By default the event is `message` without data.
    #[must_use]
    pub fn event(mut self, name: impl Into<String>, data: impl Serialize) -> Self {
        self.event = name.into();
        self.data = Args::from_value(&data);
        self
    }

    /// Sets the timeout of the acknowledgement; the server's `ack_timeout` by default.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }
}

/// Sends an event to many sockets. The result of the message is their acknowledgements.
///
/// # Examples
///
/// ```
/// # use actix_socketio::{CallMany, Server};
/// # async fn run(server: actix::Addr<Server>) -> Result<(), Box<dyn std::error::Error>> {
/// let votes = server.send(CallMany::event("vote", "lunch").to("lobby")).await??;
/// for (socket, vote) in &votes.answers {
///     println!("{socket:?} votes for {}", vote.read::<String>()?);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Message)]
#[rtype(result = "Result<AckResults<Args>, EmitError>")]
pub struct CallMany {
    pub(crate) event: String,
    pub(crate) data: Result<Args, ArgsError>,
    pub(crate) address: Address,
    pub(crate) timeout: Option<Duration>,
}

impl CallMany {
    /// Names the event and its data: a tuple is sent as that many arguments, `()` as none, any
    /// other type as one.
    pub fn event(name: impl Into<String>, data: impl Serialize) -> Self {
        Self {
            event: name.into(),
            data: Args::from_value(&data),
            address: Address::default(),
            timeout: None,
        }
    }

    /// Sets the timeout of the acknowledgements; the server's `ack_timeout` by default.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    addressed!();
}

/// The answers of many sockets, after all have answered or disconnected, or at the timeout.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// # async fn run(io: actix_socketio::SocketIo) -> Result<(), actix_socketio::EmitError> {
/// let vote = io.timeout(Duration::from_secs(5)).emit_with_ack::<bool>("vote", "lunch").await?;
/// let votes = vote.collect().await;
/// let ayes = votes.answers.iter().filter(|(_, aye)| *aye).count();
/// println!("{ayes} for it, {} silent", votes.missing.len());
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct AckResults<R> {
    /// The answers with their sockets, in the order of arrival; `None` for a socket of another kind
    /// of node, which does not name it.
    pub answers: Vec<(Option<SocketId>, R)>,
    /// The answers of the wrong type, with their sockets and the cause.
    pub unreadable: Vec<(Option<SocketId>, ArgsError)>,
    /// The sockets of this node that did not answer: they disconnected, had no room for the event,
    /// or reached the timeout.
    pub missing: Vec<SocketId>,
    /// The number of sockets of other nodes that did not answer.
    pub missing_elsewhere: usize,
    /// The nodes that did not report the number of asked sockets, or that ended before their
    /// sockets had answered, and the reason if no node could be asked.
    pub coverage: Coverage,
    /// The timeout ended it before all sockets had answered or disconnected.
    pub timed_out: bool,
}
