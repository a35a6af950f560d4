//! The session ids of pages that have logged in: in memory, or in Redis for all servers.
//!
//! An id that was issued is known for a day. If Redis cannot be reached within its limit, no id is
//! known, and the page asks for the password.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::admin::options::{AdminError, AdminOptions};
use crate::clock::now;

/// The store of session ids.
pub(super) enum Sessions {
    Memory(Mutex<Memory>),
    #[cfg(feature = "redis")]
    Redis(RedisStore),
}

impl Sessions {
    #[cfg_attr(
        not(feature = "redis"),
        allow(
            unused_variables,
            clippy::unnecessary_wraps,
            reason = "only a URL can be invalid"
        )
    )]
    pub(super) fn of(options: &AdminOptions) -> Result<Self, AdminError> {
        #[cfg(feature = "redis")]
        if let Some(url) = &options.session_store {
            return RedisStore::new(url).map(Self::Redis);
        }
        Ok(Self::Memory(Mutex::default()))
    }

    /// Issues a session id.
    pub(super) async fn issue(&self) -> String {
        let id = uuid::Uuid::new_v4().simple().to_string();
        match self {
            Self::Memory(sessions) => sessions.lock().insert(&id, now()),
            #[cfg(feature = "redis")]
            Self::Redis(store) => store.insert(&id).await,
        }
        id
    }

    /// Returns `true` if this id was issued within the last day.
    pub(super) async fn contains(&self, id: &str) -> bool {
        if id.len() > LONGEST_ID || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return false;
        }
        match self {
            Self::Memory(sessions) => sessions.lock().contains(id, now()),
            #[cfg(feature = "redis")]
            Self::Redis(store) => store.contains(id).await,
        }
    }
}

/// The ids of one server.
#[derive(Debug, Default)]
pub(super) struct Memory {
    expiry: HashMap<String, Instant>,
    /// The ids in the order of their expiry.
    order: VecDeque<String>,
}

impl Memory {
    fn insert(&mut self, id: &str, now: Instant) {
        while let Some(oldest) = self.order.front()
            && (self.order.len() >= MAX_SESSIONS || !self.contains(oldest, now))
        {
            self.expiry.remove(oldest);
            self.order.pop_front();
        }
        self.expiry.insert(id.to_owned(), now + LIFETIME);
        self.order.push_back(id.to_owned());
    }

    fn contains(&self, id: &str, now: Instant) -> bool {
        self.expiry.get(id).is_some_and(|expiry| *expiry > now)
    }
}

/// The keys of the reference: `socket.io-admin#` and the id.
#[cfg(feature = "redis")]
pub(super) struct RedisStore {
    client: redis::Client,
    /// Replaced after it has failed.
    connection: tokio::sync::Mutex<Option<redis::aio::MultiplexedConnection>>,
}

#[cfg(feature = "redis")]
impl RedisStore {
    fn new(url: &str) -> Result<Self, AdminError> {
        let client = redis::Client::open(url);
        Ok(Self {
            client: client.map_err(|error| AdminError::InvalidStore(error.to_string()))?,
            connection: tokio::sync::Mutex::default(),
        })
    }

    async fn insert(&self, id: &str) {
        let mut command = redis::cmd("SET");
        command
            .arg(key(id))
            .arg("1")
            .arg("EX")
            .arg(LIFETIME.as_secs());
        self.run::<()>(&command).await;
    }

    async fn contains(&self, id: &str) -> bool {
        let mut command = redis::cmd("EXISTS");
        command.arg(key(id));
        self.run::<bool>(&command).await.unwrap_or_default()
    }

    async fn run<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Option<T> {
        let answered = tokio::time::timeout(REDIS_LIMIT, async {
            let mut connection = self.connection().await?;
            command.query_async(&mut connection).await
        });
        let error = match answered.await {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {REDIS_LIMIT:?}"),
        };
        self.connection.lock().await.take();
        log::warn!("session store of the Admin UI: {error}");
        None
    }

    async fn connection(&self) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = &*kept {
            return Ok(connection.clone());
        }
        let connection = self.client.get_multiplexed_async_connection().await?;
        *kept = Some(connection.clone());
        Ok(connection)
    }
}

#[cfg(feature = "redis")]
fn key(id: &str) -> String {
    format!("socket.io-admin#{id}")
}

/// The time for which an id is known, that of the reference.
const LIFETIME: Duration = Duration::from_secs(86_400);

/// The ids that a server keeps in memory; the oldest one is dropped for a new one.
const MAX_SESSIONS: usize = 1000;

/// The longest id that is looked up; those of this crate have 32 characters, those of Node.js 16.
const LONGEST_ID: usize = 64;

#[cfg(feature = "redis")]
const REDIS_LIMIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_for_a_day() {
        let (mut sessions, now) = (Memory::default(), Instant::now());
        sessions.insert("a", now);
        assert!(sessions.contains("a", now + LIFETIME - Duration::from_millis(1)));
        assert!(!sessions.contains("a", now + LIFETIME));
        sessions.insert("b", now + LIFETIME);
        assert_eq!(sessions.order, ["b"]);
    }

    #[test]
    fn the_number_of_ids_is_bounded() {
        let (mut sessions, now) = (Memory::default(), Instant::now());
        for id in 0..=MAX_SESSIONS {
            sessions.insert(&id.to_string(), now);
        }
        assert_eq!(sessions.expiry.len(), MAX_SESSIONS);
        assert!(!sessions.contains("0", now));
        assert!(sessions.contains("1", now));
    }
}
