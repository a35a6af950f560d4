//! Origins of web pages: their syntax, and their comparison with a list.

use std::fmt;

/// RFC 6454, 4: scheme, host and port, in lower case; the scheme's default port is omitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    /// Reads `scheme://host[:port]`, with an optional trailing slash.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim().to_ascii_lowercase();
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("it has no scheme: write `https://host`");
        };
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_lowercase())
            || !scheme.bytes().all(is_letter)
        {
            return Err("its scheme is invalid");
        }
        if matches!(scheme, "ws" | "wss") {
            return Err("its scheme is not `http` or `https`");
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = split_port(authority)?;
        check_host(host, scheme)?;
        Ok(Self {
            host: host.to_owned(),
            port: port.filter(|port| Some(*port) != implied_port(scheme)),
            scheme: scheme.to_owned(),
        })
    }

    /// Returns `true` if `authority`, the value of `Host`, belongs to this origin. The scheme
    /// decides the default port.
    pub(crate) fn is_at(&self, authority: &str) -> bool {
        Self::parse(&format!("{}://{authority}", self.scheme)).is_ok_and(|other| other == *self)
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.scheme == "https"
    }

    pub(crate) fn is_web(&self) -> bool {
        matches!(self.scheme.as_str(), "http" | "https")
    }
}

/// An entry of a list of origins.
#[derive(Clone, Debug)]
pub(crate) enum OriginPattern {
    /// The origin of pages without one, such as sandboxed frames: `null`.
    Null,
    Exact(Origin),
    /// Any host below that of this origin: `https://*.example.com`.
    Below(Origin),
}

impl OriginPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, OriginError> {
        let entry = text.trim();
        if entry == "null" {
            return Ok(Self::Null);
        }
        let wrong = |cause| OriginError {
            entry: text.to_owned(),
            cause,
        };
        let (plain, is_below) = match entry.split_once("://*.") {
            Some((scheme, rest)) => (format!("{scheme}://{rest}"), true),
            None => (entry.to_owned(), false),
        };
        let origin = Origin::parse(&plain).map_err(wrong)?;
        if is_below && origin.host.is_empty() {
            return Err(wrong("no host follows `*.`"));
        }
        Ok(if is_below {
            Self::Below(origin)
        } else {
            Self::Exact(origin)
        })
    }

    /// Returns `true` if the value of an `Origin` header matches; `origin` is the parsed value.
    pub(crate) fn fits(&self, text: &str, origin: Option<&Origin>) -> bool {
        match (self, origin) {
            (Self::Null, _) => text == "null",
            (Self::Exact(own), Some(origin)) => own == origin,
            (Self::Below(own), Some(origin)) => {
                let label = origin.host.strip_suffix(own.host.as_str());
                let label = label.and_then(|label| label.strip_suffix('.'));
                (&origin.scheme, origin.port) == (&own.scheme, own.port)
                    && label.is_some_and(|label| !label.is_empty())
            }
            (Self::Exact(_) | Self::Below(_), None) => false,
        }
    }
}

/// The reason why an entry is not an origin.
#[derive(Clone, Debug)]
pub(crate) struct OriginError {
    entry: String,
    cause: &'static str,
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not an origin: {}", self.entry, self.cause)
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    match authority.rsplit_once(':') {
        // A colon in an IPv6 address.
        Some((_, port)) if port.ends_with(']') => Ok((authority, None)),
        Some((host, port)) => {
            let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
            let port = port.parse().ok().filter(|_| is_number);
            port.map(|port| (host, Some(port)))
                .ok_or("its port is not a number")
        }
        None => Ok((authority, None)),
    }
}

fn check_host(host: &str, scheme: &str) -> Result<(), &'static str> {
    let is_v6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if is_v6 {
        Ok(())
    } else if host.is_empty() {
        // The pages of a folder in some web views.
        if scheme == "file" {
            Ok(())
        } else {
            Err("it has no host")
        }
    } else if host.contains('*') {
        Err(
            "`*` stands for all subdomains, as in `https://*.example.com`, or alone for all origins",
        )
    } else if host.contains(['/', '?', '#']) {
        Err("it has more than a scheme, a host and a port")
    } else if !host.is_ascii() {
        Err("browsers send this host in ASCII: write `xn--…`")
    } else if !host.bytes().all(is_part) || host.starts_with('.') {
        Err("its host is invalid")
    } else {
        Ok(())
    }
}

fn implied_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, origin: &str) -> bool {
        let pattern = OriginPattern::parse(pattern).unwrap();
        pattern.fits(origin, Origin::parse(origin).ok().as_ref())
    }

    #[test]
    fn the_same_origin_may_be_written_in_several_ways() {
        for pattern in [
            "https://app.example",
            "https://app.example/",
            "HTTPS://App.Example",
            "https://app.example:443",
            " https://app.example:443/ ",
        ] {
            assert!(fits(pattern, "https://app.example"), "{pattern}");
            for other in [
                "http://app.example",
                "https://app.example:444",
                "https://app.example.evil",
                "https://evil.app.example",
                "null",
                "",
            ] {
                assert!(!fits(pattern, other), "{pattern} {other}");
            }
        }
        assert!(fits("http://a:80", "http://a"));
        assert!(fits("http://[::1]:3000/", "http://[::1]:3000"));
        assert!(fits("file://", "file://"));
        assert!(fits("null", "null"));
        assert!(fits("capacitor://localhost", "capacitor://localhost"));
    }

    #[test]
    fn a_pattern_matches_subdomains_only() {
        let pattern = "https://*.Example.com:443/";
        for origin in ["https://a.example.com", "https://a.b.example.com"] {
            assert!(fits(pattern, origin), "{origin}");
        }
        for origin in [
            "https://example.com",
            "https://evilexample.com",
            "https://.example.com",
            "http://a.example.com",
            "https://a.example.com:8443",
            "https://a.example.com.evil",
        ] {
            assert!(!fits(pattern, origin), "{origin}");
        }
    }

    #[test]
    fn invalid_origin_is_refused_by_name() {
        for entry in [
            "",
            " ",
            "app.example",
            "https://",
            "https:///",
            "https://app.example/path",
            "https://app.example?x",
            "https://a, https://b",
            "https://a.*.com",
            "https://*",
            "https://*.",
            "*://a",
            "*.example.com",
            "wss://app.example",
            "https://user@app.example",
            "https://bücher.example",
            "https://a:port",
            "https://a:",
            "https://a:70000",
            "://a",
        ] {
            let error = OriginPattern::parse(entry).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{entry:?} is not an origin: ")),
                "{error}"
            );
        }
    }
}
