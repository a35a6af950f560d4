//! What a program takes along from a client's first request.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

/// Values that a program takes along from a client's first request, one for each type.
///
/// [`Builder::carry`](crate::Builder::carry) fills it, [`Handshake::get`](crate::Handshake::get)
/// gives them back.
#[derive(Clone, Default)]
pub struct Carried {
    // Most clients carry nothing, and then this takes no room elsewhere.
    values: Vec<(TypeId, Arc<dyn Any + Send + Sync>)>,
}

impl Carried {
    /// Takes a value along; it replaces one of the same type.
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

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carried")
            .field("values", &self.values.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_value_for_each_type() {
        let mut carried = Carried::default();
        carried.insert(1_u8);
        carried.insert("text");
        carried.insert(2_u8);
        assert_eq!(carried.get::<u8>().as_deref(), Some(&2));
        assert_eq!(carried.get::<&str>().as_deref(), Some(&"text"));
        assert!(carried.get::<String>().is_none());
    }
}
