//! The login of a socket: its expiry, and the warning before it.
//!
//! The program sets the time, and the session asks what is due. The time is an argument: the wall
//! clock may jump, so the session looks at it again at least every [`CHECK_INTERVAL`]. Nothing here
//! waits or sends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// The login of a socket. A socket without one allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Login {
    expiry: Mutex<Expiry>,
    /// The beginning of the login in milliseconds since 1970; zero if the user is not known.
    began: AtomicU64,
}

/// The times of a login as nodes keep them, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LoginTimes {
    pub(crate) began: Option<u64>,
    pub(crate) expires: Option<u64>,
}

/// The end of a login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Expiry {
    at: Option<SystemTime>,
    /// The client was warned of this end.
    is_told: bool,
}

/// The next step of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginStep {
    /// The client is to be warned: this much time is left.
    Warn(Duration),
    /// The login has expired.
    Expire,
    /// Nothing is due for this long.
    Wait(Duration),
}

impl Login {
    /// The login of a user begins. Of two logins of this process the later one has the later time.
    pub(super) fn begins(&self, now: SystemTime) {
        let now = to_millis(now);
        let last = LAST.fetch_max(now, Ordering::Relaxed);
        let began = if now > last {
            now
        } else {
            LAST.fetch_add(1, Ordering::Relaxed) + 1
        };
        self.began.store(began, Ordering::Relaxed);
    }

    /// Returns the times for the recovery of the socket, and for other nodes.
    pub(crate) fn times(&self) -> LoginTimes {
        let began = self.began.load(Ordering::Relaxed);
        LoginTimes {
            began: (began > 0).then_some(began),
            expires: self.expiry().map(to_millis),
        }
    }

    /// Sets the end of the login. Its client is warned of the new one again.
    pub(crate) fn expires_at(&self, at: Option<SystemTime>) {
        let mut expiry = self.expiry.lock();
        if expiry.at != at {
            *expiry = Expiry { at, is_told: false };
        }
    }

    /// Returns the end of the login.
    pub(crate) fn expiry(&self) -> Option<SystemTime> {
        self.expiry.lock().at
    }

    /// Returns the step that is due at `now`; `None` if the login does not end. The client is
    /// warned `lead` before the end, once, and not before it is connected.
    pub(crate) fn step(
        &self,
        now: SystemTime,
        lead: Duration,
        is_connected: bool,
    ) -> Option<LoginStep> {
        let mut expiry = self.expiry.lock();
        let left = left(expiry.at?, now);
        if left.is_zero() {
            return Some(LoginStep::Expire);
        }
        let warns = !expiry.is_told && is_connected && !lead.is_zero();
        if warns && left <= lead {
            expiry.is_told = true;
            return Some(LoginStep::Warn(left));
        }
        let wait = if warns { left - lead } else { left };
        Some(LoginStep::Wait(wait.min(CHECK_INTERVAL)))
    }
}

impl LoginTimes {
    /// Returns the login of a recovered socket, if it had one.
    pub(super) fn restored(self) -> Option<Box<Login>> {
        if self == Self::default() {
            return None;
        }
        let login = Login {
            began: AtomicU64::new(self.began.unwrap_or_default()),
            ..Login::default()
        };
        login.expires_at(self.expires.and_then(from_millis));
        Some(Box::new(login))
    }

    /// Returns `true` if the login has ended at this time.
    pub(crate) fn has_expired(self, now: SystemTime) -> bool {
        self.expires.is_some_and(|end| end <= to_millis(now))
    }
}

/// Returns the time from `now` to `at`, zero if that has passed.
fn left(at: SystemTime, now: SystemTime) -> Duration {
    at.duration_since(now).unwrap_or_default()
}

