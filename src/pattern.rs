//! Patterns of the names of namespaces and rooms: `/shop-{id}` matches `/shop-7` with `id` = `7`.
//!
//! A text is parsed once, when the program registers it, and is matched with the names that clients
//! request. It is plain data and depends on no namespace.

use std::fmt;

/// Literal text and parameters, alternating.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// The text before the first parameter.
    head: String,
    /// Each parameter's name, and the text after it.
    parameters: Vec<(String, String)>,
}

/// The names and values of parameters, in order.
pub(crate) type Parameters = Vec<(String, String)>;

impl Pattern {
    /// Parses a pattern of namespaces, whose names begin with a slash.
    pub(crate) fn parse(text: &str) -> Result<Self, PatternError> {
        let parsed = Self::parse_names(text, "namespace")?;
        Ok(Self {
            head: format!("/{}", parsed.head.trim_start_matches('/')),
            ..parsed
        })
    }

    /// Parses a pattern of rooms.
    pub(crate) fn parse_room(text: &str) -> Result<Self, PatternError> {
        Self::parse_names(text, "room")
    }

    fn parse_names(text: &str, named: &'static str) -> Result<Self, PatternError> {
        let refused = |fault| PatternError {
            pattern: text.to_owned(),
            named,
            fault,
        };
        let mut parts = text.split('{');
        let head = parts.next().unwrap_or_default();
        let mut parameters: Vec<(String, String)> = Vec::new();
        for part in parts {
            let (name, behind) = part.split_once('}').ok_or_else(|| refused(Fault::Open))?;
            if name.is_empty() {
                return Err(refused(Fault::Nameless));
            }
            if parameters.iter().any(|(known, _)| known == name) {
                return Err(refused(Fault::Twice(name.to_owned())));
            }
            if parameters
                .last()
                .is_some_and(|(_, behind)| behind.is_empty())
            {
                return Err(refused(Fault::Adjacent(name.to_owned())));
            }
            parameters.push((name.to_owned(), behind.to_owned()));
        }
        let literals = parameters.iter().map(|(_, behind)| behind.as_str());
        if literals.chain([head]).any(|literal| literal.contains('}')) {
            return Err(refused(Fault::Unopened));
        }
        Ok(Self {
            head: head.to_owned(),
            parameters,
        })
    }

    /// Returns the parameters if the name matches. A parameter takes at least one character, never
    /// a slash, and as few as possible; the last one takes the rest.
    pub(crate) fn fit(&self, name: &str) -> Option<Parameters> {
        let mut rest = name.strip_prefix(self.head.as_str())?;
        let mut found = Parameters::with_capacity(self.parameters.len());
        let last = self.parameters.len().checked_sub(1);
        for (at, (parameter, behind)) in self.parameters.iter().enumerate() {
            let value = if Some(at) == last {
                rest.strip_suffix(behind.as_str())?
            } else {
                // The search starts after the first character, which always belongs to the
                // parameter.
                let first = rest.chars().next()?.len_utf8();
                let end = first + rest.get(first..)?.find(behind.as_str())?;
                rest.get(..end)?
            };
            if value.is_empty() || value.contains('/') {
                return None;
            }
            rest = rest.get(value.len() + behind.len()..)?;
            found.push((parameter.clone(), value.to_owned()));
        }
        rest.is_empty().then_some(found)
    }
}

/// The reason why a text is not a pattern of namespaces or rooms.
///
/// # Examples
///
/// ```
/// # #[actix_web::main] async fn main() -> Result<(), actix_socketio::StartError> {
/// let io = actix_socketio::SocketIo::builder().start()?;
/// let error = io.of_pattern("/shop-{id").unwrap_err();
/// assert_eq!(error.to_string(), r#"namespace pattern "/shop-{id": a brace is not closed"#);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    pattern: String,
    /// The things that it names.
    named: &'static str,
    fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Open,
    Unopened,
    Nameless,
    Twice(String),
    Adjacent(String),
}

/// The text from which it was parsed.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head)?;
        self.parameters
            .iter()
            .try_for_each(|(name, text)| write!(f, "{{{name}}}{text}"))
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pattern {:?}: ", self.named, self.pattern)?;
        match &self.fault {
            Fault::Open => f.write_str("a brace is not closed"),
            Fault::Unopened => f.write_str("a closing brace has no opening one"),
            Fault::Nameless => f.write_str("a parameter has no name"),
            Fault::Twice(name) => write!(f, "duplicate parameter {name:?}"),
            Fault::Adjacent(name) => {
                write!(f, "no text between parameter {name:?} and the previous one")
            }
        }
    }
}

impl std::error::Error for PatternError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_or_do_not() {
        type Found<'a> = Option<&'a [(&'a str, &'a str)]>;
        let cases: &[(&str, &str, Found<'_>)] = &[
            ("/chat", "/chat", Some(&[])),
            ("chat", "/chat", Some(&[])),
            ("/chat", "/chats", None),
            ("/shop-{id}", "/shop-7", Some(&[("id", "7")])),
            ("/shop-{id}", "/shop-", None),
            ("/shop-{id}", "/shop-7/x", None),
            ("/{a}/{b}", "/x/y", Some(&[("a", "x"), ("b", "y")])),
            ("/{a}/{b}", "//y", None),
            (
                "/{a}-{b}.eu",
                "/x-y-z.eu",
                Some(&[("a", "x"), ("b", "y-z")]),
            ),
            ("/{a}-{b}", "/--x", Some(&[("a", "-"), ("b", "x")])),
            ("/{a}ö{b}", "/ööö", Some(&[("a", "ö"), ("b", "ö")])),
            ("/{a}.eu", "/x.eu.eu", Some(&[("a", "x.eu")])),
        ];
        for (pattern, name, expected) in cases {
            let found = Pattern::parse(pattern).unwrap().fit(name);
            let found = found.as_ref().map(|found| {
                let pairs = found
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()));
                pairs.collect::<Vec<_>>()
            });
            assert_eq!(found.as_deref(), *expected, "{name} by {pattern}");
        }
    }

    #[test]
    fn invalid_pattern_is_an_error_with_its_cause() {
        for (text, told) in [
            ("/{a", r#"namespace pattern "/{a": a brace is not closed"#),
            (
                "/a}",
                r#"namespace pattern "/a}": a closing brace has no opening one"#,
            ),
            ("/{}", r#"namespace pattern "/{}": a parameter has no name"#),
            (
                "/{a}-{a}",
                r#"namespace pattern "/{a}-{a}": duplicate parameter "a""#,
            ),
            (
                "/{a}{b}",
                r#"namespace pattern "/{a}{b}": no text between parameter "b" and the previous one"#,
            ),
        ] {
            assert_eq!(Pattern::parse(text).unwrap_err().to_string(), told);
        }
    }
}
