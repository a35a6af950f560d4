//! Decoding of packets from clients.
//!
//! The text of an Engine.IO message enters. A packet that borrows from it leaves, or the reason for
//! its refusal. The text is read once, from left to right. Nothing is allocated unless the event's
//! name has escapes, there are attachments, or the nesting is deep.
//!
//! Socket.IO v5, Packet encoding: `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`.

use std::borrow::Cow;

use crate::socketio::args::ArgsText;
use crate::socketio::error::{DecodeError, Excerpt};
use crate::socketio::json::{First, Observer, Scanner};
use crate::socketio::packet::{Body, Limits, MAIN_NAMESPACE, NOBODYS_ID, Packet, check_event_name};
use crate::socketio::placeholder_check::PlaceholderCheck;

impl<'a> Packet<'a> {
    /// Reads a packet's text.
    ///
    /// # Errors
    ///
    /// Refuses a packet that the protocol never allows a client to send, and one beyond the limits.
    #[inline]
    pub(crate) fn decode(text: &'a str, limits: &Limits) -> Result<Self, DecodeError> {
        let mut head = Head { text, at: 0 };
        let kind = head.kind()?;
        let attachments = match kind {
            Kind::BinaryEvent | Kind::BinaryAck => head.attachments(limits.attachments)?,
            Kind::Connect | Kind::Disconnect | Kind::Event | Kind::Ack => 0,
        };
        let (namespace, query) = head.namespace();
        let body = match kind {
            Kind::Connect => Body::Connect {
                auth: connect(&head, limits)?.map(Cow::Borrowed),
                query,
            },
            Kind::Disconnect => disconnect(&head)?,
            Kind::Event => event(&mut head, 0, limits, ())?,
            Kind::Ack => ack(&mut head, 0, limits, ())?,
            Kind::BinaryEvent => {
                let check = PlaceholderCheck::new(attachments);
                event(&mut head, attachments, limits, check)?
            }
            Kind::BinaryAck => {
                let check = PlaceholderCheck::new(attachments);
                ack(&mut head, attachments, limits, check)?
            }
        };
        Ok(Self { namespace, body })
    }
}

// Socket.IO v5, Connection to a namespace: the payload is an object, if there is one.
fn connect<'a>(head: &Head<'a>, limits: &Limits) -> Result<Option<&'a str>, DecodeError> {
    if head.rest().is_empty() {
        return Ok(None);
    }
    let mut scanner = Scanner::new(head.text, head.at, limits.depth, ());
    if scanner.peek() != Some(b'{') {
        return Err(DecodeError::ConnectPayloadNotAnObject);
    }
    let auth = scanner.value()?;
    scanner.end()?;
    Ok(Some(auth))
}

// Socket.IO v5, Disconnection from a namespace: there is no payload.
fn disconnect<'a>(head: &Head<'a>) -> Result<Body<'a>, DecodeError> {
    match head.rest() {
        "" => Ok(Body::Disconnect),
        rest => Err(DecodeError::DisconnectPayload(Excerpt::of(rest))),
    }
}

// Socket.IO v5, Sending and receiving data: the payload is an array that is not empty.
fn event<'a>(
    head: &mut Head<'a>,
    attachments: usize,
    limits: &Limits,
    observer: impl Observer<'a>,
) -> Result<Body<'a>, DecodeError> {
    let id = head.id()?;
    if head.rest().is_empty() {
        return nothing(attachments);
    }
    let mut scanner = array(head, limits, observer)?;
    let name = match scanner.peek() {
        Some(b'"') => unescape(scanner.scalar()?)?,
        // The reference accepts a number, and JavaScript makes a property's name of it. The scanner
        // refuses the end of the text.
        Some(b'-' | b'0'..=b'9') | None => Cow::Borrowed(scanner.scalar()?),
        Some(b']') => return Err(DecodeError::EventNameMissing),
        Some(_) => return Err(DecodeError::EventNameInvalid(Excerpt::of(scanner.rest()))),
    };
    check_event_name(&name)?;
    let args = scanner.leave_array(First::Behind)?;
    scanner.end()?;
    Ok(Body::Event {
        id,
        name,
        args: ArgsText::Json(args),
        attachments,
    })
}

