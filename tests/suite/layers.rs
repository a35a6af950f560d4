//! The layer rule of ARCHITECTURE.md, as a test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module of the crate, then the modules it may import besides itself.
const LAYERS: &str = "
    testing    server adapter session socket members link message error config engineio socketio id
    admin      server session handler socket message error socketio calendar clock id limits logging reason
    contract   server handler socket error socketio
    server     transport adapter client namespace session rooms supervision random handler socket members link message data error engineio socketio cluster clock config handshake id limits logging notice panics pattern reason telemetry user
    transport  session handler link websocket engineio config handshake id limits logging panics reason telemetry
    adapter    namespace session supervision tasks handler socket members link message data error socketio cluster calendar config handshake id logging notice panics reason telemetry clock
    client     namespace session handler socket members link message error engineio socketio clock config handshake id limits logging reason panics telemetry notice
    namespace  supervision tasks handler socket members link message error cluster socketio clock config handshake id logging panics pattern user
    session    supervision link engineio websocket clock config handshake id limits logging panics reason telemetry
    rooms      supervision tasks handler socket members link message error socketio clock id notice panics pattern reason
    supervision  clock panics random
    tasks      panics
    handler    socket members link message data error socketio handshake limits logging panics pattern reason type_map telemetry
    socket     members link message data error socketio cluster clock config handshake id logging notice telemetry user
    members    link message data error engineio socketio cluster config handshake id limits logging notice panics pattern reason calendar clock user
    link       data error engineio socketio websocket config handshake id limits logging panics reason
    message    error cluster socketio id logging notice user
    data       error panics type_map
    error      cluster socketio
    cluster    socketio id notice
    engineio
    socketio   calendar engineio
    websocket
    calendar
    clock
    config     handshake id limits logging panics socketio telemetry user
    handshake  type_map
    id
    limits     id logging panics
    logging
    notice     reason
    panics
    pattern
    random
    reason
    seeds
    telemetry  logging panics
    type_map
    user
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
    bcrypt     admin
    gethostname  admin
    flate2     transport websocket
    brotli     transport
    zstd       transport
    redis      adapter/redis admin
    rmp        socketio
    actix      testing admin server transport adapter namespace session rooms supervision tasks handler socket members link message data
    tokio      testing admin server transport adapter client namespace session rooms supervision tasks handler socket members clock logging
    futures    testing server transport rooms supervision handler socket members
    schemars   contract
    socket2    server transport
    metrics    telemetry server
    quinn      transport/webtransport
    wtransport  transport/webtransport
    tracing    telemetry server
    parking_lot  admin server transport adapter client namespace session rooms supervision handler socket members link data limits
    log        admin server transport adapter client namespace session rooms handler socket members link data config limits logging telemetry
";

/// Folders and fields of this crate that have the name of another crate, as they are named.
const FOLDERS: &[&str] = &[
    "adapter::redis",
    "self::redis",
    "mod redis",
    "telemetry.metrics",
];

/// The circles of imports between the files of one folder that are allowed, each with its reason. A
/// circle that has been opened is taken off the list.
const CIRCLES: &[(&str, &[&str])] = &[
    (
        "a client and its builder make each other",
        &["testing/builder", "testing/client"],
    ),
    (
        "a hook sees the error, and the error is shown to the hooks",
        &["transport/connection_error", "transport/hooks"],
    ),
    (
        "a session's actor, its state, which names the actor to its host, and the future that drives it",
        &["session/actor", "session/drive", "session/state"],
    ),
    (
        "a namespace has an error hook, which is told of the namespace",
        &["handler/context", "handler/failure"],
    ),
    (
        "a link has the count of the handlers in flight, and a handler in flight holds its link",
        &["link/in_flight", "link/session_link"],
    ),
    (
        "a supervisor reports to the server, which lists the supervisors",
        &["supervision/node", "supervision/root"],
    ),
    (
        "one lock holds the queue, what is behind a pause and who waits for room",
        &[
            "link/outbox/pause",
            "link/outbox/pressure",
            "link/outbox/queue",
        ],
    ),
    (
        "a session may lie in a store, whose tasks load and save the session",
        &["data/session", "data/stored"],
    ),
    (
        "a namespace holds the hosts of its rooms, and each host its namespace",
        &["members/hosting", "members/membership"],
    ),
    (
        "a connect handler may return either error, and each becomes the other",
        &["error/connect", "error/rejection"],
    ),
    (
        "a recursion over nested values",
        &[
            "socketio/args/binary",
            "socketio/args/buffered",
            "socketio/args/placeholder",
        ],
    ),
    (
        "the error and the limits of all conversions are beside the functions that begin them",
        &[
            "socketio/args/de",
            "socketio/args/limits",
            "socketio/args/mod",
            "socketio/args/packed",
            "socketio/args/raw",
            "socketio/args/ser",
        ],
    ),
];

