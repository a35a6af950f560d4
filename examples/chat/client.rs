//! The files of the official client, installed by npm once.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Returns the folder with the client's files. Returns `None` if there is no npm: then the page
/// loads the client from the public CDN.
pub(crate) fn folder() -> Option<PathBuf> {
    let home = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/socket.io-client");
    let files = home.join("node_modules/socket.io-client/dist");
    if files.join("socket.io.min.js").exists() {
        return Some(files);
    }
    println!("fetching {PACKAGE} with npm");
    let fetched = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--prefix"])
        .arg(&home)
        .arg(PACKAGE)
        .stdout(Stdio::null())
        .status();
    match fetched {
        Ok(status) if status.success() => Some(files),
        Ok(status) => {
            println!("npm failed ({status}); the page uses the public CDN");
            None
        }
        Err(error) => {
            println!("no npm ({error}); the page uses the public CDN");
            None
        }
    }
}

const PACKAGE: &str = "socket.io-client@4.8.4";
