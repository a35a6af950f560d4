//! From JSON schema to the types of TypeScript.
//!
//! A schema of draft 2020-12 enters, as schemars writes it, and the text of a type leaves. A schema
//! without a TypeScript type becomes `unknown`. It is pure and total: any JSON has a result.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::socketio::Shape;

/// Writes types, with the names of their definitions.
#[derive(Debug)]
pub(crate) struct Shapes {
    /// The name of the type, by the key of its definition.
    pub(crate) names: BTreeMap<String, String>,
}

impl Shapes {
    /// Returns the type of a schema; `depth` is the indentation of its lines.
    pub(crate) fn of(&self, schema: &Value, depth: usize) -> String {
        let schema = match schema {
            Value::Object(schema) => schema,
            Value::Bool(false) => return "never".to_owned(),
            _ => return UNKNOWN.to_owned(),
        };
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            return self.reference(reference);
        }
        if let Some(value) = schema.get("const") {
            return literal(value);
        }
        if let Some(values) = list(schema, "enum") {
            return union(values.iter().map(literal).collect());
        }
        let mut parts = Vec::new();
        for key in ["oneOf", "anyOf"] {
            if let Some(options) = list(schema, key) {
                parts.push(union(self.all(options, depth)));
            }
        }
        if let Some(all) = list(schema, "allOf") {
            parts.extend(self.all(all, depth));
        }
        // A bare `object` beside other types adds no information.
        if parts.is_empty() || MEMBERS.iter().any(|key| schema.contains_key(*key)) {
            parts.push(self.plain(schema, depth));
        }
        parts.retain(|part| part != UNKNOWN);
        match parts.as_slice() {
            [] => UNKNOWN.to_owned(),
            [only] => only.clone(),
            _ => {
                let parts: Vec<String> = parts.iter().map(|part| grouped(part)).collect();
                parts.join(" & ")
            }
        }
    }

    /// Returns the arguments of a value of this schema. The shape of its type decides: a tuple is
    /// several, `()` is none, any other type is one.
    pub(crate) fn arguments(&self, schema: &Value, shape: Shape, depth: usize) -> Vec<String> {
        match tuple(schema) {
            _ if shape.is_unit() => Vec::new(),
            Some(members) if shape.is_tuple() => self.all(members, depth),
            _ => vec![self.of(schema, depth)],
        }
    }

    fn all(&self, schemas: &[Value], depth: usize) -> Vec<String> {
        let types = schemas.iter().map(|schema| self.of(schema, depth));
        types.collect()
    }

    fn reference(&self, reference: &str) -> String {
        let key = reference.strip_prefix("#/$defs/").map(decoded);
        let name = key.and_then(|key| self.names.get(&key));
        name.map_or_else(|| UNKNOWN.to_owned(), Clone::clone)
    }

    /// Returns the type of a schema with the key `type`.
    fn plain(&self, schema: &Map<String, Value>, depth: usize) -> String {
        match schema.get("type") {
            Some(Value::String(name)) => self.named(name, schema, depth),
            Some(Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str);
                union(names.map(|name| self.named(name, schema, depth)).collect())
            }
            _ if MEMBERS.iter().any(|key| schema.contains_key(*key)) => self.object(schema, depth),
            _ => UNKNOWN.to_owned(),
        }
    }

    fn named(&self, name: &str, schema: &Map<String, Value>, depth: usize) -> String {
        let binary = schema.get("format").and_then(Value::as_str) == Some("binary");
        match name {
            "string" if binary => BINARY.to_owned(),
            "string" | "boolean" | "null" | "number" => name.to_owned(),
            "integer" => "number".to_owned(),
            "array" => self.array(schema, depth),
            "object" => self.object(schema, depth),
            _ => UNKNOWN.to_owned(),
        }
    }

    fn array(&self, schema: &Map<String, Value>, depth: usize) -> String {
        if let Some(members) = list(schema, "prefixItems") {
            return format!("[{}]", self.all(members, depth).join(", "));
        }
        let item = schema.get("items").unwrap_or(&Value::Null);
        format!("{}[]", grouped(&self.of(item, depth)))
    }

    fn object(&self, schema: &Map<String, Value>, depth: usize) -> String {
        let none = Map::new();
        let members = schema.get("properties").and_then(Value::as_object);
        let members = members.unwrap_or(&none);
        let required = list(schema, "required").unwrap_or_default();
        let mut lines = Vec::new();
        for (name, member) in members {
            let mark = if required.iter().any(|required| required == name) {
                ""
            } else {
                "?"
            };
            let note = comment(description(member), depth + 1);
            let shape = self.of(member, depth + 1);
            lines.push(format!(
                "{note}{}{}{mark}: {shape};",
                indent(depth + 1),
                key(name)
            ));
        }
        if let Some(values) = self.values(schema, depth) {
            // An index signature covers the named members too, whatever their types.
            let values = if members.is_empty() {
                values
            } else {
                UNKNOWN.to_owned()
            };
            lines.push(format!("{}[key: string]: {values};", indent(depth + 1)));
        }
        if lines.is_empty() {
            let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
            let values = if closed { "never" } else { UNKNOWN };
            return format!("{{ [key: string]: {values} }}");
        }
        format!("{{\n{}\n{}}}", lines.join("\n"), indent(depth))
    }

    /// Returns the type of the members of a map that have no name of their own.
    fn values(&self, schema: &Map<String, Value>, depth: usize) -> Option<String> {
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        let mut kinds: Vec<&Value> = patterns.into_iter().flat_map(Map::values).collect();
        let others = schema.get("additionalProperties");
        kinds.extend(others.filter(|others| **others != Value::Bool(false)));
        let kinds: Vec<String> = kinds.iter().map(|kind| self.of(kind, depth + 1)).collect();
        (!kinds.is_empty()).then(|| union(kinds))
    }
}

