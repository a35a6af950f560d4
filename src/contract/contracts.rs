//! The contracts of a whole server, to export them for its clients.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::contract::EventContract;
use crate::socketio::Shape;

/// The contracts of a server: which side sends which event in which namespace. Feature `contracts`.
///
/// Events belong to the namespace that was named last, or to `/` before any. Their types must have
/// a schema. `#[derive(schemars::JsonSchema)]` of the crate `schemars` 1 makes one from serde's
/// attributes. A type has one definition for both directions: the one for reading it.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Contracts, event};
///
/// event! {
///     /// Says something to the room.
///     pub Say("say", String => u64);
///     pub News("news", (String, u64));
/// }
///
/// let contracts = Contracts::new("Chat", "1.0.0").client_emits(Say).server_emits(News);
///
/// let definitions = contracts.typescript();
/// assert!(definitions.contains("say: (data: string, callback: (answer: number) => void) => void;"));
/// assert!(definitions.contains("news: (data1: string, data2: number) => void;"));
/// assert_eq!(contracts.asyncapi()["asyncapi"], "3.0.0");
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is written before `typescript` or `asyncapi`"]
pub struct Contracts {
    pub(crate) title: String,
    pub(crate) version: String,
    pub(crate) namespaces: Vec<NamespaceContracts>,
}

impl Contracts {
    /// Makes an empty collection. `title` and `version` describe the program's interface.
    pub fn new(title: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            version: version.into(),
            namespaces: Vec::new(),
        }
    }

    /// Names the namespace of the following events. The leading slash is optional.
    pub fn namespace(mut self, name: &str) -> Self {
        let name = format!("/{}", name.trim_start_matches('/'));
        // The last one is the current one.
        let known = self.namespaces.iter().position(|known| known.name == name);
        let namespace = known.map(|at| self.namespaces.remove(at));
        let events = namespace.map_or_else(Vec::new, |namespace| namespace.events);
        self.namespaces.push(NamespaceContracts { name, events });
        self
    }

    /// Adds an event that clients send.
    pub fn client_emits<E>(self, event: E) -> Self
    where
        E: EventContract,
        E::Data: JsonSchema,
        E::Answer: JsonSchema,
    {
        self.emits(event, Side::Client)
    }

    /// Adds an event that the server sends.
    pub fn server_emits<E>(self, event: E) -> Self
    where
        E: EventContract,
        E::Data: JsonSchema,
        E::Answer: JsonSchema,
    {
        self.emits(event, Side::Server)
    }

    fn emits<E>(mut self, _: E, sender: Side) -> Self
    where
        E: EventContract,
        E::Data: JsonSchema,
        E::Answer: JsonSchema,
    {
        if self.namespaces.is_empty() {
            self = self.namespace("/");
        }
        if let Some(namespace) = self.namespaces.last_mut() {
            namespace.events.push(EventSchemas {
                name: E::NAME,
                docs: E::DOCS,
                sender,
                data_shape: Shape::of::<E::Data>(),
                answer_shape: Shape::of::<E::Answer>(),
                data: SchemaGenerator::subschema_for::<E::Data>,
                answer: SchemaGenerator::subschema_for::<E::Answer>,
            });
        }
        self
    }
}

/// The events of one namespace.
#[derive(Clone, Debug)]
pub(crate) struct NamespaceContracts {
    pub(crate) name: String,
    pub(crate) events: Vec<EventSchemas>,
}

/// One event and the functions that make its schemas.
#[derive(Clone, Debug)]
pub(crate) struct EventSchemas {
    pub(crate) name: &'static str,
    pub(crate) docs: &'static str,
    pub(crate) sender: Side,
    pub(crate) data_shape: Shape,
    pub(crate) answer_shape: Shape,
    data: fn(&mut SchemaGenerator) -> Schema,
    answer: fn(&mut SchemaGenerator) -> Schema,
}

impl EventSchemas {
    /// Returns the schema of the event's data.
    pub(crate) fn data(&self, generator: &mut SchemaGenerator) -> Value {
        finished(generator, self.data)
    }

    /// Returns the schema of the answer; `None` if the event has none.
    pub(crate) fn answer(&self, generator: &mut SchemaGenerator) -> Option<Value> {
        (!self.answer_shape.is_unit()).then(|| finished(generator, self.answer))
    }
}

/// The side that sends an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// Makes a schema and converts it to the generator's draft. The generator converts only whole
/// documents itself.
fn finished(generator: &mut SchemaGenerator, make: fn(&mut SchemaGenerator) -> Schema) -> Value {
    let mut schema = make(generator);
    for transform in generator.transforms_mut() {
        transform.transform(&mut schema);
    }
    schema.to_value()
}
