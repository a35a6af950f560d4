//! Values of the program, one of each type.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

/// One value for each type.
#[derive(Default)]
pub(crate) struct Values(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Values {
    /// Returns a collection of the same values.
    pub(crate) fn share(&self) -> Self {
        Self(Mutex::new(self.0.lock().clone()))
    }

    /// Sets a value, and returns the previous one of its type.
    pub(crate) fn insert<T: Send + Sync + 'static>(&self, value: T) -> Option<Arc<T>> {
        let value: Arc<dyn Any + Send + Sync> = Arc::new(value);
        // The previous value may run code of the program in its `Drop`, but never under the lock.
        let before = self.0.lock().insert(TypeId::of::<T>(), value);
        before?.downcast().ok()
    }

    pub(crate) fn find<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let found = self.0.lock().get(&TypeId::of::<T>()).cloned();
        found?.downcast().ok()
    }

    pub(crate) fn remove<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let removed = self.0.lock().remove(&TypeId::of::<T>());
        removed?.downcast().ok()
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.lock().len();
        f.debug_struct("Values").field("count", &count).finish()
    }
}
