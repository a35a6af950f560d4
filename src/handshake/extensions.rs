//! Values that a program attaches to a client's handshake.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

/// Values that a program attaches to a client's handshake, one for each type.
///
/// [`Builder::handshake_extensions`](crate::Builder::handshake_extensions) fills it,
/// [`Handshake::get`](crate::Handshake::get) returns the values.
#[derive(Clone, Default)]
pub struct Extensions {
    // Most clients have no values, and then this allocates nothing.
    values: Vec<(TypeId, Arc<dyn Any + Send + Sync>)>,
}

impl Extensions {
    /// Attaches a value; it replaces one of the same type.
    pub fn insert<T: Any + Send + Sync>(&mut self, value: T) {
        let key = TypeId::of::<T>();
        self.values.retain(|(other, _)| *other != key);
        self.values.push((key, Arc::new(value)));
    }

    /// Returns the value of type `T`.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let key = TypeId::of::<T>();
        let (_, value) = self.values.iter().find(|(other, _)| *other == key)?;
        Arc::clone(value).downcast().ok()
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions")
            .field("values", &self.values.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_value_for_each_type() {
        let mut extensions = Extensions::default();
        extensions.insert(1_u8);
        extensions.insert("text");
        extensions.insert(2_u8);
        assert_eq!(extensions.get::<u8>().as_deref(), Some(&2));
        assert_eq!(extensions.get::<&str>().as_deref(), Some(&"text"));
        assert!(extensions.get::<String>().is_none());
    }
}
