//! Log lines about clients: the display of a client's text, and the rate of lines.
//!
//! Texts and lines enter, lines of the `log` crate leave. A client's text is escaped and cut, so
//! that it cannot start a line of its own or fill the log. [`LogLimits`] writes the lines above the
//! level debug that a client can cause. It omits lines above its rate, and logs their number. The
//! meaning of the lines is not known here.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use log::Level;

/// A text that a client chose, such as the name of an event: quoted, escaped and cut at
/// [`SHOWN`] characters.
#[derive(Clone, Copy)]
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, is_cut) = match self.0.char_indices().nth(SHOWN) {
            Some((end, _)) => (&self.0[..end], true),
            None => (self.0, false),
        };
        write!(f, "{start:?}")?;
        if is_cut {
            write!(f, "… ({} bytes)", self.0.len())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The same without quotes, for names that are usually plain.
pub(crate) fn plain(name: &str) -> Cut<&str> {
    Cut(name, SHOWN)
}

/// A text that may contain a client's text, such as an error or a panic: control characters are
/// escaped, and it is cut at [`TEXT`] characters.
pub(crate) fn cut<T: fmt::Display>(text: T) -> Cut<T> {
    Cut(text, TEXT)
}

/// Any displayable value, with control characters escaped, up to a number of characters.
#[derive(Clone, Copy)]
pub(crate) struct Cut<T>(T, usize);

impl<T: fmt::Display> fmt::Display for Cut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cutting = Cutting {
            formatter: f,
            left: self.1,
            has_failed: false,
        };
        match write!(cutting, "{}", self.0) {
            Ok(()) => Ok(()),
            // The formatter's own error ends the text early if it is full.
            Err(_) if cutting.left == 0 && !cutting.has_failed => f.write_char('…'),
            Err(error) => Err(error),
        }
    }
}

struct Cutting<'a, 'b> {
    formatter: &'a mut fmt::Formatter<'b>,
    left: usize,
    has_failed: bool,
}

impl fmt::Write for Cutting<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            let written = match character {
                // Harmless, and already escaped in a quoted text.
                '"' | '\'' | '\\' => self.formatter.write_char(character),
                _ => write!(self.formatter, "{}", character.escape_debug()),
            };
            self.has_failed |= written.is_err();
            written?;
        }
        Ok(())
    }
}

/// The kinds of lines that a client can cause. The lines of one kind share a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "adapters and session stores use the rest")]
pub(crate) enum LogKind {
    /// A refused request.
    Refused,
    /// A handler that failed.
    Failed,
    /// Code of the program that panicked.
    Panicked,
    /// A stored session that cannot be read or written.
    Store,
    /// A client that exceeded a limit.
    TooLarge,
    /// A slow client.
    Slow,
    /// A faulty connection.
    Connection,
    /// A message of another node that is not delivered, or not answered.
    Foreign,
    /// A client that cannot recover its state.
    NotRecovered,
}

impl LogKind {
    /// Returns the target of its lines.
    fn target(self) -> &'static str {
        match self {
            Self::Refused | Self::Connection => TARGET_REQUEST,
            Self::Failed | Self::Panicked => TARGET_HANDLER,
            Self::TooLarge | Self::Slow => TARGET_SESSION,
            Self::Store => TARGET_STORE,
            Self::Foreign | Self::NotRecovered => TARGET_CLUSTER,
        }
    }

    /// Returns the subject of its lines.
    fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused requests",
            Self::Failed => "failed handlers",
            Self::Panicked => "panics",
            Self::Store => "failures of the session store",
            Self::TooLarge => "messages that are too large",
            Self::Slow => "clients that read too slowly",
            Self::Connection => "connections",
            Self::Foreign => "messages of other nodes",
            Self::NotRecovered => "clients that did not recover",
        }
    }
}

/// The targets of lines; each begins with the name of the crate, so that `actix_socketio` is the
/// filter for all of them.
pub(crate) const TARGET_REQUEST: &str = "actix_socketio::request";
pub(crate) const TARGET_SESSION: &str = "actix_socketio::session";
pub(crate) const TARGET_SOCKET: &str = "actix_socketio::socket";
pub(crate) const TARGET_EVENT: &str = "actix_socketio::event";
pub(crate) const TARGET_HANDLER: &str = "actix_socketio::handler";
pub(crate) const TARGET_STORE: &str = "actix_socketio::store";
pub(crate) const TARGET_CLUSTER: &str = "actix_socketio::cluster";

/// Limits the lines that clients can cause: [`LINES`] of each kind per second. A server has one.
#[derive(Debug)]
pub(crate) struct LogLimits {
    begun: Instant,
    windows: [Window; KINDS],
}

