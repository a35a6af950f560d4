//! What all handlers of a server share: the program's states, and who is told of a panic.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use actix::Recipient;
use parking_lot::RwLock;

use crate::message::Crashed;

/// The surroundings of every handler.
#[derive(Default)]
pub(crate) struct Environment {
    states: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
    supervisors: RwLock<Vec<Recipient<Crashed>>>,
}

impl Environment {
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, state: T) {
        self.states.insert(TypeId::of::<T>(), Arc::new(state));
    }

    pub(crate) fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let state = self.states.get(&TypeId::of::<T>())?;
        Arc::clone(state).downcast().ok()
    }

    pub(crate) fn supervise(&self, supervisor: Recipient<Crashed>) {
        self.supervisors.write().push(supervisor);
    }

    /// Writes a panic to the log and tells everyone who asked.
    pub(crate) fn report(&self, crashed: &Crashed) {
        log::error!("{crashed}");
        self.supervisors.write().retain(|supervisor| {
            // A life-cycle message: rare, and it must not be lost to a full mailbox.
            supervisor.do_send(crashed.clone());
            supervisor.connected()
        });
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("states", &self.states.len())
            .finish_non_exhaustive()
    }
}
