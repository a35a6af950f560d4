//! Questions to a cluster that is not whole: what their askers see of it.

use std::sync::Arc;
use std::time::Duration;

use actix_socketio::{
    CallError, ClusterError, Coverage, EmitError, NodeId, ServerSideEvent, SocketIo,
};
use tokio::sync::Semaphore;

use crate::support::redis::{Format, Redis, Way, cluster, connected};
use crate::support::socketio::{Client, Peer, Via, until};
use crate::support::{Server, channel, within};

const LONG: Duration = Duration::from_secs(20);

/// Asks everything that can be asked, and returns how far each question got.
async fn reaches(io: &SocketIo) -> [Coverage; 4] {
    let namespace = io.of("/");
    let asked = io.timeout(LONG).emit_with_ack::<()>("ask", ()).await;
    let answers = namespace.server_side_emit_with_ack("ask", (), LONG).await;
    [
        io.fetch_sockets().await.coverage().clone(),
        namespace.rooms_everywhere().await.coverage().clone(),
        asked.unwrap().collect().await.coverage,
        answers.unwrap().coverage().clone(),
    ]
}

/// Calls a socket of no node, and returns why it has no answer.
async fn call_fault(io: &SocketIo) -> ClusterError {
    match io.to("elsewhere").timeout(LONG).call::<()>("ask", ()).await {
        Err(CallError::Emit(EmitError::Cluster(error))) => error,
        other => panic!("{other:?}"),
    }
}

/// Starts a node that finds no Redis.
fn cut_off(format: Format, way: &Way) -> Server<SocketIo> {
    let adapter = format.adapter_to(&way.url());
    Server::socketio(move |io| io.adapter(adapter), |_| ())
}

/// While Redis is away every question says so, and a call is an error of the cluster.
#[on_both_servers]
async fn a_request_without_redis_names_the_cause() {
    let redis = Redis::start();
    for format in Format::ALL {
        let mut way = Way::to(&redis).await;
        way.cut().await;
        let node = cut_off(format, &way);
        for coverage in within("the questions to end", reaches(&node.io)).await {
            assert!(matches!(
                coverage.error(),
                Some(ClusterError::Unavailable(_))
            ));
        }
        let fault = within("the call to end", call_fault(&node.io)).await;
        assert!(matches!(fault, ClusterError::Unavailable(_)), "{fault}");
    }
}

/// So it is where the queue is full.
#[on_both_servers]
async fn a_request_above_the_queue_limit_names_the_cause() {
    let redis = Redis::start();
    for format in Format::NODE {
        let adapter = format.adapter(&redis).queue_limit(1);
        let node: Server<SocketIo> = Server::socketio(move |io| io.adapter(adapter), |_| ());
        connected(&node.io).await;
        for coverage in within("the questions to end", reaches(&node.io)).await {
            assert!(matches!(
                coverage.error(),
                Some(ClusterError::QueueFull { .. })
            ));
        }
        let fault = within("the call to end", call_fault(&node.io)).await;
        assert!(matches!(fault, ClusterError::QueueFull { .. }), "{fault}");
    }
}

/// And where the format has no word for it.
#[on_both_servers]
async fn a_request_without_a_form_in_the_format_names_the_cause() {
    let redis = Redis::start();
    let node = Format::Flask.node(&redis, |io| io).await;
    let [fetched, rooms, _, answers] = within("the questions to end", reaches(&node.io)).await;
    for coverage in [fetched, rooms, answers] {
        assert!(matches!(
            coverage.error(),
            Some(ClusterError::Unsupported(_))
        ));
    }
}

