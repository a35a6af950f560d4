//! A supervisor, shared by its handles and the tasks of its children.
//!
//! Events of children enter from their threads. The pure `group.rs` decides; the commands leave to
//! the children under the same lock, in the order of the decisions. A supervisor is itself a child,
//! of another one or of the server, and reports to it after its own lock is released: locks are
//! taken from parents to children only.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{ArbiterHandle, Recipient};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::clock::now;
use crate::random::random;
use crate::supervision::ChildEnd;
use crate::supervision::child::FIRST_LIFE;
use crate::supervision::dead_letter::DeadLetter;
use crate::supervision::group::{ChildId, Group, MemberState, Report, Steps};
use crate::supervision::mailbox::{Command, Undelivered};
use crate::supervision::restart::{BackOff, Restart, Strategy};
use crate::supervision::root::SupervisionRoot;
use crate::supervision::supervisor_error::SupervisorError;
use crate::supervision::tree::{ChildState, SupervisionRole, SupervisionTree};
use crate::supervision::vitals::Vitals;

/// A child, as its supervisor sees it.
pub(super) trait Subordinate: Send + Sync {
    /// Obeys. Returns what it reports at once.
    fn command(&self, command: Command) -> Vec<Report>;

    fn tree(&self) -> SupervisionTree;
}

/// The parent of a supervisor.
#[derive(Clone)]
pub(super) enum Above {
    Root,
    Supervisor(Arc<Node>, ChildId),
}

/// A supervisor.
pub(super) struct Node {
    /// Its name, behind those of the supervisors above it.
    pub(super) path: Arc<str>,
    pub(super) root: Arc<SupervisionRoot>,
    pub(super) above: Above,
    pub(super) strategy: Strategy,
    pub(super) back_off: BackOff,
    pub(super) arbiter: ArbiterHandle,
    pub(super) dead_letters: Option<Recipient<DeadLetter>>,
    pub(super) vitals: Arc<Vitals>,
    /// Cancelled after it has ended for good.
    pub(super) ended: CancellationToken,
    pub(super) state: Mutex<NodeState>,
}

pub(super) struct NodeState {
    pub(super) group: Group,
    /// In the order of their start.
    entries: BTreeMap<ChildId, Entry>,
    next: u64,
}

struct Entry {
    name: Arc<str>,
    child: Arc<dyn Subordinate>,
}

impl NodeState {
    pub(super) fn new(group: Group) -> Mutex<Self> {
        Mutex::new(Self {
            group,
            entries: BTreeMap::new(),
            next: 1,
        })
    }
}

