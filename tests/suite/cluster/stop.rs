//! `AppServerHandle::stop` of a node of a cluster: the end of the server is one for the other nodes
//! too.

use std::thread;
use std::time::Duration;

use actix_socketio::{
    AppServerHandle, ClusterError, EmitError, RedisAdapter, ServerSideEvent, SocketIo,
};
use actix_web::App;
use actix_web::rt::{System, spawn};
use tokio::task::{JoinHandle, yield_now};

use crate::support::held::Gate;
use crate::support::redis::{Astray, Format, Redis, Way, cluster, connected};
use crate::support::socketio::{Client, Peer, Via, until};
use crate::support::{Served, Site, channel, packets, within};

/// The messages that a node has queued for the others are sent before it ends.
#[on_both_servers]
async fn events_emitted_before_a_stop_reach_the_other_node() {
    let redis = Redis::start();
    for format in Format::ALL {
        let mut way = Way::to(&redis).await;
        let here = Stoppable::start(format.adapter_to(&way.url())).await;
        let there = format.node(&redis, |io| io).await;
        let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
        // It waits in the queue when the stop begins.
        way.cut().await;
        until("it to be noticed", || {
            !here.io.adapter_health().is_connected()
        })
        .await;
        here.io.emit("last", "words").await.unwrap();
        let stopping = here.stopping();
        way.mend().await;
        peer.expect(r#"42["last","words"]"#).await;
        within("the stop", stopping).await.unwrap();
    }
}

/// An event that a closing node accepts reaches the other nodes; after the last one the program gets
/// an error.
#[on_both_servers]
async fn events_emitted_during_a_close_are_sent_or_refused() {
    let redis = Redis::start();
    for format in Format::anywhere() {
        let [here, there] = cluster(&redis, format).await;
        let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
        let io = here.io.clone();
        let emitting = spawn(async move {
            let mut accepted = 0;
            loop {
                match io.emit("n", accepted).await {
                    Ok(()) => accepted += 1,
                    Err(error) => return (accepted, error),
                }
                yield_now().await;
            }
        });
        peer.expect(r#"42["n",0]"#).await;
        assert!(here.io.close(LONG).await);
        let (accepted, error) = within("the first error", emitting).await.unwrap();
        let is_closed = matches!(error, EmitError::Cluster(ClusterError::Closed));
        assert!(is_closed, "{error}");
        for n in 1..accepted {
            peer.expect(&format!(r#"42["n",{n}]"#)).await;
        }
        there.io.emit("end", ()).await.unwrap();
        peer.expect(r#"42["end"]"#).await;
    }
}

/// Clients of other nodes whose polls wait at a node that is stopped poll another one.
#[on_both_servers]
async fn a_stop_ends_the_forwarded_polls() {
    let redis = Redis::start();
    for format in Format::ALL {
        let here = format.node(&redis, |io| io).await;
        let there = Stoppable::start(format.adapter(&redis)).await;
        let client = Astray::enter(&here, &there.site).await;
        let poll = client.forwarded(&redis).await;
        let stopping = there.stopping();
        let response = poll.response().await;
        assert_eq!(packets(&response), ["6"]);
        assert_eq!(response.header("connection"), Some("close"));
        within("the stop", stopping).await.unwrap();
        here.io.emit("still", ()).await.unwrap();
        client.home.expect(&[r#"42["still"]"#]).await;
    }
}

/// The program answers the server-side events of other nodes that it has, and takes no others.
#[on_both_servers]
async fn a_stop_waits_for_server_side_events() {
    let redis = Redis::start();
    for format in Format::NODE {
        let here = Stoppable::start(format.adapter(&redis)).await;
        let there = format.node(&redis, |io| io).await;
        let gate = Gate::default();
        let (began, mut begun) = channel();
        let passing = gate.clone();
        here.io
            .of("/")
            .on_server_side("work", move |event: ServerSideEvent| {
                let gate = passing.clone();
                began.send(event.read::<u32>().unwrap()).unwrap();
                async move {
                    gate.pass().await;
                    "done"
                }
            });
        let namespace = there.io.of("/");
        let asking = namespace.clone();
        let asking = async move { asking.server_side_emit_with_ack("work", 1, LONG).await };
        let asking = tokio::spawn(asking);
        assert_eq!(begun.next().await, 1);
        let mut idle = Client::connected(&here.site, Via::WebSocket).await;
        let stopping = here.stopping();
        idle.expect_close().await;
        namespace.server_side_emit("work", 2).await.unwrap();
        assert!(!stopping.is_finished());
        gate.open();
        let answers = within("the answer", asking).await.unwrap().unwrap();
        let answers: Vec<String> = answers.iter().map(|it| it.read().unwrap()).collect();
        assert_eq!(answers, ["done"]);
        within("the stop", stopping).await.unwrap();
        assert_eq!(begun.so_far(), [] as [u32; 0]);
    }
}

/// A node on the direct path.
struct Stoppable {
    io: SocketIo,
    site: Site,
    handle: AppServerHandle,
}

impl Stoppable {
    async fn start(adapter: RedisAdapter) -> Self {
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        thread::spawn(move || {
            System::new().block_on(async move {
                let io = SocketIo::builder().adapter(adapter).start().unwrap();
                let serve = io.serve(App::new).workers(1).shutdown_timeout(LONG);
                let (address, serving) = serve.run_here().unwrap();
                ready.send((io, address, serving.handle())).unwrap();
                serving.await.unwrap();
            });
        });
        let (io, address, handle) = started.recv().unwrap();
        connected(&io).await;
        let path = "/socket.io/";
        Self {
            io,
            site: Site { address, path },
            handle,
        }
    }

    fn stopping(&self) -> JoinHandle<()> {
        let handle = self.handle.clone();
        tokio::spawn(async move { handle.stop(true).await })
    }
}

/// Longer than any test waits.
const LONG: Duration = Duration::from_secs(60);
