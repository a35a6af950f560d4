//! The login of a page: by a session id, or by username and password.
//!
//! A connecting socket enters; it is accepted or refused. The password is hashed on a thread for
//! blocking work, one at a time, so that neither workers nor other blocking work wait for it.

use log::Level;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::admin::attempts::Attempts;
use crate::admin::options::{AdminError, AdminOptions, Credentials};
use crate::admin::sessions::Sessions;
use crate::clock::now;
use crate::error::ConnectError;
use crate::limits::{Limit, LimitHit};
use crate::logging::{LogKind, plain};
use crate::socket::Socket;

/// Accepts pages.
pub(super) struct Gate {
    credentials: Option<Credentials>,
    sessions: Sessions,
    attempts: Mutex<Attempts>,
    login_attempts: u32,
    /// The logins that are checked or wait for it.
    places: Semaphore,
    hashing: Semaphore,
}

/// The `auth` payload of a page.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Login {
    session_id: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

impl Gate {
    pub(super) fn new(options: &AdminOptions) -> Result<Self, AdminError> {
        if let Some(credentials) = &options.credentials {
            let hash: Result<bcrypt::HashParts, _> = credentials.password.parse();
            hash.map_err(|_| AdminError::InvalidHash)?;
        }
        Ok(Self {
            credentials: options.credentials.clone(),
            sessions: Sessions::of(options)?,
            attempts: Mutex::new(Attempts::new(options.login_attempts)),
            login_attempts: options.login_attempts,
            places: Semaphore::new(MAX_LOGINS),
            hashing: Semaphore::new(1),
        })
    }

    /// Returns an error if the page may not enter.
    pub(super) async fn check(&self, socket: &Socket) -> Result<(), ConnectError> {
        let Some(credentials) = &self.credentials else {
            return Ok(());
        };
        let login: Login = socket.auth().unwrap_or_default();
        if let Some(id) = &login.session_id
            && self.sessions.contains(id).await
        {
            return Ok(());
        }
        let (Some(username), Some(password)) = (login.username, login.password) else {
            return Err(INVALID.into());
        };
        let address = socket.handshake().address();
        let place = self.places.try_acquire();
        if place.is_err() || !self.attempts.lock().begin(address, now()) {
            report(socket, "too many attempts");
            let hit = LimitHit::new(Limit::LoginAttempts, self.login_attempts);
            let hit = hit.in_namespace(socket.namespace());
            socket
                .state()
                .link
                .report_hit(hit.of_socket(&socket.state().id));
            return Err("too many login attempts, try again later".into());
        }
        // The password is checked for any username, so that the time does not tell which exists.
        let is_password = self.verify(password, &credentials.password).await;
        if !is_password || username != credentials.username {
            report(socket, INVALID);
            return Err(INVALID.into());
        }
        self.attempts.lock().succeeded(address);
        let session = self.sessions.issue().await;
        // It follows the CONNECT packet, because the page listens from then on. The reference sends
        // it before, and its page loses it.
        if let Err(error) = socket.emit_sync("session", session) {
            log::debug!("Admin UI: session id not sent to {}: {error}", socket.id());
        }
        log::info!(
            "Admin UI in {}: login of {}",
            socket.namespace(),
            socket.state().link
        );
        Ok(())
    }

    async fn verify(&self, password: String, hash: &str) -> bool {
        let Ok(_turn) = self.hashing.acquire().await else {
            return false;
        };
        let hash = hash.to_owned();
        let checked = spawn_blocking(move || bcrypt::verify(password, &hash)).await;
        matches!(checked, Ok(Ok(true)))
    }
}

/// Logs a failed login, within the limit of lines.
fn report(socket: &Socket, cause: &str) {
    let link = &socket.state().link;
    let namespace = plain(socket.namespace());
    let line = format_args!("Admin UI in {namespace}: login of {link} refused: {cause}");
    let limits = &link.config.line_limits;
    limits.write(LogKind::Refused, Level::Warn, line);
}

/// The message of the reference, by which the page asks for the password again.
const INVALID: &str = "invalid credentials";

/// The logins that are checked or wait for it; more are refused.
const MAX_LOGINS: usize = 16;
