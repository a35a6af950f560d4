//! Forwarded polling requests and their responses, as bytes.
//!
//! Only nodes of this crate write and read them. A message is a line of JSON, followed by packets
//! without encoding.

use serde::{Deserialize, Serialize};

use crate::handshake::Revision;
use crate::id::{Id, Tag};
use crate::reason::CloseReason;
use crate::session::{PollError, PollRequest, PollResponse, PostBody};

/// A message between two nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Forwarded {
    Asked {
        /// The number of the request at the node that asks.
        number: u64,
        /// The node that asks.
        from: Tag,
        session: Id,
        revision: Revision,
        poll: PollRequest,
    },
    Answered {
        number: u64,
        session: Id,
        polled: Result<PollResponse, PollError>,
    },
    /// A request violated a rule, or its client aborted it.
    Ended { session: Id, reason: CloseReason },
    /// A poll must not wait any longer, because the node that received it is about to end.
    Released { session: Id },
}

/// The line before the packets.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase", tag = "word")]
enum Line<'a> {
    Take(#[serde(borrow)] Asked<'a>),
    Bring(#[serde(borrow)] Asked<'a>),
    End { session: &'a str, reason: &'a str },
    Release { session: &'a str },
    Packets(#[serde(borrow)] Answered<'a>),
    Compressible(#[serde(borrow)] Answered<'a>),
    Taken(#[serde(borrow)] Answered<'a>),
    Unknown(#[serde(borrow)] Answered<'a>),
    Refused(#[serde(borrow)] Answered<'a>),
    Violation(#[serde(borrow)] Answered<'a>),
}

#[derive(Deserialize, Serialize)]
struct Asked<'a> {
    number: u64,
    from: &'a str,
    session: &'a str,
    /// The request is of a client of Engine.IO v3.
    #[serde(default, skip_serializing_if = "is_false")]
    v3: bool,
    /// The packets are a binary payload.
    #[serde(default, skip_serializing_if = "is_false")]
    binary: bool,
}

impl Asked<'_> {
    fn revision(&self) -> Revision {
        if self.v3 { Revision::V3 } else { Revision::V4 }
    }
}

#[derive(Deserialize, Serialize)]
struct Answered<'a> {
    number: u64,
    session: &'a str,
    /// The packets are a binary payload.
    #[serde(default, skip_serializing_if = "is_false")]
    binary: bool,
}

/// Of a JSON message a node reads only the fields that it knows.
#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Forwarded {
    /// Writes the message.
    ///
    /// # Errors
    ///
    /// The error of the JSON writer, which does not occur for these types.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let nothing = &[][..];
        let (line, packets) = match self {
            Self::Asked {
                number,
                from,
                session,
                revision,
                poll,
            } => {
                let asked = Asked {
                    number: *number,
                    from: from.as_str(),
                    session: session.as_str(),
                    v3: *revision == Revision::V3,
                    binary: matches!(poll, PollRequest::Send(PostBody::Binary(_))),
                };
                match poll {
                    PollRequest::Receive => (Line::Take(asked), nothing),
                    PollRequest::Send(packets) => (Line::Bring(asked), packets.as_bytes()),
                }
            }
            Self::Answered {
                number,
                session,
                polled,
            } => {
                let answered = Answered {
                    number: *number,
                    session: session.as_str(),
                    binary: has_binary_payload(polled),
                };
                match polled {
                    Ok(PollResponse::Packets { body, compress, .. }) if *compress => {
                        (Line::Compressible(answered), body.as_slice())
                    }
                    Ok(PollResponse::Packets { body, .. }) => {
                        (Line::Packets(answered), body.as_slice())
                    }
                    Ok(PollResponse::Taken) => (Line::Taken(answered), nothing),
                    Err(PollError::Unknown) => (Line::Unknown(answered), nothing),
                    Err(PollError::Refused) => (Line::Refused(answered), nothing),
                    Err(PollError::Violation) => (Line::Violation(answered), nothing),
                }
            }
            Self::Ended { session, reason } => {
                let (session, reason) = (session.as_str(), reason.as_str());
                (Line::End { session, reason }, nothing)
            }
            Self::Released { session } => {
                let session = session.as_str();
                (Line::Release { session }, nothing)
            }
        };
        let mut message = serde_json::to_vec(&line)?;
        message.push(b'\n');
        message.extend_from_slice(packets);
        Ok(message)
    }

    /// Reads a message.
    ///
    /// # Errors
    ///
    /// If it is invalid, with the reason.
    pub(crate) fn decode(message: &[u8]) -> Result<Self, String> {
        let end = message.iter().position(|byte| *byte == b'\n');
        let (line, packets) = message.split_at(end.ok_or("no header line")?);
        let packets = &packets[1..];
        let asked = |asked: Asked<'_>, poll| {
            Ok(Self::Asked {
                number: asked.number,
                from: Tag::parse(asked.from).ok_or("no valid node")?,
                session: Id::parse(asked.session).ok_or(NO_SESSION)?,
                revision: asked.revision(),
                poll,
            })
        };
        let answered = |answered: Answered<'_>, polled| {
            Ok(Self::Answered {
                number: answered.number,
                session: Id::parse(answered.session).ok_or(NO_SESSION)?,
                polled,
            })
        };
        let packets_in = |requester: Answered<'_>, compress| {
            let packets = PollResponse::Packets {
                body: packets.to_vec(),
                compress,
                is_binary: requester.binary,
            };
            answered(requester, Ok(packets))
        };
        match serde_json::from_slice(line).map_err(|error| error.to_string())? {
            Line::Take(requester) => asked(requester, PollRequest::Receive),
            Line::Bring(requester) => {
                let body = post_body(packets, requester.binary)?;
                asked(requester, PollRequest::Send(body))
            }
            Line::End { session, reason } => Ok(Self::Ended {
                session: Id::parse(session).ok_or(NO_SESSION)?,
                // The two reasons that a request can cause.
                reason: match reason == CloseReason::ParseError.as_str() {
                    true => CloseReason::ParseError,
                    false => CloseReason::TransportError,
                },
            }),
            Line::Release { session } => Ok(Self::Released {
                session: Id::parse(session).ok_or(NO_SESSION)?,
            }),
            Line::Packets(requester) => packets_in(requester, false),
            Line::Compressible(requester) => packets_in(requester, true),
            Line::Taken(requester) => answered(requester, Ok(PollResponse::Taken)),
            Line::Unknown(requester) => answered(requester, Err(PollError::Unknown)),
            Line::Refused(requester) => answered(requester, Err(PollError::Refused)),
            Line::Violation(requester) => answered(requester, Err(PollError::Violation)),
        }
    }
}

