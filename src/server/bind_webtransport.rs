//! The methods of a server that bind WebTransport.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use rustls::ServerConfig;

use crate::server::app_server::AppServer;
use crate::transport::{AppFactory, ListenerOptions, WebTransportListener};

impl<F: AppFactory> AppServer<F> {
    /// Serves WebTransport on each of these addresses: sessions over HTTP/3, on UDP. The clients of
    /// the server may upgrade to it, and OPEN packets name it.
    ///
    /// The official client uses the host and the port of its URL for all transports. So the address
    /// has the port of [`bind`](Self::bind), and the certificate has the host. A client asks for the
    /// transport: `io({ transports: ["polling", "websocket", "webtransport"] })`. The protocol `h3`
    /// is set here, and early data is switched off.
    ///
    /// The request of a session passes through the App with its middleware and guards like that of a
    /// WebSocket: a GET with `transport=webtransport` in its query. The server answers it, and the
    /// client then names a new session or the one to upgrade. So limits, and hooks such as
    /// [`allow_request`](crate::Builder::allow_request), refuse a client after the response: its
    /// session is closed with the code of [`ConnectionError`](crate::ConnectionError), and a header
    /// hook for handshakes is not called.
    ///
    /// # Errors
    ///
    /// The last address's error, if none can be used, or if QUIC cannot use the configuration: it
    /// must have TLS 1.3. It also fails for the reasons of [`bind`](Self::bind).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use actix_socketio::SocketIo;
    /// use actix_web::App;
    /// use rustls::ServerConfig;
    /// use rustls::pki_types::pem::PemObject;
    /// use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let chain = CertificateDer::pem_file_iter("cert.pem")?.collect::<Result<_, _>>()?;
    /// let key = PrivateKeyDer::from_pem_file("key.pem")?;
    /// let tls = ServerConfig::builder()
    ///     .with_no_client_auth()
    ///     .with_single_cert(chain, key)?;
    /// let io = SocketIo::builder().start()?;
    /// io.serve(App::new)
    ///     .bind(("0.0.0.0", 3000))?
    ///     .webtransport(("0.0.0.0", 3000), tls)?
    ///     .run()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "webtransport")))]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "as `bind_rustls_0_23` takes it; most programs have one listener"
    )]
    pub fn webtransport(
        self,
        addresses: impl ToSocketAddrs,
        config: ServerConfig,
    ) -> io::Result<Self> {
        self.has_no_fault()?;
        let mut failed = io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on");
        let mut is_bound = false;
        for address in addresses.to_socket_addrs()? {
            let options = ListenerOptions {
                config: Arc::clone(&self.engine.config),
                unopened: self.webtransports.unopened,
            };
            match WebTransportListener::bind(address, config.clone(), options) {
                Ok(listener) => {
                    let site = self.site(listener.address(), true);
                    self.webtransports.add(listener, site);
                    is_bound = true;
                }
                Err(error) => failed = error,
            }
        }
        if !is_bound {
            return Err(failed);
        }
        self.engine.offer_webtransport();
        Ok(self)
    }

    /// Sets the maximal number of WebTransport connections that have no session yet, 1024 by
    /// default; further ones are refused. Applies to addresses bound later. From half of it on a
    /// client must first show that it receives packets at its address. Each connection has
    /// [`upgrade_timeout`](crate::Builder::upgrade_timeout) for each step to its session.
    #[cfg_attr(docsrs, doc(cfg(feature = "webtransport")))]
    pub fn webtransport_unopened(mut self, connections: usize) -> Self {
        self.webtransports.unopened = connections;
        self
    }

    /// Returns the addresses of WebTransport.
    #[cfg_attr(docsrs, doc(cfg(feature = "webtransport")))]
    #[must_use]
    pub fn webtransport_addrs(&self) -> Vec<SocketAddr> {
        self.webtransports.addresses()
    }
}
