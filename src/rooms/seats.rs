//! The seats of a room: who is in it, and who was dropped and may return. Pure: the time is an
//! argument.
//!
//! Entries and leaves enter in the order in which they happen; the messages for the actor leave.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::id::SocketId;
use crate::members::{Departure, SocketState};
use crate::reason::DisconnectReason;
use crate::rooms::messages::LeaveReason;

/// The seats of one room.
///
/// ```text
///            enter                    Dropped
///  (nobody) ───────▶ present ────────────────────▶ dropped ──┐ time to return
///      ▲               │  ▲         enter (same id)   │      │ has passed
///      └───────────────┘  └───────────────────────────┘      ▼
///        any other leave                                  (nobody)
/// ```
#[derive(Debug, Default)]
pub(super) struct Seats {
    present: HashMap<u64, Arc<SocketState>>,
    /// Most rooms have none, and only the pointer.
    dropped: Option<Box<DroppedSeats>>,
}

/// The seats of clients that may return; never empty.
#[derive(Debug)]
struct DroppedSeats {
    by_id: HashMap<SocketId, DroppedSeat>,
    /// No seat expires before. It is early if the client of the first seat has returned, so that
    /// nobody looks through all seats for each message.
    earliest: Instant,
}

/// The seat of a client that may return.
#[derive(Debug)]
struct DroppedSeat {
    socket: Arc<SocketState>,
    reason: DisconnectReason,
    until: Instant,
}

/// A change of the seats, for the actor.
#[derive(Debug)]
pub(super) enum SeatChange {
    Joined(Arc<SocketState>),
    Returned(Arc<SocketState>),
    Dropped(Arc<SocketState>, DisconnectReason, Instant),
    Left(Arc<SocketState>, LeaveReason),
}

impl Seats {
    /// Returns `true` if nobody is in the room, or may return to it.
    pub(super) fn is_empty(&self) -> bool {
        self.present.is_empty() && self.dropped.is_none()
    }

    /// Returns `true` if somebody is in the room.
    pub(super) fn has_members(&self) -> bool {
        !self.present.is_empty()
    }

    /// Returns `true` if a client was dropped and may return with this id.
    pub(super) fn expects(&self, id: &SocketId) -> bool {
        let dropped = self.dropped.as_ref();
        dropped.is_some_and(|dropped| dropped.by_id.contains_key(id))
    }

    /// Gives a socket a seat, unless it has one.
    pub(super) fn enter(&mut self, socket: &Arc<SocketState>) -> Option<SeatChange> {
        let before = self.present.insert(socket.key, Arc::clone(socket));
        if before.is_some() {
            return None;
        }
        let socket = Arc::clone(socket);
        Some(match self.take_dropped(&socket.id) {
            Some(_) => SeatChange::Returned(socket),
            None => SeatChange::Joined(socket),
        })
    }

    /// Takes the seat of a socket, if it has one. A client that was dropped at `now` may return
    /// within `window`.
    pub(super) fn leave(
        &mut self,
        key: u64,
        departure: Departure,
        now: Instant,
        window: Duration,
    ) -> Option<SeatChange> {
        let socket = self.present.remove(&key)?;
        let reason = match departure {
            Departure::Left => LeaveReason::Left,
            Departure::Kicked => LeaveReason::Kicked,
            Departure::Disconnected(reason) => LeaveReason::Disconnected(reason),
            Departure::Dropped(reason) => {
                let until = now + window;
                let seat = DroppedSeat {
                    socket: Arc::clone(&socket),
                    reason,
                    until,
                };
                let dropped = self.dropped.get_or_insert_with(|| {
                    Box::new(DroppedSeats {
                        by_id: HashMap::new(),
                        earliest: until,
                    })
                });
                dropped.by_id.insert(socket.id.clone(), seat);
                return Some(SeatChange::Dropped(socket, reason, until));
            }
        };
        Some(SeatChange::Left(socket, reason))
    }

    /// Takes a seat whose client did not return in time.
    pub(super) fn expire(&mut self, now: Instant) -> Option<SeatChange> {
        let dropped = self.dropped.as_mut().filter(|it| it.earliest <= now)?;
        let first = dropped.by_id.values().min_by_key(|seat| seat.until)?;
        dropped.earliest = first.until;
        if first.until > now {
            return None;
        }
        let id = first.socket.id.clone();
        let seat = self.take_dropped(&id)?;
        let reason = LeaveReason::Disconnected(seat.reason);
        Some(SeatChange::Left(seat.socket, reason))
    }

