//! The header `traceparent`, by which a client names the span that has caused a request.
//!
//! W3C Trace Context, section 3.2. Text enters, the ids leave.

use std::fmt;

/// The span of a client that is the parent of a span of this server.
///
/// # Examples
///
/// ```
/// use actix_socketio::TraceParent;
///
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let parent = TraceParent::parse(text).unwrap();
/// assert_eq!(parent.span_id(), 0xb7ad_6b71_6920_3331);
/// assert!(parent.is_sampled());
/// assert_eq!(parent.to_string(), text);
/// assert!(TraceParent::parse("00-0-0-00").is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

impl TraceParent {
    /// Reads the value of a header. `None` if it is not valid, and then it has no effect, as the
    /// standard requires.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (version, rest) = field(text, 2)?;
        let (trace_id, rest) = field(rest.strip_prefix('-')?, 32)?;
        let (span_id, rest) = field(rest.strip_prefix('-')?, 16)?;
        let (flags, rest) = field(rest.strip_prefix('-')?, 2)?;
        let version = u8::from_str_radix(version, 16).ok()?;
        // A later version may append fields, behind another hyphen.
        let is_whole = rest.is_empty() || version > 0 && rest.starts_with('-');
        let parent = Self {
            trace_id: u128::from_str_radix(trace_id, 16).ok()?,
            span_id: u64::from_str_radix(span_id, 16).ok()?,
            flags: u8::from_str_radix(flags, 16).ok()?,
        };
        let is_valid = version != u8::MAX && parent.trace_id != 0 && parent.span_id != 0;
        (is_whole && is_valid).then_some(parent)
    }

    /// Returns the id of the trace.
    #[must_use]
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// Returns the id of the client's span.
    #[must_use]
    pub fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Returns `true` if the client has recorded its span.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

/// Writes the value of the header.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trace_id,
            span_id,
            flags,
        } = self;
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{flags:02x}")
    }
}

/// Splits a field of lower-case hexadecimal digits off.
fn field(text: &str, length: usize) -> Option<(&str, &str)> {
    let (field, rest) = text.split_at_checked(length)?;
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    field.bytes().all(is_hex).then_some((field, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_headers_are_read() {
        const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
        let table = [
            (format!("00-{TRACE}-b7ad6b7169203331-00"), true),
            (format!("00-{TRACE}-b7ad6b7169203331-01-more"), false),
            (format!("cc-{TRACE}-b7ad6b7169203331-01-more"), true),
            (format!("cc-{TRACE}-b7ad6b7169203331-01.more"), false),
            (format!("ff-{TRACE}-b7ad6b7169203331-01"), false),
            (format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)), false),
            (format!("00-{TRACE}-0000000000000000-01"), false),
            (
                format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()),
                false,
            ),
            (format!("00-{TRACE}-b7ad6b716920333-01"), false),
            (format!("00-{TRACE}-+7ad6b7169203331-01"), false),
            (format!("00-{TRACE}_b7ad6b7169203331-01"), false),
            ("00-äää".to_owned(), false),
            (String::new(), false),
        ];
        for (text, is_valid) in table {
            assert_eq!(TraceParent::parse(&text).is_some(), is_valid, "{text}");
        }
    }
}