/// Modules that own no clock: they are told the time.
const TIMELESS: &[&str] = &[
    "calendar",
    "cluster",
    "contract",
    "websocket",
    "engineio",
    "socketio",
    "config",
    "handshake",
    "id",
    "notice",
    "panics",
    "pattern",
    "reason",
    "user",
];

/// Lines that a file of `src` may have before its unit tests.
const MAX_LINES: usize = 500;

/// Lines that a function of `src` may have.
const MAX_FUNCTION: usize = 60;

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
fn files_of_a_folder_import_each_other_in_no_circle() {
    let mut faults = Vec::new();
    for (module, _) in rows(LAYERS) {
        let graph = Graph::of(module);
        let circles = graph.circles();
        let is_within = |circle: &BTreeSet<String>, allowed: &[&str]| {
            circle.iter().all(|file| allowed.contains(&file.as_str()))
        };
        for circle in &circles {
            if !CIRCLES.iter().any(|(_, files)| is_within(circle, files)) {
                faults.extend(graph.imports_within(circle));
            }
        }
        for (_, files) in CIRCLES {
            let is_here = |file: &&&str| file.split('/').next() == Some(module);
            for file in files.iter().filter(is_here) {
                let mut allowed = circles.iter().filter(|circle| is_within(circle, files));
                if !allowed.any(|circle| circle.contains(*file)) {
                    faults.push(format!("src/{file}.rs is in no such circle, take it off"));
                }
            }
        }
    }
    assert!(
        faults.is_empty(),
        "CIRCLES has other circles of imports:\n{}",
        faults.join("\n")
    );
}

#[test]
fn imports_are_read_from_paths_and_groups() {
    let read = |text| {
        let paths = paths(text).into_iter().map(|path| path.join("::"));
        paths.collect::<Vec<_>>()
    };
    assert_eq!(read("a::b::C;"), ["a::b::C"]);
    assert_eq!(
        read("a::{B, c::{D as E, F},\n};"),
        ["a::B", "a::c::D", "a::c::F"]
    );
    assert_eq!(read("a::b(c::D)"), ["a::b"]);
}

#[test]
fn no_file_exceeds_the_line_limit() {
    for (module, _) in rows(LAYERS) {
        for file in files_of(module) {
            let lines = code_lines(&file).len();
            assert!(lines <= MAX_LINES, "{} has {lines} lines", file.display());
        }
    }
}

