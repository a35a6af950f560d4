//! The UDP socket of WebTransport, and the attempts of clients to connect.
//!
//! A thread of its own receives from the socket, so that a blocked worker delays only its own
//! clients. Each attempt leaves to a worker, which has its connection from then on, or is refused.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use log::Level;
use parking_lot::Mutex;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Endpoint, EndpointConfig, IdleTimeout, Incoming, ServerConfig, TokioRuntime, TransportConfig,
    VarInt,
};
use tokio::runtime::{self, Runtime};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::limits::{Limit, LimitHit};
use crate::logging::LogKind;
use crate::transport::webtransport::http3::H3_NO_ERROR;

/// A bound socket. Its thread ends when it is dropped.
pub(crate) struct WebTransportListener {
    address: SocketAddr,
    bound: Mutex<Option<(UdpSocket, ServerConfig)>>,
    attempts: Arc<Attempts>,
    stop: ListenerStop,
}

/// The options of a listener.
pub(crate) struct ListenerOptions {
    pub(crate) config: Arc<Config>,
    /// The limit of connections without a session.
    pub(crate) unopened: usize,
}

/// Ends a listener, from any thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListenerStop {
    stop: CancellationToken,
    ended: CancellationToken,
}

/// An attempt of a client to connect.
pub(crate) struct Attempt {
    pub(super) incoming: Incoming,
    pub(super) unopened: Unopened,
    pub(super) config: Arc<Config>,
}

/// A connection that counts until its session is open.
pub(super) struct Unopened(Arc<Attempts>);

/// The workers that serve connections, and the number of those without a session.
struct Attempts {
    options: ListenerOptions,
    workers: Mutex<Workers>,
    /// Cancelled by the first worker. Earlier attempts wait in QUIC's own queue.
    ready: CancellationToken,
    unopened: AtomicUsize,
}

#[derive(Default)]
struct Workers {
    senders: Vec<mpsc::Sender<Attempt>>,
    /// The worker that the next attempt is for.
    next: usize,
}

