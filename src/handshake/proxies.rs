//! Proxies in front of the server: the client's address if a proxy opened the connection.
//!
//! A proxy appends the address of its peer to the list that it received, and the client may have
//! written the start of it. So the list is read from its end, and only while the proxies are
//! trusted.

use std::net::{IpAddr, SocketAddr};
use std::str;

use ipnet::IpNet;

/// The client and its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) address: Option<IpAddr>,
    /// `true` if it used TLS.
    pub(crate) is_secure: bool,
    /// The number of trusted proxies in a row; 0 if there is none.
    pub(crate) hops: u8,
}

/// The networks of trusted proxies.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedProxies {
    nets: Vec<IpNet>,
    /// Trust every peer on a Unix socket, which has no address.
    pub(crate) unix: bool,
}

impl TrustedProxies {
    pub(crate) fn set<N: Into<IpNet>>(&mut self, nets: impl IntoIterator<Item = N>) {
        self.nets = nets.into_iter().map(Into::into).collect();
    }

    /// Returns the client, if `peer` opened the connection and sent these headers.
    ///
    /// `X-Forwarded-For` and `X-Forwarded-Proto` are read if either was sent, otherwise the
    /// `Forwarded` of RFC 7239: a proxy that knows the former forwards the latter as the client
    /// wrote it.
    pub(crate) fn see_through<'a>(
        &self,
        peer: Peer,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Peer {
        let address = peer.address.map(|address| address.to_canonical());
        let peer = Peer { address, ..peer };
        // The usual case: the peer is not trusted, and no header is read.
        if !self.trusts(address) {
            return peer;
        }
        let (mut addresses, mut protocols, mut forwarded) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in headers {
            let list = match name {
                _ if name.eq_ignore_ascii_case("x-forwarded-for") => &mut addresses,
                _ if name.eq_ignore_ascii_case("x-forwarded-proto") => &mut protocols,
                _ if name.eq_ignore_ascii_case("forwarded") => &mut forwarded,
                _ => continue,
            };
            // A value that is not text stands for an unknown address.
            let value = str::from_utf8(value).unwrap_or_default();
            list.extend(value.split(',').map(str::trim));
        }
        if addresses.is_empty() && protocols.is_empty() {
            let parameter = |name| forwarded.iter().map(move |hop| parameter(hop, name));
            addresses = parameter("for").collect();
            protocols = parameter("proto").collect();
        }
        self.walk(peer, &addresses, &protocols)
    }

    /// Moves from hop to hop, starting with the nearest, while they are trusted.
    fn walk(&self, mut peer: Peer, addresses: &[&str], protocols: &[&str]) -> Peer {
        let mut hops: u8 = 0;
        for hop in addresses.iter().rev() {
            if !self.trusts(peer.address) {
                break;
            }
            // The search ends at a proxy that does not name its peer.
            let Some(address) = address(hop) else { break };
            peer.address = Some(address);
            hops = hops.saturating_add(1);
        }
        // As many entries of the list of protocols. It is shorter if some proxy does not add to it.
        peer.hops = hops.max(1);
        let protocol = protocols.iter().rev().take(peer.hops.into()).next_back();
        peer.is_secure = match protocol
            .map(|protocol| protocol.to_ascii_lowercase())
            .as_deref()
        {
            Some("https" | "wss") => true,
            Some("http" | "ws") => false,
            _ => peer.is_secure,
        };
        peer
    }

    fn trusts(&self, address: Option<IpAddr>) -> bool {
        address.map_or(self.unix, |address| {
            self.nets.iter().any(|net| net.contains(&address))
        })
    }
}

/// Reads an address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`,
/// `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse::<IpAddr>();
    let address = address.or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// RFC 7239, 4: returns a parameter of one element, without its quotes; empty if it is missing.
