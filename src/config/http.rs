//! The options of the server's routes: its path, its origins, its proxies, its responses.

use std::path::PathBuf;

use crate::config::Cors;
use crate::handshake::TrustedProxies;

/// The options that the HTTP edge reads.
#[derive(Clone, Debug)]
pub(crate) struct HttpConfig {
    /// The path of the server; begins and ends with a slash.
    pub(crate) path: String,
    pub(crate) cors: Option<Cors>,
    pub(crate) trusted_proxies: TrustedProxies,
    /// The size from which the response to a poll is compressed, in bytes.
    pub(crate) http_compression: Option<usize>,
    pub(crate) client_files: Option<PathBuf>,
}

impl HttpConfig {
    pub(super) fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            cors: None,
            trusted_proxies: TrustedProxies::default(),
            http_compression: Some(1024),
            client_files: None,
        }
    }

    /// Returns an error that names an invalid option and the reason.
    pub(crate) fn check(&self) -> Result<(), String> {
        let path = &self.path;
        // These characters have a meaning in a router's patterns, or do not appear in a URL's path.
        let is_wrong = |character: char| "{}*?#%\\".contains(character) || character.is_control();
        if let Some(wrong) = path.chars().find(|character| is_wrong(*character)) {
            return Err(format!(
                "path {path:?} cannot be served: it contains {wrong:?}"
            ));
        }
        let inner = path
            .strip_prefix('/')
            .and_then(|path| path.strip_suffix('/'));
        let mut segments = inner.unwrap_or_default().split('/');
        if path != "/" && segments.any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(format!(
                "path {path:?} cannot be served: no client sends a segment that is empty, `.` or `..`"
            ));
        }
        match self.cors.as_ref().and_then(|cors| cors.fault.as_ref()) {
            Some(fault) => Err(format!("Cors::origins: {fault}")),
            None => Ok(()),
        }
    }
}
