//! The scanner that splits an event's arguments at the commas between them.
//!
//! Argument text enters, slices of it leave. The scanner reads only the strings and the nesting of
//! JSON. A slice may still be malformed; its parser finds that. The scanner does not recurse and
//! does not allocate.

/// The arguments in a text, in order, each with the white space around it.
#[derive(Clone, Debug)]
pub(super) struct Elements<'de> {
    rest: Option<&'de str>,
}

impl<'de> Elements<'de> {
    /// Starts at the first argument of `args`. Blank text holds none.
    pub(super) fn new(args: &'de str) -> Self {
        Self {
            rest: (!is_blank(args)).then_some(args),
        }
    }

    /// Takes the remaining text, so that a last argument need not be scanned.
    pub(super) fn take_rest(&mut self) -> Option<&'de str> {
        self.rest.take()
    }
}

impl<'de> Iterator for Elements<'de> {
    type Item = &'de str;

    fn next(&mut self) -> Option<&'de str> {
        let (element, rest) = split_first(self.rest?);
        self.rest = rest;
        Some(element)
    }
}

/// Returns `true` if `args` holds no argument.
pub(super) fn is_blank(args: &str) -> bool {
    args.bytes()
        .all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}

/// Splits `args` at its first comma outside strings, arrays and objects.
pub(super) fn split_first(args: &str) -> (&str, Option<&str>) {
    let mut depth = 0_usize;
    let mut bytes = args.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => {
                while let Some((_, byte)) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => {
                            bytes.next();
                        }
                        _ => {}
                    }
                }
            }
            b'[' | b'{' => depth += 1,
            // The parser refuses a stray closing bracket.
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                // The comma is ASCII, so both slices end between characters.
                return (args.get(..at).unwrap_or(args), args.get(at + 1..));
            }
            _ => {}
        }
    }
    (args, None)
}

#[cfg(test)]
mod tests {
    use super::Elements;

    fn split(args: &str) -> Vec<&str> {
        Elements::new(args).collect()
    }

    #[test]
    fn arguments_are_split_at_top_level_commas_only() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            (" \t\r\n", &[]),
            ("1", &["1"]),
            ("1,2", &["1", "2"]),
            (" 1 , 2 ", &[" 1 ", " 2 "]),
            (
                r#"[1,2],{"a":3,"b":[4,5]},6"#,
                &["[1,2]", r#"{"a":3,"b":[4,5]}"#, "6"],
            ),
            (
                r#""a,b","]","\",","\\",1"#,
                &[r#""a,b""#, r#""]""#, r#""\",""#, r#""\\""#, "1"],
            ),
            ("\"é,ü\",\"日\"", &["\"é,ü\"", "\"日\""]),
        ];
        for (args, elements) in table {
            assert_eq!(split(args), *elements, "{args}");
        }
    }

    #[test]
    fn malformed_text_is_cut_without_panic() {
        let table: &[(&str, &[&str])] = &[
            (",", &["", ""]),
            ("1,", &["1", ""]),
            ("]1,2", &["]1", "2"]),
            ("[1,2", &["[1,2"]),
            ("\"a,", &["\"a,"]),
            ("\"\\", &["\"\\"]),
        ];
        for (args, elements) in table {
            assert_eq!(split(args), *elements, "{args}");
        }
    }
}