/// Returns the time in milliseconds since 1970, as JavaScript counts it.
pub(crate) fn to_millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the time that is this many milliseconds after 1970; `None` for one that the clock cannot
/// show.
fn from_millis(millis: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

/// The beginning of the latest login in this process.
static LAST: AtomicU64 = AtomicU64::new(0);

/// The interval in which a session looks at the wall clock again.
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const LEAD: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_login_is_warned_of_once_and_then_expires() {
        let login = Login::default();
        assert_eq!(login.step(at(0), LEAD, true), None);
        login.expires_at(Some(at(100)));
        for (now, step) in [
            (0, LoginStep::Wait(seconds(60))),
            (60, LoginStep::Wait(seconds(10))),
            (70, LoginStep::Warn(seconds(30))),
            (70, LoginStep::Wait(seconds(30))),
            (99, LoginStep::Wait(seconds(1))),
            (100, LoginStep::Expire),
            (500, LoginStep::Expire),
        ] {
            assert_eq!(login.step(at(now), LEAD, true), Some(step), "at {now}");
        }
    }

    #[test]
    fn a_renewed_login_is_warned_of_again() {
        let login = Login::default();
        login.expires_at(Some(at(100)));
        let warn = Some(LoginStep::Warn(seconds(10)));
        assert_eq!(login.step(at(90), LEAD, true), warn);
        // The same time is no renewal.
        login.expires_at(Some(at(100)));
        let wait = Some(LoginStep::Wait(seconds(10)));
        assert_eq!(login.step(at(90), LEAD, true), wait);
        login.expires_at(Some(at(150)));
        let wait = Some(LoginStep::Wait(seconds(30)));
        assert_eq!(login.step(at(90), LEAD, true), wait);
        let warn = Some(LoginStep::Warn(seconds(30)));
        assert_eq!(login.step(at(120), LEAD, true), warn);
        login.expires_at(None);
        assert_eq!(login.step(at(500), LEAD, true), None);
    }

    #[test]
    fn a_client_that_is_not_connected_is_not_warned() {
        let login = Login::default();
        login.expires_at(Some(at(100)));
        let wait = Some(LoginStep::Wait(seconds(10)));
        assert_eq!(login.step(at(90), LEAD, false), wait);
        let warn = Some(LoginStep::Warn(seconds(10)));
        assert_eq!(login.step(at(90), LEAD, true), warn);
        assert_eq!(login.step(at(100), LEAD, false), Some(LoginStep::Expire));
    }

    #[test]
    fn without_a_lead_there_is_no_warning() {
        let login = Login::default();
        login.expires_at(Some(at(100)));
        let wait = Some(LoginStep::Wait(seconds(1)));
        assert_eq!(login.step(at(99), Duration::ZERO, true), wait);
    }

    #[test]
    fn a_clock_that_jumps_is_seen_at_the_next_step() {
        let login = Login::default();
        login.expires_at(Some(at(1000)));
        // Forward over the warning and the end, and back.
        assert_eq!(login.step(at(2000), LEAD, true), Some(LoginStep::Expire));
        let wait = Some(LoginStep::Wait(CHECK_INTERVAL));
        assert_eq!(login.step(at(10), LEAD, true), wait);
        let warn = Some(LoginStep::Warn(seconds(20)));
        assert_eq!(login.step(at(980), LEAD, true), warn);
        assert_eq!(login.step(at(10), LEAD, true), wait);
    }

    #[test]
    fn a_later_login_has_a_later_time() {
        let began = |now| {
            let login = Login::default();
            login.begins(at(now));
            login.times().began
        };
        let first = began(4_000_000_000);
        assert!(began(4_000_000_000) > first);
        assert!(began(3_000_000_000) > first, "the clock went back");
    }

    #[test]
    fn a_login_is_restored_with_its_times() {
        let login = Login::default();
        assert!(login.times().restored().is_none());
        login.expires_at(Some(at(100)));
        login.begins(at(50));
        let times = login.times();
        assert_eq!(times.restored().unwrap().times(), times);
        assert!(!times.has_expired(at(99)) && times.has_expired(at(100)));
    }

    #[test]
    fn moments_survive_as_milliseconds() {
        for millis in [0, 1, 1_796_000_000_123] {
            assert_eq!(from_millis(millis).map(to_millis), Some(millis));
        }
        assert_eq!(to_millis(UNIX_EPOCH - seconds(5)), 0);
    }
}