fn has_binary_payload(polled: &Result<PollResponse, PollError>) -> bool {
    matches!(polled, Ok(PollResponse::Packets { is_binary, .. }) if *is_binary)
}

fn post_body(packets: &[u8], is_binary: bool) -> Result<PostBody, String> {
    let packets = packets.to_vec();
    if is_binary {
        return Ok(PostBody::Binary(packets));
    }
    let text = String::from_utf8(packets).map_err(|error| error.to_string())?;
    Ok(PostBody::Text(text))
}

const NO_SESSION: &str = "no valid session id";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarded_messages_decode_to_themselves() {
        let (from, session) = (Tag::random(), Id::random());
        let asked_by = |revision, poll| Forwarded::Asked {
            number: 7,
            from,
            session,
            revision,
            poll,
        };
        let asked = |poll| asked_by(Revision::V4, poll);
        let text = |text: &str| PollRequest::Send(PostBody::Text(text.to_owned()));
        let answered = |polled| Forwarded::Answered {
            number: 7,
            session,
            polled,
        };
        let packets = |compress, is_binary| {
            answered(Ok(PollResponse::Packets {
                body: b"4\"a\nb\"\x1e2\xff\n".to_vec(),
                compress,
                is_binary,
            }))
        };
        for message in [
            asked(PollRequest::Receive),
            asked_by(Revision::V3, PollRequest::Receive),
            asked(text("42[\"é\"]\u{1e}3")),
            asked(text("")),
            asked_by(Revision::V3, text("2:4\n")),
            asked_by(
                Revision::V3,
                PollRequest::Send(PostBody::Binary(b"\x01\x01\xff\x04\n".to_vec())),
            ),
            packets(true, false),
            packets(false, false),
            packets(true, true),
            packets(false, true),
            answered(Ok(PollResponse::Taken)),
            answered(Err(PollError::Unknown)),
            answered(Err(PollError::Refused)),
            answered(Err(PollError::Violation)),
            Forwarded::Ended {
                session,
                reason: CloseReason::TransportError,
            },
            Forwarded::Ended {
                session,
                reason: CloseReason::ParseError,
            },
            Forwarded::Released { session },
        ] {
            let written = message.encode().unwrap();
            assert_eq!(Forwarded::decode(&written), Ok(message));
        }
    }

    #[test]
    fn malformed_forwarded_poll_names_its_fault() {
        let no_node = r#"{"word":"take","number":1,"from":"a","session":"sESZeQCLFtgdFjHnAAAA"}"#;
        let no_session = r#"{"word":"take","number":1,"from":"abcdef","session":"lobby"}"#;
        for (message, fault) in [
            ("", "no header line"),
            ("{}\n", "word"),
            (&format!("{no_node}\n"), "no valid node"),
            (&format!("{no_session}\n"), "no valid session"),
        ] {
            let error = Forwarded::decode(message.as_bytes()).unwrap_err();
            assert!(error.contains(fault), "{error}");
        }
    }
}
