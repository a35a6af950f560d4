//! Contracts as TypeScript definitions for `socket.io-client`.
//!
//! The contracts and their schemas enter, the text of a `.ts` file leaves: two interfaces for each
//! namespace, and a type for each definition that they need, under names that TypeScript allows.

use std::collections::BTreeMap;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::contract::contracts::{Contracts, EventSchemas, NamespaceContracts, Side};
use crate::contract::shape::{Shapes, comment, description, key};

impl Contracts {
    /// Returns definitions for `socket.io-client` and TypeScript: `ServerToClientEvents` and
    /// `ClientToServerEvents`, for its `Socket<ServerToClientEvents, ClientToServerEvents>`, and
    /// the types that they use.
    ///
    /// An event with an answer takes a callback as its last argument. If there are several
    /// namespaces, the interfaces of `/chat` are `ChatServerToClientEvents` and
    /// `ChatClientToServerEvents`; those of `/` have no prefix. A value without a type in
    /// TypeScript is `unknown`; [`Binary`](crate::Binary) is `ArrayBuffer | Uint8Array`. The answer
    /// `{"error": …}` of a failed handler is not part of the types.
    #[must_use]
    pub fn typescript(&self) -> String {
        write(self)
    }
}

/// Writes the definitions.
fn write(contracts: &Contracts) -> String {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let prefixes = prefixes(&contracts.namespaces);
    // The events first: the request for their schemas makes the definitions.
    let events: Vec<[Vec<Signature<'_>>; 2]> = contracts
        .namespaces
        .iter()
        .map(|namespace| {
            [Side::Server, Side::Client].map(|side| signatures(namespace, side, &mut generator))
        })
        .collect();
    let definitions = generator.take_definitions(true);
    let mut taken: Vec<String> = TAKEN.iter().map(|name| (*name).to_owned()).collect();
    let interfaces = prefixes
        .iter()
        .map(|prefix| INTERFACES.map(|name| format!("{prefix}{name}")));
    let interfaces: Vec<[String; 2]> = interfaces.collect();
    taken.extend(interfaces.iter().flatten().cloned());
    let shapes = Shapes {
        names: names(definitions.keys(), &mut taken),
    };
    let title = comment(&format!("{} {}", contracts.title, contracts.version), 0);
    let mut blocks = vec![format!("// Written from the server's contracts.\n{title}")];
    for (names, sides) in interfaces.iter().zip(&events) {
        for (name, events) in names.iter().zip(sides) {
            blocks.push(interface(name, events, &shapes));
        }
    }
    for (key, schema) in &definitions {
        let Some(name) = shapes.names.get(key) else {
            continue;
        };
        let note = comment(description(schema), 0);
        let shape = shapes.of(schema, 0);
        blocks.push(format!("{note}export type {name} = {shape};\n"));
    }
    blocks.join("\n")
}

/// An event and the schemas of its data and of its answer.
struct Signature<'a> {
    event: &'a EventSchemas,
    data: Value,
    answer: Option<Value>,
}

fn signatures<'a>(
    namespace: &'a NamespaceContracts,
    sender: Side,
    generator: &mut SchemaGenerator,
) -> Vec<Signature<'a>> {
    let events = namespace.events.iter();
    let sent = events.filter(|event| event.sender == sender);
    sent.map(|event| Signature {
        event,
        data: event.data(generator),
        answer: event.answer(generator),
    })
    .collect()
}

fn interface(name: &str, events: &[Signature<'_>], shapes: &Shapes) -> String {
    let mut text = format!("export interface {name} {{\n");
    for Signature {
        event,
        data,
        answer,
    } in events
    {
        let mut arguments = named("data", &shapes.arguments(data, event.data_shape, 1));
        if let Some(answer) = answer {
            let answers = shapes.arguments(answer, event.answer_shape, 1);
            let answers = named("answer", &answers).join(", ");
            arguments.push(format!("callback: ({answers}) => void"));
        }
        text += &comment(event.docs, 1);
        text += &format!(
            "  {}: ({}) => void;\n",
            key(event.name),
            arguments.join(", ")
        );
    }
    text + "}\n"
}

/// Names the arguments: `data`, or `data1`, `data2` and so on.
fn named(name: &str, types: &[String]) -> Vec<String> {
    if let [only] = types {
        return vec![format!("{name}: {only}")];
    }
    let numbered = types.iter().enumerate();
    numbered
        .map(|(at, kind)| format!("{name}{}: {kind}", at + 1))
        .collect()
}

/// Returns the prefix of the interfaces of each namespace: empty if there is only one.
fn prefixes(namespaces: &[NamespaceContracts]) -> Vec<String> {
    let mut taken = Vec::new();
    let prefix = |namespace: &NamespaceContracts| match namespaces {
        [_] => String::new(),
        _ if namespace.name == "/" => String::new(),
        _ => free(&pascal(&namespace.name), &mut taken),
    };
    namespaces.iter().map(prefix).collect()
}

/// Gives each definition a unique type name.
fn names<'a>(
    keys: impl Iterator<Item = &'a String>,
    taken: &mut Vec<String>,
) -> BTreeMap<String, String> {
    keys.map(|key| (key.clone(), free(&identifier(key), taken)))
        .collect()
}

/// Makes an unused name and marks it as used.
fn free(name: &str, taken: &mut Vec<String>) -> String {
    let numbered = (2_u32..).map(|number| format!("{name}{number}"));
    let free = std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| !taken.contains(name));
    let free = free.unwrap_or_default();
    taken.push(free.clone());
    free
}

