//! The admission of new sessions, as pure code: addresses and the time enter, a place or the limit
//! leaves.
//!
//! A [`Place`] is one session. It exists from the check of its first request to its close, and is
//! given back when it is dropped. All numbers change under one lock, which only first requests and
//! closes take, so any number of clients at once keeps within the limits.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::limits::bucket::Bucket;
use crate::limits::memory::{MemoryGauge, MemoryMark};
use crate::limits::{Limit, RateLimit};

/// The limits of new sessions; `None` is no limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct AdmissionLimits {
    pub(crate) max_sessions: Option<usize>,
    pub(crate) sessions_per_address: Option<usize>,
    pub(crate) handshakes_per_second: Option<RateLimit>,
    pub(crate) handshakes_per_second_per_address: Option<RateLimit>,
    pub(crate) memory_limit: Option<u64>,
    pub(crate) memory_gauge: MemoryGauge,
}

impl AdmissionLimits {
    /// Returns an error that names an option that this system does not support.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.memory_limit.is_some() && self.memory_gauge.measure().is_none() {
            return Err(
                "memory_limit: the resident memory of this process cannot be measured here, set \
                 `memory_gauge`"
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn has_any(&self) -> bool {
        self.max_sessions.is_some()
            || self.sessions_per_address.is_some()
            || self.handshakes_per_second.is_some()
            || self.handshakes_per_second_per_address.is_some()
            || self.memory_limit.is_some()
    }
}

/// Admits the sessions of a server.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: AdmissionLimits,
    memory: Option<MemoryMark>,
    counts: Mutex<Counts>,
}

/// A client that is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAdmitted {
    pub(crate) limit: Limit,
    pub(crate) value: u64,
    /// The time after which a client may try again.
    pub(crate) retry_after: Duration,
}

impl Admission {
    /// Returns `None` if there is no limit.
    pub(crate) fn new(limits: &AdmissionLimits, now: Instant) -> Option<Arc<Self>> {
        limits.has_any().then(|| {
            let gauge = &limits.memory_gauge;
            let mark = |limit| MemoryMark::new(limit, gauge.clone(), now);
            Arc::new(Self {
                limits: limits.clone(),
                memory: limits.memory_limit.map(mark),
                counts: Mutex::new(Counts {
                    sessions: 0,
                    handshakes: limits.handshakes_per_second.map(|it| Bucket::new(it, now)),
                    addresses: HashMap::new(),
                    sweep_at: SWEEP,
                }),
            })
        })
    }

    /// Returns `true` if new clients are refused because of the memory of the process.
    pub(crate) fn is_out_of_memory(&self, now: Instant) -> bool {
        let memory = self.memory.as_ref();
        memory.is_some_and(|memory| memory.is_exceeded(now))
    }

    /// Reserves the place of a new session. A client without an address, on a Unix socket or in
    /// memory, has no limits of its address.
    pub(crate) fn admit(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        now: Instant,
    ) -> Result<Place, NotAdmitted> {
        if let Some(memory) = self.memory.as_ref().filter(|it| it.is_exceeded(now)) {
            return Err(NotAdmitted {
                limit: Limit::MemoryLimit,
                value: memory.limit,
                retry_after: BUSY,
            });
        }
        let is_by_address = self.limits.sessions_per_address.is_some()
            || self.limits.handshakes_per_second_per_address.is_some();
        let address = address.filter(|_| is_by_address).map(AddressKey::from);
        self.counts.lock().admit(&self.limits, address, now)?;
        Ok(Place {
            admission: Arc::clone(self),
            address,
        })
    }
}

