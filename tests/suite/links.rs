//! The links of the documents: each relative one leads to a file or folder of the repository, and each
//! fragment to a heading. rustdoc checks the links of the code.

use std::fs;
use std::path::Path;

const DOCUMENTS: [&str; 15] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "benches/README.md",
    "docs/actors.md",
    "docs/clients.md",
    "docs/migrating.md",
    "docs/operations.md",
    "docs/performance.md",
    "docs/rooms.md",
    "docs/scaling.md",
    "docs/semantics.md",
    "docs/tutorial.md",
    "tests/clients/README.md",
];

#[test]
fn every_document_is_checked() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["", "docs"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            let is_document = name.ends_with(".md");
            assert!(!is_document || DOCUMENTS.contains(&name), "{name}");
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut checked = 0;
    let mut broken = Vec::new();
    for document in DOCUMENTS {
        let path = root.join(document);
        for target in links(&fs::read_to_string(&path).unwrap()) {
            checked += 1;
            let (file, fragment) = target.split_once('#').unwrap_or((&target, ""));
            let file = match file {
                "" => path.clone(),
                file => path.with_file_name(file),
            };
            let is_there = match fragment {
                "" => file.exists(),
                fragment => fs::read_to_string(&file)
                    .is_ok_and(|text| headings(&text).any(|heading| heading == fragment)),
            };
            if !is_there {
                broken.push(format!("{document}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
    assert!(checked > 40, "{checked} links");
}

#[test]
fn links_and_headings_are_found() {
    let text = "[a](b.md) `[c](d.md)` [e\nf](g.md#h)\n```\n[i](j.md)\n```\n[k](https://l.example)";
    assert_eq!(links(text), ["b.md", "g.md#h"]);
    let text = "# The `log`, and you\n```sh\n# no heading\n```\n### Two  words";
    let found: Vec<_> = headings(text).collect();
    assert_eq!(found, ["the-log-and-you", "two--words"]);
}

/// Returns the targets of the links that stay in the repository.
fn links(text: &str) -> Vec<String> {
    let prose: Vec<_> = prose(text).collect();
    let prose = prose.join("\n");
    // Every second part is code.
    let prose: String = prose.split('`').step_by(2).collect();
    let targets = prose.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .filter(|target| !target.contains("://"))
        .collect()
}

/// Returns the fragments that the headings of a text have on GitHub.
fn headings(text: &str) -> impl Iterator<Item = String> {
    prose(text).filter_map(|line| {
        let title = line.trim_start_matches('#').strip_prefix(' ')?;
        let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let kept = title.trim().chars().filter(is_kept);
        let fragment = kept.collect::<String>().to_lowercase().replace(' ', "-");
        line.starts_with('#').then_some(fragment)
    })
}

/// Returns the lines outside of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n```").step_by(2).flat_map(str::lines)
}
