//! Contracts as an AsyncAPI 3.0.0 document.
//!
//! The contracts enter, the document leaves, from the server's point of view. Schemas are of draft
//! 07, on which AsyncAPI builds, and are among the document's components.

use std::collections::BTreeMap;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::contract::contracts::{Contracts, EventSchemas, NamespaceContracts, Side};
use crate::contract::shape::decoded;

impl Contracts {
    /// Returns an AsyncAPI 3.0.0 document from the server's point of view: the server receives the
    /// events of clients. A namespace is a channel, an event is a message and an operation, its
    /// answer is the reply.
    ///
    /// A message's payload is the data of the event. A tuple, which is several arguments, is an
    /// array whose `items` are a list of schemas; an array, which is one argument, has one schema
    /// as `items`. `null` is no argument.
    #[must_use]
    pub fn asyncapi(&self) -> Value {
        write(self)
    }
}

/// Writes the document.
fn write(contracts: &Contracts) -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
    });
    let mut document = Document {
        generator: settings.into_generator(),
        channels: Map::new(),
        operations: Map::new(),
        messages: Map::new(),
    };
    for namespace in &contracts.namespaces {
        document.namespace(namespace);
    }
    let Document {
        mut generator,
        channels,
        operations,
        messages,
    } = document;
    let mut written = json!({
        "asyncapi": "3.0.0",
        "info": { "title": contracts.title, "version": contracts.version },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages },
    });
    let schemas = renamed(&mut written, generator.take_definitions(true));
    if let Some(components) = written.get_mut("components").and_then(Value::as_object_mut) {
        components.insert("schemas".to_owned(), schemas);
    }
    written
}

/// The parts to which the writing of events adds.
struct Document {
    generator: SchemaGenerator,
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
}

impl Document {
    fn namespace(&mut self, namespace: &NamespaceContracts) {
        let name = match namespace.name.trim_start_matches('/') {
            "" => "root",
            name => name,
        };
        let channel = free(&self.channels, name);
        let mut messages = Map::new();
        for event in &namespace.events {
            self.event(event, &channel, &mut messages);
        }
        let written = json!({ "address": namespace.name, "messages": messages });
        self.channels.insert(channel, written);
    }

    fn event(&mut self, event: &EventSchemas, channel: &str, messages: &mut Map<String, Value>) {
        let data = event.data(&mut self.generator);
        let carried = self.message(channel, event.name, event.name, event.docs, &data, messages);
        let action = match event.sender {
            Side::Client => "receive",
            Side::Server => "send",
        };
        let channel_reference = json!({ "$ref": format!("#/channels/{channel}") });
        let mut operation = json!({
            "action": action,
            "channel": channel_reference,
            "messages": [carried],
        });
        if let Some(answer) = event.answer(&mut self.generator) {
            let key = format!("{}.answer", event.name);
            let docs = format!("The acknowledgement of {:?}.", event.name);
            let answer = self.message(channel, &key, event.name, &docs, &answer, messages);
            operation["reply"] = json!({ "channel": channel_reference, "messages": [answer] });
        }
        let name = format!("{action}.{channel}.{}", event.name);
        let name = free(&self.operations, &name);
        self.operations.insert(name, operation);
    }

    /// Adds a message to the components and to its channel. Returns the reference to it in the
    /// channel.
    fn message(
        &mut self,
        channel: &str,
        key: &str,
        event: &str,
        docs: &str,
        payload: &Value,
        messages: &mut Map<String, Value>,
    ) -> Value {
        let component = free(&self.messages, &format!("{channel}.{key}"));
        let mut message = json!({ "name": event, "payload": payload });
        if !docs.trim().is_empty() {
            let lines: Vec<&str> = docs.trim().lines().map(str::trim).collect();
            message["description"] = lines.join("\n").into();
        }
        let key = free(messages, key);
        let reference = format!("#/components/messages/{component}");
        messages.insert(key.clone(), json!({ "$ref": reference }));
        self.messages.insert(component, message);
        json!({ "$ref": format!("#/channels/{channel}/messages/{key}") })
    }
}