/// The caller got the error that no node was asked, so no node is asked after Redis is reachable
/// again.
#[on_both_servers]
async fn request_that_failed_without_redis_is_not_sent_later() {
    let redis = Redis::start();
    for format in Format::ALL {
        let there = format.node(&redis, |io| io).await;
        let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
        let mut way = Way::to(&redis).await;
        way.cut().await;
        let here = cut_off(format, &way);
        let asked = here.io.to(peer.socket.id()).timeout(LONG);
        let asked = within("the call to end", asked.call::<()>("ask", ())).await;
        assert!(matches!(asked, Err(CallError::Emit(EmitError::Cluster(_)))));
        way.mend().await;
        connected(&here.io).await;
        // Behind whatever was queued.
        here.io.emit("fence", ()).await.unwrap();
        peer.expect(r#"42["fence"]"#).await;
    }
}

/// Questions that wait for clients have a bound on the node whose clients are asked: one more is
/// answered at once, by nobody, and when one has ended there is room again.
#[on_both_servers]
async fn one_request_above_the_limit_gets_no_responses() {
    let redis = Redis::start();
    for format in Format::NODE {
        let here = format.node(&redis, |io| io).await;
        let adapter = format.adapter(&redis).requests_in_flight(2);
        let there: Server<SocketIo> = Server::socketio(move |io| io.adapter(adapter), |_| ());
        connected(&there.io).await;
        let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
        let ask = async || {
            let all = here.io.timeout(LONG);
            all.emit_with_ack::<u32>("ask", ()).await.unwrap()
        };
        let first = ask().await;
        let id = asked(&mut peer.client).await;
        let second = ask().await;
        let other = asked(&mut peer.client).await;
        let refused = within("the end", ask().await.collect()).await;
        assert_eq!((refused.missing_elsewhere, refused.timed_out), (1, false));
        assert!(refused.answers.is_empty(), "{format:?}");
        peer.client.send(&format!("43{id}[7]")).await;
        let gathered = within("the answer", first.collect()).await;
        assert_eq!(gathered.answers.len(), 1, "{format:?}");
        // The question was not sent to the client: this is the next that it gets.
        let again = ask().await;
        let last = asked(&mut peer.client).await;
        for id in [other, last] {
            peer.client.send(&format!("43{id}[7]")).await;
        }
        for answers in [second, again] {
            let gathered = within("the answer", answers.collect()).await;
            assert_eq!(gathered.answers.len(), 1, "{format:?}");
        }
    }
}

/// So have server-side events that the program works on; one more is dropped.
#[on_both_servers]
async fn one_server_side_event_too_many_is_dropped() {
    let redis = Redis::start();
    for format in Format::NODE {
        let here = format.node(&redis, |io| io).await;
        let adapter = format.adapter(&redis).requests_in_flight(2);
        let there: Server<SocketIo> = Server::socketio(move |io| io.adapter(adapter), |_| ());
        connected(&there.io).await;
        let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
        let (began, mut begins) = channel();
        let (done, mut ends) = channel();
        let free = Arc::new(Semaphore::new(0));
        let room = Arc::clone(&free);
        there
            .io
            .of("/")
            .on_server_side("work", move |event: ServerSideEvent| {
                let number: u32 = event.read().unwrap();
                began.send(number).unwrap();
                let (done, room) = (done.clone(), Arc::clone(&room));
                async move {
                    room.acquire().await.unwrap().forget();
                    done.send(number).unwrap();
                }
            });
        let namespace = here.io.of("/");
        for number in 0..3 {
            namespace.server_side_emit("work", number).await.unwrap();
        }
        assert_eq!([begins.next().await, begins.next().await], [0, 1]);
        // Behind the third.
        here.io.emit("fence", ()).await.unwrap();
        peer.expect(r#"42["fence"]"#).await;
        free.add_permits(2);
        ends.next().await;
        ends.next().await;
        // A place is given back when its event's task has ended.
        let mut next = 3;
        let began = async {
            loop {
                namespace.server_side_emit("work", next).await.unwrap();
                here.io.emit("fence", ()).await.unwrap();
                peer.expect(r#"42["fence"]"#).await;
                if let Some(number) = begins.so_far().pop() {
                    return number;
                }
                next += 1;
            }
        };
        assert!(within("room for one more", began).await >= 3);
    }
}

/// A limit may be as long as it can be said.
#[on_both_servers]
async fn a_question_may_have_no_limit() {
    let redis = Redis::start();
    for format in Format::anywhere() {
        let [here, there] = cluster(&redis, format).await;
        let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
        let (io, id) = (here.io.clone(), peer.socket.id());
        let call = tokio::spawn(async move {
            let one = io.to(id).timeout(Duration::MAX);
            one.call::<u32>("ask", 1).await
        });
        let ack = asked(&mut peer.client).await;
        peer.client.send(&format!("43{ack}[7]")).await;
        assert_eq!(within("the answer", call).await.unwrap().unwrap(), 7);
        if format == Format::Flask {
            continue;
        }
        there
            .io
            .of("/")
            .on_server_side("load", |_: ServerSideEvent| async { 1 });
        let namespace = here.io.of("/");
        let loads = namespace.server_side_emit_with_ack("load", (), Duration::MAX);
        assert_eq!(within("the answers", loads).await.unwrap().len(), 1);
        let found = here.io.timeout(Duration::MAX).fetch_sockets();
        assert_eq!(within("the sockets", found).await.len(), 1);
    }
}

/// Reads a call, and returns its id.
async fn asked(client: &mut Client) -> u64 {
    let packet = client.text().await;
    let id = packet
        .strip_prefix("42")
        .and_then(|rest| rest.split_once('['));
    let (id, _) = id.unwrap_or_else(|| panic!("{packet}"));
    id.parse().unwrap()
}

/// The kind of a question that waits for a node.
#[derive(Clone, Copy, Debug)]
enum Asks {
    Sockets,
    Servers,
    Clients,
}

impl Asks {
    const ALL: [Self; 3] = [Self::Sockets, Self::Servers, Self::Clients];

    async fn everywhere(self, io: SocketIo) -> Coverage {
        match self {
            Self::Sockets => io.timeout(LONG).fetch_sockets().await.coverage().clone(),
            Self::Servers => {
                let namespace = io.of("/");
                let answers = namespace.server_side_emit_with_ack("ask", (), LONG);
                answers.await.unwrap().coverage().clone()
            }
            Self::Clients => {
                let answers = io.timeout(LONG).emit_with_ack::<()>("ask", ()).await;
                let mut answers = answers.unwrap();
                assert!(answers.next().await.is_none());
                assert!(!answers.has_timed_out());
                answers.coverage().clone()
            }
        }
    }
}

/// A node whose connections break before it has answered, as one that is killed, ends the question,
/// which names it.
#[on_both_servers]
async fn a_node_that_dies_before_its_response_is_named() {
    let redis = Redis::start();
    for format in Format::NODE {
        let here = format.node(&redis, |io| io).await;
        let mut way = Way::to(&redis).await;
        let there = format.node_on(&way).await;
        for asks in Asks::ALL {
            let name = only_other(&here.io, &there.io).await;
            let _dead = way.go_dead();
            let looks = redis.looks();
            let asking = tokio::spawn(asks.everywhere(here.io.clone()));
            // It is known then who has to answer.
            until("the nodes to be counted", || redis.looks() > looks).await;
            way.cut().await;
            let coverage = within("the question to end", asking).await.unwrap();
            assert_eq!(coverage.unresponsive_nodes(), [name], "{format:?} {asks:?}");
            assert_eq!(coverage.nodes(), 1);
            way.mend().await;
        }
    }
}

/// So does one that dies when its client has been asked, and has not answered.
#[on_both_servers]
async fn a_node_that_dies_before_the_ack_of_its_client_is_named() {
    let redis = Redis::start();
    for format in Format::NODE {
        let here = format.node(&redis, |io| io).await;
        let mut way = Way::to(&redis).await;
        let there = format.node_on(&way).await;
        let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
        let name = only_other(&here.io, &there.io).await;
        let answers = here.io.timeout(LONG).emit_with_ack::<()>("ask", ()).await;
        let answers = answers.unwrap();
        asked(&mut peer.client).await;
        let id = peer.socket.id();
        let io = here.io.clone();
        let call = tokio::spawn(async move { io.to(id).timeout(LONG).call::<()>("ask", ()).await });
        asked(&mut peer.client).await;
        way.cut().await;
        let gathered = within("the question to end", answers.collect()).await;
        assert_eq!(gathered.coverage.unresponsive_nodes(), [name], "{format:?}");
        assert!(!gathered.timed_out);
        let called = within("the call to end", call).await.unwrap();
        assert!(matches!(called, Err(CallError::Disconnected)), "{called:?}");
    }
}

/// Waits until both nodes know each other, and returns the name of the second.
async fn only_other(here: &SocketIo, there: &SocketIo) -> NodeId {
    let knowing = async {
        loop {
            if let (Ok(seen), Ok(own)) = (here.nodes().await, there.nodes().await)
                && seen.len() == 2
                && own.len() == 2
            {
                return own[0].clone();
            }
        }
    };
    within("the nodes to know each other", knowing).await
}