/// The place of one session.
pub(crate) struct Place {
    admission: Arc<Admission>,
    address: Option<AddressKey>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.counts.lock().leave(self.address);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

/// The numbers of a server.
#[derive(Debug)]
struct Counts {
    sessions: usize,
    handshakes: Option<Bucket>,
    addresses: HashMap<AddressKey, OfAddress>,
    /// The number of addresses at which those without any effect are removed.
    sweep_at: usize,
}

/// The numbers of one address.
#[derive(Debug)]
struct OfAddress {
    sessions: usize,
    handshakes: Option<Bucket>,
}

impl Counts {
    /// The limits of the address come first, so that one address cannot use up the others' rate.
    fn admit(
        &mut self,
        limits: &AdmissionLimits,
        address: Option<AddressKey>,
        now: Instant,
    ) -> Result<(), NotAdmitted> {
        let busy = |limit, value| NotAdmitted {
            limit,
            value,
            retry_after: BUSY,
        };
        if let Some(key) = address {
            let of_address = self.address(key, limits, now);
            if let (Some(bucket), Some(rate)) = (
                &mut of_address.handshakes,
                limits.handshakes_per_second_per_address,
            ) {
                bucket.take(1, now).map_err(|retry_after| NotAdmitted {
                    limit: Limit::HandshakesPerSecondPerAddress,
                    value: rate.per_second,
                    retry_after,
                })?;
            }
            if let Some(limit) = limits.sessions_per_address
                && of_address.sessions >= limit
            {
                return Err(busy(Limit::SessionsPerAddress, limit as u64));
            }
        }
        if let Some(limit) = limits.max_sessions
            && self.sessions >= limit
        {
            return Err(busy(Limit::MaxSessions, limit as u64));
        }
        if let (Some(bucket), Some(rate)) = (&mut self.handshakes, limits.handshakes_per_second) {
            bucket.take(1, now).map_err(|retry_after| NotAdmitted {
                limit: Limit::HandshakesPerSecond,
                value: rate.per_second,
                retry_after,
            })?;
        }
        self.sessions += 1;
        if let Some(of_address) = address.and_then(|key| self.addresses.get_mut(&key)) {
            of_address.sessions += 1;
        }
        Ok(())
    }

    fn leave(&mut self, address: Option<AddressKey>) {
        self.sessions = self.sessions.saturating_sub(1);
        let Some(key) = address else { return };
        if let Some(of_address) = self.addresses.get_mut(&key) {
            of_address.sessions = of_address.sessions.saturating_sub(1);
            if of_address.sessions == 0 && of_address.handshakes.is_none() {
                self.addresses.remove(&key);
            }
        }
    }

    fn address(
        &mut self,
        key: AddressKey,
        limits: &AdmissionLimits,
        now: Instant,
    ) -> &mut OfAddress {
        if self.addresses.len() >= self.sweep_at && !self.addresses.contains_key(&key) {
            self.sweep(now);
        }
        self.addresses.entry(key).or_insert_with(|| OfAddress {
            sessions: 0,
            handshakes: limits
                .handshakes_per_second_per_address
                .map(|rate| Bucket::new(rate, now)),
        })
    }

