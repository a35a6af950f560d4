//! docs/migrating.md: no cell is empty, and each row names a test that exists.

use std::fs;
use std::path::Path;

#[test]
fn every_row_has_its_place_and_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/migrating.md")).unwrap();
    let mut rows = 0;
    for line in document.lines().filter(|line| line.starts_with('|')) {
        // A pipe in code is written as `\|`.
        let line = line.replace(r"\|", "");
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let &[theirs, ours, held_by] = cells.as_slice() else {
            panic!("not three cells: {line}")
        };
        assert!(
            !theirs.is_empty() && !ours.is_empty(),
            "an empty cell: {line}"
        );
        let Some((file, test)) = held_by.trim_matches('`').split_once("::") else {
            // The heads of the tables.
            assert!(matches!(held_by, "test" | "---"), "no test: {line}");
            continue;
        };
        let source = fs::read_to_string(root.join(format!("tests/suite/{file}.rs")));
        let source = source.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(
            source.contains(&format!("fn {test}()")),
            "no such test: {held_by}"
        );
        rows += 1;
    }
    assert!(rows > 100, "{rows} rows");
}
