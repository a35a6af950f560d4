//! What the actors of one server share: the namespaces by name, and what each of them is made of.
//!
//! Everybody reads; the server's actor and the builder's side write. It holds no logic of its own.

use std::collections::HashMap;
use std::sync::Arc;

use actix::{Addr, ArbiterHandle};
use parking_lot::{Mutex, RwLock};

use crate::actor::namespace::Namespace;
use crate::actor::server::{GivenUp, Server};
use crate::actor::supervision::Fall;
use crate::handler::{Environment, SharedTable};
use crate::id::SocketId;
use crate::message::{CrashPlace, Crashed};
use crate::socket::{Core, Membership};

/// What a namespace is made of, apart from its actor.
#[derive(Debug)]
pub(crate) struct NamespaceCore {
    pub(crate) membership: Arc<Membership>,
    pub(crate) table: SharedTable,
    pub(crate) environment: Arc<Environment>,
    /// The actor; another one after the first was given up.
    actor: Mutex<Option<Addr<Namespace>>>,
}

impl NamespaceCore {
    pub(crate) fn actor(&self) -> Option<Addr<Namespace>> {
        self.actor.lock().clone()
    }
}

/// All namespaces.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) environment: Arc<Environment>,
    /// Where namespaces and rooms live.
    arbiter: ArbiterHandle,
    namespaces: RwLock<HashMap<Arc<str>, Arc<NamespaceCore>>>,
    server: Mutex<Option<Addr<Server>>>,
}

impl Registry {
    pub(crate) fn new(environment: Environment, arbiter: ArbiterHandle) -> Arc<Self> {
        Arc::new(Self {
            environment: Arc::new(environment),
            arbiter,
            namespaces: RwLock::default(),
            server: Mutex::new(None),
        })
    }

    pub(crate) fn arbiter(&self) -> &ArbiterHandle {
        &self.arbiter
    }

    pub(crate) fn served_by(&self, server: Addr<Server>) {
        *self.server.lock() = Some(server);
    }

    pub(crate) fn server(&self) -> Option<Addr<Server>> {
        self.server.lock().clone()
    }

    pub(crate) fn namespace(&self, name: &str) -> Option<Arc<NamespaceCore>> {
        self.namespaces.read().get(name).cloned()
    }

    /// Returns the namespace of this name; it is started where there was none.
    pub(crate) fn open(self: &Arc<Self>, name: &str) -> Arc<NamespaceCore> {
        let mut namespaces = self.namespaces.write();
        if let Some(core) = namespaces.get(name) {
            return Arc::clone(core);
        }
        let core = Arc::new(NamespaceCore {
            membership: Membership::new(name),
            table: SharedTable::default(),
            environment: Arc::clone(&self.environment),
            actor: Mutex::new(None),
        });
        self.start(&core);
        namespaces.insert(name.into(), Arc::clone(&core));
        core
    }

    /// Starts the namespace's actor, also in the place of one that was given up.
    pub(crate) fn start(self: &Arc<Self>, core: &Arc<NamespaceCore>) {
        let registry = Arc::downgrade(self);
        let fallen = {
            let name = core.membership.name().to_owned();
            move |fall: Fall| {
                let Some(registry) = registry.upgrade() else {
                    return;
                };
                registry.report(CrashPlace::Namespace, Some(&name), fall.panic);
                if fall.given_up
                    && let Some(server) = registry.server()
                {
                    // A life-cycle message to the parent.
                    server.do_send(GivenUp {
                        namespace: name.clone(),
                    });
                }
            }
        };
        let actor = Namespace::start(&self.arbiter, core, fallen);
        core.membership.supervised_by(actor.clone().recipient());
        *core.actor.lock() = Some(actor);
    }

    /// Finds a socket in whatever namespace it is.
    pub(crate) fn socket(&self, id: SocketId) -> Option<Arc<Core>> {
        let namespaces = self.namespaces.read();
        namespaces
            .values()
            .find_map(|namespace| namespace.membership.socket(id))
    }

    pub(crate) fn report(&self, place: CrashPlace, namespace: Option<&str>, panic: String) {
        self.environment.report(&Crashed {
            place,
            namespace: namespace.map(str::to_owned),
            socket: None,
            panic,
        });
    }
}
