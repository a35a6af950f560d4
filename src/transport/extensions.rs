//! The negotiation of compression, RFC 6455 §9.1 and RFC 7692 §5 and §7.1.
//!
//! The extensions that a client offers enter, and the server's options. The agreed parameters leave,
//! with the header of the response that names them. An offer that the server cannot accept is
//! declined: the next one is tried, and the WebSocket is opened without compression if none is left.

use std::fmt::Write;

use actix_web::HttpRequest;
use actix_web::http::header;

use crate::config::PerMessageDeflate;
use crate::logging::Quoted;
use crate::transport::refusal::Refusal;
use crate::websocket::{DeflateParameters, DeflateWindow, LEAST_BITS, WINDOW_BITS};

/// An accepted offer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) parameters: DeflateParameters,
    /// The value of the response's header.
    pub(crate) answer: String,
}

/// Accepts the first offer of a request that the options allow, if there is one.
///
/// # Errors
///
/// The refusal, if the header has not the form of a list of extensions (RFC 6455 §9.1).
pub(crate) fn agree(
    options: &PerMessageDeflate,
    request: &HttpRequest,
) -> Result<Option<Agreed>, Refusal> {
    let mut agreed = None;
    for value in request.headers().get_all(header::SEC_WEBSOCKET_EXTENSIONS) {
        let list = value.to_str().map_err(|_| Refusal::BadRequest)?;
        let found = first_accepted(options, list).ok_or_else(|| {
            log::debug!(
                "invalid WebSocket handshake: {} is not a list of extensions",
                Quoted(list)
            );
            Refusal::BadRequest
        })?;
        agreed = agreed.or(found);
    }
    Ok(agreed)
}

/// Returns the first offer in a list that is accepted; the outer `None` is an invalid list.
fn first_accepted(options: &PerMessageDeflate, list: &str) -> Option<Option<Agreed>> {
    let mut agreed = None;
    for element in split(list, ',') {
        // RFC 9110, 5.6.1.2: empty elements are ignored.
        if element.is_empty() {
            continue;
        }
        let mut parts = split(element, ';');
        let name = parts.next().filter(|name| is_token(name))?;
        let mut offer = Some(Offer::default());
        for part in parts {
            let (parameter, value) = parameter(part)?;
            offer = offer.and_then(|offer| offer.with(parameter, value));
        }
        if name.eq_ignore_ascii_case(EXTENSION) && agreed.is_none() {
            agreed = offer.and_then(|offer| offer.accepted(options));
        }
    }
    Some(agreed)
}

/// Splits a list at each separator outside of quoted text, and trims its parts.
fn split(list: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = list.split(move |character: char| {
        let is_literal = std::mem::take(&mut is_escaped);
        match character {
            '\\' if is_quoted && !is_literal => is_escaped = true,
            '"' if !is_literal => is_quoted = !is_quoted,
            _ => {}
        }
        !is_quoted && character == separator
    });
    parts.map(|part| part.trim_matches([' ', '\t']))
}

/// Reads `name`, `name=token` or `name="token"`. RFC 6455 §9.1: quoted text is a token too.
fn parameter(text: &str) -> Option<(&str, Option<&str>)> {
    let Some((name, value)) = text.split_once('=') else {
        return is_token(text).then_some((text, None));
    };
    let (name, value) = (name.trim_end(), value.trim_start());
    let unquoted = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    // No parameter of this extension has a value that needs an escape.
    let value = unquoted.unwrap_or(value);
    (is_token(name) && is_token(value)).then_some((name, Some(value)))
}

/// RFC 9110, 5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

/// The parameters that a client offers, RFC 7692 §7.1.
#[derive(Clone, Copy, Debug, Default)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// `Some(None)` has no value.
    client_max_window_bits: Option<Option<u8>>,
}

impl Offer {
    /// Adds a parameter; `None` declines the offer. RFC 7692 §7: a parameter that is unknown, that
    /// is there twice, or that has an invalid value.
    fn with(mut self, name: &str, value: Option<&str>) -> Option<Self> {
        match (name, value) {
            ("server_no_context_takeover", None) if !self.server_no_context_takeover => {
                self.server_no_context_takeover = true;
            }
            ("client_no_context_takeover", None) if !self.client_no_context_takeover => {
                self.client_no_context_takeover = true;
            }
            ("server_max_window_bits", Some(bits)) if self.server_max_window_bits.is_none() => {
                self.server_max_window_bits = Some(window_bits(bits)?);
            }
            ("client_max_window_bits", bits) if self.client_max_window_bits.is_none() => {
                self.client_max_window_bits = Some(match bits {
                    Some(bits) => Some(window_bits(bits)?),
                    None => None,
                });
            }
            _ => return None,
        }
        Some(self)
    }

