//! The values that a program attaches to a socket: one of each type, and its own session if each
//! namespace has one.
//!
//! Most sockets have neither, so all of them are in a box that the first use makes. It is dropped
//! with the last handle of the socket.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::data::session::Session;
use crate::data::values::Values;

/// The attachments of one socket.
#[derive(Default)]
pub(crate) struct SocketExtensions(OnceLock<Box<Attached>>);

#[derive(Default)]
struct Attached {
    data: Values,
    session: OnceLock<Session>,
}

impl SocketExtensions {
    /// Returns attachments with the same values.
    pub(crate) fn share(&self) -> Self {
        let shared = Self::default();
        if let Some(attached) = self.0.get() {
            let attached = Attached {
                data: attached.data.share(),
                session: OnceLock::new(),
            };
            // No other handle has it yet.
            let _ = shared.0.set(Box::new(attached));
        }
        shared
    }

    /// Sets a value, and returns the previous one of its type.
    pub(crate) fn insert<T: Send + Sync + 'static>(&self, value: T) -> Option<Arc<T>> {
        self.attached().data.insert(value)
    }

    pub(crate) fn find<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.get()?.data.find()
    }

    pub(crate) fn remove<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.get()?.data.remove()
    }

    /// Returns the socket's own session; `begin` makes it if there is none yet.
    pub(crate) fn session(&self, begin: impl FnOnce() -> Session) -> &Session {
        self.attached().session.get_or_init(begin)
    }

    fn attached(&self) -> &Attached {
        self.0.get_or_init(Box::default)
    }
}

impl fmt::Debug for SocketExtensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.0.get().map(|attached| &attached.data);
        f.debug_tuple("SocketExtensions").field(&values).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_socket_extensions_take_two_words() {
        assert_eq!(size_of::<SocketExtensions>(), 2 * size_of::<usize>());
    }

    #[test]
    fn there_is_one_value_for_each_type() {
        let extensions = SocketExtensions::default();
        assert!(extensions.find::<u8>().is_none() && extensions.remove::<u8>().is_none());
        assert!(extensions.insert(1_u8).is_none());
        assert!(extensions.insert("text".to_owned()).is_none());
        assert_eq!(extensions.insert(2_u8).as_deref(), Some(&1));
        assert_eq!(extensions.find::<u8>().as_deref(), Some(&2));
        assert_eq!(extensions.find::<String>().as_deref().unwrap(), "text");
        assert!(extensions.find::<u16>().is_none());
        assert_eq!(extensions.remove::<u8>().as_deref(), Some(&2));
        assert!(extensions.find::<u8>().is_none());
    }

    #[test]
    fn values_are_dropped_with_their_socket() {
        let value = Arc::new(());
        let extensions = SocketExtensions::default();
        extensions.insert(Arc::clone(&value));
        assert_eq!(Arc::strong_count(&value), 2);
        drop(extensions);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
