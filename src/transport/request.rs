//! The parameters in a request's query.

use std::borrow::Cow;

use crate::config::Transport;
use crate::handshake::Revision;
use crate::id::Id;
use crate::link::BinaryForm;
use crate::transport::jsonp::JsonpIndex;
use crate::transport::refusal::Refusal;

/// The query, checked as far as possible without the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) transport: Transport,
    pub(crate) sid: Option<Id>,
    pub(crate) revision: Revision,
    /// The client reads binary messages as base64, if it is of v3.
    base64: bool,
    /// The client polls by scripts.
    pub(crate) jsonp: Option<JsonpIndex>,
}

impl Query {
    pub(crate) fn parse(
        query: &str,
        allows: impl FnOnce(Transport) -> bool,
    ) -> Result<Self, Refusal> {
        let raw = Raw::read(query);
        let transport = match raw.transport.as_deref() {
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::WebSocket,
            _ => return Err(Refusal::UnknownTransport),
        };
        if !allows(transport) {
            return Err(Refusal::UnknownTransport);
        }
        let sid = match raw.sid.as_deref() {
            None => None,
            Some(text) => Some(Id::parse(text).ok_or(Refusal::UnknownSession)?),
        };
        Ok(Self {
            transport,
            sid,
            // As on the Node.js server every other value, and none, is the third revision.
            revision: match raw.revision.as_deref() {
                Some("4") => Revision::V4,
                _ => Revision::V3,
            },
            base64: raw.base64.is_some() || raw.jsonp.is_some(),
            jsonp: match raw.jsonp.as_deref() {
                None => None,
                Some(text) => Some(JsonpIndex::parse(text).ok_or(Refusal::BadRequest)?),
            },
        })
    }

    /// Returns `true` if a request is for a session, even if it is invalid otherwise.
    pub(crate) fn names_session(query: &str) -> bool {
        Raw::read(query).sid.is_some()
    }

    /// Returns the first value of a parameter that is not empty.
    pub(crate) fn value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
        let mut values = form_urlencoded::parse(query.as_bytes());
        let is_it =
            |(found, value): &(Cow<'_, str>, Cow<'_, str>)| found == name && !value.is_empty();
        values.find(is_it).map(|(_, value)| value)
    }

    /// Refuses the third revision of the protocol unless it is allowed.
    pub(crate) fn check_protocol(
        &self,
        allow_eio3: bool,
        otherwise: Refusal,
    ) -> Result<(), Refusal> {
        if self.revision == Revision::V4 || allow_eio3 {
            Ok(())
        } else {
            Err(otherwise)
        }
    }

    /// Returns the form of binary messages for the client.
    pub(crate) fn form(&self) -> BinaryForm {
        match self.revision {
            Revision::V4 => BinaryForm::V4,
            Revision::V3 if self.base64 => BinaryForm::V3Base64,
            Revision::V3 => BinaryForm::V3,
        }
    }
}

/// The protocol's own parameters. Each is the first one of its name that is not empty, so that a
/// repeated or empty one has no effect.
#[derive(Default)]
struct Raw<'a> {
    revision: Option<Cow<'a, str>>,
    transport: Option<Cow<'a, str>>,
    sid: Option<Cow<'a, str>>,
    base64: Option<Cow<'a, str>>,
    jsonp: Option<Cow<'a, str>>,
}

impl<'a> Raw<'a> {
    fn read(query: &'a str) -> Self {
        let mut raw = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "EIO" => &mut raw.revision,
                "transport" => &mut raw.transport,
                "sid" => &mut raw.sid,
                "b64" => &mut raw.base64,
                "j" => &mut raw.jsonp,
                _ => continue,
            };
            if place.is_none() && !value.is_empty() {
                *place = Some(value);
            }
        }
        raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Query, Refusal> {
        Query::parse(query, |_| true)
    }

    #[test]
    fn the_query_names_transport_session_and_revision() {
        let query = parse("EIO=4&transport=polling&t=abc&sid=sESZeQCLFtgdFjHnAAAA").unwrap();
        assert_eq!(query.transport, Transport::Polling);
        assert_eq!(query.sid, Id::parse("sESZeQCLFtgdFjHnAAAA"));
        assert_eq!(query.revision, Revision::V4);
    }

    #[test]
    fn a_parameter_may_be_empty_or_repeated() {
        for query in [
            "EIO=4&transport=polling&sid=",
            "EIO=4&transport=polling&sid",
            "EIO=4&transport=polling&sid=&sid=",
            "EIO=4&EIO=4&transport=polling&transport=polling",
            "EIO=4&transport=polling&EIO=3&transport=websocket",
            "EIO=&transport=&EIO=4&transport=polling&t=1&t=2",
        ] {
            let parsed = parse(query).unwrap();
            assert_eq!((parsed.transport, parsed.sid), (Transport::Polling, None));
            assert_eq!(parsed.revision, Revision::V4, "{query}");
            assert!(!Query::names_session(query), "{query}");
        }
        let id = "sESZeQCLFtgdFjHnAAAA";
        let parsed = parse(&format!("EIO=4&transport=polling&sid=&sid={id}&sid=b"));
        assert_eq!(parsed.unwrap().sid, Id::parse(id));
    }

    #[test]
    fn missing_or_unknown_parameter_is_refused_by_name() {
        for (query, refusal) in [
            ("EIO=4", Refusal::UnknownTransport),
            ("EIO=4&transport=abc", Refusal::UnknownTransport),
            ("EIO=4&transport=polling&sid=abc", Refusal::UnknownSession),
            ("EIO=4&transport=&sid=", Refusal::UnknownTransport),
            (
                "EIO=4&transport=abc&transport=polling",
                Refusal::UnknownTransport,
            ),
        ] {
            assert_eq!(parse(query), Err(refusal), "{query}");
        }
    }

    #[test]
    fn every_other_revision_is_the_third() {
        for query in [
            "EIO=3&transport=polling",
            "transport=polling",
            "EIO=&transport=polling",
            "EIO=5&transport=polling",
            "EIO=04&transport=polling",
        ] {
            let old = parse(query).unwrap();
            let refusal = Refusal::UnsupportedProtocol;
            assert_eq!(old.revision, Revision::V3, "{query}");
            assert_eq!(old.check_protocol(false, refusal), Err(refusal));
            assert_eq!(old.check_protocol(true, refusal), Ok(()));
        }
        let new = parse("EIO=4&transport=polling").unwrap();
        assert_eq!(new.check_protocol(false, Refusal::BadRequest), Ok(()));
    }

    #[test]
    fn the_index_of_a_callback_is_a_number() {
        let query = |j: &str| parse(&format!("EIO=4&transport=polling&j={j}"));
        for j in ["7", "007", "x7"] {
            assert_eq!(query(j).unwrap().jsonp, JsonpIndex::parse("7"));
        }
        assert_eq!(query("").unwrap().jsonp, None);
        assert_eq!(query("x"), Err(Refusal::BadRequest));
    }

    #[test]
    fn base64_is_a_form_of_the_third_revision() {
        for (query, form) in [
            ("EIO=3&transport=polling", BinaryForm::V3),
            ("EIO=3&transport=polling&b64=1", BinaryForm::V3Base64),
            ("EIO=3&transport=polling&b64=", BinaryForm::V3),
            ("EIO=3&transport=polling&j=0", BinaryForm::V3Base64),
            ("EIO=4&transport=polling&b64=1", BinaryForm::V4),
        ] {
            assert_eq!(parse(query).unwrap().form(), form, "{query}");
        }
    }
}