    /// Chooses the parameters of the connection; `None` declines the offer.
    fn accepted(self, options: &PerMessageDeflate) -> Option<Agreed> {
        let most = *WINDOW_BITS.end();
        let offered = self.server_max_window_bits.unwrap_or(most);
        let sent = DeflateWindow {
            bits: offered.min(options.server_max_window_bits),
            is_kept: options.server_context_takeover && !self.server_no_context_takeover,
        };
        // The server cannot compress for a window of 256 bytes.
        if sent.bits < LEAST_BITS {
            return None;
        }
        let offered = match self.client_max_window_bits {
            Some(bits) => bits.unwrap_or(most),
            // RFC 7692 §7.1.2.2: the response must not limit a client that has not offered that.
            None if options.client_max_window_bits < most => return None,
            None => most,
        };
        let received = DeflateWindow {
            bits: offered.min(options.client_max_window_bits),
            is_kept: options.client_context_takeover && !self.client_no_context_takeover,
        };
        let mut answer = EXTENSION.to_owned();
        if !sent.is_kept {
            answer.push_str("; server_no_context_takeover");
        }
        if !received.is_kept {
            answer.push_str("; client_no_context_takeover");
        }
        // Writing to a string does not fail.
        if self.server_max_window_bits.is_some() || sent.bits < most {
            let _ = write!(answer, "; server_max_window_bits={}", sent.bits);
        }
        if received.bits < most {
            let _ = write!(answer, "; client_max_window_bits={}", received.bits);
        }
        Some(Agreed {
            parameters: DeflateParameters { sent, received },
            answer,
        })
    }
}