fn identifier(key: &str) -> String {
    let allowed = |next: char| {
        if next.is_ascii_alphanumeric() {
            next
        } else {
            '_'
        }
    };
    let name: String = key.chars().map(allowed).collect();
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        name
    } else {
        format!("_{name}")
    }
}

/// Returns the words of a namespace's name, each with a capital letter.
fn pascal(name: &str) -> String {
    let words = name.split(|next: char| !next.is_ascii_alphanumeric());
    let name: String = words
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_ascii_uppercase() + rest
        })
        .collect();
    identifier(&name)
}

const INTERFACES: [&str; 2] = ["ServerToClientEvents", "ClientToServerEvents"];

/// Names that a type may not have, because TypeScript or these definitions use them.
const TAKEN: &[&str] = &[
    "ArrayBuffer",
    "Uint8Array",
    "any",
    "arguments",
    "as",
    "async",
    "await",
    "bigint",
    "boolean",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "let",
    "never",
    "new",
    "null",
    "number",
    "object",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "static",
    "string",
    "super",
    "switch",
    "symbol",
    "this",
    "throw",
    "true",
    "try",
    "type",
    "typeof",
    "undefined",
    "unknown",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use schemars::JsonSchema;

    use super::*;
    use crate::contract::Binary;

    /// A message in the room.
    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "its schema is what counts")]
    struct Chat {
        /// The words.
        text: String,
        kind: Option<Kind>,
        #[schemars(with = "Binary")]
        picture: bytes::Bytes,
        replies: Vec<Self>,
        counts: HashMap<u32, i64>,
        place: (f32, f32),
    }

    #[derive(JsonSchema)]
    #[schemars(rename = "string")]
    #[allow(dead_code, reason = "its schema is what counts")]
    enum Kind {
        Loud,
        Quiet,
        Level(u8),
        At { x: i32 },
    }

    crate::event! {
        /// Says something.
        Say("say it", Chat => (u64, Option<String>));
        Ping("ping", ());
        Move("move", (u8, Binary) => Chat);
        At("at", [f64; 2] => [u8; 3]);
        Pairs("pairs", (Unit, Both) => Both);
        Nothing("nothing", Box<()> => Unit);
    }

    #[derive(JsonSchema)]
    struct Unit;

    #[derive(JsonSchema)]
    #[schemars(transparent)]
    #[allow(dead_code, reason = "its schema is what counts")]
    struct Both((u8, bool));

    #[test]
    fn type_that_is_no_tuple_is_one_argument() {
        let contracts = Contracts::new("Chat", "1.0").client_emits(At);
        let written = contracts
            .client_emits(Pairs)
            .client_emits(Nothing)
            .typescript();
        for line in [
            "  at: (data: number[], callback: (answer: number[]) => void) => void;",
            "  pairs: (data1: Unit, data2: [number, boolean], \
             callback: (answer: [number, boolean]) => void) => void;",
            "  nothing: (callback: (answer: Unit) => void) => void;",
        ] {
            assert!(written.contains(line), "{written}");
        }
    }

    #[test]
    fn contracts_become_definitions() {
        let contracts = Contracts::new("Chat", "1.0")
            .client_emits(Say)
            .client_emits(Move);
        let expected = r#"// Written from the server's contracts.
/** Chat 1.0 */

export interface ServerToClientEvents {
  ping: () => void;
}

export interface ClientToServerEvents {
  /** Says something. */
  "say it": (data: Chat, callback: (answer1: number, answer2: string | null) => void) => void;
  move: (data1: number, data2: ArrayBuffer | Uint8Array, callback: (answer: Chat) => void) => void;
}

/** A message in the room. */
export type Chat = {
  counts: {
    [key: string]: number;
  };
  kind?: string2 | null;
  picture: ArrayBuffer | Uint8Array;
  place: [number, number];
  replies: Chat[];
  /** The words. */
  text: string;
};

export type string2 = "Loud" | "Quiet" | {
  Level: number;
} | {
  At: {
    x: number;
  };
};
"#;
        assert_eq!(contracts.server_emits(Ping).typescript(), expected);
    }

    #[test]
    fn several_namespaces_have_interfaces_of_their_own() {
        let contracts = Contracts::new("Chat", "1.0")
            .namespace("admin-room")
            .client_emits(Ping);
        let interfaces = |contracts: &Contracts| {
            let text = contracts.typescript();
            let lines = text
                .lines()
                .filter_map(|line| line.strip_prefix("export interface "));
            let names = lines.filter_map(|line| line.split(' ').next());
            names.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(interfaces(&contracts), INTERFACES);
        let contracts = contracts
            .namespace("/")
            .client_emits(Ping)
            .namespace("/Admin/Room");
        let expected = [
            "AdminRoomServerToClientEvents",
            "AdminRoomClientToServerEvents",
            "ServerToClientEvents",
            "ClientToServerEvents",
            "AdminRoom2ServerToClientEvents",
            "AdminRoom2ClientToServerEvents",
        ];
        assert_eq!(interfaces(&contracts), expected);
    }

    #[test]
    fn names_of_types_are_identifiers_and_differ() {
        let keys = ["a b", "a-b", "1", "class", "ö"].map(str::to_owned);
        let mut taken = vec!["class".to_owned()];
        let names = names(keys.iter(), &mut taken);
        let names: Vec<&str> = keys.iter().map(|key| names[key].as_str()).collect();
        assert_eq!(names, ["a_b", "a_b2", "_1", "class2", "__"]);
    }
}
