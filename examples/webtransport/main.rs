//! A page whose client upgrades from polling to WebTransport, with a certificate made at the start.
//!
//! ```sh
//! cargo run --features webtransport --example webtransport
//! ```
//! Open <http://127.0.0.1:3000>. Of `localhost` a browser would try the IPv6 address alone. The page
//! pins the certificate by its hash, which is for development: with a certificate of a public
//! authority the client needs the option `transports` alone.

use std::env;
use std::error::Error;
use std::future::ready;

use actix_socketio::{Data, Socket, SocketIo};
use actix_web::App;
use actix_web::web::{self, Html};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let (tls, hash) = certificate()?;
    let io = SocketIo::builder().start()?;
    io.of("/")
        .on("transport", |socket: Socket| async move {
            socket.transport().as_str()
        })
        .on("echo", |Data(text): Data<String>| async move { text });
    let page = Html::new(include_str!("page.html").replace("HASH", &hash));
    let app = move || {
        let page = page.clone();
        App::new().route("/", web::get().to(move || ready(page.clone())))
    };
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok());
    let address = ("127.0.0.1", port.unwrap_or(3000));
    println!("open http://{}:{}", address.0, address.1);
    io.serve(app)
        .bind(address)?
        // The same number of a port, on UDP.
        .webtransport(address, tls)?
        .run()
        .await?;
    Ok(())
}

/// Makes a certificate that a page may pin, ECDSA with P-256 and valid for 14 days, and its SHA-256.
fn certificate() -> Result<(ServerConfig, String), Box<dyn Error>> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    params.not_before = OffsetDateTime::now_utc() - Duration::hours(1);
    params.not_after = params.not_before + Duration::days(14);
    let certificate = params.self_signed(&key)?;
    let hash = Sha256::digest(certificate.der());
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let tls = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())?;
    Ok((tls, hash.iter().map(|byte| format!("{byte:02x}")).collect()))
}
