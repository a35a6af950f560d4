//! The task that measures a server every few seconds, for its metrics.
//!
//! It reads counters that sessions, namespaces and the adapter have anyway, so an event costs
//! nothing more. It runs only with the feature `metrics`.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Weak};

use tokio::time::{MissedTickBehavior, interval};

use crate::cluster::AdapterHealth;
use crate::namespace::Registry;
use crate::session::Engine;
use crate::supervision::lasting_arbiter;
use crate::telemetry::{AdapterSample, Metrics, SAMPLE_INTERVAL, Sample};

/// Measures the server until it is closed or dropped. `registry` is `None` for Engine.IO alone.
///
/// # Errors
///
/// No thread could be started for the task, in a program without an actix system.
pub(super) fn start(engine: &Arc<Engine>, registry: Option<&Arc<Registry>>) -> io::Result<()> {
    if !Metrics::IS_ON {
        return Ok(());
    }
    let (metrics, ended) = (
        engine.config.telemetry.metrics.clone(),
        engine.ended.clone(),
    );
    let sampler = Sampler {
        engine: Arc::downgrade(engine),
        registry: registry.map(Arc::downgrade),
        labels: HashMap::new(),
    };
    lasting_arbiter()?.spawn(async move {
        // The last sample shows the end: no session, no handler.
        let mut sampler = sampler;
        let sampling = async {
            let mut ticks = interval(SAMPLE_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                match sampler.sample() {
                    Some(sample) => metrics.publish(&sample),
                    None => return,
                }
            }
        };
        ended.run_until_cancelled(sampling).await;
        if let Some(sample) = sampler.sample() {
            metrics.publish(&sample);
        }
    });
    Ok(())
}

struct Sampler {
    engine: Weak<Engine>,
    registry: Option<Weak<Registry>>,
    /// The number of sockets by the label of their namespace. A label stays, with the number 0,
    /// after its last namespace.
    labels: HashMap<Arc<str>, usize>,
}

impl Sampler {
    /// Measures the server; `None` if nothing of it is left.
    fn sample(&mut self) -> Option<Sample> {
        let engine = self.engine.upgrade()?;
        let totals = engine.totals();
        let mut sample = Sample {
            sessions: vec![
                ("polling", totals.polling),
                ("websocket", totals.websocket),
                ("sse", totals.sse),
                ("webtransport", totals.webtransport),
            ],
            packets_received: totals.received.packets,
            bytes_received: totals.received.bytes,
            packets_sent: totals.sent.packets,
            bytes_sent: totals.sent.bytes,
            volatile_dropped: totals.dropped_volatile,
            outbox_bytes: totals.queued_bytes,
            outbox_high_water: totals.most_queued_bytes,
            handlers_in_flight: engine.handlers_in_flight(),
            limit_hits: limit_hits(&engine),
            ..Sample::default()
        };
        if let Some(registry) = self.registry.as_ref().and_then(Weak::upgrade) {
            sample.sockets = self.sockets(&registry);
            let cluster = registry.cluster.as_ref();
            sample.adapter = cluster.map(|cluster| adapter(&cluster.health()));
        }
        Some(sample)
    }

    fn sockets(&mut self, registry: &Registry) -> Vec<(Arc<str>, usize)> {
        self.labels.values_mut().for_each(|count| *count = 0);
        for namespace in registry.all() {
            let label = Arc::clone(&namespace.handlers.context.label);
            *self.labels.entry(label).or_default() += namespace.membership.count();
        }
        let labels = self.labels.iter();
        labels
            .map(|(label, count)| (Arc::clone(label), *count))
            .collect()
    }
}

fn limit_hits(engine: &Engine) -> Vec<(&'static str, u64)> {
    let counts = engine.config.limit_hooks.counts();
    counts.map(|(limit, hits)| (limit.as_str(), hits)).collect()
}

fn adapter(health: &AdapterHealth) -> AdapterSample {
    AdapterSample {
        is_connected: health.is_connected(),
        queued_bytes: health.queued_bytes(),
        lag_seconds: health.lag().map(|lag| lag.as_secs_f64()),
        reconnects: health.reconnects(),
        refused: health.refused(),
        lost: health.lost(),
        unreadable: health.unreadable(),
    }
}
