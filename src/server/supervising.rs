//! The program's supervisors under a server, and the tree of all actors.

use std::sync::Arc;

use crate::namespace::{NamespaceActor, NamespaceState};
use crate::server::SocketIo;
use crate::supervision::{ChildState, SupervisionRole, SupervisionTree, SupervisorBuilder, Vitals};

/// Actors of the program.
impl SocketIo {
    /// Begins a supervisor of the program's actors; [`Supervisor`](crate::Supervisor) has the rules.
    /// It ends with the server: [`close`](Self::close) stops its children after the clients were
    /// disconnected.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix::{Actor, Context, Handler};
    /// use actix_socketio::{Event, SocketIo, SupervisorError};
    ///
    /// struct Auction;
    ///
    /// impl Actor for Auction {
    ///     type Context = Context<Self>;
    /// }
    ///
    /// impl Handler<Event> for Auction {
    ///     type Result = ();
    ///
    ///     fn handle(&mut self, _bid: Event, _: &mut Self::Context) {}
    /// }
    ///
    /// fn start(io: &SocketIo) -> Result<(), SupervisorError> {
    ///     let supervisor = io.supervisor("auctions").start()?;
    ///     let auction = supervisor.child("clocks", |_| Auction).start()?;
    ///     // The address is valid in each life of the actor.
    ///     io.of("/").forward("bid", auction.addr().recipient());
    ///     Ok(())
    /// }
    /// ```
    pub fn supervisor(&self, name: &str) -> SupervisorBuilder {
        SupervisorBuilder::new(&self.registry.supervisor.programs, name)
    }

    /// Returns the actors of the server at this moment: the server, its namespaces and their rooms
    /// with the numbers of their clients, and the program's supervisors with their children.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn show(io: &actix_socketio::SocketIo) {
    /// println!("{}", io.supervision_tree());
    /// # }
    /// ```
    ///
    /// ```text
    /// server clients=3 restarts=0 mailbox=0
    /// ├─ / (namespace) clients=3 restarts=0 mailbox=0
    /// │  └─ lobby (room) clients=2 restarts=1 mailbox=0
    /// └─ orders (supervisor, rest for one) restarts=0 mailbox=0
    ///    └─ store (permanent) starting restarts=3 mailbox=7
    /// ```
    #[must_use]
    pub fn supervision_tree(&self) -> SupervisionTree {
        let mut namespaces = self.registry.actors();
        namespaces.sort_by(|(one, _), (other, _)| {
            let names = [one, other].map(|state| state.membership.name());
            names[0].cmp(names[1])
        });
        let namespaces = namespaces.iter();
        let mut children: Vec<_> = namespaces
            .map(|(state, actor)| namespace(state, actor))
            .collect();
        children.extend(self.registry.supervisor.programs.trees());
        let (vitals, clients) = (&self.server.vitals, self.clients_count());
        own("server", SupervisionRole::Server, vitals, clients, children)
    }
}

fn namespace(state: &Arc<NamespaceState>, actor: &NamespaceActor) -> SupervisionTree {
    let membership = &state.membership;
    let mut rooms = actor.rooms.list();
    rooms.sort_by(|(one, _), (other, _)| one.cmp(other));
    let rooms = rooms.iter().map(|(name, room)| {
        let members = membership.room(name);
        let clients = members.map_or(0, |members| members.read().len());
        own(
            name,
            SupervisionRole::Room,
            &room.vitals,
            clients,
            Vec::new(),
        )
    });
    let (name, role) = (membership.name(), SupervisionRole::Namespace);
    own(
        name,
        role,
        &actor.vitals,
        membership.count(),
        rooms.collect(),
    )
}

/// Returns an actor of the crate.
fn own(
    name: &str,
    role: SupervisionRole,
    vitals: &Vitals,
    clients: usize,
    children: Vec<SupervisionTree>,
) -> SupervisionTree {
    SupervisionTree {
        name: name.to_owned(),
        role,
        state: ChildState::Running,
        restarts: vitals.restarts(),
        mailbox: vitals.mailbox(),
        clients: Some(clients),
        children,
    }
}
