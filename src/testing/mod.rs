//! A client for the tests of programs: in memory, over the server's own routes, without a port.
//!
//! [`TestClient`] uses Engine.IO long-polling with an actix-web service. Its packets pass the
//! program's middleware, the codecs, the session and its namespaces in both directions, like those
//! of a real client. [`pause_time`] stops the clock of heartbeats and timeouts. The module is for
//! tests alone: its methods wait as needed, and their errors name the packets that arrived instead
//! of the expected one.

mod answer;
mod builder;
mod client;
mod error;
mod event;
mod inbox;
mod service;
mod session;

use std::time::Duration;

pub use crate::adapter::MemoryBroker;
pub use builder::{HandshakeAnswer, TestClientBuilder};
pub use client::TestClient;
pub use error::{ConnectFailed, TestError};
pub use event::ReceivedEvent;

/// Stops the time of this thread's runtime. It then moves by [`advance`], and to the next timer if
/// all tasks wait. Heartbeats, acknowledgements, connects and upgrades use this time.
///
/// # Panics
///
/// Panics if time is paused already, and outside a runtime of one thread such as that of
/// `#[actix_web::test]`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use actix_socketio::testing::{TestClient, advance, pause_time};
/// use actix_socketio::SocketIo;
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// pause_time();
/// let io = SocketIo::builder().start()?;
/// let client = TestClient::builder(&io).answers_pings(false).connect().await?;
/// // 25 seconds to the ping, 20 for its answer.
/// advance(Duration::from_secs(46)).await;
/// client.disconnected(Duration::from_secs(1)).await?;
/// # Ok(()) }
/// ```
pub fn pause_time() {
    tokio::time::pause();
}

/// Moves paused time forward, one timer after the other: each timer that expires in this duration
/// fires at its own time. If time is not paused this waits for the duration.
pub async fn advance(duration: Duration) {
    // The clock moves from timer to timer only while all tasks wait, including this one. Moving it
    // by hand would fire a timer late if another timer starts it.
    tokio::time::sleep(duration).await;
}