impl LogLimits {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            windows: Default::default(),
        })
    }

    /// Returns the limits for code that belongs to no server.
    pub(crate) fn of_process() -> &'static Arc<Self> {
        static PROCESS: LazyLock<Arc<LogLimits>> = LazyLock::new(LogLimits::new);
        &PROCESS
    }

    /// Writes a line, unless there were too many of its kind in this second. An omitted line is not
    /// formatted; the number of omitted lines is logged at the end of the second.
    pub(crate) fn write(self: &Arc<Self>, kind: LogKind, level: Level, line: fmt::Arguments<'_>) {
        if !log::log_enabled!(target: kind.target(), level) {
            return;
        }
        let window = &self.windows[kind as usize];
        if window.admit(self.begun.elapsed().as_secs()) {
            self.summarize(kind, level);
            log::log!(target: kind.target(), level, "{}", Cut(line, LINE));
        } else if window.left_out.fetch_add(1, Ordering::Relaxed) == 0 {
            self.summarize_later(kind, level);
        }
    }

    fn summarize_later(self: &Arc<Self>, kind: LogKind, level: Level) {
        // Without a runtime the next line of the kind logs the number.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let limits = Arc::clone(self);
            runtime.spawn(async move {
                tokio::time::sleep(SECOND).await;
                limits.summarize(kind, level);
            });
        }
    }

    /// Logs the number of lines omitted since the last summary.
    fn summarize(&self, kind: LogKind, level: Level) {
        let left_out = &self.windows[kind as usize].left_out;
        if left_out.load(Ordering::Relaxed) == 0 {
            return;
        }
        let count = left_out.swap(0, Ordering::Relaxed);
        if count > 0 {
            let name = kind.name();
            log::log!(target: kind.target(), level, "{count} more lines omitted: {name}");
        }
    }
}

/// The lines of one kind.
#[derive(Debug, Default)]
struct Window {
    /// The second in the upper half, and the number of lines written in it in the lower half.
    state: AtomicU64,
    left_out: AtomicU64,
}

impl Window {
    /// Returns `true` if another line may be written in this second. The order of threads is
    /// irrelevant.
    fn admit(&self, second: u64) -> bool {
        let next = |state: u64| match (state >> 32 == second, state & u64::from(u32::MAX)) {
            (false, _) => Some(second << 32 | 1),
            (true, written) if written < LINES => Some(state + 1),
            (true, _) => None,
        };
        let (set, fetched) = (Ordering::Relaxed, Ordering::Relaxed);
        self.state.fetch_update(set, fetched, next).is_ok()
    }
}

const KINDS: usize = LogKind::NotRecovered as usize + 1;

/// The number of lines of one kind per second.
const LINES: u64 = 10;

const SECOND: Duration = Duration::from_secs(1);

/// The number of characters shown of a name.
const SHOWN: usize = 64;

/// The number of characters shown of an error's or a panic's text.
const TEXT: usize = 256;

/// The number of characters of a whole line that a client can cause.
const LINE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_whole_at_64_characters_and_cut_at_65() {
        let whole = "é".repeat(64);
        assert_eq!(Quoted(&whole).to_string(), format!("\"{whole}\""));
        assert_eq!(plain(&whole).to_string(), whole);
        let longer = format!("{whole}é");
        let cut = format!("\"{whole}\"… (130 bytes)");
        assert_eq!(Quoted(&longer).to_string(), cut);
        assert_eq!(plain(&longer).to_string(), format!("{whole}…"));
    }

    #[test]
    fn line_breaks_and_control_characters_are_escaped() {
        let evil = "a\n\r\u{1b}[31m\u{2028}\u{85}\0b";
        let tame = r"a\n\r\u{1b}[31m\u{2028}\u{85}\0b";
        assert_eq!(Quoted(evil).to_string(), format!("\"{tame}\""));
        assert_eq!(cut(evil).to_string(), tame);
        // Escaped characters stay unchanged.
        assert_eq!(cut(Quoted(evil)).to_string(), format!("\"{tame}\""));
        assert_eq!(cut(r#"say "it's" \"#).to_string(), r#"say "it's" \"#);
    }

    #[test]
    fn an_error_of_the_display_implementation_is_returned() {
        struct Broken;
        impl fmt::Display for Broken {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a")?;
                Err(fmt::Error)
            }
        }
        let mut written = String::new();
        assert!(write!(written, "{}", cut(Broken)).is_err());
    }

    #[test]
    fn lines_of_a_kind_are_limited_per_second() {
        let window = Window::default();
        for second in [0, 1, 7, 1 << 30] {
            let admitted = (0..1000).filter(|_| window.admit(second)).count();
            assert_eq!(admitted as u64, LINES, "{second}");
        }
    }

    #[test]
    fn kinds_have_limits_of_their_own() {
        let limits = LogLimits::new();
        let [first, .., last] = &limits.windows;
        while first.admit(0) {}
        assert!(last.admit(0));
        assert_eq!(limits.windows.len(), KINDS);
    }
}
