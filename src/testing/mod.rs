//! A client for the tests of programs: in memory, over the server's own routes, without a port.
//!
//! [`TestClient`] speaks Engine.IO by long-polling to an actix-web service: what a test asserts went
//! through the program's middleware, the codecs, the session and its namespaces, both ways, like a
//! real client's. [`pause_time`] stops the clock that heartbeats and timeouts look at. It is for tests
//! alone: its methods wait where they have to, and say what came where something else was due.

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

/// Stops the time of this thread's runtime: it goes on by [`advance`], and by leaps to the next timer
/// when all tasks wait. Heartbeats, acknowledgements, connects and upgrades are timed by it.
///
/// # Panics
///
/// Panics where time is paused already, and outside of a runtime of one thread, as that of
/// `#[actix_web::test]` is.
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

/// Moves paused time on, by what everything waits for in its order: each timer that is due by then finds
/// the time that it was set for. Time that is not paused is waited for.
pub async fn advance(duration: Duration) {
    // The clock leaps from timer to timer only while all tasks wait, this one too; a leap by one's own
    // hand would find timers late that start others.
    tokio::time::sleep(duration).await;
}
