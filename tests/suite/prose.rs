//! The language of the documents and of the tests' names: the subject of a sentence is a noun, not a
//! relative clause.
//!
//! [`ROOTS`] lists the files and folders that are checked. Markdown is checked whole, without its code.
//! Of a Rust file the lines that are comments are checked. [`TESTS`] lists the folders whose tests are
//! checked by their names.

use std::fs;
use std::path::{Path, PathBuf};

/// Files and folders that are checked, relative to the crate.
const ROOTS: [&str; 9] = [
    "ARCHITECTURE.md",
    "docs",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benches",
    "examples",
    "src",
    "tests",
];

/// Folders with Rust tests, relative to the crate.
const TESTS: [&str; 2] = ["src", "tests/suite"];

/// Attributes that make a function a test: the last segment of their path.
const TEST_ATTRIBUTES: [&str; 2] = ["test", "on_both_servers"];

/// Beginnings of test names that state no claim: the name has no noun of the protocol or of the code.
const NO_CLAIM: [&str; 5] = ["what_", "who_", "whose_", "where_", "how_"];

/// Words that begin a relative clause. Such a sentence has no noun of the protocol or of the code.
const RELATIVE: [&str; 9] = [
    "what",
    "who",
    "whose",
    "where",
    "which",
    "whatever",
    "whoever",
    "whichever",
    "wherever",
];

#[test]
fn no_sentence_begins_with_a_relative_clause() {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = ROOTS
        .iter()
        .flat_map(|root| files(&crate_root.join(root)))
        .collect();
    assert!(files.len() > 8, "only {files:?}");
    let faults: Vec<_> = files
        .iter()
        .flat_map(|file| {
            let text = fs::read_to_string(file).unwrap();
            let name = file.strip_prefix(crate_root).unwrap().display();
            let is_rust = file.extension().is_some_and(|extension| extension == "rs");
            faults(&text, is_rust)
                .into_iter()
                .map(|(line, sentence)| format!("{name}:{line}: {sentence}"))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(faults.is_empty(), "no noun:\n{}", faults.join("\n"));
}

#[test]
fn no_test_name_begins_with_a_relative_clause() {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = TESTS
        .iter()
        .flat_map(|root| files(&crate_root.join(root)))
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    let (mut tests, mut faults) = (0, Vec::new());
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        let path = file.strip_prefix(crate_root).unwrap().display();
        for (line, name) in test_names(&source) {
            tests += 1;
            if NO_CLAIM.iter().any(|word| name.starts_with(word)) {
                faults.push(format!("{path}:{line}: {name}"));
            }
        }
    }
    assert!(tests > 1000, "only {tests} tests");
    assert!(faults.is_empty(), "no claim:\n{}", faults.join("\n"));
}

#[test]
fn test_names_are_found_below_their_attributes() {
    let source = "#[cfg(test)]\n\
                  fn helper() {}\n\
                  #[test]\n\
                  fn plain() {}\n\
                  \x20   #[tokio::test(start_paused = true)]\n\
                  \x20   #[ignore]\n\
                  \x20   async fn paused() {}\n\
                  #[test]\n\
                  const LIMIT: usize = 1;\n\
                  fn helper_too() {}\n\
                  #[on_both_servers]\n\
                  // A comment.\n\
                  pub(crate) async fn both(value: u8) {}\n";
    assert_eq!(
        test_names(source),
        [(4, "plain"), (7, "paused"), (13, "both")]
    );
}

#[test]
fn relative_clauses_are_found_in_markdown() {
    for (text, lines) in [
        ("What is sent first arrives first.", vec![1]),
        ("The session ends. Who waits\nfor it is told.", vec![1]),
        ("The session ends.\nWhere it\nends, others go on.", vec![2]),
        ("**Order.** What comes first is first.", vec![1]),
        (
            "* what is left\n* one room\n  of many. Whose name is known.\n1. Who waits",
            vec![1, 3, 4],
        ),
        ("* **added:** what a client sends", vec![1]),
        ("> Whatever a client sends", vec![1]),
        ("`a. b`. Whoever asks", vec![1]),
        (
            "| who | limit |\n| --- | --- |\n| a room | what it keeps |",
            vec![1, 3],
        ),
        // A question, a heading, code, and other words.
        ("What is sent first? The event.", vec![]),
        ("What is sent\nfirst? The event.", vec![]),
        ("# What is sent", vec![]),
        ("```text\nWhat is sent\n```\nAn event.", vec![]),
        (
            "It says what is sent. `What` is code; whole numbers.",
            vec![],
        ),
        ("Wholly. Whatsoever. Whereas.", vec![]),
        ("An event, e.g. what a client sends.", vec![]),
    ] {
        assert_eq!(lines_of(faults(text, false)), lines, "{text}");
    }
}

#[test]
fn relative_clauses_are_found_in_rust() {
    let source = [
        "//! What it is for.",
        "use what::Who;",
        "/// The session.",
        "// What a comment says.",
        "/// Whose limit is reached",
        "let text = \"What\"; // Who",
        "    /// Ends. Where",
        "    /// it waits.",
        "/// ```",
        "/// What",
        "/// ```",
    ];
    let source = source.join("\n");
    assert_eq!(lines_of(faults(&source, true)), [1, 4, 5, 7]);
}

fn lines_of(faults: Vec<(usize, String)>) -> Vec<usize> {
    faults.into_iter().map(|(line, _)| line).collect()
}

/// Returns the names of the tests of a Rust file, each with its line.
fn test_names(source: &str) -> Vec<(usize, &str)> {
    let mut names = Vec::new();
    let mut is_test = false;
    for (index, line) in source.lines().enumerate() {
        let line = line.trim();
        if let Some(attribute) = line.strip_prefix("#[") {
            let path = attribute.split(['(', ']']).next().unwrap_or_default();
            let last = path.rsplit("::").next().unwrap_or_default();
            is_test |= TEST_ATTRIBUTES.contains(&last);
        } else if !line.starts_with("//") {
            let declaration = line.split_once("fn ").filter(|_| is_test);
            let name = declaration.and_then(|(_, rest)| rest.split(['(', '<']).next());
            names.extend(name.map(|name| (index + 1, name)));
            is_test = false;
        }
    }
    names
}

/// Folders of build output and of dependencies, which are not checked.
const IGNORED: [&str; 3] = ["target", "node_modules", ".venv"];

/// Returns the Markdown and Rust files at `path`.
fn files(path: &Path) -> Vec<PathBuf> {
    if IGNORED.iter().any(|ignored| path.ends_with(ignored)) {
        return Vec::new();
    }
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        return entries.iter().flat_map(|entry| files(entry)).collect();
    }
    let is_read = path
        .extension()
        .is_some_and(|extension| extension == "md" || extension == "rs");
    // A root that is missing is an error when it is read.
    if is_read {
        vec![path.to_owned()]
    } else {
        Vec::new()
    }
}

