//! The parsers of a server, and the rules by which a client gets one of them.
//!
//! A client's handshake enters, the number of its parser leaves. The number of clients of each parser
//! is counted, so that an event to many is encoded for those in use only.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use log::Level;

use crate::handshake::Handshake;
use crate::logging::{LogKind, LogLimits, cut};
use crate::panics::catch_panic;
use crate::socketio::Encoding;

/// The number of a parser in its server's table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ParserId(pub(crate) u8);

impl ParserId {
    /// JSON, which each server has.
    pub(crate) const JSON: Self = Self(0);
}

/// The parsers of a server.
#[derive(Debug)]
pub(crate) struct Parsers {
    /// JSON is the first.
    encodings: Vec<Encoding>,
    /// The parser of clients for which no rule holds.
    default: ParserId,
    rules: Vec<(Rule, ParserId)>,
    /// The number of clients of each parser; empty if there is only one parser.
    clients: Vec<AtomicUsize>,
}

#[derive(Clone)]
struct Rule(Arc<dyn Fn(&Handshake) -> bool + Send + Sync>);

impl Parsers {
    /// Returns an error if there are more parsers than numbers.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.encodings.len() {
            0..=MAX_PARSERS => Ok(()),
            count => Err(format!("{count} parsers, the maximum is {MAX_PARSERS}")),
        }
    }

    /// Sets the parser of clients for which no rule holds.
    pub(crate) fn set_default(&mut self, encoding: Encoding) {
        self.default = self.add(encoding);
    }

    /// Sets the parser of clients for which the rule holds.
    pub(crate) fn add_rule(
        &mut self,
        encoding: Encoding,
        holds: impl Fn(&Handshake) -> bool + Send + Sync + 'static,
    ) {
        let id = self.add(encoding);
        self.rules.push((Rule(Arc::new(holds)), id));
    }

    fn add(&mut self, encoding: Encoding) -> ParserId {
        if matches!(encoding, Encoding::Json) {
            return ParserId::JSON;
        }
        // Too many are refused at the start.
        let id = u8::try_from(self.encodings.len()).unwrap_or(u8::MAX);
        self.encodings.push(encoding);
        self.clients = self.encodings.iter().map(|_| AtomicUsize::new(0)).collect();
        ParserId(id)
    }

    /// Returns `true` if all clients use JSON.
    #[inline]
    pub(crate) fn are_json(&self) -> bool {
        self.clients.is_empty()
    }

    /// Returns the parser for a client, and counts the client.
    pub(crate) fn enter(&self, handshake: &Handshake) -> ParserId {
        if self.are_json() {
            return ParserId::JSON;
        }
        let mut rules = self.rules.iter();
        let rule = rules.find(|(rule, _)| {
            catch_panic(|| rule.0(handshake)).unwrap_or_else(|panic| {
                let line = format_args!("a rule of `parser_when` panicked: {}", cut(&panic));
                LogLimits::of_process().write(LogKind::Panicked, Level::Error, line);
                false
            })
        });
        let id = rule.map_or(self.default, |(_, id)| *id);
        self.count(id, 1);
        id
    }

    /// A client of this parser has left.
    pub(crate) fn leave(&self, id: ParserId) {
        if !self.are_json() {
            self.count(id, usize::MAX);
        }
    }

    /// A client uses another parser than the one with which it was counted.
    pub(crate) fn change(&self, from: ParserId, to: ParserId) {
        if !self.are_json() {
            self.count(from, usize::MAX);
            self.count(to, 1);
        }
    }

    fn count(&self, id: ParserId, by: usize) {
        if let Some(clients) = self.clients.get(usize::from(id.0)) {
            // Wraps: a client that leaves adds -1.
            clients.fetch_add(by, Ordering::AcqRel);
        }
    }

    /// Returns the parser of clients for which no rule holds.
    pub(crate) fn default_parser(&self) -> ParserId {
        self.default
    }

    /// Returns the parsers that clients use, at least one: without clients the default.
    pub(crate) fn in_use(&self) -> impl Iterator<Item = ParserId> {
        let is_used = |clients: &AtomicUsize| clients.load(Ordering::Acquire) > 0;
        let is_any_used = self.clients.iter().any(is_used);
        let ids = (0..=u8::MAX).map(ParserId).zip(&self.clients);
        let chosen = ids
            .filter(move |(id, clients)| is_used(clients) || (!is_any_used && *id == self.default));
        chosen.map(|(id, _)| id)
    }

    /// Returns the parser with this number.
    pub(crate) fn get(&self, id: ParserId) -> &Encoding {
        // A number is given by this table alone.
        self.encodings
            .get(usize::from(id.0))
            .unwrap_or(&Encoding::Json)
    }
}

impl Default for Parsers {
    fn default() -> Self {
        Self {
            encodings: vec![Encoding::Json],
            default: ParserId::JSON,
            rules: Vec::new(),
            clients: Vec::new(),
        }
    }
}

/// A copy has no clients.
impl Clone for Parsers {
    fn clone(&self) -> Self {
        Self {
            encodings: self.encodings.clone(),
            default: self.default,
            rules: self.rules.clone(),
            clients: self.clients.iter().map(|_| AtomicUsize::new(0)).collect(),
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rule")
    }
}

/// The number of parsers of one server, JSON included.
const MAX_PARSERS: usize = 256;
