//! The order of an operator's modifiers never changes who gets an event.

use std::time::Duration;

use actix_socketio::{AckStream, Broadcast, Socket};
use proptest::prelude::{Just, Strategy};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::support::socketio::{Peer, Via, start};

/// A modifier of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Modifier {
    To(&'static str),
    In(&'static str),
    Except(&'static str),
    Broadcast,
    Local,
    Volatile,
    Compress,
    Timeout,
}

use Modifier::{Compress, Except, In, Local, Timeout, To, Volatile};

impl Modifier {
    /// Returns the operator that a socket makes with this modifier alone.
    fn first(self, socket: &Socket) -> Broadcast {
        match self {
            To(room) => socket.to(room),
            In(room) => socket.in_room(room),
            Except(room) => socket.except(room),
            Self::Broadcast => socket.broadcast(),
            Local => socket.local(),
            Volatile => socket.volatile(),
            Compress => socket.compress(false),
            Timeout => socket.timeout(LIMIT),
        }
    }

    fn then(self, operator: Broadcast) -> Broadcast {
        match self {
            To(room) => operator.to(room),
            In(room) => operator.in_room(room),
            Except(room) => operator.except(room),
            Self::Broadcast => operator.broadcast(),
            Local => operator.local(),
            Volatile => operator.volatile(),
            Compress => operator.compress(false),
            Timeout => operator.timeout(LIMIT),
        }
    }

    /// Tells whether the operator addresses others than the socket that began it.
    fn widens(self) -> bool {
        !matches!(self, Volatile | Compress | Timeout)
    }
}

fn operator(socket: &Socket, modifiers: &[Modifier]) -> Broadcast {
    let (first, rest) = modifiers.split_first().unwrap();
    rest.iter()
        .fold(first.first(socket), |operator, next| next.then(operator))
}

/// The sender, a member of the room, a member that is excepted, and a socket outside of the room.
struct Hall {
    sender: Peer,
    member: Peer,
    muted: Peer,
    outside: Peer,
}

impl Hall {
    fn peers(&mut self) -> [&mut Peer; 4] {
        [
            &mut self.sender,
            &mut self.member,
            &mut self.muted,
            &mut self.outside,
        ]
    }

    /// Emits with these modifiers, and checks who gets it: a later event to everybody shows that
    /// nothing came before it.
    async fn check(&mut self, modifiers: &[Modifier]) {
        // Nothing waits for anybody, so that volatile events are not dropped.
        for peer in self.peers() {
            peer.client.settle().await;
        }
        let socket = self.sender.socket.clone();
        operator(&socket, modifiers).emit("e", ()).await.unwrap();
        let others = modifiers.iter().any(|modifier| modifier.widens());
        let in_rooms = modifiers.iter().any(|it| matches!(it, To(_) | In(_)));
        let excepted = modifiers.contains(&Except("muted"));
        let expected = [!others, others, others && !excepted, others && !in_rooms];
        socket.everyone().emit("end", ()).await.unwrap();
        for (peer, expected) in self.peers().into_iter().zip(expected) {
            if expected {
                assert_eq!(peer.client.text().await, r#"42["e"]"#, "{modifiers:?}");
            }
            assert_eq!(peer.client.text().await, r#"42["end"]"#, "{modifiers:?}");
        }
    }
}

/// Any order of any of the modifiers has the audience that the modifiers name.
#[on_both_servers]
async fn every_order_of_modifiers_has_the_same_audience() {
    let server = start();
    let mut hall = Hall {
        sender: Peer::enter(&server, Via::WebSocket, &["r"]).await,
        member: Peer::enter(&server, Via::WebSocket, &["r"]).await,
        muted: Peer::enter(&server, Via::WebSocket, &["r", "muted"]).await,
        outside: Peer::enter(&server, Via::WebSocket, &[]).await,
    };
    // Every ordered pair.
    let all = [
        To("r"),
        In("r"),
        Except("muted"),
        Modifier::Broadcast,
        Local,
        Volatile,
        Compress,
        Timeout,
    ];
    for first in all {
        hall.check(&[first]).await;
        for second in all {
            hall.check(&[first, second]).await;
        }
    }
    // Random orders of random subsets.
    let orders = proptest::sample::subsequence(all.to_vec(), 3..=all.len());
    let orders = orders.prop_flat_map(|chosen| Just(chosen).prop_shuffle());
    let mut runner = TestRunner::default();
    for _ in 0..100 {
        let order = orders.new_tree(&mut runner).unwrap().current();
        hall.check(&order).await;
    }
}

/// The same holds by polling, and for questions.
#[on_both_servers]
async fn a_room_behind_a_modifier_is_asked_without_the_sender() {
    let server = start();
    for via in [Via::WebSocket, Via::Polling] {
        let sender = Peer::enter(&server, via, &["q"]).await;
        let mut member = Peer::enter(&server, via, &["q"]).await;
        for modifier in [Compress, Timeout] {
            let asking = modifier.first(&sender.socket).to("q");
            assert_eq!(asking.count(), 1);
            let answers: AckStream<u32> = asking.emit_with_ack("ask", ()).await.unwrap();
            let packet = member.client.text().await;
            let id = packet.strip_suffix(r#"["ask"]"#).unwrap();
            let id = id.strip_prefix("42").unwrap();
            member.client.send(&format!("43{id}[7]")).await;
            let gathered = answers.collect().await;
            assert_eq!(gathered.answers.len(), 1, "{modifier:?}");
            assert_eq!(gathered.answers[0].1, 7);
        }
        let calling = sender.socket.volatile().to(member.socket.id());
        let call = tokio::spawn(async move { calling.call::<u32>("ask", ()).await });
        let packet = member.client.text().await;
        let id = packet.strip_suffix(r#"["ask"]"#).unwrap();
        let id = id.strip_prefix("42").unwrap().to_owned();
        member.client.send(&format!("43{id}[8]")).await;
        assert_eq!(call.await.unwrap().unwrap(), 8);
        for mut peer in [sender, member] {
            peer.expect_nothing_more().await;
            peer.client.close().await;
        }
        crate::support::socketio::until("all to leave", || server.io.of("/").count() == 0).await;
    }
}

const LIMIT: Duration = Duration::from_secs(60);
