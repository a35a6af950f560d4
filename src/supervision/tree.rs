//! The actors of a server as a tree of values, and as text.

use std::fmt;

use serde::Serialize;

use crate::supervision::restart::{Restart, Strategy};

/// An actor, and those that it supervises, at one moment; of
/// [`SocketIo::supervision_tree`](crate::SocketIo::supervision_tree). `Display` writes one line for
/// each, serde writes an object with the fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SupervisionTree {
    /// Its name: of a namespace, a room, a supervisor or a child. That of the root is `server`.
    pub name: String,
    /// Its place in the tree.
    pub role: SupervisionRole,
    /// Its present state.
    pub state: ChildState,
    /// How often it was restarted since the start.
    pub restarts: u64,
    /// The number of messages that wait for it. Messages of an actix `Addr` are counted when the
    /// actor's thread has had a turn.
    pub mailbox: usize,
    /// The number of clients: of the server its sessions, of a namespace and a room their sockets.
    pub clients: Option<usize>,
    /// The actors that it supervises; of a supervisor in the order of their start, rooms and
    /// namespaces by name.
    pub children: Vec<Self>,
}

/// The place of an actor in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SupervisionRole {
    /// The server's actor, the root.
    Server,
    /// The actor of a namespace.
    Namespace,
    /// The actor of a room.
    Room,
    /// A supervisor of the program.
    Supervisor(Strategy),
    /// An actor of the program.
    Child(Restart),
}

/// The present state of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChildState {
    /// It has started.
    Running,
    /// It starts, or waits for the end of its back-off.
    Starting,
    /// Its supervisor has stopped it, and it has not yet ended.
    Stopping,
    /// It is stopped, and waits for its supervisor to start it again.
    Held,
}

impl SupervisionTree {
    fn write(&self, f: &mut fmt::Formatter<'_>, first: &str, others: &str) -> fmt::Result {
        write!(f, "{first}{}", self.name)?;
        match self.role {
            SupervisionRole::Server => {}
            SupervisionRole::Namespace => f.write_str(" (namespace)")?,
            SupervisionRole::Room => f.write_str(" (room)")?,
            SupervisionRole::Supervisor(strategy) => write!(f, " (supervisor, {strategy})")?,
            SupervisionRole::Child(restart) => write!(f, " ({restart})")?,
        }
        match self.state {
            ChildState::Running => {}
            ChildState::Starting => f.write_str(" starting")?,
            ChildState::Stopping => f.write_str(" stopping")?,
            ChildState::Held => f.write_str(" held")?,
        }
        if let Some(clients) = self.clients {
            write!(f, " clients={clients}")?;
        }
        writeln!(f, " restarts={} mailbox={}", self.restarts, self.mailbox)?;
        let last = self.children.len().saturating_sub(1);
        for (index, child) in self.children.iter().enumerate() {
            let (branch, below) = if index == last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            child.write(f, &format!("{others}{branch}"), &format!("{others}{below}"))?;
        }
        Ok(())
    }
}

/// One line for each actor.
impl fmt::Display for SupervisionTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, role: SupervisionRole, children: Vec<SupervisionTree>) -> SupervisionTree {
        SupervisionTree {
            name: name.to_owned(),
            role,
            state: ChildState::Running,
            restarts: 0,
            mailbox: 0,
            clients: None,
            children,
        }
    }

    #[test]
    fn a_tree_is_printed_as_one_line_for_each_actor() {
        let mut hall = node("hall", SupervisionRole::Room, Vec::new());
        hall.clients = Some(2);
        let mut store = node(
            "store",
            SupervisionRole::Child(Restart::Permanent),
            Vec::new(),
        );
        (store.restarts, store.mailbox, store.state) = (3, 7, ChildState::Starting);
        let role = SupervisionRole::Supervisor(Strategy::RestForOne);
        let orders = node("orders", role, vec![store]);
        let chat = node("/chat", SupervisionRole::Namespace, vec![hall]);
        let tree = node("server", SupervisionRole::Server, vec![chat, orders]);
        let expected = "\
server restarts=0 mailbox=0
├─ /chat (namespace) restarts=0 mailbox=0
│  └─ hall (room) clients=2 restarts=0 mailbox=0
└─ orders (supervisor, rest for one) restarts=0 mailbox=0
   └─ store (permanent) starting restarts=3 mailbox=7
";
        assert_eq!(tree.to_string(), expected);
        let json = serde_json::to_value(&tree).unwrap();
        assert_eq!(json["children"][1]["role"]["supervisor"], "rest_for_one");
        assert_eq!(
            json["children"][1]["children"][0]["role"]["child"],
            "permanent"
        );
        assert_eq!(json["children"][1]["children"][0]["state"], "starting");
    }
}
