//! The identity of a server with WebTransport, for browsers that pin its certificate.
//!
//! The folder `IDENTITY` of the environment enters: its certificate is made once for all servers.
//! Without it each server makes its own. The configuration of TLS leaves, and the SHA-256 of the
//! certificate.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

/// Returns a configuration of TLS, and the hash of its certificate.
pub(crate) fn identity() -> Result<(ServerConfig, String), Box<dyn Error>> {
    let (key, certificate) = match env::var("IDENTITY") {
        Ok(folder) => {
            let [key, certificate] =
                ["key", "certificate"].map(|name| Path::new(&folder).join(name));
            if !key.exists() {
                let (made, by) = make()?;
                fs::write(&certificate, by)?;
                fs::write(&key, made)?;
            }
            (fs::read(key)?, fs::read(certificate)?)
        }
        Err(_) => make()?,
    };
    let hash = Sha256::digest(&certificate);
    let hash = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let tls = ServerConfig::builder_with_provider(default_provider().into())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.into()],
            PrivatePkcs8KeyDer::from(key).into(),
        )?;
    Ok((tls, hash))
}

/// Makes a key and its certificate, as a browser pins them: ECDSA with P-256, valid for 14 days.
fn make() -> Result<(Vec<u8>, Vec<u8>), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    params.not_before = OffsetDateTime::now_utc() - time::Duration::hours(1);
    params.not_after = params.not_before + time::Duration::days(14);
    let certificate = params.self_signed(&key)?;
    Ok((key.serialize_der(), certificate.der().to_vec()))
}
