//! What a request says of itself in its query.

use actix_web::web;
use serde::Deserialize;

use crate::config::{Config, Transport};
use crate::id::Id;
use crate::transport::refusal::Refusal;

/// The query, checked as far as it can be without the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) transport: Transport,
    pub(crate) sid: Option<Id>,
    is_v4: bool,
}

impl Query {
    pub(crate) fn parse(query: &str, config: &Config) -> Result<Self, Refusal> {
        let Ok(web::Query(raw)) = web::Query::<Raw>::from_query(query) else {
            return Err(Refusal::BadRequest);
        };
        let transport = match raw.transport.as_deref() {
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::WebSocket,
            _ => return Err(Refusal::UnknownTransport),
        };
        if !config.allows(transport) {
            return Err(Refusal::UnknownTransport);
        }
        let sid = match raw.sid.as_deref() {
            None => None,
            Some(text) => Some(Id::parse(text).ok_or(Refusal::UnknownSession)?),
        };
        Ok(Self {
            transport,
            sid,
            is_v4: raw.revision.as_deref() == Some("4"),
        })
    }

    /// Tells whether a request is for a session, whatever else is wrong with it.
    pub(crate) fn names_session(query: &str) -> bool {
        web::Query::<Raw>::from_query(query).is_ok_and(|raw| raw.sid.is_some())
    }

    /// Refuses every revision of the protocol but the fourth.
    pub(crate) fn check_protocol(&self, otherwise: Refusal) -> Result<(), Refusal> {
        if self.is_v4 { Ok(()) } else { Err(otherwise) }
    }
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "EIO")]
    revision: Option<String>,
    transport: Option<String>,
    sid: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Query, Refusal> {
        Query::parse(query, &Config::new("/"))
    }

    #[test]
    fn the_query_names_transport_session_and_revision() {
        let query = parse("EIO=4&transport=polling&t=abc&sid=sESZeQCLFtgdFjHnAAAA").unwrap();
        assert_eq!(query.transport, Transport::Polling);
        assert_eq!(query.sid, Id::parse("sESZeQCLFtgdFjHnAAAA"));
        assert_eq!(query.check_protocol(Refusal::BadRequest), Ok(()));
    }

    #[test]
    fn what_is_missing_or_unknown_is_refused_by_name() {
        for (query, refusal) in [
            ("EIO=4", Refusal::UnknownTransport),
            ("EIO=4&transport=abc", Refusal::UnknownTransport),
            ("EIO=4&transport=polling&sid=abc", Refusal::UnknownSession),
            ("transport=polling&transport=polling", Refusal::BadRequest),
        ] {
            assert_eq!(parse(query), Err(refusal), "{query}");
        }
        let old = parse("EIO=3&transport=polling").unwrap();
        assert_eq!(
            old.check_protocol(Refusal::UnsupportedProtocol),
            Err(Refusal::UnsupportedProtocol)
        );
    }
}
