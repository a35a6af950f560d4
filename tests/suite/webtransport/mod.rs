//! WebTransport: `AppServer::webtransport`, with clients over loopback UDP.

mod closing;
mod limits;
mod observed;
mod opening;
mod upgrade;
mod wire;
