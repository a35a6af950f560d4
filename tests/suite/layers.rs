//! The layer rule of ARCHITECTURE.md, as a test.

use std::fs;
use std::path::{Path, PathBuf};

/// A module of the crate, then the modules it may import besides itself.
const LAYERS: &str = "
    testing    server adapter actor socket link message error socketio id
    contract   server handler socket error socketio
    server     transport adapter actor handler socket link message error socketio cluster config handshake id logging panics pattern reason
    transport  actor handler link websocket engineio config handshake id logging panics reason
    adapter    actor handler socket link message error socketio cluster id logging panics reason
    actor      handler socket link message error cluster engineio socketio websocket config handshake id logging panics pattern reason
    handler    socket link message error socketio handshake logging panics reason
    socket     link message error socketio cluster config handshake id logging panics pattern reason
    link       error engineio websocket config handshake id logging reason
    message    error cluster socketio id logging
    error      cluster socketio
    cluster    socketio id
    engineio
    socketio
    websocket
    config     handshake logging socketio
    handshake
    id
    logging
    panics
    pattern
    reason
";

/// A crate (or family of crates), then the only modules, or folders in them, that may name it.
const KEPT_TO: &str = "
    actix_web  testing server transport
    actix_web_actors
    actix_http  testing server transport
    actix_server  server
    actix_session  server
    actix_tls  server
    anyhow     server
    actix_codec  transport
    actix_files  transport
    actix_cors  transport
    redis      adapter/redis
    rmp        adapter/format
    actix      testing server transport adapter actor handler socket link message
    tokio      testing server transport adapter actor handler socket logging
    futures    testing server transport actor handler socket
    schemars   contract
    socket2    server transport
    parking_lot  transport adapter actor handler socket link
    log        server transport adapter actor handler socket link logging
";

/// Folders of this crate that have the name of another crate, as they are named.
const FOLDERS: &[&str] = &["adapter::redis", "self::redis", "mod redis"];

/// Modules that own no clock: they are told the time.
const TIMELESS: &[&str] = &[
    "cluster",
    "contract",
    "websocket",
    "engineio",
    "socketio",
    "config",
    "handshake",
    "id",
    "panics",
    "pattern",
    "reason",
];

/// Lines that a file of `src` may have before its unit tests.
const MAX_LINES: usize = 500;

#[test]
fn every_module_has_a_row() {
    for entry in fs::read_dir(src()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let listed = rows(LAYERS).any(|(module, _)| module == name);
        assert!(listed || name == "lib", "{name} has no row in LAYERS");
    }
}

#[test]
fn every_module_imports_only_what_its_row_allows() {
    let mut broken = Vec::new();
    for (module, allowed) in rows(LAYERS) {
        for file in files_of(module) {
            let inside = folder_of(&file);
            for (index, line) in code_lines(&file).iter().enumerate() {
                let faults = faults(module, &inside, &allowed, line);
                let place = format!("{}:{}", file.display(), index + 1);
                broken.extend(
                    faults
                        .iter()
                        .map(|fault| format!("{place}: {module} {fault}")),
                );
            }
        }
    }
    assert!(
        broken.is_empty(),
        "layer rule broken:\n{}",
        broken.join("\n")
    );
}

#[test]
fn no_file_outgrows_its_idea() {
    for (module, _) in rows(LAYERS) {
        for file in files_of(module) {
            let lines = code_lines(&file).len();
            assert!(lines <= MAX_LINES, "{} has {lines} lines", file.display());
        }
    }
}

/// What one line of `module`, in a file of the folder `inside`, does that its row forbids.
fn faults(module: &str, inside: &str, allowed: &[&str], line: &str) -> Vec<String> {
    let mut faults = Vec::new();
    // An exported macro names what is published, which no module is.
    let published = names_after(line, "$crate::");
    for used in names_after(line, "crate::") {
        if published.contains(&used) && !rows(LAYERS).any(|(module, _)| module == used) {
            continue;
        }
        if used.is_empty() {
            faults.push("groups crate imports; write one `use crate::module::` each".to_owned());
        } else if used != module && !allowed.contains(&used.as_str()) {
            faults.push(format!("imports {used}"));
        }
    }
    if line.contains("super::super") {
        faults.push("climbs out of its module".to_owned());
    }
    // The name of a feature is no crate's.
    let line = line.split("feature = ").next().unwrap_or_default();
    // Nor is that of a folder of this crate.
    let line = FOLDERS
        .iter()
        .fold(line.to_owned(), |line, folder| line.replace(folder, ""));
    for (family, keepers) in rows(KEPT_TO) {
        let keeps = |keeper: &&str| *keeper == module || inside == *keeper;
        if !keepers.iter().any(keeps) && words(&line).any(|word| is_of(word, family)) {
            faults.push(format!("names {family}"));
        }
    }
    if TIMELESS.contains(&module) && line.contains("::now(") {
        faults.push("reads a clock".to_owned());
    }
    faults
}

fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    table.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?, words.collect()))
    })
}

/// The folder that a file is in, from `src` on and with two names at most.
fn folder_of(file: &Path) -> String {
    let inside = file.strip_prefix(src()).unwrap().parent().unwrap();
    let names = inside.iter().take(2).map(|name| name.to_str().unwrap());
    names.collect::<Vec<_>>().join("/")
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files_of(module: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![src().join(module), src().join(format!("{module}.rs"))];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(path).unwrap();
            open.extend(entries.map(|entry| entry.unwrap().path()));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// The lines of a file up to its unit tests, without their comments.
fn code_lines(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let bare = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    code.lines().map(bare).collect()
}

/// The name that follows each `prefix` in `line`; empty where a group follows.
fn names_after(line: &str, prefix: &str) -> Vec<String> {
    let is_name = |c: &char| c.is_alphanumeric() || *c == '_';
    line.match_indices(prefix)
        .map(|(at, _)| {
            line[at + prefix.len()..]
                .chars()
                .take_while(is_name)
                .collect()
        })
        .collect()
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// Whether `word` is the crate `family` or one of its kin, as `tokio_util` is of `tokio`. This
/// crate is nobody's kin.
fn is_of(word: &str, family: &str) -> bool {
    if word == "actix_socketio" {
        return false;
    }
    let rest = word.strip_prefix(family);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}
