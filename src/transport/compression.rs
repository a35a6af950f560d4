//! Compression of poll responses, if the client supports it.
//!
//! A body and the request's preferences enter, a body and its encoding leave. A WebSocket's frames
//! are not compressed.

use std::io::Write;

use actix_web::http::header::{self, HeaderMap};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// The encoding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
}

impl Coding {
    /// RFC 9110, 12.5.3: chooses the coding that the client prefers; `None` if the body must not be
    /// encoded.
    pub(crate) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let lines = headers.get_all(header::ACCEPT_ENCODING);
        let mut wishes = Wishes::default();
        for line in lines.filter_map(|line| line.to_str().ok()) {
            line.split(',').for_each(|wish| wishes.add(wish));
        }
        wishes.choose()
    }

    /// Returns the coding's name in HTTP.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// Encodes a body; `None` if that fails.
    pub(crate) fn encode(self, body: &[u8]) -> Option<Vec<u8>> {
        let out = Vec::with_capacity(body.len() / 4);
        // The fast level, because the worker's other clients wait in the meantime.
        let level = Compression::fast();
        let encoded = match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(out, level);
                encoder.write_all(body).and_then(|()| encoder.finish())
            }
            // RFC 9110, 8.4.1.2: the name stands for the zlib format.
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(out, level);
                encoder.write_all(body).and_then(|()| encoder.finish())
            }
        };
        encoded.ok()
    }
}

/// The client's preference for each coding, from 0 to 1.
#[derive(Default)]
struct Wishes {
    gzip: Option<f32>,
    deflate: Option<f32>,
    identity: Option<f32>,
    others: Option<f32>,
}

impl Wishes {
    /// Adds one element of the header, for example `gzip;q=0.5`.
    fn add(&mut self, wish: &str) {
        let (coding, parameters) = wish.split_once(';').unwrap_or((wish, ""));
        let coding = coding.trim();
        let liking = match coding {
            "*" => &mut self.others,
            _ if coding.eq_ignore_ascii_case("gzip") => &mut self.gzip,
            _ if coding.eq_ignore_ascii_case("deflate") => &mut self.deflate,
            _ if coding.eq_ignore_ascii_case("identity") => &mut self.identity,
            _ => return,
        };
        let parameters = parameters.trim();
        let quality = parameters.strip_prefix(['q', 'Q']);
        let quality = quality.and_then(|rest| rest.trim_start().strip_prefix('='));
        *liking = match quality {
            Some(quality) => quality.trim().parse().ok(),
            None => Some(1.0),
        };
    }

    fn choose(&self) -> Option<Coding> {
        let gzip = self.gzip.or(self.others).unwrap_or_default();
        let deflate = self.deflate.or(self.others).unwrap_or_default();
        let (best, coding) = if deflate > gzip {
            (deflate, Coding::Deflate)
        } else {
            (gzip, Coding::Gzip)
        };
        let is_wanted = best > 0.0 && best >= self.identity.unwrap_or_default();
        is_wanted.then_some(coding)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn the_best_liked_coding_is_chosen() {
        for (accepted, coding) in [
            ("gzip, deflate, br", Some(Coding::Gzip)),
            ("deflate, gzip", Some(Coding::Gzip)),
            ("deflate", Some(Coding::Deflate)),
            ("GZIP", Some(Coding::Gzip)),
            ("gzip;q=0.5, deflate;q=0.8", Some(Coding::Deflate)),
            ("gzip; q=0, deflate ;Q = 0.1", Some(Coding::Deflate)),
            ("*", Some(Coding::Gzip)),
            ("gzip;q=0, *", Some(Coding::Deflate)),
            ("identity;q=0.5, gzip;q=0.5", Some(Coding::Gzip)),
            ("identity, gzip;q=0.5", None),
            ("gzip;q=0", None),
            ("gzip;q=nonsense", None),
            ("br, zstd", None),
            ("*;q=0", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_static(accepted);
            headers.append(header::ACCEPT_ENCODING, value);
            assert_eq!(Coding::accepted(&headers), coding, "{accepted}");
        }
        assert_eq!(Coding::accepted(&HeaderMap::new()), None);
    }
}
