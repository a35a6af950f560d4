//! The program's session of a client: values by key, shared by its handlers.
//!
//! Any thread may read and write it; values are JSON. Programs call it a session. It is not the
//! Engine.IO session, except that both end together.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::data::stored::{Changes, SessionStore, Stored};
use crate::error::SessionError;

/// The values that a program keeps for one client, by key: an extractor of every handler, and
/// [`Socket::session`](crate::Socket::session).
///
/// It is a cheap handle for any thread, also after the client has disconnected. All namespaces of
/// the client share it, unless [`Builder::session_scope`](crate::Builder::session_scope) says
/// otherwise. It ends with the client, and is empty at the start. With the crate's feature
/// `session` it may be a copy of the client's HTTP session, or that session itself
/// (`Builder::http_session`).
///
/// # Examples
///
/// ```
/// use actix_socketio::{Data, Session, SessionError};
///
/// async fn log_in(session: Session, Data(name): Data<String>) -> Result<(), SessionError> {
///     session.insert("name", name)
/// }
///
/// async fn whoami(session: Session) -> Result<Option<String>, SessionError> {
///     session.get("name")
/// }
/// ```
#[derive(Clone, Default)]
pub struct Session {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    stored: Option<Stored>,
}

#[derive(Default)]
struct State {
    entries: Entries,
    /// The changes to save; `None` if the session is not in a store.
    changes: Option<Changes>,
}

/// The values of a session, by key.
pub(crate) type Entries = BTreeMap<String, Value>;

impl Session {
    /// Starts with these values.
    pub(crate) fn of(entries: Entries) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    entries,
                    changes: None,
                }),
                stored: None,
            }),
        }
    }

    /// Starts empty, until it is loaded from its store.
    #[allow(dead_code, reason = "stores are made by the crate's feature `session`")]
    pub(crate) fn lying_in(store: Box<dyn SessionStore>) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    entries: Entries::new(),
                    changes: Some(Changes::default()),
                }),
                stored: Some(Stored::new(store)),
            }),
        }
    }

    pub(crate) fn stored(&self) -> Option<&Stored> {
        self.shared.stored.as_ref()
    }

    /// Returns `true` if there are changes to save.
    pub(crate) fn is_changed(&self) -> bool {
        let state = self.shared.state.lock();
        state
            .changes
            .as_ref()
            .is_some_and(|changes| !changes.is_empty())
    }

    /// Takes the changes to save.
    pub(crate) fn take_changes(&self) -> Changes {
        let mut state = self.shared.state.lock();
        state
            .changes
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Replaces the values with those of the store, except unsaved ones.
    pub(crate) fn refresh(&self, mut entries: Entries) {
        let mut state = self.shared.state.lock();
        if let Some(changes) = &state.changes {
            changes.apply(&mut entries);
        }
        state.entries = entries;
    }

    /// Adds the values of another session, except those of keys that exist here.
    pub(crate) fn adopt(&self, other: &Self) {
        if Arc::ptr_eq(&self.shared, &other.shared) {
            return;
        }
        let entries = other.entries();
        let mut state = self.shared.state.lock();
        for (key, value) in entries {
            if !state.entries.contains_key(&key) {
                state.insert(key, value);
            }
        }
    }

    /// Returns the approximate memory of its values, in bytes.
    pub(crate) fn footprint(&self) -> usize {
        let state = self.shared.state.lock();
        let entries = state.entries.iter();
        let sizes = entries.map(|(key, value)| ENTRY + key.len() + footprint_of(value));
        sizes.sum()
    }

    /// Makes another session with the present values of this one.
    pub(crate) fn duplicate(&self) -> Self {
        Self::of(self.entries())
    }

    /// Returns the value under this key; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`SessionError::Read`], if it is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, SessionError> {
        let Some(value) = self.shared.state.lock().entries.get(key).cloned() else {
            return Ok(None);
        };
        // Outside the lock, because a `Deserialize` is code of the program.
        let read = serde_json::from_value(value);
        read.map(Some).map_err(|error| SessionError::Read {
            key: key.to_owned(),
            message: error.to_string(),
        })
    }

    /// Sets the value under this key.
    ///
    /// # Errors
    ///
    /// [`SessionError::Write`], if it cannot be written as JSON; the session is then unchanged.
    pub fn insert<T: Serialize>(
        &self,
        key: impl Into<String>,
        value: T,
    ) -> Result<(), SessionError> {
        let key = key.into();
        match serde_json::to_value(value) {
            Ok(value) => {
                self.shared.state.lock().insert(key, value);
                Ok(())
            }
            Err(error) => Err(SessionError::Write {
                key,
                message: error.to_string(),
            }),
        }
    }

    /// Removes the value under this key, and returns it as JSON.
    pub fn remove(&self, key: &str) -> Option<Value> {
        self.shared.state.lock().remove(key)
    }

    /// Returns `true` if there is a value under this key.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.shared.state.lock().entries.contains_key(key)
    }

    /// Returns the keys, in alphabetical order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.shared.state.lock().entries.keys().cloned().collect()
    }

    /// Returns a copy of all keys with their values.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(session: &actix_socketio::Session) {
    /// for (key, value) in session.entries() {
    ///     println!("{key} is {value}");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn entries(&self) -> BTreeMap<String, Value> {
        self.shared.state.lock().entries.clone()
    }

    /// Removes all values.
    pub fn clear(&self) {
        self.shared.state.lock().clear();
    }
}