// Socket.IO v5, Acknowledgement: the payload is an array, and the id is the event's.
fn ack<'a>(
    head: &mut Head<'a>,
    attachments: usize,
    limits: &Limits,
    observer: impl Observer<'a>,
) -> Result<Body<'a>, DecodeError> {
    // As in the reference, an acknowledgement without an event is ignored: it is not a protocol
    // error.
    let id = match head.id() {
        Ok(id) => id.unwrap_or(NOBODYS_ID),
        Err(DecodeError::AckIdTooLarge(_)) => NOBODYS_ID,
        Err(error) => return Err(error),
    };
    if head.rest().is_empty() {
        return nothing(attachments);
    }
    let mut scanner = array(head, limits, observer)?;
    let args = scanner.leave_array(First::Ahead)?;
    scanner.end()?;
    Ok(Body::Ack {
        id,
        args: ArgsText::Json(args),
        attachments,
    })
}

/// No payload. The reference accepts it in a text packet. It accepts it in a binary packet too, but
/// there it would have attachments without an event.
fn nothing<'a>(attachments: usize) -> Result<Body<'a>, DecodeError> {
    if attachments == 0 {
        Ok(Body::Empty)
    } else {
        Err(DecodeError::PayloadMissing)
    }
}

fn array<'a, O: Observer<'a>>(
    head: &Head<'a>,
    limits: &Limits,
    observer: O,
) -> Result<Scanner<'a, O>, DecodeError> {
    let mut scanner = Scanner::new(head.text, head.at, limits.depth, observer);
    if scanner.peek() != Some(b'[') {
        return Err(DecodeError::PayloadNotAnArray(Excerpt::of(head.rest())));
    }
    scanner.enter_array()?;
    Ok(scanner)
}

