//! The lines of the log, as tests see them.
//!
//! The log has one logger for all tests of the process. It shows each line to those who listen at the
//! moment; a test knows its own lines by a name in them that no other test has. Its two runs on the
//! two paths have the same names: the threads of their servers tell those apart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};

use log::{LevelFilter, Log, Metadata, Record};

use super::{Heard, TestRun, channel};

/// The lines since it was made that have some text in them, as `WARN actix_socketio::handler …`.
#[derive(Debug)]
pub(crate) struct Lines {
    lines: Heard<String>,
    _listening: Listening,
}

impl Lines {
    /// Listens for lines that contain `text`, at the level debug and above.
    pub(crate) fn with(text: &str) -> Self {
        let text = text.to_owned();
        let (heard, lines) = channel();
        let run = TestRun::current();
        let _listening = listen(move |line| {
            // This is the thread that writes the line.
            let is_of_another = TestRun::current().is_some_and(|writer| run != Some(writer));
            if !is_of_another && line.contains(&text) {
                // The test may have heard enough.
                let _ = heard.send(line.to_owned());
            }
        });
        Self { lines, _listening }
    }

    /// Returns the next line, when it has been written.
    pub(crate) async fn next(&mut self) -> String {
        self.lines.next().await
    }

    /// Returns the lines that have been written and nobody has taken.
    pub(crate) fn so_far(&mut self) -> Vec<String> {
        self.lines.so_far()
    }
}

/// Shows every line to `listener`, until what it returns is dropped.
pub(crate) fn listen(listener: impl Fn(&str) + Send + Sync + 'static) -> Listening {
    SET.call_once(|| log::set_logger(&LOGGER).unwrap());
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    change(|listeners| listeners.push((number, Arc::new(listener))));
    Listening(number)
}

/// Somebody listens.
#[derive(Debug)]
#[must_use = "dropping it ends the listening"]
pub(crate) struct Listening(u64);

impl Drop for Listening {
    fn drop(&mut self) {
        change(|listeners| listeners.retain(|(number, _)| *number != self.0));
    }
}

type Listeners = Vec<(u64, Arc<dyn Fn(&str) + Send + Sync>)>;

fn change(change: impl FnOnce(&mut Listeners)) {
    let mut listeners = LISTENERS.lock().unwrap();
    change(&mut listeners);
    // Tests without listeners pay nothing.
    log::set_max_level(match listeners.is_empty() {
        true => LevelFilter::Off,
        false => LevelFilter::Debug,
    });
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("actix_socketio")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = format!("{} {} {}", record.level(), record.target(), record.args());
        // A listener may panic.
        let listeners = LISTENERS.lock().unwrap().clone();
        for (_, listener) in listeners {
            listener(&line);
        }
    }

    fn flush(&self) {}
}

static LOGGER: Logger = Logger;
static SET: Once = Once::new();
static NEXT: AtomicU64 = AtomicU64::new(0);
static LISTENERS: Mutex<Listeners> = Mutex::new(Vec::new());
