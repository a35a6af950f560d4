//! The counters of all sessions of a server: those of the sessions in the table, and those of the
//! sessions that have left it.
//!
//! A session's counters are added once, when it leaves the table, under the table's lock. So a sum
//! never falls. Frames that leave later, after the client's close, are not counted.

use crate::config::Transport;
use crate::link::{Flow, Link};

/// The counters of all sessions since the start of the server, and the numbers of the open ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) received: Flow,
    pub(crate) sent: Flow,
    pub(crate) dropped_volatile: u64,
    /// The cost of the frames that wait in the outboxes now.
    pub(crate) queued_bytes: usize,
    /// The highest cost of waiting frames in one outbox so far.
    pub(crate) most_queued_bytes: usize,
    /// The numbers of open sessions by transport.
    pub(crate) polling: usize,
    pub(crate) websocket: usize,
    pub(crate) sse: usize,
    pub(crate) webtransport: usize,
}

impl Totals {
    /// Adds an open session.
    pub(crate) fn count(&mut self, transport: Transport) {
        match transport {
            Transport::Polling => self.polling += 1,
            Transport::WebSocket => self.websocket += 1,
            Transport::ServerSentEvents => self.sse += 1,
            Transport::WebTransport => self.webtransport += 1,
        }
    }

    /// Adds the counters of a session in the table.
    pub(crate) fn add(&mut self, link: &Link) {
        self.queued_bytes += self.take(link);
    }

    /// Adds the counters of a session that leaves the table: it has nothing queued any more.
    pub(crate) fn fold(&mut self, link: &Link) {
        self.take(link);
    }

    /// Adds the counters that only rise. Returns the cost of the frames that wait.
    fn take(&mut self, link: &Link) -> usize {
        let outbox = link.outbox.stats();
        self.received.add(link.counters.inflow());
        self.sent.add(outbox.sent);
        self.dropped_volatile += outbox.dropped_volatile;
        self.most_queued_bytes = self.most_queued_bytes.max(outbox.most_queued_bytes);
        outbox.queued_bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::clock::now;
    use crate::config::Config;
    use crate::handshake::Handshake;
    use crate::id::Id;
    use crate::link::{Frame, Protocol};
    use crate::reason::CloseReason;
    use crate::session::actor::Session;
    use crate::session::engine::Engine;
    use crate::session::host::SessionHost;
    use crate::session::new_client::NewClient;

    #[test]
    fn a_session_that_leaves_keeps_its_counters_but_not_its_queue() {
        let config = Arc::new(Config::new("/"));
        let link = Link::new(Id::random(), &config, Handshake::empty(), now());
        link.counters.received(5);
        link.outbox.push(Frame::packet("4a").into()).unwrap();
        let cost = Frame::packet("4a").cost();
        let (mut open, mut closed) = (Totals::default(), Totals::default());
        open.add(&link);
        closed.fold(&link);
        let expected = Totals {
            received: Flow {
                packets: 1,
                bytes: 5,
            },
            most_queued_bytes: cost,
            ..Totals::default()
        };
        assert_eq!(closed, expected);
        let queued_bytes = cost;
        assert_eq!(
            open,
            Totals {
                queued_bytes,
                ..expected
            }
        );
    }

    struct Silent;

    impl Protocol for Silent {
        fn text(&mut self, _: &str) -> Result<(), CloseReason> {
            Ok(())
        }

        fn binary(&mut self, _: Bytes) -> Result<(), CloseReason> {
            Ok(())
        }

        fn closed(&mut self, _: CloseReason) {}
    }

    #[actix_rt::test]
    async fn totals_are_the_same_before_and_after_the_end_of_a_session() {
        let config = Arc::new(Config::new("/"));
        let protocol = |_: &Arc<Link>, _| -> Box<dyn Protocol> { Box::new(Silent) };
        let engine = Engine::new(config, Box::new(protocol), |_| (), None);
        let opened = engine.open_polling(NewClient::empty());
        engine.open_polling(NewClient::empty());
        let link = engine.find(opened.sid).unwrap().link;
        link.counters.received(7);
        let before = engine.totals();
        assert_eq!((before.polling, before.websocket), (2, 0));
        let host: &dyn SessionHost<Session> = engine.as_ref();
        host.closed(link.id, CloseReason::TransportClose);
        let polling = 1;
        assert_eq!(engine.totals(), Totals { polling, ..before });
        // The host may hear twice of an end.
        host.forgotten(&link);
        host.forgotten(&link);
        assert_eq!(engine.totals(), Totals { polling, ..before });
    }
}
