//! Clusters whose Redis hangs, refuses, forgets, or vanishes without a word.

use actix_socketio::RedisAdapter;

use crate::support::Server;
use crate::support::redis::{Format, Redis, Way, cluster, connected};
use crate::support::socketio::{Peer, Via, until};

/// A Redis that has begun anew, on a machine whose clock is behind, gives ids that were read already.
#[tokio::test]
async fn a_node_reads_on_where_redis_has_gone_back() {
    let mut redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Streams).await;
    let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
    redis.command("XADD socket.io 99999999999999-0 nsp /none");
    here.io.emit("before", ()).await.unwrap();
    peer.expect(r#"42["before"]"#).await;
    redis.kill();
    for server in [&here, &there] {
        until("it to be noticed", || {
            !server.io.adapter_health().is_connected()
        })
        .await;
    }
    here.io.emit("meanwhile", ()).await.unwrap();
    redis.start_again();
    peer.expect(r#"42["meanwhile"]"#).await;
    connected(&there.io).await;
    here.io.emit("after", ()).await.unwrap();
    peer.expect(r#"42["after"]"#).await;
    assert_eq!(there.io.adapter_health().lost(), 1);
}

/// What was cut off from a stream before a node could read it is counted.
#[tokio::test]
async fn entries_that_a_node_could_not_read_are_counted() {
    let redis = Redis::start();
    let mut way = Way::to(&redis).await;
    let here = Format::Streams.node(&redis, |io| io).await;
    let adapter = RedisAdapter::streams(&way.url()).unwrap();
    let there = Server::socketio(move |io| io.adapter(adapter), |_| ());
    connected(&there.io).await;
    let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
    here.io.emit("n", 0).await.unwrap();
    peer.expect(r#"42["n",0]"#).await;
    way.cut().await;
    until("it to be noticed", || {
        !there.io.adapter_health().is_connected()
    })
    .await;
    for n in 1..=5 {
        here.io.emit("n", n).await.unwrap();
    }
    until("all to be written", || {
        here.io.adapter_health().queued_bytes() == 0
    })
    .await;
    redis.command("XTRIM socket.io MAXLEN 2");
    way.mend().await;
    peer.expect(r#"42["n",4]"#).await;
    peer.expect(r#"42["n",5]"#).await;
    assert_eq!(there.io.adapter_health().lost(), 3);
}