impl WebTransportListener {
    /// Binds a socket; nothing is served before [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// The error of the system, or a configuration that QUIC cannot use.
    pub(crate) fn bind(
        address: SocketAddr,
        tls: rustls::ServerConfig,
        options: ListenerOptions,
    ) -> io::Result<Self> {
        let config = server_config(tls, &options)?;
        let socket = UdpSocket::bind(address)?;
        Ok(Self {
            address: socket.local_addr()?,
            bound: Mutex::new(Some((socket, config))),
            attempts: Arc::new(Attempts {
                options,
                workers: Mutex::default(),
                ready: CancellationToken::new(),
                unopened: AtomicUsize::new(0),
            }),
            stop: ListenerStop::default(),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a worker, which serves the attempts that it receives.
    pub(crate) fn worker(&self) -> mpsc::Receiver<Attempt> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        self.attempts.workers.lock().senders.push(sender);
        self.attempts.ready.cancel();
        receiver
    }

    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub(crate) fn start(&self) -> io::Result<()> {
        let started = self.start_thread();
        if started.is_err() {
            // There is no thread.
            self.stop.ended.cancel();
        }
        started
    }

    fn start_thread(&self) -> io::Result<()> {
        let Some((socket, config)) = self.bound.lock().take() else {
            return Ok(());
        };
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let endpoint = {
            let _context = runtime.enter();
            Endpoint::new(
                EndpointConfig::default(),
                Some(config),
                socket,
                Arc::new(TokioRuntime),
            )
        };
        let endpoint = match endpoint {
            Ok(endpoint) => endpoint,
            Err(error) => {
                // The caller may be in another runtime, in which none can be dropped.
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let (attempts, stop) = (Arc::clone(&self.attempts), self.stop.clone());
        let thread = thread::Builder::new().name("webtransport".to_owned());
        thread.spawn(move || run(&runtime, &endpoint, &attempts, &stop))?;
        Ok(())
    }

    /// Returns the value that ends the listener.
    pub(crate) fn stop(&self) -> ListenerStop {
        self.stop.clone()
    }
}

impl Drop for WebTransportListener {
    fn drop(&mut self) {
        self.stop.stop.cancel();
        if self.bound.get_mut().is_some() {
            // There is no thread.
            self.stop.ended.cancel();
        }
    }
}

impl ListenerStop {
    /// Closes all connections, and waits until their clients know it, for a limited time.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.ended.cancelled().await;
    }
}

/// Accepts attempts until the listener ends.
fn run(runtime: &Runtime, endpoint: &Endpoint, attempts: &Arc<Attempts>, stop: &ListenerStop) {
    let _ended = stop.ended.clone().drop_guard();
    runtime.block_on(async {
        loop {
            tokio::select! {
                biased;
                () = stop.stop.cancelled() => break,
                incoming = next(endpoint, attempts) => match incoming {
                    Some(incoming) => attempts.take(incoming),
                    None => break,
                },
            }
        }
        endpoint.close(VarInt::from_u32(H3_NO_ERROR), b"server shutting down");
        // The connections are on the workers, which may have ended.
        let _ = timeout(GOODBYE, endpoint.wait_idle()).await;
    });
}

/// Waits for the next attempt, and before the first one for a worker.
async fn next(endpoint: &Endpoint, attempts: &Attempts) -> Option<Incoming> {
    attempts.ready.cancelled().await;
    endpoint.accept().await
}

impl Attempts {
    fn take(self: &Arc<Self>, incoming: Incoming) {
        let Some(unopened) = self.begin() else {
            return self.refuse(incoming);
        };
        // RFC 9000, 8.1.2: a client must show that it receives at its address, if there are many.
        let is_busy = self.unopened.load(Ordering::Relaxed) > self.options.unopened / 2;
        if is_busy && incoming.may_retry() {
            // It fails only for an address that was validated.
            let _ = incoming.retry();
            return;
        }
        let mut attempt = Attempt {
            incoming,
            unopened,
            config: Arc::clone(&self.options.config),
        };
        let mut workers = self.workers.lock();
        workers.senders.retain(|worker| !worker.is_closed());
        for _ in 0..workers.senders.len() {
            workers.next = (workers.next + 1) % workers.senders.len();
            match workers.senders[workers.next].try_send(attempt) {
                Ok(()) => return,
                Err(unsent) => attempt = unsent.into_inner(),
            }
        }
        attempt.refuse();
    }

    /// Counts one more connection without a session, if there may be one.
    fn begin(self: &Arc<Self>) -> Option<Unopened> {
        let limit = self.options.unopened;
        let count = |count| (count < limit).then_some(count + 1);
        let unopened = &self.unopened;
        let counted = unopened.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        counted.is_ok().then(|| Unopened(Arc::clone(self)))
    }

    fn refuse(&self, incoming: Incoming) {
        let ListenerOptions { config, unopened } = &self.options;
        let limit = Limit::WebTransportUnopened;
        let address = incoming.remote_address().ip().to_canonical();
        incoming.refuse();
        let line = format_args!("connection of {address} refused: limit `{limit}` of {unopened}");
        config
            .line_limits
            .write(LogKind::Refused, Level::Info, line);
        config.telemetry.metrics.refused(limit.as_str());
        let hit = LimitHit::new(limit, *unopened).of_address(Some(address));
        config.limit_hooks.hit(&hit);
    }
}

impl Attempt {
    /// Refuses it: the worker has no room.
    pub(crate) fn refuse(self) {
        self.incoming.refuse();
    }
}

impl Drop for Unopened {
    fn drop(&mut self) {
        self.0.unopened.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns the configuration of QUIC: what one client may occupy.
fn server_config(
    mut tls: rustls::ServerConfig,
    options: &ListenerOptions,
) -> io::Result<ServerConfig> {
    let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidInput, error);
    tls.alpn_protocols = vec![b"h3".to_vec()];
    // A packet that is sent twice must not open two sessions.
    tls.max_early_data_size = 0;
    let crypto = QuicServerConfig::try_from(tls).map_err(|error| invalid(error.to_string()))?;
    let silence = options.config.engine.silence_limit();
    // The heartbeat of the session decides, unless the client has a shorter limit.
    let idle =
        IdleTimeout::try_from(silence + IDLE_DELAY).map_err(|error| invalid(error.to_string()))?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(BIDIRECTIONAL_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(UNIDIRECTIONAL_STREAMS))
        .stream_receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .receive_window(VarInt::from_u32(2 * RECEIVE_WINDOW))
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(Some(DATAGRAMS))
        .datagram_send_buffer_size(0)
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(KEEP_ALIVE.min(silence / 3)));
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(Arc::new(transport))
        .max_incoming(options.unopened.max(1))
        .incoming_buffer_size(INCOMING)
        .incoming_buffer_size_total(INCOMING_TOTAL);
    Ok(config)
}

/// The streams of a client in both directions: its request, and that of its session.
const BIDIRECTIONAL_STREAMS: u32 = 2;

/// The other streams of a client: three of HTTP/3, and such that are stopped at once.
const UNIDIRECTIONAL_STREAMS: u32 = 8;

/// The bytes of one stream that a client may send before they are read.
const RECEIVE_WINDOW: u32 = 256 * 1024;

/// The bytes beside its outbox that are sent to a client and not acknowledged by it. They are for
/// WebTransport what the buffer of a TCP socket is for a WebSocket.
const SEND_WINDOW: u64 = 256 * 1024;

/// The bytes of unread datagrams: no packet is sent in one.
const DATAGRAMS: usize = 2 * 1024;

/// The bytes that are kept of a client, and of all clients, before their attempts reach a worker.
const INCOMING: u64 = 16 * 1024;
const INCOMING_TOTAL: u64 = 4 * 1024 * 1024;

/// The interval of QUIC's own keep-alive: browsers end a connection that is idle for 30 seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The time by which QUIC's own limit of a silent client is longer than that of the heartbeat.
const IDLE_DELAY: Duration = Duration::from_secs(5);

/// The attempts that one worker may have been sent but not accepted.
const AHEAD: usize = 64;

/// The time for which an ending listener informs its clients.
const GOODBYE: Duration = Duration::from_millis(500);