/// RFC 7692 §7.1.2: a decimal number from 8 to 15 without leading zeros.
fn window_bits(text: &str) -> Option<u8> {
    let bits = text
        .parse()
        .ok()
        .filter(|bits| WINDOW_BITS.contains(bits))?;
    (text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0')).then_some(bits)
}

const EXTENSION: &str = "permessage-deflate";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds::replay;

    const BOTH: &str = "; server_no_context_takeover; client_no_context_takeover";

    /// Returns the answer behind the extension's name.
    fn answer(options: &PerMessageDeflate, list: &str) -> Option<String> {
        let agreed = first_accepted(options, list).unwrap()?;
        let answer = agreed.answer.strip_prefix(EXTENSION);
        Some(answer.unwrap().to_owned())
    }

    /// RFC 7692 §7.1.
    #[test]
    fn an_offer_is_accepted_within_the_options() {
        let options = PerMessageDeflate::new();
        for (offer, more) in [
            ("permessage-deflate", ""),
            ("Permessage-Deflate", ""),
            ("permessage-deflate; client_max_window_bits", ""),
            ("permessage-deflate;client_max_window_bits=15", ""),
            (
                "permessage-deflate; client_max_window_bits=8",
                "; client_max_window_bits=8",
            ),
            (
                "permessage-deflate ; client_max_window_bits = \"10\"",
                "; client_max_window_bits=10",
            ),
            (
                "permessage-deflate; server_max_window_bits=15",
                "; server_max_window_bits=15",
            ),
            (
                "permessage-deflate; server_max_window_bits=9",
                "; server_max_window_bits=9",
            ),
            (
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                "",
            ),
            ("other; a=\"b\", permessage-deflate", ""),
            (", permessage-deflate,", ""),
        ] {
            let expected = Some(format!("{BOTH}{more}"));
            assert_eq!(answer(&options, offer), expected, "{offer}");
        }
    }

    #[test]
    fn an_offer_with_a_wrong_parameter_is_declined() {
        let options = PerMessageDeflate::new();
        for parameter in [
            "unknown",
            "unknown=1",
            "server_no_context_takeover=1",
            "client_no_context_takeover=true",
            "server_no_context_takeover; server_no_context_takeover",
            "client_no_context_takeover; client_no_context_takeover",
            "server_max_window_bits",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=010",
            "server_max_window_bits=+10",
            "server_max_window_bits=ten",
            "server_max_window_bits=999999",
            "server_max_window_bits=10; server_max_window_bits=10",
            "client_max_window_bits=7",
            "client_max_window_bits=16",
            "client_max_window_bits=09",
            "client_max_window_bits; client_max_window_bits=10",
            // A window that the server cannot use.
            "server_max_window_bits=8",
            "Server_Max_Window_Bits=10",
        ] {
            let offer = format!("permessage-deflate; {parameter}");
            assert_eq!(answer(&options, &offer), None, "{offer}");
            // The next offer is tried.
            let offers = format!("{offer}, permessage-deflate; server_max_window_bits=12");
            let expected = Some(format!("{BOTH}; server_max_window_bits=12"));
            assert_eq!(answer(&options, &offers), expected, "{offers}");
        }
        for other in ["", "x-webkit-deflate-frame", "permessage-bzip2; a; b=1"] {
            assert_eq!(answer(&options, other), None, "{other}");
        }
    }

    #[test]
    fn the_first_acceptable_offer_is_taken() {
        let options = PerMessageDeflate::new();
        let offers = "permessage-deflate; server_max_window_bits=10, permessage-deflate";
        let expected = Some(format!("{BOTH}; server_max_window_bits=10"));
        assert_eq!(answer(&options, offers), expected);
    }

    /// RFC 6455 §9.1.
    #[test]
    fn a_header_that_is_no_list_of_extensions_is_invalid() {
        for list in [
            "permessage-deflate;",
            "permessage-deflate; =1",
            "permessage-deflate; a=",
            "permessage-deflate; a=\"\"",
            "permessage-deflate; a=\"b",
            "permessage-deflate; a=\"b c\"",
            "permessage deflate",
            "; a",
            "permessage-deflate; a b",
        ] {
            assert_eq!(
                first_accepted(&PerMessageDeflate::new(), list),
                None,
                "{list}"
            );
        }
    }

    #[test]
    fn the_options_limit_the_windows_and_allow_context_takeover() {
        let kept = PerMessageDeflate::new().context_takeover(true);
        let narrow = PerMessageDeflate::new()
            .server_max_window_bits(11)
            .client_max_window_bits(12);
        for (options, offer, expected) in [
            (&kept, "", Some("")),
            (
                &kept,
                "; server_no_context_takeover",
                Some("; server_no_context_takeover"),
            ),
            (
                &kept,
                "; client_no_context_takeover",
                Some("; client_no_context_takeover"),
            ),
            (&narrow, "", None),
            (&narrow, "; server_max_window_bits=15", None),
            (
                &narrow,
                "; client_max_window_bits",
                Some("; server_max_window_bits=11; client_max_window_bits=12"),
            ),
            (
                &narrow,
                "; client_max_window_bits=10; server_max_window_bits=9",
                Some("; server_max_window_bits=9; client_max_window_bits=10"),
            ),
        ] {
            let found = answer(options, &format!("permessage-deflate{offer}"));
            let both = if options.server_context_takeover {
                ""
            } else {
                BOTH
            };
            let expected = expected.map(|more| format!("{both}{more}"));
            assert_eq!(found, expected, "{offer}");
        }
    }

    #[test]
    fn the_agreed_parameters_are_those_of_the_answer() {
        let options = PerMessageDeflate::new();
        let offer = "permessage-deflate; client_max_window_bits=10; server_max_window_bits=9";
        let agreed = first_accepted(&options, offer).flatten();
        let window = |bits| DeflateWindow {
            bits,
            is_kept: false,
        };
        let parameters = DeflateParameters {
            sent: window(9),
            received: window(10),
        };
        assert_eq!(agreed.map(|agreed| agreed.parameters), Some(parameters));
    }

    /// An answer names what the client has offered and the options allow.
    #[test]
    fn seeds_and_their_mutations_are_answered_within_the_offer() {
        replay("websocket-extensions", |input| {
            let list = String::from_utf8_lossy(input);
            for options in [
                PerMessageDeflate::new(),
                PerMessageDeflate::new().context_takeover(true),
            ] {
                let Some(Some(agreed)) = first_accepted(&options, &list) else {
                    continue;
                };
                let DeflateParameters { sent, received } = agreed.parameters;
                assert!((LEAST_BITS..=15).contains(&sent.bits));
                assert!(WINDOW_BITS.contains(&received.bits));
                // The client reads the answer as a list, too.
                let again = first_accepted(&options, &agreed.answer).unwrap().unwrap();
                assert_eq!(again.parameters, agreed.parameters, "{list}");
                if agreed.answer.contains("client_max_window_bits") {
                    assert!(list.contains("client_max_window_bits"), "{list}");
                }
            }
        });
    }
}