/// Returns a description as a comment with the indentation `depth`; empty if there is none.
pub(crate) fn comment(text: &str, depth: usize) -> String {
    let text = text.trim().replace("*/", "*\\/");
    if text.is_empty() {
        return String::new();
    }
    let indent = indent(depth);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    if let [line] = lines.as_slice() {
        return format!("{indent}/** {line} */\n");
    }
    let lines = lines
        .iter()
        .map(|line| format!("{indent} * {line}").trim_end().to_owned());
    let lines: Vec<String> = lines.collect();
    format!("{indent}/**\n{}\n{indent} */\n", lines.join("\n"))
}

/// Returns the description of a schema.
pub(crate) fn description(schema: &Value) -> &str {
    let text = schema.get("description").and_then(Value::as_str);
    text.unwrap_or_default()
}

/// Returns a name as the key of an object's type: in quotes if it is not an identifier.
pub(crate) fn key(name: &str) -> String {
    if is_identifier(name) {
        name.to_owned()
    } else {
        Value::from(name).to_string()
    }
}

fn is_identifier(name: &str) -> bool {
    let starts =
        name.starts_with(|first: char| first.is_ascii_alphabetic() || "_$".contains(first));
    starts
        && name
            .chars()
            .all(|next| next.is_ascii_alphanumeric() || "_$".contains(next))
}

pub(crate) fn indent(depth: usize) -> String {
    "  ".repeat(depth)
}

/// Returns the members of a tuple's schema.
fn tuple(schema: &Value) -> Option<&[Value]> {
    list(schema.as_object()?, "prefixItems")
}

fn list<'a>(schema: &'a Map<String, Value>, key: &str) -> Option<&'a [Value]> {
    schema.get(key)?.as_array().map(Vec::as_slice)
}

fn literal(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => UNKNOWN.to_owned(),
        plain => plain.to_string(),
    }
}

/// Joins types without duplicates.
fn union(types: Vec<String>) -> String {
    let mut distinct: Vec<String> = Vec::new();
    for one in types {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
    }
    match distinct.as_slice() {
        [] => "never".to_owned(),
        types if types.iter().any(|one| one == UNKNOWN) => UNKNOWN.to_owned(),
        types => types.join(" | "),
    }
}

/// Adds parentheses around a type that is a union.
fn grouped(shape: &str) -> String {
    if shape.contains(" | ") || shape.contains(" & ") {
        format!("({shape})")
    } else {
        shape.to_owned()
    }
}

