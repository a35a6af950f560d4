//! Broadcasts at a fixed rate, with a number for each room, and the times of connects.
//!
//! A test that drains a node compares what its clients received with what was sent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use actix_socketio::Namespace;
use tokio::time::{MissedTickBehavior, interval};

/// Sends numbered events to rooms in turn until it is stopped or the server is closed.
#[derive(Clone, Default)]
pub(crate) struct Ticker {
    is_stopped: Arc<AtomicBool>,
    sent: Arc<Mutex<HashMap<String, u64>>>,
    connects: Arc<Mutex<Vec<u64>>>,
}

impl Ticker {
    /// Starts to send events of this name to `{prefix}0`, `{prefix}1` and so on, `rate` a second.
    pub(crate) fn start(&self, namespace: Namespace, event: String, rooms: u32, rate: u32) {
        let ticker = self.clone();
        actix_rt::spawn(async move {
            let begun = Instant::now();
            let mut ticks = interval(Duration::from_millis(10));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut count = 0;
            while !ticker.is_stopped.load(Ordering::Relaxed) {
                ticks.tick().await;
                // A late tick sends what is due, so that the rate is kept.
                while f64::from(count) < begun.elapsed().as_secs_f64() * f64::from(rate) {
                    if !ticker.send(&namespace, &event, count % rooms).await {
                        return;
                    }
                    count += 1;
                }
            }
        });
    }

    async fn send(&self, namespace: &Namespace, event: &str, room: u32) -> bool {
        let room = format!("room{room}");
        let number = self.sent().get(&room).copied().unwrap_or(0) + 1;
        // A closed server takes no more.
        let is_sent = namespace
            .to(&room)
            .emit(event, (&room, number))
            .await
            .is_ok();
        if is_sent {
            self.sent().insert(room, number);
        }
        is_sent
    }

    /// Stops, and returns the last number of each room.
    pub(crate) fn stop(&self) -> HashMap<String, u64> {
        self.is_stopped.store(true, Ordering::Relaxed);
        self.sent().clone()
    }

    pub(crate) fn note_connect(&self) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut connects = self.connects.lock().unwrap_or_else(PoisonError::into_inner);
        connects.push(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    }

    /// Returns the time of each connect so far, in milliseconds.
    pub(crate) fn connects(&self) -> Vec<u64> {
        let connects = self.connects.lock().unwrap_or_else(PoisonError::into_inner);
        connects.clone()
    }

    fn sent(&self) -> std::sync::MutexGuard<'_, HashMap<String, u64>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
