//! Values of the program, one of each type, behind a lock.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::type_map::TypeMap;

/// One value for each type.
#[derive(Debug, Default)]
pub(crate) struct Values(Mutex<TypeMap>);

impl Values {
    /// Returns a collection of the same values.
    pub(crate) fn share(&self) -> Self {
        Self(Mutex::new(self.0.lock().clone()))
    }

    /// Sets a value, and returns the previous one of its type.
    pub(crate) fn insert<T: Send + Sync + 'static>(&self, value: T) -> Option<Arc<T>> {
        let value = Arc::new(value);
        // The previous value may run code of the program in its `Drop`, but never under the lock.
        self.0.lock().insert(value)
    }

    pub(crate) fn find<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.lock().get()
    }

    pub(crate) fn remove<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.lock().remove()
    }
}
