//! docs/operations.md, Metrics: the connections to other nodes, on a Redis that can be cut off.

use actix_socketio::SocketIo;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::metrics::{expect, start_with, value};
use crate::support::redis::{Format, Redis, Way, connected};
use crate::support::socketio::{Peer, Via, until};

/// Waits until the adapter's metrics of these names have these values.
async fn expect_all(page: &PrometheusHandle, expected: &[(&str, f64)]) {
    for (name, value) in expected {
        expect(page, &format!("socketio_adapter_{name}"), *value).await;
    }
}

/// Emits more than the queue has room for, and returns the number of refused events.
async fn fill_queue(io: &SocketIo, peer: &mut Peer) -> f64 {
    let mut refused = 0_u32;
    for n in 0..50 {
        refused += u32::from(io.emit("m", n).await.is_err());
        peer.expect(&format!(r#"42["m",{n}]"#)).await;
    }
    assert!(refused > 0);
    f64::from(refused)
}

/// Each metric of the adapter has the value of `SocketIo::adapter_health`.
#[on_both_servers]
async fn the_connections_to_other_nodes_are_measured() {
    let redis = Redis::start();
    let mut way = Way::to(&redis).await;
    let here = Format::Streams.node(&redis, |io| io).await;
    let adapter = Format::Streams.adapter_to(&way.url()).queue_limit(2000);
    let (there, page) = start_with(move |io| io.adapter(adapter), |_| ());
    connected(&there.io).await;
    let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
    here.io.emit("n", 0).await.unwrap();
    peer.expect(r#"42["n",0]"#).await;
    for total in ["reconnects", "refused", "lost", "unreadable"] {
        expect_all(&page, &[(&format!("{total}_total"), 0.0)]).await;
    }
    expect_all(&page, &[("connected", 1.0), ("queue_bytes", 0.0)]).await;
    // The two clocks are one, so it is the time since the entry was added.
    let lag = "socketio_adapter_lag_seconds";
    until(lag, || value(&page, lag).is_some()).await;
    assert!(value(&page, lag).is_some_and(|lag| (0.0..5.0).contains(&lag)));

    way.cut().await;
    expect(&page, "socketio_adapter_connected", 0.0).await;
    let refused = fill_queue(&there.io, &mut peer).await;
    expect(&page, "socketio_adapter_refused_total", refused).await;
    let queued = u32::try_from(there.io.adapter_health().queued_bytes()).unwrap();
    assert!(queued > 0 && queued <= 2000, "{queued}");
    expect(&page, "socketio_adapter_queue_bytes", f64::from(queued)).await;

    for n in 1..=5 {
        here.io.emit("n", n).await.unwrap();
    }
    until("all to be written", || {
        here.io.adapter_health().queued_bytes() == 0
    })
    .await;
    redis.command("XTRIM socket.io MAXLEN 2");
    redis.command("XADD socket.io * uid x nsp / type 3 data kWFh");
    way.mend().await;
    for n in 4..=5 {
        peer.expect(&format!(r#"42["n",{n}]"#)).await;
    }
    expect_all(
        &page,
        &[
            ("connected", 1.0),
            ("queue_bytes", 0.0),
            ("lost_total", 3.0),
            ("unreadable_total", 1.0),
            ("refused_total", refused),
        ],
    )
    .await;
    let reconnects = there.io.adapter_health().reconnects();
    assert!(reconnects > 0);
    let reconnects = f64::from(u32::try_from(reconnects).unwrap());
    expect(&page, "socketio_adapter_reconnects_total", reconnects).await;
}
