//! Values that a program attaches to a client's handshake.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::type_map::TypeMap;

/// Values that a program attaches to a client's handshake, one for each type.
///
/// [`Builder::handshake_extensions`](crate::Builder::handshake_extensions) fills it,
/// [`Handshake::get`](crate::Handshake::get) returns the values.
#[derive(Clone, Default)]
pub struct Extensions {
    values: TypeMap,
}

impl Extensions {
    /// Attaches a value; it replaces one of the same type.
    pub fn insert<T: Any + Send + Sync>(&mut self, value: T) {
        self.values.insert(Arc::new(value));
    }

    /// Returns the value of type `T`.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.values.get()
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions")
            .field("values", &self.values)
            .finish()
    }
}
