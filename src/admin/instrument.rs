//! The connection of a server with its Admin UI.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

use crate::admin::commands;
use crate::admin::listing;
use crate::admin::login::Gate;
use crate::admin::options::{AdminError, AdminMode, AdminOptions};
use crate::admin::reporter::Reporter;
use crate::admin::stats::{SessionCounter, Stats};
use crate::handler::{ConnectContext, DisconnectContext, EventContext};
use crate::id::ClientIds;
use crate::server::SocketIo;
use crate::socket::Socket;

impl SocketIo {
    /// Serves the [Admin UI](https://socket.io/docs/v4/admin-ui/): the page
    /// <https://admin.socket.io>, or a copy of it, shows the servers, clients, rooms and events, and
    /// disconnects or moves sockets. In a cluster a page sees all servers that are instrumented.
    ///
    /// The page is served from another origin, so [`Builder::cors`](crate::Builder::cors) must
    /// admit it, with credentials. Call this before the server accepts clients.
    ///
    /// The page never gets the `sid` of a session, an `auth` payload, or a header with credentials
    /// such as `cookie`. [`AdminMode::Development`] shows the rest: the query of the handshake, the
    /// session's values, and the arguments of events.
    ///
    /// # Errors
    ///
    /// [`AdminError`], if the password is not a bcrypt hash, if the URL of the session store is
    /// invalid, or if the server has an Admin UI already.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{AdminOptions, Cors, SocketIo};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cors = Cors::origins(["https://admin.socket.io"]).credentials(true);
    /// let io = SocketIo::builder().cors(cors).start()?;
    /// let hash = "$2b$10$heqvAkYMez.Va6Et2uXInOnkCT6/uQj1brkrbyG3LpopDklcq7ZOS";
    /// io.instrument(AdminOptions::basic_auth("admin", hash))?;
    /// # Ok(()) }
    /// ```
    pub fn instrument(&self, options: AdminOptions) -> Result<(), AdminError> {
        let gate = Arc::new(Gate::new(&options)?);
        let admin = self.of(&options.namespace);
        let reporter = Reporter::new(&admin, self.is_node());
        let is_development = options.mode == AdminMode::Development;
        let counts = Arc::new(Mutex::default());
        let counter = SessionCounter {
            counts: Arc::clone(&counts),
            reporter: is_development.then(|| Arc::clone(&reporter)),
        };
        if !self.engine().watch(Box::new(counter)) {
            return Err(AdminError::Instrumented);
        }
        // Set once, as the watcher.
        let _ = self
            .engine()
            .config
            .sockets
            .client_ids
            .set(ClientIds::random());
        admin.middleware(move |socket: Socket| {
            let gate = Arc::clone(&gate);
            async move { gate.check(&socket).await }
        });
        let config = Config::of(&options);
        admin.on_connect(move |socket: Socket, io: Self| {
            let config = config.clone();
            async move { greet(&socket, io, config).await }
        });
        if !options.read_only {
            commands::register(&admin);
        }
        if is_development {
            reporter.start(self.arbiter());
            follow(self, &reporter);
            listing::answer(self, &admin);
        }
        let hostname = gethostname::gethostname().to_string_lossy().into_owned();
        let server_id = options.server_id;
        // The task ends with the server, so nobody keeps its handle.
        drop(
            self.spawn(
                Stats {
                    io: self.downgrade(),
                    reporter,
                    counts,
                    server_id: server_id
                        .unwrap_or_else(|| format!("{hostname}#{}", std::process::id())),
                    hostname,
                }
                .run(),
            ),
        );
        Ok(())
    }
}

/// The message `config`.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    supported_features: Vec<&'static str>,
}

impl Config {
    fn of(options: &AdminOptions) -> Self {
        let mut supported_features = Vec::new();
        if !options.read_only {
            supported_features.extend(commands::FEATURES);
        }
        supported_features.push("AGGREGATED_EVENTS");
        if options.mode == AdminMode::Development {
            supported_features.push(ALL_EVENTS);
        }
        Self { supported_features }
    }
}

/// Registers the hooks of development mode.
fn follow(io: &SocketIo, reporter: &Arc<Reporter>) {
    let (connected, disconnected, received) = (
        Arc::clone(reporter),
        Arc::clone(reporter),
        Arc::clone(reporter),
    );
    // No handlers of the program's kind: these count as no handler in flight, and answer nothing.
    io.all_namespaces().table.change(|table| {
        table.on_connected(Arc::new(move |context: &ConnectContext<'_>| {
            connected.connected(context);
        }));
        table.on_disconnect(Arc::new(move |context: &DisconnectContext<'_>| {
            disconnected.disconnected(context);
        }));
        table.on_any(Arc::new(move |context: &EventContext<'_>| {
            received.received(context);
        }));
    });
    for namespace in io.all_namespaces().namespaces() {
        reporter.follow(&namespace);
    }
    let reporter = Arc::clone(reporter);
    io.on_new_namespace(move |namespace| reporter.follow(namespace));
}

/// Sends the features to a page, and in development mode all sockets.
async fn greet(socket: &Socket, io: SocketIo, config: Config) {
    let is_development = config.supported_features.contains(&ALL_EVENTS);
    // A page that has left gets nothing.
    let _ = socket.emit("config", config).await;
    if is_development {
        let page = socket.clone();
        // Other nodes answer later; the page connects meanwhile.
        drop(socket.spawn(async move {
            let sockets = listing::all_sockets(&io, page.namespace()).await;
            if let Err(error) = page.emit("all_sockets", sockets).await {
                log::debug!("Admin UI: sockets not sent to {}: {error}", page.id());
            }
        }));
    }
}

/// The feature of development mode.
const ALL_EVENTS: &str = "ALL_EVENTS";
