//! A map that has one shared value for each type.
//!
//! It has no lock, and does not depend on the owner of the values.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

/// One value for each type. A clone has the same values.
///
/// A program attaches few types, so the map is a list, and an empty one allocates nothing.
#[derive(Clone, Default)]
pub(crate) struct TypeMap(Vec<(TypeId, AnyArc)>);

type AnyArc = Arc<dyn Any + Send + Sync>;

impl TypeMap {
    /// Sets a value, and returns the previous one of its type.
    pub(crate) fn insert<T: Any + Send + Sync>(&mut self, value: Arc<T>) -> Option<Arc<T>> {
        match self.index::<T>() {
            Some(index) => downcast(std::mem::replace(&mut self.0[index].1, value)),
            None => {
                self.0.push((TypeId::of::<T>(), value));
                None
            }
        }
    }

    pub(crate) fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        downcast(Arc::clone(&self.0[self.index::<T>()?].1))
    }

    pub(crate) fn remove<T: Any + Send + Sync>(&mut self) -> Option<Arc<T>> {
        let index = self.index::<T>()?;
        downcast(self.0.swap_remove(index).1)
    }

    fn index<T: Any>(&self) -> Option<usize> {
        let key = TypeId::of::<T>();
        self.0.iter().position(|(other, _)| *other == key)
    }
}

fn downcast<T: Any + Send + Sync>(value: AnyArc) -> Option<Arc<T>> {
    value.downcast().ok()
}

impl fmt::Debug for TypeMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        f.debug_struct("TypeMap").field("count", &count).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_value_for_each_type() {
        let mut map = TypeMap::default();
        assert!(map.get::<u8>().is_none() && map.remove::<u8>().is_none());
        assert!(map.insert(Arc::new(1_u8)).is_none());
        assert!(map.insert(Arc::new("text")).is_none());
        assert_eq!(map.insert(Arc::new(2_u8)).as_deref(), Some(&1));
        assert_eq!(map.get::<u8>().as_deref(), Some(&2));
        assert!(map.get::<String>().is_none());
        let same = map.clone();
        assert_eq!(map.remove::<u8>().as_deref(), Some(&2));
        assert!(map.get::<u8>().is_none());
        assert_eq!(map.get::<&str>().as_deref(), Some(&"text"));
        assert_eq!(same.get::<u8>().as_deref(), Some(&2));
    }
}