/// Reverses the escapes of a key in a JSON pointer in a URI.
pub(crate) fn decoded(key: &str) -> String {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = behind
            .get(..2)
            .and_then(|hex| std::str::from_utf8(hex).ok());
        let code = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code.filter(|_| *first == b'%') {
            Some(code) => {
                bytes.push(code);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    text.replace("~1", "/").replace("~0", "~")
}

/// The keys that restrict the members of an object.
const MEMBERS: &[&str] = &["properties", "additionalProperties", "patternProperties"];

const UNKNOWN: &str = "unknown";
const BINARY: &str = "ArrayBuffer | Uint8Array";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shapes() -> Shapes {
        let names = [("Chat", "Chat"), ("a/b ~c", "a_b_c")];
        let names = names.map(|(key, name)| (key.to_owned(), name.to_owned()));
        Shapes {
            names: names.into(),
        }
    }

    #[test]
    fn plain_schemas_become_types() {
        check(&[
            (json!(true), "unknown"),
            (json!({}), "unknown"),
            (json!(false), "never"),
            (json!({"type": "string"}), "string"),
            (json!({"type": "string", "format": "date-time"}), "string"),
            (
                json!({"type": "string", "format": "binary"}),
                "ArrayBuffer | Uint8Array",
            ),
            (
                json!({"type": "integer", "format": "uint32", "minimum": 0}),
                "number",
            ),
            (json!({"type": "number"}), "number"),
            (json!({"type": "boolean"}), "boolean"),
            (json!({"type": "null"}), "null"),
            (json!({"type": "odd"}), "unknown"),
            (json!({"type": ["string", "null"]}), "string | null"),
            (json!({"type": ["integer", "number"]}), "number"),
            (json!({"const": "a\"b"}), r#""a\"b""#),
            (json!({"const": [1]}), "unknown"),
            (
                json!({"type": "string", "enum": ["a", "b"]}),
                r#""a" | "b""#,
            ),
            (json!({"enum": [1, null, true]}), "1 | null | true"),
            (json!({"enum": []}), "never"),
        ]);
    }

    #[test]
    fn arrays_and_tuples_become_types() {
        check(&[
            (json!({"type": "array"}), "unknown[]"),
            (
                json!({"type": "array", "items": {"type": "string"}}),
                "string[]",
            ),
            (
                json!({"type": "array", "items": {"type": ["string", "null"]}}),
                "(string | null)[]",
            ),
            (
                json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "null"}]}),
                "[string, null]",
            ),
        ]);
    }

    #[test]
    fn references_and_choices_become_types() {
        check(&[
            (json!({"$ref": "#/$defs/Chat"}), "Chat"),
            (json!({"$ref": "#/$defs/a~1b%20~0c"}), "a_b_c"),
            (json!({"$ref": "#/$defs/Nobody"}), "unknown"),
            (json!({"$ref": "https://example.com/"}), "unknown"),
            (
                json!({"anyOf": [{"$ref": "#/$defs/Chat"}, {"type": "null"}]}),
                "Chat | null",
            ),
            (json!({"anyOf": [{"type": "string"}, {}]}), "unknown"),
            (
                json!({"oneOf": [{"const": "a"}, {"type": "integer"}]}),
                r#""a" | number"#,
            ),
            (
                json!({"allOf": [{"$ref": "#/$defs/Chat"}, {"oneOf": [{"const": 1}, {"const": 2}]}]}),
                "Chat & (1 | 2)",
            ),
            (json!({"type": "object", "oneOf": [{"const": 1}]}), "1"),
        ]);
    }

    #[test]
    fn maps_become_types() {
        check(&[
            (json!({"type": "object"}), "{ [key: string]: unknown }"),
            (
                json!({"type": "object", "additionalProperties": false}),
                "{ [key: string]: never }",
            ),
            (
                json!({"type": "object", "additionalProperties": {"type": "integer"}}),
                "{\n  [key: string]: number;\n}",
            ),
            (
                json!({
                    "type": "object",
                    "patternProperties": {"^\\d+$": {"type": "boolean"}},
                    "additionalProperties": false,
                }),
                "{\n  [key: string]: boolean;\n}",
            ),
        ]);
    }

    #[track_caller]
    fn check(cases: &[(Value, &str)]) {
        for (schema, expected) in cases {
            assert_eq!(shapes().of(schema, 0), *expected, "{schema}");
        }
    }

    #[test]
    fn members_are_optional_unless_required() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": {"type": "string", "description": "Ends */ here."},
                "b-c": {"type": "object", "properties": {"\"": {"type": "null"}}},
            },
            "required": ["a"],
            "additionalProperties": {"type": "integer"},
        });
        let expected = r#"{
  /** Ends *\/ here. */
  a: string;
  "b-c"?: {
    "\""?: null;
  };
  [key: string]: unknown;
}"#;
        assert_eq!(shapes().of(&schema, 0), expected);
    }

    #[test]
    fn an_object_beside_its_variants_is_both() {
        let schema = json!({
            "type": "object",
            "properties": {"id": {"type": "integer"}},
            "required": ["id"],
            "oneOf": [{"$ref": "#/$defs/Chat"}, {"type": "null"}],
        });
        assert_eq!(
            shapes().of(&schema, 0),
            "(Chat | null) & {\n  id: number;\n}"
        );
    }

    #[test]
    fn only_tuples_are_several_arguments() {
        let pair = json!([{"type": "string"}, {"type": "integer"}]);
        let pair = json!({"type": "array", "prefixItems": pair});
        let array =
            json!({"type": "array", "items": {"type": "null"}, "minItems": 2, "maxItems": 2});
        let (one, several) = (Shape::of::<String>(), Shape::of::<(String, u8)>());
        let cases: [(Value, Shape, &[&str]); 6] = [
            (json!({"type": "null"}), Shape::of::<()>(), &[]),
            (json!({"type": "null"}), one, &["null"]),
            (json!({"type": "string"}), one, &["string"]),
            (pair.clone(), several, &["string", "number"]),
            (pair, one, &["[string, number]"]),
            (array, Shape::of::<[(); 2]>(), &["null[]"]),
        ];
        for (schema, shape, expected) in cases {
            assert_eq!(shapes().arguments(&schema, shape, 0), expected, "{schema}");
        }
    }

    #[test]
    fn descriptions_become_comments() {
        for (text, depth, expected) in [
            ("", 0, ""),
            (" \n", 1, ""),
            (" One line.\n", 1, "  /** One line. */\n"),
            ("One.\n\n Two.", 0, "/**\n * One.\n *\n * Two.\n */\n"),
        ] {
            assert_eq!(comment(text, depth), expected);
        }
    }
}