    /// Returns the time at which [`expire`](Self::expire) is due again.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.dropped.as_ref().map(|dropped| dropped.earliest)
    }

    /// Drops the seats of clients that may return, because there is nobody to tell.
    pub(super) fn forget_dropped(&mut self) {
        self.dropped = None;
    }

    /// Takes all seats, and returns the sockets that are present.
    pub(super) fn close(&mut self) -> Vec<Arc<SocketState>> {
        self.dropped = None;
        std::mem::take(&mut self.present).into_values().collect()
    }

    fn take_dropped(&mut self, id: &SocketId) -> Option<DroppedSeat> {
        let dropped = self.dropped.as_mut()?;
        let seat = dropped.by_id.remove(id);
        if dropped.by_id.is_empty() {
            self.dropped = None;
        }
        seat
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::handshake::Handshake;
    use crate::id::Id;
    use crate::link::Link;
    use crate::reason::CloseReason;

    const WINDOW: Duration = Duration::from_secs(60);
    const BROKEN: DisconnectReason = DisconnectReason::Session(CloseReason::TransportClose);

    fn socket() -> Arc<SocketState> {
        let config = Arc::new(Config::new("/"));
        let now = Instant::now().into_std();
        let link = Link::new(Id::random(), &config, Handshake::empty(), now);
        Arc::new(SocketState::new(&"/".into(), &link, None))
    }

    fn shown(change: Option<SeatChange>) -> String {
        let Some(change) = change else {
            return "nothing".to_owned();
        };
        match change {
            SeatChange::Joined(_) => "joined".to_owned(),
            SeatChange::Returned(_) => "returned".to_owned(),
            SeatChange::Dropped(..) => "dropped".to_owned(),
            SeatChange::Left(_, reason) => format!("left: {reason}"),
        }
    }

    #[actix_rt::test]
    async fn a_socket_has_one_seat_from_its_entry_to_its_leave() {
        let now = Instant::now();
        let table = [
            (Departure::Left, "left: left the room"),
            (Departure::Kicked, "left: removed by the room"),
            (Departure::Disconnected(BROKEN), "left: transport close"),
        ];
        for (departure, expected) in table {
            let (mut seats, socket) = (Seats::default(), socket());
            assert!(seats.is_empty());
            assert_eq!(shown(seats.enter(&socket)), "joined");
            assert_eq!(shown(seats.enter(&socket)), "nothing");
            assert!(seats.has_members());
            let mut leave = || seats.leave(socket.key, departure, now, WINDOW);
            assert_eq!(shown(leave()), expected);
            assert_eq!(shown(leave()), "nothing");
            assert!(seats.is_empty());
        }
    }

    #[actix_rt::test]
    async fn a_dropped_seat_is_kept_until_the_end_of_the_window() {
        let now = Instant::now();
        let (mut seats, socket) = (Seats::default(), socket());
        seats.enter(&socket);
        let dropped = seats.leave(socket.key, Departure::Dropped(BROKEN), now, WINDOW);
        assert_eq!(shown(dropped), "dropped");
        assert!(seats.expects(&socket.id) && !seats.has_members() && !seats.is_empty());
        assert_eq!(seats.next_expiry(), Some(now + WINDOW));
        let before = now + WINDOW - Duration::from_nanos(1);
        assert_eq!(shown(seats.expire(before)), "nothing");
        assert_eq!(shown(seats.expire(now + WINDOW)), "left: transport close");
        assert!(seats.is_empty());
        assert_eq!(shown(seats.enter(&socket)), "joined");
    }

    #[actix_rt::test]
    async fn seats_expire_in_the_order_of_their_drops() {
        let now = Instant::now();
        let mut seats = Seats::default();
        let sockets: Vec<_> = (0..3).map(|_| socket()).collect();
        for (second, socket) in (0..).zip(&sockets) {
            seats.enter(socket);
            let at = now + Duration::from_secs(second);
            seats.leave(socket.key, Departure::Dropped(BROKEN), at, WINDOW);
        }
        // The first returns, so the time of its seat is early.
        seats.enter(&sockets[0]);
        assert_eq!(seats.next_expiry(), Some(now + WINDOW));
        assert_eq!(shown(seats.expire(now + WINDOW)), "nothing");
        for second in [1, 2] {
            let due = now + WINDOW + Duration::from_secs(second);
            assert_eq!(seats.next_expiry(), Some(due));
            assert_eq!(shown(seats.expire(due)), "left: transport close");
            assert_eq!(shown(seats.expire(due)), "nothing");
        }
        assert_eq!(seats.next_expiry(), None);
    }

    #[actix_rt::test]
    async fn a_client_returns_to_its_seat_under_its_id() {
        let now = Instant::now();
        let (mut seats, socket) = (Seats::default(), socket());
        seats.enter(&socket);
        seats.leave(socket.key, Departure::Dropped(BROKEN), now, WINDOW);
        assert_eq!(shown(seats.enter(&socket)), "returned");
        assert_eq!(shown(seats.expire(now + WINDOW)), "nothing");
        assert_eq!(seats.close().len(), 1);
        assert!(seats.is_empty());
    }
}