/// Renames the definitions to keys that components may have, and renames all references to them.
fn renamed(document: &mut Value, definitions: Map<String, Value>) -> Value {
    let mut schemas = Map::new();
    let mut names = BTreeMap::new();
    for (key, schema) in definitions {
        let name = free(&schemas, &key);
        schemas.insert(name.clone(), schema);
        names.insert(key, name);
    }
    let mut schemas = Value::Object(schemas);
    redirect(document, &names);
    redirect(&mut schemas, &names);
    schemas
}

fn redirect(value: &mut Value, names: &BTreeMap<String, String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| redirect(item, names)),
        Value::Object(members) => {
            for (key, member) in members {
                let reference = member.as_str().filter(|_| key == "$ref");
                let known = reference
                    .and_then(|reference| reference.strip_prefix("#/components/schemas/"))
                    .and_then(|key| names.get(&decoded(key)));
                match known {
                    Some(name) => *member = format!("#{SCHEMAS}/{name}").into(),
                    None => redirect(member, names),
                }
            }
        }
        _ => {}
    }
}

/// Makes an unused key of `map` from any name, of the characters that AsyncAPI allows.
fn free(map: &Map<String, Value>, name: &str) -> String {
    let allowed = |next: char| next.is_ascii_alphanumeric() || "._-".contains(next);
    let name: String = name
        .chars()
        .map(|next| if allowed(next) { next } else { '_' })
        .collect();
    let numbered = (2_u32..).map(|number| format!("{name}_{number}"));
    let free = std::iter::once(name.clone())
        .chain(numbered)
        .find(|name| !map.contains_key(name));
    free.unwrap_or(name)
}

/// The position of the schemas in the document.
const SCHEMAS: &str = "/components/schemas";

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;

    use super::*;
    use crate::contract::Binary;

    #[derive(JsonSchema)]
    #[schemars(rename = "Chat/ö")]
    #[allow(dead_code, reason = "its schema is what counts")]
    struct Chat {
        text: String,
        replies: Vec<Self>,
    }

    crate::event! {
        /// Says something.
        Say("say it", Chat => (u64, Binary));
        News("news", ());
    }

    #[test]
    fn contracts_become_a_document() {
        let contracts = Contracts::new("Chat", "1.0").client_emits(Say);
        let written = contracts.namespace("/a/b").server_emits(News).asyncapi();
        let expected = json!({
            "asyncapi": "3.0.0",
            "info": { "title": "Chat", "version": "1.0" },
            "defaultContentType": "application/json",
            "channels": {
                "root": { "address": "/", "messages": {
                    "say_it": { "$ref": "#/components/messages/root.say_it" },
                    "say_it.answer": { "$ref": "#/components/messages/root.say_it.answer" },
                } },
                "a_b": { "address": "/a/b", "messages": {
                    "news": { "$ref": "#/components/messages/a_b.news" },
                } },
            },
            "operations": {
                "receive.root.say_it": {
                    "action": "receive",
                    "channel": { "$ref": "#/channels/root" },
                    "messages": [{ "$ref": "#/channels/root/messages/say_it" }],
                    "reply": {
                        "channel": { "$ref": "#/channels/root" },
                        "messages": [{ "$ref": "#/channels/root/messages/say_it.answer" }],
                    },
                },
                "send.a_b.news": {
                    "action": "send",
                    "channel": { "$ref": "#/channels/a_b" },
                    "messages": [{ "$ref": "#/channels/a_b/messages/news" }],
                },
            },
            "components": components(),
        });
        assert_eq!(written, expected, "{written:#}");
    }

    fn components() -> Value {
        json!({
            "messages": {
                "root.say_it": {
                    "name": "say it",
                    "description": "Says something.",
                    "payload": { "$ref": "#/components/schemas/Chat__" },
                },
                "root.say_it.answer": {
                    "name": "say it",
                    "description": "The acknowledgement of \"say it\".",
                    "payload": {
                        "type": "array",
                        "items": [
                            { "type": "integer", "format": "uint64", "minimum": 0 },
                            { "type": "string", "format": "binary" },
                        ],
                        "minItems": 2,
                        "maxItems": 2,
                    },
                },
                "a_b.news": { "name": "news", "payload": { "type": "null" } },
            },
            "schemas": {
                "Chat__": {
                    "type": "object",
                    "properties": {
                        "text": { "type": "string" },
                        "replies": {
                            "type": "array",
                            "items": { "$ref": "#/components/schemas/Chat__" },
                        },
                    },
                    "required": ["text", "replies"],
                },
            },
        })
    }
}
