//! The values that a program attaches to a socket: one of each type, and its own session if each
//! namespace has one.
//!
//! Most sockets have neither, so all of them are in a box that the first use makes. It is dropped
//! with the last handle of the socket.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::link::{Session, Values};

/// The attachments of one socket.
#[derive(Default)]
pub(crate) struct Locals(OnceLock<Box<Attached>>);

#[derive(Default)]
struct Attached {
    data: Values,
    session: OnceLock<Session>,
}

impl Locals {
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

impl fmt::Debug for Locals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.0.get().map(|attached| &attached.data);
        f.debug_tuple("Locals").field(&values).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_without_attachments_pays_two_words() {
        assert_eq!(size_of::<Locals>(), 2 * size_of::<usize>());
    }

    #[test]
    fn there_is_one_value_for_each_type() {
        let locals = Locals::default();
        assert!(locals.find::<u8>().is_none() && locals.remove::<u8>().is_none());
        assert!(locals.insert(1_u8).is_none());
        assert!(locals.insert("text".to_owned()).is_none());
        assert_eq!(locals.insert(2_u8).as_deref(), Some(&1));
        assert_eq!(locals.find::<u8>().as_deref(), Some(&2));
        assert_eq!(locals.find::<String>().as_deref().unwrap(), "text");
        assert!(locals.find::<u16>().is_none());
        assert_eq!(locals.remove::<u8>().as_deref(), Some(&2));
        assert!(locals.find::<u8>().is_none());
    }

    #[test]
    fn values_go_with_their_socket() {
        let value = Arc::new(());
        let locals = Locals::default();
        locals.insert(Arc::clone(&value));
        assert_eq!(Arc::strong_count(&value), 2);
        drop(locals);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
