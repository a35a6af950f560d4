//! docs/tutorial.md: each of its Rust blocks stands in the example, which is compiled and tested.

use std::fs;
use std::path::Path;

#[test]
fn every_block_stands_in_the_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/tutorial.md")).unwrap();
    let mut program = String::new();
    for file in fs::read_dir(root.join("examples/tutorial")).unwrap() {
        program += &fs::read_to_string(file.unwrap().path()).unwrap();
    }
    let program = words(&program);
    let blocks = document.split("```rust\n").skip(1);
    let blocks: Vec<_> = blocks
        .map(|block| block.split("```").next().unwrap())
        .collect();
    assert!(blocks.len() > 10, "{}", blocks.len());
    for block in blocks {
        assert!(program.contains(&words(block)), "not there:\n{block}");
    }
}

/// A step's title is a heading, so that a reader finds each of them.
#[test]
fn every_subject_has_its_step() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/tutorial.md")).unwrap();
    let steps = document.lines().filter(|line| line.starts_with("## "));
    let steps: Vec<_> = steps.collect();
    for subject in [
        "project",
        "server",
        "Login",
        "blocking",
        "Rooms",
        "Presence",
        "expires",
        "rate limit",
        "Tests",
        "log",
        "reloads",
    ] {
        let is_there = steps.iter().any(|step| step.contains(subject));
        assert!(is_there, "{subject} is in none of {steps:?}");
    }
}

/// Joins the words by one space each: a block may be indented otherwise.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
