//! The limit of login attempts from one address.
//!
//! Addresses and the time enter; whether an attempt may be made leaves. It limits the guesses of
//! passwords. The number of addresses is bounded.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// The recent attempts of all addresses.
#[derive(Debug)]
pub(super) struct Attempts {
    /// The number that an address may make at once.
    limit: u32,
    /// The time at which each address has all its attempts again.
    until: HashMap<Option<IpAddr>, Instant>,
}

impl Attempts {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit,
            until: HashMap::new(),
        }
    }

    /// Counts an attempt. Returns `false` if the address has none left.
    pub(super) fn begin(&mut self, address: Option<IpAddr>, now: Instant) -> bool {
        let address = address.map(network);
        if self.until.len() >= MAX_ADDRESSES && !self.until.contains_key(&address) {
            self.make_room(now);
        }
        let until = self.until.entry(address).or_insert(now);
        let next = (*until).max(now) + INTERVAL;
        let is_allowed = next <= now + INTERVAL.saturating_mul(self.limit);
        if is_allowed {
            *until = next;
        }
        is_allowed
    }

    /// Forgets the attempts of an address, which has logged in.
    pub(super) fn succeeded(&mut self, address: Option<IpAddr>) {
        self.until.remove(&address.map(network));
    }

    fn make_room(&mut self, now: Instant) {
        self.until.retain(|_, until| *until > now);
        if self.until.len() >= MAX_ADDRESSES {
            let oldest = self.until.iter().min_by_key(|(_, until)| **until);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                self.until.remove(&oldest);
            }
        }
    }
}

/// Returns the network that one client can have: an IPv4 address, or the /64 of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
    }
}

/// The time in which an address gets one more attempt.
const INTERVAL: Duration = Duration::from_secs(6);

/// The number of addresses that are counted.
const MAX_ADDRESSES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const ATTEMPTS: u32 = 10;

    #[test]
    fn ten_attempts_are_allowed_then_one_each_interval() {
        let (mut attempts, now) = (Attempts::new(ATTEMPTS), Instant::now());
        let address = Some("192.0.2.1".parse().unwrap());
        for _ in 0..ATTEMPTS {
            assert!(attempts.begin(address, now));
        }
        assert!(!attempts.begin(address, now));
        assert!(!attempts.begin(address, now + INTERVAL - Duration::from_millis(1)));
        assert!(attempts.begin(address, now + INTERVAL));
        assert!(!attempts.begin(address, now + INTERVAL));
        attempts.succeeded(address);
        assert!(attempts.begin(address, now + INTERVAL));
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_the_attempts() {
        let (mut attempts, now) = (Attempts::new(ATTEMPTS), Instant::now());
        for at in 0..ATTEMPTS {
            assert!(attempts.begin(Some(format!("2001:db8::{at}").parse().unwrap()), now));
        }
        assert!(!attempts.begin(Some("2001:db8::ffff".parse().unwrap()), now));
        assert!(attempts.begin(Some("2001:db8:0:1::1".parse().unwrap()), now));
    }

    #[test]
    fn the_number_of_addresses_is_bounded() {
        let (mut attempts, now) = (Attempts::new(ATTEMPTS), Instant::now());
        for at in 0..2 * MAX_ADDRESSES {
            let at = u32::try_from(at).unwrap();
            assert!(attempts.begin(Some(IpAddr::V4(at.into())), now));
            assert!(attempts.until.len() <= MAX_ADDRESSES);
        }
    }
}