/// Returns the sentences of a text that begin with a relative clause, with their lines.
fn faults(text: &str, is_rust: bool) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    for block in blocks(text, is_rust) {
        for (index, (line, sentence)) in sentences(&block).into_iter().enumerate() {
            let mut words = sentence.split(|c: char| !c.is_alphanumeric() && c != '`');
            let first = words.find(|word| !word.is_empty()).unwrap_or_default();
            // A bullet or a cell may begin in lower case, a later sentence does not.
            let may_begin = index == 0 || first.starts_with(char::is_uppercase);
            let is_relative = RELATIVE.contains(&first.to_lowercase().as_str());
            if may_begin && is_relative && !sentence.ends_with('?') {
                faults.push((line, sentence));
            }
        }
    }
    faults
}

/// A paragraph, a bullet or a cell: its lines, each with its number.
type Block = Vec<(usize, String)>;

/// Splits a text into blocks, without headings and code.
fn blocks(text: &str, is_rust: bool) -> Vec<Block> {
    let mut blocks = vec![Block::new()];
    let mut is_code = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let line = if is_rust {
            let markers = ["//!", "///", "//"];
            let line = markers.iter().find_map(|marker| line.strip_prefix(marker));
            line.unwrap_or_default().trim()
        } else {
            line
        };
        if line.starts_with("```") {
            is_code = !is_code;
        } else if let Some(row) = line.strip_prefix('|').filter(|_| !is_code) {
            // A pipe in code is written as `\|`.
            let cells = row.replace(r"\|", "");
            blocks.extend(
                cells
                    .split('|')
                    .map(|cell| vec![(index + 1, cell.to_owned())]),
            );
        } else if !is_code && !line.is_empty() && !line.starts_with('#') {
            let text = without_marker(line);
            if text.len() < line.len() {
                blocks.push(Block::new());
            }
            if let Some(block) = blocks.last_mut() {
                block.push((index + 1, text.to_owned()));
            }
            continue;
        }
        blocks.push(Block::new());
    }
    blocks
}

/// Returns a line without the marker of a bullet, of a numbered item or of a quotation, and without the
/// label of a line in the changelog.
fn without_marker(line: &str) -> &str {
    let text = ["* ", "- ", "> "]
        .iter()
        .find_map(|marker| line.strip_prefix(marker));
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let text = text.or(number.strip_prefix(". ").filter(|_| number != line));
    let text = text.unwrap_or(line);
    let labelled = text
        .strip_prefix("**")
        .and_then(|text| text.split_once(":** "));
    labelled.map_or(text, |(_, text)| text)
}

/// Splits a block into sentences, each with the line in which it begins. Full stops in code do not
/// count.
fn sentences(block: &Block) -> Vec<(usize, String)> {
    let mut sentences = Vec::new();
    let mut sentence = String::new();
    let mut began = 0;
    let mut is_code = false;
    for (line, text) in block {
        for word in text.split_whitespace() {
            if sentence.is_empty() {
                began = *line;
            } else {
                sentence.push(' ');
            }
            sentence.push_str(word);
            is_code ^= word.matches('`').count() % 2 == 1;
            let word = word.trim_end_matches(['*', '_', ')', '"']);
            if !is_code && word.ends_with(['.', '!', '?']) {
                sentences.push((began, std::mem::take(&mut sentence)));
            }
        }
    }
    if !sentence.is_empty() {
        sentences.push((began, sentence));
    }
    sentences
}