    /// Removes the addresses without a session whose buckets are full. If others without a session
    /// still exceed their bound, they are removed too, and each has its burst again: the memory is
    /// bounded, and no address is refused because of others.
    fn sweep(&mut self, now: Instant) {
        self.addresses.retain(|_, of_address| {
            let buckets = &mut of_address.handshakes;
            let is_full = buckets.as_mut().is_none_or(|bucket| bucket.is_full(now));
            of_address.sessions > 0 || !is_full
        });
        let idle = |of_address: &&OfAddress| of_address.sessions == 0;
        if self.addresses.values().filter(idle).count() >= MAX_IDLE_ADDRESSES {
            self.addresses
                .retain(|_, of_address| of_address.sessions > 0);
        }
        self.sweep_at = (2 * self.addresses.len()).max(SWEEP);
    }
}

/// An address as it is counted: of IPv6 the network of 64 bits that one client usually has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum AddressKey {
    V4(u32),
    V6(u64),
}

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> Self {
        let of_v6 = |address: Ipv6Addr| Self::V6((address.to_bits() >> 64) as u64);
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

/// The time after which a client may try again if it is unknown when a place is free.
const BUSY: Duration = Duration::from_secs(5);

/// The number of addresses from which idle ones are removed.
const SWEEP: usize = 1024;

/// The number of addresses without a session whose buckets are kept.
const MAX_IDLE_ADDRESSES: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn admission(limits: &AdmissionLimits) -> (Arc<Admission>, Instant) {
        let now = Instant::now();
        (Admission::new(limits, now).unwrap(), now)
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn limit_of(refused: Result<Place, NotAdmitted>) -> Limit {
        refused.unwrap_err().limit
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        assert!(Admission::new(&AdmissionLimits::default(), Instant::now()).is_none());
    }

    #[test]
    fn sessions_in_all_are_limited_and_given_back_once() {
        let (admission, now) = admission(&AdmissionLimits {
            max_sessions: Some(2),
            ..AdmissionLimits::default()
        });
        let first = admission.admit(None, now).unwrap();
        let _second = admission.admit(address("10.0.0.1"), now).unwrap();
        assert_eq!(limit_of(admission.admit(None, now)), Limit::MaxSessions);
        drop(first);
        let _third = admission.admit(None, now).unwrap();
        assert_eq!(limit_of(admission.admit(None, now)), Limit::MaxSessions);
    }

    #[test]
    fn sessions_of_an_address_are_counted_by_network() {
        let (admission, now) = admission(&AdmissionLimits {
            sessions_per_address: Some(1),
            ..AdmissionLimits::default()
        });
        let mut places = Vec::new();
        for (first, same, other) in [
            ("10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"),
            ("2001:db8::1", "2001:db8::ffff:1:2:3", "2001:db8:0:1::1"),
        ] {
            places.push(admission.admit(address(first), now).unwrap());
            let refused = admission.admit(address(same), now);
            assert_eq!(limit_of(refused), Limit::SessionsPerAddress, "{same}");
            places.push(admission.admit(address(other), now).unwrap());
            // Clients without an address.
            places.push(admission.admit(None, now).unwrap());
        }
        drop(places);
        assert!(admission.counts.lock().addresses.is_empty());
        assert_eq!(admission.counts.lock().sessions, 0);
    }

    #[test]
    fn an_address_above_its_rate_takes_nothing_from_the_others() {
        let (admission, now) = admission(&AdmissionLimits {
            handshakes_per_second: Some(RateLimit::new(3)),
            handshakes_per_second_per_address: Some(RateLimit::new(2)),
            ..AdmissionLimits::default()
        });
        let evil = address("10.0.0.1");
        for _ in 0..2 {
            assert!(admission.admit(evil, now).is_ok());
        }
        for _ in 0..100 {
            let refused = admission.admit(evil, now).unwrap_err();
            assert_eq!(refused.limit, Limit::HandshakesPerSecondPerAddress);
            assert_eq!(refused.retry_after, Duration::from_millis(500));
        }
        assert!(admission.admit(address("10.0.0.2"), now).is_ok());
        let refused = admission.admit(address("10.0.0.3"), now).unwrap_err();
        assert_eq!(refused.limit, Limit::HandshakesPerSecond);
        let later = now + Duration::from_millis(500);
        assert!(admission.admit(evil, later).is_ok());
    }

    #[test]
    fn the_table_of_addresses_is_bounded() {
        let (admission, now) = admission(&AdmissionLimits {
            handshakes_per_second_per_address: Some(RateLimit::new(1)),
            ..AdmissionLimits::default()
        });
        let admit = |n: u32, now| {
            let address = IpAddr::V4(Ipv4Addr::from_bits(n));
            admission.admit(Some(address), now)
        };
        let _stays = admit(0, now).unwrap();
        for n in 1..400_000 {
            drop(admit(n, now).unwrap());
            let kept = admission.counts.lock().addresses.len();
            assert!(kept <= 2 * MAX_IDLE_ADDRESSES + SWEEP, "{kept}");
        }
        // The buckets of the others are full again.
        let later = now + Duration::from_secs(2);
        admission.counts.lock().sweep(later);
        assert_eq!(admission.counts.lock().addresses.len(), 1);
    }

    #[test]
    fn many_threads_at_once_keep_within_the_limit() {
        let (admission, now) = admission(&AdmissionLimits {
            max_sessions: Some(50),
            ..AdmissionLimits::default()
        });
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let places: Vec<_> = (0..20)
                            .filter_map(|_| admission.admit(None, now).ok())
                            .collect();
                        let count = places.len();
                        std::mem::forget(places);
                        count
                    })
                })
                .collect();
            threads.into_iter().map(|it| it.join().unwrap()).sum()
        });
        assert_eq!(admitted, 50);
    }
}
