//! Compression of poll responses, if the client supports it.
//!
//! A body and the request's preferences enter, a body and its encoding leave. The messages of a
//! WebSocket are compressed elsewhere.

use std::io::Write;

use actix_web::http::header::{self, HeaderMap};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// The encoding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    #[cfg(feature = "zstd")]
    Zstd,
    #[cfg(feature = "brotli")]
    Brotli,
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
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
            #[cfg(feature = "brotli")]
            Self::Brotli => "br",
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
            #[cfg(feature = "zstd")]
            Self::Zstd => zstd::bulk::compress(body, ZSTD_LEVEL),
            #[cfg(feature = "brotli")]
            Self::Brotli => brotli(body, out),
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

/// Encodes by Brotli, for text and with a window for a body of its size.
#[cfg(feature = "brotli")]
fn brotli(mut body: &[u8], mut out: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let bits = body.len().next_power_of_two().ilog2();
    let params = brotli::enc::BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        // A window has 16 bytes less than its power of two.
        lgwin: i32::try_from(bits + 1).unwrap_or(22).clamp(10, 22),
        size_hint: body.len(),
        ..Default::default()
    };
    brotli::BrotliCompress(&mut body, &mut out, &params)?;
    Ok(out)
}

/// On JSON its results are a third smaller than those of gzip at the fast level, in as much time.
#[cfg(feature = "zstd")]
const ZSTD_LEVEL: i32 = 1;

/// On JSON its results are a third smaller too, in up to three times the time. The levels from 5 on
/// take a hundred times as long.
#[cfg(feature = "brotli")]
const BROTLI_QUALITY: i32 = 2;

/// The client's preference for each coding, from 0 to 1.
#[derive(Default)]
struct Wishes {
    #[cfg(feature = "zstd")]
    zstd: Option<f32>,
    #[cfg(feature = "brotli")]
    brotli: Option<f32>,
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
            #[cfg(feature = "zstd")]
            _ if coding.eq_ignore_ascii_case("zstd") => &mut self.zstd,
            #[cfg(feature = "brotli")]
            _ if coding.eq_ignore_ascii_case("br") => &mut self.brotli,
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

    /// Chooses the preferred coding; of several, the first of this list. `*` stands for the codings
    /// that every client has.
    fn choose(&self) -> Option<Coding> {
        let wishes = [
            #[cfg(feature = "zstd")]
            (self.zstd, Coding::Zstd),
            #[cfg(feature = "brotli")]
            (self.brotli, Coding::Brotli),
            (self.gzip.or(self.others), Coding::Gzip),
            (self.deflate.or(self.others), Coding::Deflate),
        ];
        let mut best = (0.0, None);
        for (liking, coding) in wishes {
            let liking = liking.unwrap_or_default();
            if liking > best.0 {
                best = (liking, Some(coding));
            }
        }
        let (liking, coding) = best;
        coding.filter(|_| liking >= self.identity.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;
    use crate::seeds::replay;

    fn accepted(accepted: &'static str) -> Option<Coding> {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_static(accepted);
        headers.append(header::ACCEPT_ENCODING, value);
        Coding::accepted(&headers)
    }

    #[cfg(all(feature = "brotli", feature = "zstd"))]
    #[test]
    fn brotli_and_zstandard_are_chosen_if_they_are_named() {
        for (accept, coding) in [
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip, deflate, br", Some(Coding::Brotli)),
            ("BR", Some(Coding::Brotli)),
            ("zstd;q=0.5, br;q=0.6, gzip;q=0.4", Some(Coding::Brotli)),
            ("zstd;q=0.5, br;q=0.5, gzip", Some(Coding::Gzip)),
            ("zstd;q=0, br;q=0, gzip;q=0.1", Some(Coding::Gzip)),
            ("zstd;q=0.4, identity;q=0.5", None),
            ("br;q=nonsense", None),
            ("zstd;q=0", None),
            ("*, br;q=0.5", Some(Coding::Gzip)),
            ("x-zstd, brotli", None),
        ] {
            assert_eq!(accepted(accept), coding, "{accept}");
        }
    }

    #[cfg(all(feature = "brotli", feature = "zstd"))]
    #[test]
    fn each_coding_decodes_to_the_body() {
        for length in [1, 1024, 100_000] {
            let body = br#"42["news",{"id":1}]"#.repeat(length / 19 + 1);
            let zstd = Coding::Zstd.encode(&body).unwrap();
            assert_eq!(zstd::decode_all(&zstd[..]).unwrap(), body);
            let brotli = Coding::Brotli.encode(&body).unwrap();
            let mut plain = Vec::new();
            brotli::BrotliDecompress(&mut &brotli[..], &mut plain).unwrap();
            assert_eq!(plain, body);
            assert!(length < 1024 || zstd.len().max(brotli.len()) < 100);
        }
    }

    #[test]
    fn the_best_liked_coding_is_chosen() {
        for (accept, coding) in [
            ("gzip, deflate", Some(Coding::Gzip)),
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
            ("compress, x-other", None),
            ("*;q=0", None),
            ("", None),
        ] {
            assert_eq!(accepted(accept), coding, "{accept}");
        }
        assert_eq!(Coding::accepted(&HeaderMap::new()), None);
    }

    #[test]
    fn seeds_and_their_mutations_choose_what_is_named() {
        replay("accept-encoding", |input| {
            let Ok(value) = HeaderValue::from_bytes(input) else {
                return;
            };
            let text = String::from_utf8_lossy(input).to_ascii_lowercase();
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, value);
            if let Some(coding) = Coding::accepted(&headers) {
                assert!(
                    text.contains(coding.as_str()) || text.contains('*'),
                    "{text}"
                );
            }
        });
    }
}
