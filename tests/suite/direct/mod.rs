//! The direct path: servers of `AppServer`, without an `HttpServer`.

mod routes;
mod serve;
mod stop;
#[cfg(feature = "rustls-0_23")]
mod tls;
mod wire;
mod workers;
