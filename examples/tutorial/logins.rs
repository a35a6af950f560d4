//! The users who have logged in, with the end of each login.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The secret in the `auth` payload of a client.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub(crate) struct Token(Uuid);

#[derive(Deserialize)]
pub(crate) struct Credentials {
    pub(crate) name: String,
    pub(crate) password: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) name: String,
    pub(crate) ends: Instant,
}

#[derive(Clone, Default)]
pub(crate) struct Logins(Arc<Mutex<HashMap<Token, Login>>>);

impl Logins {
    /// Checks a password, and returns a token that is valid for an hour.
    pub(crate) fn log_in(&self, credentials: &Credentials) -> Option<Token> {
        let is_known = ["ann", "bob"].contains(&credentials.name.as_str());
        // In production: compare a hash of the password (argon2, bcrypt) with the stored hash.
        if !is_known || credentials.password != credentials.name {
            return None;
        }
        Some(self.open(&credentials.name, HOUR))
    }

    pub(crate) fn open(&self, name: &str, valid: Duration) -> Token {
        let token = Token(Uuid::new_v4());
        let login = Login {
            name: name.to_owned(),
            ends: Instant::now() + valid,
        };
        self.table().insert(token, login);
        token
    }

    pub(crate) fn find(&self, token: Token) -> Option<Login> {
        let mut logins = self.table();
        logins.retain(|_, login| login.ends > Instant::now());
        logins.get(&token).cloned()
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Token, Login>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);