fn parameter<'a>(element: &'a str, name: &str) -> &'a str {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds::replay;

    fn see(peer: &str, headers: &[(&str, &str)]) -> (String, bool) {
        let nets = ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8"].map(|net| net.parse::<IpNet>());
        let mut proxies = TrustedProxies::default();
        proxies.set(nets.map(Result::unwrap));
        let peer = Peer {
            address: Some(peer.parse().unwrap()),
            is_secure: false,
            hops: 0,
        };
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()));
        let seen = proxies.see_through(peer, headers);
        (seen.address.unwrap().to_string(), seen.is_secure)
    }

    #[test]
    fn the_first_untrusted_address_is_the_client() {
        for (peer, forwarded, client) in [
            ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
            ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
            (
                "10.0.0.1",
                "1.1.1.1,198.51.100.1 ,10.9.9.9, 192.0.2.7",
                "198.51.100.1",
            ),
            ("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"),
            ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
            ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
            ("fd00::1", "[2001:db8::1]", "2001:db8::1"),
            ("fd00::1", "[2001:db8::1]:80", "2001:db8::1"),
            ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"),
            ("10.0.0.1", "198.51.100.1, unknown, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "198.51.100.1,", "10.0.0.1"),
            ("10.0.0.1", "[2001:db8::1", "10.0.0.1"),
            ("10.0.0.1", "198.51.100.999", "10.0.0.1"),
        ] {
            let (seen, _) = see(peer, &[("x-forwarded-for", forwarded)]);
            assert_eq!(seen, client, "{peer} with {forwarded}");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines = [
            ("X-Forwarded-For", "198.51.100.1"),
            ("x-other", "1"),
            ("x-forwarded-for", "198.51.100.2, 10.0.0.2"),
        ];
        assert_eq!(see("10.0.0.1", &lines).0, "198.51.100.2");
    }

    #[test]
    fn the_protocol_is_that_of_the_same_hop() {
        let chain = "198.51.100.1, 10.0.0.2";
        for (protocols, is_secure) in [
            ("https", true),
            ("HTTPS", true),
            ("wss", true),
            ("http", false),
            ("https, http", true),
            // The client wrote the first entry.
            ("https, http, http", false),
            ("gopher", false),
            ("", false),
        ] {
            let headers = [("x-forwarded-for", chain), ("x-forwarded-proto", protocols)];
            assert_eq!(see("10.0.0.1", &headers).1, is_secure, "{protocols}");
            assert!(!see("203.0.113.9", &headers).1, "{protocols}");
        }
        assert!(see("10.0.0.1", &[("x-forwarded-proto", "https")]).1);
        assert!(!see("10.0.0.1", &[("x-forwarded-proto", "https, http")]).1);
    }

    #[test]
    fn the_standard_header_is_read_where_the_usual_ones_are_not_sent() {
        for (forwarded, client, is_secure) in [
            ("for=198.51.100.1;proto=https", "198.51.100.1", true),
            (
                "For=\"[2001:db8::1]:4711\"; Proto=http",
                "2001:db8::1",
                false,
            ),
            (
                "for=1.1.1.1, for=198.51.100.1;proto=https, for=10.0.0.2",
                "198.51.100.1",
                true,
            ),
            ("for=198.51.100.1, for=_hidden", "10.0.0.1", false),
            ("proto=https", "10.0.0.1", true),
            ("for=\", for=198.51.100.1", "198.51.100.1", false),
            ("nonsense", "10.0.0.1", false),
        ] {
            let (seen, secure) = see("10.0.0.1", &[("forwarded", forwarded)]);
            assert_eq!((seen.as_str(), secure), (client, is_secure), "{forwarded}");
        }
        let both = [
            ("forwarded", "for=1.1.1.1;proto=https"),
            ("x-forwarded-for", "198.51.100.1"),
        ];
        assert_eq!(see("10.0.0.1", &both), ("198.51.100.1".to_owned(), false));
    }

    #[test]
    fn no_proxy_is_trusted_by_default() {
        let peer = Peer {
            address: "127.0.0.1".parse().ok(),
            is_secure: true,
            hops: 0,
        };
        let headers = [
            ("x-forwarded-for", &b"198.51.100.1"[..]),
            ("x-forwarded-proto", b"http"),
        ];
        let seen = TrustedProxies::default().see_through(peer, headers.into_iter());
        assert_eq!(seen, peer);
    }

    #[test]
    fn seeds_and_their_mutations_name_an_address_of_the_list() {
        replay("forwarded", |input| {
            let mut proxies = TrustedProxies::default();
            proxies.set(["10.0.0.0/8".parse::<IpNet>().unwrap()]);
            let own = Peer {
                address: Some("10.0.0.1".parse().unwrap()),
                is_secure: false,
                hops: 0,
            };
            for name in ["x-forwarded-for", "x-forwarded-proto", "forwarded"] {
                let seen = proxies.see_through(own, [(name, input)].into_iter());
                let address = seen.address.unwrap();
                // The address of an IPv6 client may be written in several ways.
                let is_named = String::from_utf8_lossy(input).contains(&address.to_string());
                assert!(address.is_ipv6() || Some(address) == own.address || is_named);
            }
        });
    }
}