impl Node {
    /// Adds a child, which `make` makes of its number.
    ///
    /// # Errors
    ///
    /// The supervisor has ended, or has a child of this name.
    pub(super) fn add<C: Subordinate + 'static>(
        self: &Arc<Self>,
        name: &str,
        restart: Restart,
        back_off: BackOff,
        make: impl FnOnce(ChildId) -> Arc<C>,
    ) -> Result<Arc<C>, SupervisorError> {
        let (child, reports) = {
            let mut state = self.state.lock();
            if self.ended.is_cancelled() {
                return Err(SupervisorError::Ended(self.path.as_ref().to_owned()));
            }
            if state
                .entries
                .values()
                .any(|entry| entry.name.as_ref() == name)
            {
                return Err(SupervisorError::NameTaken(self.path_of(name)));
            }
            let id = ChildId(state.next);
            state.next += 1;
            let child = make(id);
            let entry = Entry {
                name: name.into(),
                child: Arc::clone(&child) as _,
            };
            state.entries.insert(id, entry);
            let steps = state.group.add(id, restart, back_off);
            (child, state.run(steps))
        };
        self.report(reports);
        Ok(child)
    }

    /// Returns the path of a child.
    pub(super) fn path_of(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// A child reports from its thread.
    pub(super) fn hear(self: &Arc<Self>, id: ChildId, report: Report) {
        self.act(|group| group.hear(id, report, now(), random()));
    }

    /// Stops a child for good.
    pub(super) fn remove(self: &Arc<Self>, id: ChildId) {
        self.act(|group| group.remove(id));
    }

    /// The thread of a child has ended.
    pub(super) fn lose(self: &Arc<Self>, id: ChildId) {
        self.act(|group| group.lose(id));
    }

    /// Stops the supervisor for good.
    pub(super) fn stop(self: &Arc<Self>) {
        match &self.above {
            Above::Supervisor(parent, id) => parent.remove(*id),
            Above::Root => self.act(|group| group.obey(Command::Stop { life: FIRST_LIFE })),
        }
    }

    /// Sends a message that nobody takes to the program.
    pub(super) fn bury(&self, child: &str, end: &ChildEnd, undelivered: Undelivered) {
        let letter = DeadLetter {
            child: child.to_owned(),
            end: end.clone(),
            message_type: undelivered.message_type,
            message: undelivered.message,
        };
        let recipient = self.dead_letters.as_ref();
        let recipient = recipient.filter(|recipient| recipient.connected());
        let is_taken = recipient.is_some();
        self.root.reports.undelivered(&self.path, &letter, is_taken);
        if let Some(recipient) = recipient {
            recipient.do_send(letter);
        }
    }

    /// Starts a supervisor without one above it.
    pub(super) fn begin(self: &Arc<Self>) {
        let (life, after) = (FIRST_LIFE, Duration::ZERO);
        self.act(|group| group.obey(Command::Start { life, after }));
    }

    fn act(self: &Arc<Self>, decide: impl FnOnce(&mut Group) -> Steps) {
        let reports = {
            let mut state = self.state.lock();
            let steps = decide(&mut state.group);
            state.run(steps)
        };
        self.report(reports);
    }

    /// Tells the parent. The lock of this supervisor is not held.
    fn report(self: &Arc<Self>, reports: Vec<Report>) {
        for report in reports {
            match (&self.above, report) {
                (Above::Supervisor(parent, id), report) => parent.hear(*id, report),
                (Above::Root, Report::Started { .. }) => {}
                (Above::Root, Report::Ended { end, .. }) => {
                    if let ChildEnd::Escalated(_) = &end {
                        self.root.reports.escalated(&self.path, end.to_string());
                    }
                    self.command(Command::End(end));
                }
            }
        }
    }
}

impl NodeState {
    /// Gives the commands, and hears what the children report at once. Returns the reports to the
    /// parent.
    fn run(&mut self, steps: Steps) -> Vec<Report> {
        let mut upward = Vec::new();
        let mut queue = VecDeque::from([steps]);
        while let Some(Steps { orders, reports }) = queue.pop_front() {
            upward.extend(reports);
            for (id, command) in orders {
                let is_last = matches!(command, Command::End(_));
                let Some(entry) = self.entries.get(&id) else {
                    continue;
                };
                for report in entry.child.command(command) {
                    queue.push_back(self.group.hear(id, report, now(), random()));
                }
                if is_last {
                    self.entries.remove(&id);
                }
            }
        }
        upward
    }
}

impl Subordinate for Node {
    fn command(&self, command: Command) -> Vec<Report> {
        match &command {
            Command::Start { life, .. } if *life > FIRST_LIFE => {
                self.vitals.restarted();
                if let Above::Supervisor(parent, _) = &self.above {
                    self.root.reports.restarted(&parent.path);
                }
            }
            Command::Start { .. } | Command::Stop { .. } => {}
            Command::End(_) => self.ended.cancel(),
        }
        let mut state = self.state.lock();
        let steps = state.group.obey(command);
        state.run(steps)
    }

    fn tree(&self) -> SupervisionTree {
        let state = self.state.lock();
        let children = state.entries.iter().map(|(id, entry)| {
            let mut tree = entry.child.tree();
            tree.name = entry.name.as_ref().to_owned();
            tree.state = match state.group.state(*id) {
                Some(MemberState::Running) => ChildState::Running,
                Some(MemberState::Starting) => ChildState::Starting,
                Some(MemberState::Stopping) => ChildState::Stopping,
                Some(MemberState::Held) | None => ChildState::Held,
            };
            tree
        });
        SupervisionTree {
            name: self.path.as_ref().to_owned(),
            role: SupervisionRole::Supervisor(self.strategy),
            state: ChildState::Running,
            restarts: self.vitals.restarts(),
            mailbox: 0,
            clients: None,
            children: children.collect(),
        }
    }
}
