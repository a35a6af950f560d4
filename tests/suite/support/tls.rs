//! TLS: a certificate of the tests' own, and clients that trust it.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::{Site, within};

/// The name of the certificate.
pub(crate) const NAME: &str = "localhost";

/// Makes the settings of a server, and those of a client that trusts it.
pub(crate) fn configs() -> (ServerConfig, ClientConfig) {
    let names = [NAME.to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let certificate = cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, client)
}

/// Opens a connection to a server with that certificate, and offers these protocols by ALPN.
pub(crate) async fn connect(
    config: &ClientConfig,
    protocols: &[&str],
    site: &Site,
) -> TlsStream<TcpStream> {
    let mut config = config.clone();
    let protocols = protocols.iter().map(|name| name.as_bytes().to_vec());
    config.alpn_protocols = protocols.collect();
    let tcp = within("a connection", TcpStream::connect(site.address)).await;
    let tcp = tcp.unwrap();
    tcp.set_nodelay(true).unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    within("a TLS handshake", connecting).await.unwrap()
}