/// Removes the quotes of an event's name.
fn unescape(quoted: &str) -> Result<Cow<'_, str>, DecodeError> {
    if quoted.contains('\\') {
        // The scanner has checked it, so only half of a surrogate pair can prevent a string.
        return match serde_json::from_str(quoted) {
            Ok(name) => Ok(Cow::Owned(name)),
            Err(_) => Err(DecodeError::EventNameInvalid(Excerpt::of(quoted))),
        };
    }
    let inner = quoted.get(1..quoted.len().saturating_sub(1));
    Ok(Cow::Borrowed(inner.unwrap_or_default()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    BinaryEvent,
    BinaryAck,
}

/// A packet's text and the position up to which its head has been read.
struct Head<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Head<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn kind(&mut self) -> Result<Kind, DecodeError> {
        let kind = match self.text.chars().next() {
            Some('0') => Kind::Connect,
            Some('1') => Kind::Disconnect,
            Some('2') => Kind::Event,
            Some('3') => Kind::Ack,
            Some('4') => return Err(DecodeError::ConnectErrorFromClient),
            Some('5') => Kind::BinaryEvent,
            Some('6') => Kind::BinaryAck,
            Some(unknown) => return Err(DecodeError::UnknownType(unknown)),
            None => return Err(DecodeError::Empty),
        };
        self.at = 1;
        Ok(kind)
    }

    /// Reads the number of attachments and its `-`.
    fn attachments(&mut self, limit: usize) -> Result<usize, DecodeError> {
        let digits = self.digits();
        let rest = self.rest();
        if !rest.starts_with('-') || digits.is_empty() {
            let (found, _) = rest.split_once('-').unwrap_or((rest, ""));
            return Err(match (digits, found.chars().next()) {
                ("", None | Some('[' | '/')) => DecodeError::AttachmentsMissing,
                _ => {
                    let end = self.at + found.len();
                    let found = self.text.get(1..end).unwrap_or_default();
                    DecodeError::AttachmentsInvalid(Excerpt::of(found))
                }
            });
        }
        self.at += 1;
        // Digits that do not parse are too large a number.
        match digits.parse().unwrap_or(usize::MAX) {
            0 => Err(DecodeError::AttachmentsZero),
            count if count > limit => Err(DecodeError::TooManyAttachments { count, limit }),
            count => Ok(count),
        }
    }

    /// Reads the namespace, its query, and its comma, which is optional at the text's end.
    fn namespace(&mut self) -> (&'a str, Option<&'a str>) {
        let rest = self.rest();
        if !rest.starts_with('/') {
            return (MAIN_NAMESPACE, None);
        }
        let namespace = match rest.split_once(',') {
            Some((namespace, _)) => {
                self.at += namespace.len() + 1;
                namespace
            }
            None => {
                self.at = self.text.len();
                rest
            }
        };
        // Clients of older protocols append the connection's query.
        match namespace.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (namespace, None),
        }
    }

    /// Reads the ack id, if there is one.
    fn id(&mut self) -> Result<Option<u64>, DecodeError> {
        let start = self.at;
        let digits = self.digits();
        let payload = matches!(
            self.rest().as_bytes().first(),
            None | Some(b'[' | b'{' | b'"' | b' ' | b'\t' | b'\n' | b'\r')
        );
        // Other characters are between the namespace and the array: `2-1["a"]`.
        if !payload && let Some(length) = self.rest().find('[') {
            let found = self.text.get(start..self.at + length).unwrap_or_default();
            return Err(DecodeError::AckIdInvalid(Excerpt::of(found)));
        }
        if digits.is_empty() {
            return Ok(None);
        }
        match digits.parse() {
            Ok(id) => Ok(Some(id)),
            Err(_) => Err(DecodeError::AckIdTooLarge(Excerpt::of(digits))),
        }
    }

    fn digits(&mut self) -> &'a str {
        let rest = self.rest();
        let count = rest.bytes().take_while(u8::is_ascii_digit).count();
        self.at += count;
        rest.get(..count).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seeds::replay;
    use serde_json::value::RawValue;

    fn decode(text: &str) -> Result<Packet<'_>, DecodeError> {
        Packet::decode(text, &Limits::default())
    }

    fn body(text: &str) -> Body<'_> {
        match decode(text) {
            Ok(packet) => packet.body,
            Err(error) => panic!("{text:?}: {error}"),
        }
    }

    fn event<'a>(id: Option<u64>, name: &'a str, args: &'a str, attachments: usize) -> Body<'a> {
        Body::Event {
            id,
            name: name.into(),
            args: ArgsText::Json(args),
            attachments,
        }
    }

    fn connect<'a>(auth: Option<&'a str>, query: Option<&'a str>) -> Body<'a> {
        Body::Connect {
            auth: auth.map(Cow::Borrowed),
            query,
        }
    }

    fn json<'a>(args: ArgsText<'a>) -> &'a str {
        match args {
            ArgsText::Json(text) => text,
            ArgsText::Packed(_) => panic!("not JSON"),
        }
    }

    fn ack(id: u64, args: &str, attachments: usize) -> Body<'_> {
        Body::Ack {
            id,
            args: ArgsText::Json(args),
            attachments,
        }
    }

    /// Socket.IO v5, Connection to a namespace.
    #[test]
    fn a_connect_may_carry_an_object() {
        let table = [
            ("0", "/", None),
            ("0/", "/", None),
            ("0/,", "/", None),
            ("0/random", "/random", None),
            ("0/random,", "/random", None),
            ("0{}", "/", Some("{}")),
            ("0{\"a\":1}", "/", Some("{\"a\":1}")),
            ("0 {\"a\" : [1]} ", "/", Some("{\"a\" : [1]}")),
            (
                "0/nsp,{\"pid\":\"x\",\"offset\":\"y\"}",
                "/nsp",
                Some("{\"pid\":\"x\",\"offset\":\"y\"}"),
            ),
            ("0/é,{}", "/é", Some("{}")),
        ];
        for (text, namespace, auth) in table {
            let body = connect(auth, None);
            assert_eq!(decode(text), Ok(Packet { namespace, body }), "{text:?}");
        }
    }

    #[test]
    fn a_connect_with_anything_but_an_object_is_refused() {
        for payload in ["[]", "[1]", "\"a\"", "null", "1", "5{}", " ", "abc,"] {
            assert_eq!(
                decode(&format!("0{payload}")),
                Err(DecodeError::ConnectPayloadNotAnObject)
            );
        }
        assert_eq!(decode("0{}x"), Err(DecodeError::InvalidJson { offset: 3 }));
        assert_eq!(decode("0/n,{"), Err(DecodeError::InvalidJson { offset: 5 }));
    }

    #[test]
    fn a_query_is_cut_off_the_namespace() {
        for (text, namespace) in [
            ("0/?a=1", "/"),
            ("0/nsp?a=b,", "/nsp"),
            ("0/nsp?a=b&c=d?e,{}", "/nsp"),
            ("1/nsp?a=b", "/nsp"),
            ("2/nsp?a=b,[\"a\"]", "/nsp"),
        ] {
            assert_eq!(
                decode(text).map(|packet| packet.namespace),
                Ok(namespace),
                "{text}"
            );
        }
    }

    #[test]
    fn the_query_of_a_connect_is_kept() {
        for (text, auth, query) in [
            ("0/?a=1", None, Some("a=1")),
            ("0/nsp?a=b&c=d?e,{}", Some("{}"), Some("a=b&c=d?e")),
            ("0/nsp?,", None, Some("")),
            ("0/nsp,", None, None),
        ] {
            assert_eq!(body(text), connect(auth, query), "{text}");
        }
    }

    /// Socket.IO v5, Disconnection from a namespace.
    #[test]
    fn a_disconnect_has_no_payload() {
        for (text, namespace) in [("1", "/"), ("1/nsp", "/nsp"), ("1/nsp,", "/nsp")] {
            let body = Body::Disconnect;
            assert_eq!(decode(text), Ok(Packet { namespace, body }), "{text:?}");
        }
        for (text, payload) in [
            ("1{}", "{}"),
            ("1/nsp,[]", "[]"),
            ("1\"a\"", "\"a\""),
            ("15", "5"),
        ] {
            let refused = DecodeError::DisconnectPayload(Excerpt::of(payload));
            assert_eq!(decode(text), Err(refused));
        }
    }

    /// Socket.IO v5, Sending and receiving data.
    #[test]
    fn events_are_read_with_their_arguments() {
        let table = [
            ("2[\"a\"]", event(None, "a", "", 0)),
            ("2[\"\"]", event(None, "", "", 0)),
            ("2[\"a\",1,{\"b\":2}]", event(None, "a", "1,{\"b\":2}", 0)),
            ("2[\"a\",[[]],{}]", event(None, "a", "[[]],{}", 0)),
            ("2 [ \"a\" , 1 , 2 ] ", event(None, "a", "1 , 2", 0)),
            ("2[\"a\"\n]", event(None, "a", "", 0)),
            ("212[\"a\"]", event(Some(12), "a", "", 0)),
            ("20[\"a\"]", event(Some(0), "a", "", 0)),
            ("2007[\"a\"]", event(Some(7), "a", "", 0)),
            ("21 [\"a\"]", event(Some(1), "a", "", 0)),
            ("2[\"é😀\",\"]\"]", event(None, "é😀", "\"]\"", 0)),
            ("2[\"error\"]", event(None, "error", "", 0)),
            // Data, because the packet is not binary.
            (
                "2[\"a\",{\"_placeholder\":true,\"num\":7}]",
                event(None, "a", "{\"_placeholder\":true,\"num\":7}", 0),
            ),
            (
                "2[\"welcome\",{\"a\":1},\"Q85VGwS\"]",
                event(None, "welcome", "{\"a\":1},\"Q85VGwS\"", 0),
            ),
        ];
        for (text, read) in table {
            assert_eq!(body(text), read, "{text:?}");
        }
        assert_eq!(
            decode("2/nsp,12[\"a\",1]"),
            Ok(Packet {
                namespace: "/nsp",
                body: event(Some(12), "a", "1", 0)
            })
        );
    }

    #[test]
    fn a_numeric_name_becomes_its_text() {
        for name in ["1", "-1", "0", "1.5", "1e3"] {
            assert_eq!(body(&format!("2[{name},2]")), event(None, name, "2", 0));
        }
        assert_eq!(decode("2[01]"), Err(DecodeError::InvalidJson { offset: 3 }));
        assert_eq!(decode("2[-]"), Err(DecodeError::InvalidJson { offset: 3 }));
    }

    #[test]
    fn a_name_is_copied_only_when_it_has_escapes() {
        for (text, borrowed, read) in [
            (r#"2["a b",1]"#, true, "a b"),
            (r#"2["a\"b",1]"#, false, "a\"b"),
            (r#"2["\u00e9\ud83d\ude00"]"#, false, "é😀"),
        ] {
            let Body::Event { name, .. } = body(text) else {
                panic!("no event: {text}");
            };
            assert_eq!(name, read);
            assert_eq!(matches!(name, Cow::Borrowed(_)), borrowed, "{text}");
        }
    }

    #[test]
    fn missing_or_reserved_event_name_is_refused() {
        for text in ["2[]", "2[ ]", "251[]", "51-[]"] {
            assert_eq!(decode(text), Err(DecodeError::EventNameMissing), "{text}");
        }
        for name in ["null", "true", "[1]", "{}", "[\"a\"]"] {
            let rest = format!("{name}]");
            let refused = DecodeError::EventNameInvalid(Excerpt::of(&rest));
            assert_eq!(decode(&format!("2[{rest}")), Err(refused));
        }
        for name in [
            "connect",
            "connect_error",
            "disconnect",
            "disconnecting",
            "newListener",
            "removeListener",
        ] {
            let refused = Err(DecodeError::EventNameReserved(Excerpt::of(name)));
            assert_eq!(decode(&format!("2[\"{name}\"]")), refused);
            assert_eq!(decode(&format!("51-[\"{name}\"]")), refused);
        }
        assert_eq!(
            decode(r#"2["\u0063onnect"]"#),
            Err(DecodeError::EventNameReserved(Excerpt::of("connect")))
        );
    }

    /// Socket.IO v5, Acknowledgement.
    #[test]
    fn acks_are_read_with_their_arguments() {
        let table = [
            ("31[]", ack(1, "", 0)),
            ("31[ ]", ack(1, "", 0)),
            ("30[1,\"a\"]", ack(0, "1,\"a\"", 0)),
            ("312[ null , [] ]", ack(12, "null , []", 0)),
            ("318446744073709551615[]", ack(u64::MAX, "", 0)),
            (
                "61-4[{\"_placeholder\":true,\"num\":0}]",
                ack(4, "{\"_placeholder\":true,\"num\":0}", 1),
            ),
        ];
        for (text, read) in table {
            assert_eq!(body(text), read, "{text:?}");
        }
        assert_eq!(
            decode("3/nsp,7[1]"),
            Ok(Packet {
                namespace: "/nsp",
                body: ack(7, "1", 0)
            })
        );
    }

    #[test]
    fn an_ack_id_is_digits_and_fits_64_bits() {
        for (text, id) in [
            ("2-1[\"a\"]", "-1"),
            ("2abc[\"a\"]", "abc"),
            ("21.5[\"a\"]", "1.5"),
            ("21e3[\"a\"]", "1e3"),
            ("2/nsp,+1[\"a\"]", "+1"),
            ("3-1[]", "-1"),
            ("31x[]", "1x"),
            ("51-x[\"a\"]", "x"),
        ] {
            assert_eq!(
                decode(text),
                Err(DecodeError::AckIdInvalid(Excerpt::of(id))),
                "{text}"
            );
        }
        assert_eq!(
            body("218446744073709551615[1]"),
            event(Some(u64::MAX), "1", "", 0)
        );
        assert_eq!(
            decode("218446744073709551616[1]"),
            Err(DecodeError::AckIdTooLarge(Excerpt::of(
                "18446744073709551616"
            )))
        );
    }

    #[test]
    fn an_ack_without_a_usable_id_gets_an_id_that_is_never_assigned() {
        for text in [
            "3[]",
            "3/nsp,[]",
            "318446744073709551616[]",
            "399999999999999999999999999[]",
        ] {
            let packet = decode(text).unwrap();
            assert_eq!(packet.body, ack(NOBODYS_ID, "", 0), "{text}");
        }
        assert_eq!(body("3"), Body::Empty);
    }

    #[test]
    fn a_payload_other_than_an_array_is_refused() {
        for payload in [
            "{}",
            "\"a\"",
            "{\"a\":[1]}",
            "null",
            "-1",
            "abc",
            " ",
            "\"[\"",
        ] {
            let refused = Err(DecodeError::PayloadNotAnArray(Excerpt::of(payload)));
            assert_eq!(decode(&format!("2{payload}")), refused);
            assert_eq!(decode(&format!("31{payload}")), refused);
        }
    }

    #[test]
    fn no_payload_at_all_is_tolerated_in_text_packets_only() {
        for text in ["2", "21", "2/nsp", "2/nsp,", "2/nsp,1", "31", "3/nsp,1"] {
            assert_eq!(body(text), Body::Empty, "{text}");
        }
        for text in ["51-", "51-1", "51-/nsp,1", "61-1"] {
            assert_eq!(decode(text), Err(DecodeError::PayloadMissing), "{text}");
        }
    }

    /// Socket.IO v5, Packet encoding: the number of attachments, a dash.
    #[test]
    fn binary_packets_carry_the_number_of_attachments() {
        assert_eq!(
            body("51-[\"bin\",{\"_placeholder\":true,\"num\":0}]"),
            event(None, "bin", "{\"_placeholder\":true,\"num\":0}", 1)
        );
        assert_eq!(
            decode("52-/nsp,12[\"hello\",1]"),
            Ok(Packet {
                namespace: "/nsp",
                body: event(Some(12), "hello", "1", 2)
            })
        );
        for text in [
            "5",
            "5-[\"a\"]",
            "5[\"a\"]",
            "5[\"a-b\"]",
            "5/nsp,[\"a\"]",
            "6-1[]",
        ] {
            assert_eq!(decode(text), Err(DecodeError::AttachmentsMissing), "{text}");
        }
        for (text, found) in [
            ("5x-[\"a\"]", "x"),
            ("51x-[\"a\"]", "1x"),
            ("51.0-[\"a\"]", "1.0"),
            ("5+1-[\"a\"]", "+1"),
            ("51[\"a\"]", "1[\"a\"]"),
            ("51", "1"),
            ("6 1-1[]", " 1"),
        ] {
            let refused = DecodeError::AttachmentsInvalid(Excerpt::of(found));
            assert_eq!(decode(text), Err(refused), "{text}");
        }
    }

    #[test]
    fn ten_attachments_pass_and_none_and_eleven_do_not() {
        assert_eq!(body("51-[\"a\"]"), event(None, "a", "", 1));
        assert_eq!(body("510-[\"a\"]"), event(None, "a", "", 10));
        assert_eq!(decode("50-[\"a\"]"), Err(DecodeError::AttachmentsZero));
        assert_eq!(decode("60-1[]"), Err(DecodeError::AttachmentsZero));
        let too_many = |count| Err(DecodeError::TooManyAttachments { count, limit: 10 });
        assert_eq!(decode("511-[\"a\"]"), too_many(11));
        assert_eq!(decode("611-1[]"), too_many(11));
        assert_eq!(
            decode("599999999999999999999999-[\"a\"]"),
            too_many(usize::MAX)
        );
        let limits = Limits {
            attachments: 2,
            ..Limits::default()
        };
        assert!(Packet::decode("52-[\"a\"]", &limits).is_ok());
        assert!(Packet::decode("53-[\"a\"]", &limits).is_err());
    }

    #[test]
    fn placeholders_are_checked_in_binary_packets() {
        for text in [
            "51-[\"a\",{\"_placeholder\":true,\"num\":1}]",
            "61-1[[{\"_placeholder\":true,\"num\":1}]]",
        ] {
            assert_eq!(
                decode(text),
                Err(DecodeError::PlaceholderOutOfRange {
                    num: Excerpt::of("1"),
                    attachments: 1
                })
            );
        }
        assert!(decode("52-[\"a\",{\"_placeholder\":true,\"num\":1}]").is_ok());
    }

    #[test]
    fn types_that_no_client_sends_are_refused() {
        assert_eq!(decode(""), Err(DecodeError::Empty));
        for found in ['7', '9', 'a', '[', ' ', '\0', 'é'] {
            let text = format!("{found}[\"a\"]");
            assert_eq!(decode(&text), Err(DecodeError::UnknownType(found)));
        }
        for text in ["4", "4{\"message\":\"a\"}", "4/nsp,\"a\"", "4["] {
            assert_eq!(
                decode(text),
                Err(DecodeError::ConnectErrorFromClient),
                "{text}"
            );
        }
    }

    #[test]
    fn malformed_json_is_refused_where_it_goes_wrong() {
        for (text, offset) in [
            ("2[", 2),
            ("2[\"a\"", 5),
            ("2[\"a", 4),
            ("2[\"a\",]", 6),
            ("2[\"a\" 1]", 6),
            ("2[\"a\"}", 5),
            ("2[\"a\"]]", 6),
            ("2[\"a\"]é", 6),
            ("2[1:2]", 3),
            ("31[", 3),
            ("31[1,]", 5),
            ("31[]x", 4),
            ("31[,]", 3),
            ("2/nsp,1[\"a\",{\"b\"}]", 16),
            ("51-[\"a\",{\"b\":}]", 13),
        ] {
            assert_eq!(
                decode(text),
                Err(DecodeError::InvalidJson { offset }),
                "{text}"
            );
        }
        assert_eq!(
            decode(r#"2["a\ud800"]"#),
            Err(DecodeError::EventNameInvalid(Excerpt::of(r#""a\ud800""#)))
        );
        assert!(decode(r#"2["a","\ud800"]"#).is_ok());
        assert!(decode(r#"0{"a":"\ud800"}"#).is_ok());
    }

    #[test]
    fn the_payloads_own_bracket_counts_for_the_depth() {
        let limits = Limits {
            depth: 3,
            ..Limits::default()
        };
        let too_deep = Err(DecodeError::TooDeep { limit: 3 });
        for (text, deeper) in [
            ("2[\"a\",[[]]]", "2[\"a\",[[[]]]]"),
            ("31[{\"a\":[]}]", "31[{\"a\":[[]]}]"),
            ("51-[\"a\",[{}]]", "51-[\"a\",[{\"b\":{}}]]"),
            ("0{\"a\":[{}]}", "0{\"a\":[{\"b\":[]}]}"),
        ] {
            assert!(Packet::decode(text, &limits).is_ok(), "{text}");
            assert_eq!(Packet::decode(deeper, &limits), too_deep, "{deeper}");
        }
    }

    /// The default depth is chosen for this: serde_json accepts any JSON that passes the scanner.
    #[test]
    fn an_argument_at_the_depth_limit_is_deserialised() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let text = format!("2[\"a\",{}]", nested(127));
        let Body::Event { args, .. } = body(&text) else {
            panic!("no event");
        };
        assert!(serde_json::from_str::<serde_json::Value>(json(args)).is_ok());
        let text = format!("2[\"a\",{}]", nested(128));
        assert_eq!(decode(&text), Err(DecodeError::TooDeep { limit: 128 }));
        let text = format!("2[\"a\",{}", "[".repeat(40_000));
        assert_eq!(decode(&text), Err(DecodeError::TooDeep { limit: 128 }));
    }

    fn packetish() -> impl Strategy<Value = String> {
        let token = prop::sample::select(vec![
            "0",
            "1",
            "2",
            "3",
            "4",
            "5",
            "6",
            "7",
            "-",
            "/",
            ",",
            "/nsp,",
            "?",
            "[",
            "]",
            "{",
            "}",
            "\"a\"",
            "\"",
            "\\u0041",
            "\\ud800",
            ":",
            "é",
            " ",
            "null",
            "1-",
            "[\"a\",",
            "\"num\":",
            "{\"_placeholder\":true,\"num\":0}",
            "\"_placeholder\":",
            "true",
            "99999999999999999999",
        ]);
        (
            prop::sample::select(vec!["", "0", "1", "2", "2[\"a\"", "31[", "51-", "61-1["]),
            prop::collection::vec(token, 0..12),
        )
            .prop_map(|(head, tokens)| head.to_owned() + &tokens.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_bytes_panic(bytes in any::<Vec<u8>>(), kind in "[0-6]?") {
            let text = kind + &String::from_utf8_lossy(&bytes);
            let _ = decode(&text).map_err(|error| error.to_string());
        }

        #[test]
        fn accepted_payloads_are_accepted_by_serde_json(text in packetish()) {
            match decode(&text) {
                Ok(Packet { body: Body::Event { args, .. } | Body::Ack { args, .. }, .. }) => {
                    let array = format!("[{}]", json(args));
                    // Raw: half of a surrogate pair is accepted, but is not a `String`.
                    prop_assert!(serde_json::from_str::<Vec<&RawValue>>(&array).is_ok());
                }
                Ok(Packet { body: Body::Connect { auth: Some(auth), .. }, .. }) => {
                    prop_assert_eq!(auth.chars().next(), Some('{'));
                    prop_assert!(serde_json::from_str::<&RawValue>(&auth).is_ok());
                }
                Ok(_) => {}
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }

    #[test]
    fn seeds_and_their_mutations_do_not_panic() {
        replay("socketio", |input| {
            let text = String::from_utf8_lossy(input);
            match decode(&text) {
                Ok(packet) => assert!(text.contains(packet.namespace.trim_start_matches('/'))),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        });
    }
}
