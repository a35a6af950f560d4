//! The drain of a server: its clients are closed one after another, so that they reconnect to other
//! nodes without a rush.
//!
//! `drain_schedule.rs` says when; this file closes. Each client passes these steps:
//!
//! 1. it is held: it reads no new events, so no new handler changes its rooms;
//! 2. its handlers in flight end; while they run, the other clients of its batch do not wait;
//! 3. the records of its sockets are written to the cluster's store, for a limited time;
//! 4. it closes as when a server closes: acknowledgements and queued packets leave first.
//!
//! So a client that reconnects to another node at once finds its latest rooms there. A session that
//! is held by a drain that was dropped is released by the close of the server.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{sleep, sleep_until};

use crate::clock::now;
use crate::config::DrainOptions;
use crate::link::Link;
use crate::members::{Membership, SocketState};
use crate::random::random;
use crate::server::closing::{Closing, OpenSocket, RECORD_LIMIT, RECORD_LIMIT_AGAIN};
use crate::server::drain_report::DrainReport;
use crate::server::drain_schedule::{Schedule, Step};
use crate::session::Stage;

impl Closing {
    /// Drains the server, and closes it.
    pub(crate) async fn drain(&self, options: &DrainOptions) -> DrainReport {
        self.engine.stage.reach(Stage::Draining);
        log::info!(
            "the server drains: new clients are refused after {:?}, the present ones are closed \
             within {:?}",
            options.delay,
            options.pace.limit
        );
        sleep(options.delay).await;
        self.engine.stage.reach(Stage::Refusing);
        let mut clients = self.engine.open_links();
        let count = clients.len();
        let mut schedule = Schedule::new(&options.pace, count, now());
        let mut release = Release {
            sockets: self.sockets(),
            held: Vec::new(),
            limit: RECORD_LIMIT,
        };
        loop {
            match schedule.step(now(), random()) {
                Step::Close(count) => {
                    let batch = clients.split_off(clients.len().saturating_sub(count));
                    batch.iter().for_each(|link| link.in_flight.hold());
                    release.held.extend(batch);
                    self.release(&mut release, options).await;
                }
                // The other clients have left by themselves.
                Step::Wait(_) if self.engine.count() == 0 => break,
                Step::Wait(until) if release.held.is_empty() => sleep_until(until.into()).await,
                Step::Done if release.held.is_empty() || schedule.is_over(now()) => break,
                // Handlers of clients that were due are still running.
                Step::Wait(_) | Step::Done => {
                    sleep(BUSY).await;
                    self.release(&mut release, options).await;
                }
            }
        }
        drop((clients, release));
        let is_complete = self.close(options.grace).await;
        log::info!("the server has drained {count} clients");
        DrainReport {
            clients: count,
            is_complete,
        }
    }

    /// Closes the held clients whose handlers have ended, after their records were written.
    async fn release(&self, release: &mut Release, options: &DrainOptions) {
        let (ready, busy): (Vec<_>, Vec<_>) = std::mem::take(&mut release.held)
            .into_iter()
            .partition(|link| link.in_flight.waiting() == 0);
        release.held = busy;
        let sockets: Vec<_> = ready
            .iter()
            .flat_map(|link| release.sockets.of(link))
            .collect();
        if let Some(event) = &options.event {
            for (membership, state) in &sockets {
                tell(membership, state, event);
            }
        }
        release.limit = match self.record(&sockets, release.limit).await {
            true => RECORD_LIMIT,
            false => RECORD_LIMIT_AGAIN,
        };
        for link in &ready {
            link.in_flight.drain();
            link.drain();
        }
    }

    /// Returns the sockets of all clients.
    fn sockets(&self) -> Sockets {
        let mut by_link: HashMap<u64, Vec<_>> = HashMap::new();
        for (membership, state) in self.all_sockets() {
            let sockets = by_link.entry(state.link.number).or_default();
            sockets.push((Arc::downgrade(&membership), Arc::downgrade(&state)));
        }
        Sockets { by_link }
    }
}

/// The state of the closing of clients.
struct Release {
    sockets: Sockets,
    /// The clients that are due, and whose handlers have not ended.
    held: Vec<Arc<Link>>,
    /// The time limit for the records of the next ones.
    limit: Duration,
}

/// The sockets of each session at the start of the drain. A client that has joined a namespace since
/// has had its record written then.
struct Sockets {
    by_link: HashMap<u64, Vec<WeakSocket>>,
}

type WeakSocket = (Weak<Membership>, Weak<SocketState>);

impl Sockets {
    fn of(&self, link: &Link) -> impl Iterator<Item = OpenSocket> {
        let sockets = self.by_link.get(&link.number).into_iter().flatten();
        sockets.filter_map(|(membership, state)| Some((membership.upgrade()?, state.upgrade()?)))
    }
}

/// Sends a socket the event of the options. It has no offset, and is not sent again after a
/// recovery.
fn tell(membership: &Membership, state: &SocketState, event: &str) {
    let told = membership
        .event(None, event, &(), Some(state))
        .and_then(|packet| state.try_deliver(packet));
    if let Err(error) = told {
        log::debug!("event {event:?} of the drain to {}: {error}", state.id);
    }
}

/// The interval in which the last clients with handlers in flight are looked at.
const BUSY: Duration = Duration::from_millis(50);