impl State {
    fn insert(&mut self, key: String, value: Value) {
        if let Some(changes) = &mut self.changes {
            changes.values.insert(key.clone(), Some(value.clone()));
        }
        self.entries.insert(key, value);
    }

    fn remove(&mut self, key: &str) -> Option<Value> {
        let removed = self.entries.remove(key)?;
        if let Some(changes) = &mut self.changes {
            changes.values.insert(key.to_owned(), None);
        }
        Some(removed)
    }

    fn clear(&mut self) {
        self.entries.clear();
        if let Some(changes) = &mut self.changes {
            *changes = Changes {
                cleared: true,
                ..Changes::default()
            };
        }
    }
}

/// Names the keys only: values may be secrets.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("keys", &self.keys())
            .finish_non_exhaustive()
    }
}

/// Returns the approximate memory of a value, without the value's own place, in bytes.
fn footprint_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => ENTRY + text.len(),
        Value::Array(values) => {
            let values = values.iter().map(|value| ENTRY + footprint_of(value));
            values.sum()
        }
        Value::Object(members) => {
            let members = members.iter();
            let sizes = members.map(|(key, value)| 2 * ENTRY + key.len() + footprint_of(value));
            sizes.sum()
        }
    }
}

/// The number of bytes of a value, or of a key, beside its content.
const ENTRY: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_read_as_it_was_written() {
        let session = Session::default();
        assert_eq!(session.get::<u8>("n"), Ok(None));
        session.insert("n", 3).unwrap();
        session.insert("names", ["Ada", "Grace"]).unwrap();
        assert_eq!(session.get("n"), Ok(Some(3)));
        assert_eq!(
            session.get("names"),
            Ok(Some(vec!["Ada".to_owned(), "Grace".to_owned()]))
        );
        assert_eq!(session.keys(), ["n", "names"]);
        assert!(session.contains("n") && !session.contains("m"));
        assert_eq!(session.remove("n"), Some(json!(3)));
        assert_eq!(session.remove("n"), None);
        session.clear();
        assert!(session.entries().is_empty());
    }

    #[test]
    fn a_value_of_another_type_is_an_error_that_names_its_key() {
        let session = Session::default();
        session.insert("n", "three").unwrap();
        let error = session.get::<u8>("n").unwrap_err().to_string();
        assert!(
            error.starts_with(r#"session value "n" cannot be read: invalid type"#),
            "{error}"
        );
        let keys = BTreeMap::from([((1, 2), 3)]);
        let error = session.insert("n", keys).unwrap_err().to_string();
        assert!(
            error.starts_with(r#"session value "n" cannot be written: "#),
            "{error}"
        );
        assert_eq!(session.get("n"), Ok(Some("three".to_owned())));
    }

    #[test]
    fn a_fork_is_independent_of_its_session() {
        let session = Session::default();
        session.insert("n", 1).unwrap();
        let duplicate = session.duplicate();
        duplicate.insert("n", 2).unwrap();
        session.insert("m", 1).unwrap();
        assert_eq!(
            (session.get("n"), duplicate.get("n")),
            (Ok(Some(1)), Ok(Some(2)))
        );
        assert!(!duplicate.contains("m"));
    }

    #[test]
    fn its_debug_text_has_no_values() {
        let session = Session::default();
        session.insert("token", "secret").unwrap();
        assert_eq!(format!("{session:?}"), r#"Session { keys: ["token"], .. }"#);
    }
}