#[test]
fn no_function_exceeds_the_line_limit() {
    let mut faults = Vec::new();
    for (module, _) in rows(LAYERS) {
        for file in files_of(module) {
            let lines = code_lines(&file);
            for (start, line) in lines.iter().enumerate() {
                let length = function_lines(&lines[start..]).unwrap_or(0);
                if length > MAX_FUNCTION {
                    let (file, number) = (file.display(), start + 1);
                    let head = line.trim();
                    faults.push(format!("{file}:{number}: {length} lines: {head}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "too long:\n{}", faults.join("\n"));
}

#[test]
fn the_lines_of_a_function_are_counted_to_its_end() {
    let count = |text: &str| {
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        function_lines(&lines)
    };
    assert_eq!(
        count("    pub(crate) async fn a() {\n        b();\n    }"),
        Some(3)
    );
    assert_eq!(
        count("fn a<T>()\nwhere\n    T: B,\n{\n}\nfn b() {}"),
        Some(5)
    );
    assert_eq!(count("    fn a(&self) {}\n    }"), Some(1));
    assert_eq!(count("    fn a(\n        b: u8,\n    );\n    }"), Some(3));
    assert_eq!(count("    let a = |f: fn()| {\n    };"), None);
}

#[test]
fn every_file_that_the_architecture_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = vec![root.join("ARCHITECTURE.md"), root.join("CONTRIBUTING.md")];
    documents.extend(rows(LAYERS).flat_map(|(module, _)| files_of(module)));
    let known: Vec<_> = ["src", "tests", "examples", "benches"]
        .iter()
        .flat_map(|folder| below(root.join(folder)))
        .collect();
    let mut missing = Vec::new();
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for span in text.split('`').filter(|span| span.ends_with(".rs")) {
            let named = Path::new(span);
            if span.contains(char::is_whitespace) || known.iter().any(|it| it.ends_with(named)) {
                continue;
            }
            missing.push(format!("{}: {span}", document.display()));
        }
    }
    assert!(missing.is_empty(), "no such file:\n{}", missing.join("\n"));
}

/// The files of one module of the crate, each by its path below `src` without the extension, and
/// what they import of each other.
struct Graph(BTreeMap<String, Vec<Import>>);

struct Import {
    line: usize,
    /// The path as it stands in the file.
    path: String,
    /// The file that has it.
    file: String,
}

impl Graph {
    fn of(module: &str) -> Self {
        let files: BTreeMap<String, PathBuf> = files_of(module)
            .into_iter()
            .map(|path| (name_of(&path), path))
            .collect();
        let mut graph = BTreeMap::new();
        for (name, path) in &files {
            let mut imports = Vec::new();
            let text = code_lines(path).join("\n");
            for (at, _) in text.match_indices("crate::") {
                let before = text[..at].chars().next_back();
                if before.is_some_and(|c| c == '$' || c == '_' || c.is_alphanumeric()) {
                    continue;
                }
                let line = text[..at].matches('\n').count() + 1;
                for path in paths(&text[at + "crate::".len()..]) {
                    let Some(file) = resolve(&files, &path) else {
                        continue;
                    };
                    if file != *name {
                        let path = path.join("::");
                        imports.push(Import { line, path, file });
                    }
                }
            }
            graph.insert(name.clone(), imports);
        }
        Self(graph)
    }

    /// Returns the circles: the sets of files each of which reaches the others.
    fn circles(&self) -> BTreeSet<BTreeSet<String>> {
        let reached: BTreeMap<&String, BTreeSet<&String>> = self
            .0
            .keys()
            .map(|file| (file, self.reached_from(file)))
            .collect();
        let circle_of = |file: &String| -> BTreeSet<String> {
            let there = reached[file].iter();
            let and_back = there.filter(|other| reached[**other].contains(file));
            and_back.map(|other| (**other).clone()).collect()
        };
        let circles = self.0.keys().map(circle_of);
        circles.filter(|circle| circle.len() > 1).collect()
    }

    fn reached_from(&self, file: &String) -> BTreeSet<&String> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<_> = self.0[file].iter().map(|it| &it.file).collect();
        while let Some(next) = open.pop() {
            if reached.insert(next) {
                open.extend(self.0[next].iter().map(|it| &it.file));
            }
        }
        reached
    }

    /// Says for each import that keeps a circle together where it is and what it names.
    fn imports_within(&self, circle: &BTreeSet<String>) -> Vec<String> {
        let mut lines = vec![format!("{circle:?}:")];
        for file in circle {
            for import in self.0[file].iter().filter(|it| circle.contains(&it.file)) {
                let Import {
                    line,
                    path,
                    file: to,
                } = import;
                lines.push(format!("    src/{file}.rs:{line}: {path} of src/{to}.rs"));
            }
        }
        lines
    }
}

/// Returns a file's path below `src`, without its extension.
fn name_of(file: &Path) -> String {
    let below = file.strip_prefix(src()).unwrap().with_extension("");
    let parts = below.iter().map(|part| part.to_str().unwrap());
    parts.collect::<Vec<_>>().join("/")
}

/// Reads the paths that `text` begins with, which follow `crate::`: one, or each of a group.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    read_paths(&text.chars().collect::<Vec<_>>(), 0, &[], &mut found);
    found
}

/// Reads a path, or a group of them, behind the parts in `above`; returns where it ends.
fn read_paths(
    text: &[char],
    mut at: usize,
    above: &[String],
    found: &mut Vec<Vec<String>>,
) -> usize {
    let mut parts = above.to_vec();
    loop {
        if text.get(at) == Some(&'{') {
            at += 1;
            while at < text.len() && text[at] != '}' {
                let is_name = text[at].is_alphanumeric() || text[at] == '_';
                at = if is_name {
                    read_paths(text, at, &parts, found)
                } else {
                    at + 1
                };
            }
            return at + 1;
        }
        let start = at;
        while text
            .get(at)
            .is_some_and(|c| c.is_alphanumeric() || *c == '_')
        {
            at += 1;
        }
        if start < at {
            parts.push(text[start..at].iter().collect());
        }
        if start < at && text[at..].starts_with(&[':', ':']) {
            at += 2;
        } else {
            found.push(parts);
            // The name that follows is this file's own.
            let renamed = text[at..].starts_with(&[' ', 'a', 's', ' ']);
            let is_name = |c: &&char| c.is_alphanumeric() || **c == '_';
            let own = if renamed { 4 } else { 0 };
            return at + own + text[at + own..].iter().take_while(is_name).count();
        }
    }
}

/// Returns the file of a module that has what `path` names: the file of the innermost module in
/// the path or, if that only hands the name on, the one from which it has it.
fn resolve(files: &BTreeMap<String, PathBuf>, path: &[String]) -> Option<String> {
    let file_of = |parts: &[String]| {
        let name = parts.join("/");
        let folder = format!("{name}/mod");
        [name, folder].into_iter().find(|it| files.contains_key(it))
    };
    let length = (1..=path.len())
        .rev()
        .find(|n| file_of(&path[..*n]).is_some())?;
    let file = file_of(&path[..length])?;
    let Some(name) = path.get(length) else {
        return Some(file);
    };
    match handed_on(&files[&file], name) {
        Some(from) => resolve(files, &[&path[..length], &from, &path[length..]].concat()),
        None => Some(file),
    }
}

/// Returns from which module of its own a file re-exports a name.
fn handed_on(file: &Path, name: &str) -> Option<Vec<String>> {
    let text = code_lines(file).join("\n");
    let uses = text.split(';').filter_map(|item| {
        let (before, tree) = item.split_once("use ")?;
        before.contains("pub").then(|| paths(tree.trim_start()))
    });
    let is_it = |path: &Vec<String>| path.len() > 1 && path.last().is_some_and(|it| it == name);
    let mut found = uses
        .flatten()
        .filter(|path| is_it(path) && path[0] != "crate");
    let path = found.next()?;
    Some(path[..path.len() - 1].to_vec())
}

/// Returns the faults of one line of `module`, in a file of the folder `inside`, against its row.
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
    if line.contains("super::") {
        faults.push("names a module by `super::`; write `crate::`".to_owned());
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
    let file = src().join(format!("{module}.rs"));
    let mut found = below(src().join(module));
    found.extend(file.is_file().then_some(file));
    found
}

/// Returns the files below a folder; none if there is no such folder.
fn below(folder: PathBuf) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder];
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
    let code = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    let bare = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    code.lines().map(bare).collect()
}

/// The number of lines of the function whose head the first line begins; `None` if it begins none.
/// rustfmt has written them: a function ends at the indent of its head.
fn function_lines(lines: &[String]) -> Option<usize> {
    let head = lines.first()?;
    let code = head.trim_start();
    let is_head = code.starts_with("fn ")
        || code
            .split_once(" fn ")
            .is_some_and(|(before, _)| before.split(' ').all(is_modifier));
    if !is_head {
        return None;
    }
    let indent = &head[..head.len() - code.len()];
    let is_end = |line: &String| {
        let rest = line.strip_prefix(indent).unwrap_or_default().trim_end();
        let is_same_indent = !rest.starts_with(char::is_whitespace);
        is_same_indent && (rest.ends_with('}') || rest.ends_with(';'))
    };
    lines.iter().position(is_end).map(|end| end + 1)
}

/// Tells whether a word may stand before `fn`.
fn is_modifier(word: &str) -> bool {
    word.starts_with("pub") || ["async", "const", "unsafe", "extern"].contains(&word)
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
