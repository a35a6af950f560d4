//! The compiler's message about a handler that does not fit: the crate's own text, which names the
//! cure.
//!
//! The small programs here are compiled by `rustc` against the library that this test was linked
//! with. Only the crate's phrases are looked for, because the rest differs between compilers.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use serde_json::Value;

/// Programs that do not compile, and what their errors have to say.
const REFUSED: &[(&str, &[&str])] = &[
    (
        "async fn h(_: String) {} fn f(n: &Namespace) { n.on(\"e\", h); }",
        &["cannot be an argument", "take `Data<T>`: `Data<String>`"],
    ),
    (
        "async fn h(_: Socket, _: u32) {} fn f(n: &NamespacePattern) { n.fallback(h); }",
        &["`u32` cannot be an argument", "`Data<u32>`"],
    ),
    (
        "fn f(n: &Namespace) { n.on_any(|_: String| async {}); }",
        &["`String` cannot be an argument", "`Data<String>`"],
    ),
    (
        "async fn h(_: String) {} fn f(n: &Namespace) { n.on_connect(h); }",
        &[
            "`String` cannot be an argument",
            "`Auth<String>`",
            "`State<String>`",
        ],
    ),
    (
        "async fn h(_: Ack) {} fn f(n: &Namespace) { n.middleware(h); }",
        &[
            "cannot be an argument",
            "`Ack` are extractors of event handlers (`EventContext`) only",
        ],
    ),
    (
        "async fn h(_: Data<u8>) {} fn f(n: &Namespace) { n.on_disconnect(h); }",
        &[
            "cannot be an argument",
            "are extractors of event handlers (`EventContext`) only",
        ],
    ),
    (
        "async fn h(_: DisconnectReason) {} fn f(n: &Namespace) { n.on(\"e\", h); }",
        &[
            "cannot be an argument",
            "`DisconnectReason` of disconnect handlers",
        ],
    ),
    (
        "fn h(_: Socket) {} fn f(n: &Namespace) { n.on(\"e\", h); }",
        &[
            "is not a handler",
            "expected an async function",
            "if it is not async: write `async fn`",
        ],
    ),
    (
        "fn f(n: &Namespace) { n.on(\"e\", |Data(a): Data<String>| a); }",
        &["is not a handler", "`|..| async move { .. }` for a closure"],
    ),
    (
        "fn h() {} fn f(n: &Namespace) { n.on_connect(h); }",
        &["is not a handler", "if it is not async: write `async fn`"],
    ),
    (
        "fn h() {} fn f(n: &NamespacePattern) { n.on_disconnecting(h); }",
        &["is not a handler", "if it is not async: write `async fn`"],
    ),
    (
        "type S = Socket; async fn h(_: S, _: S, _: S, _: S, _: S, _: S, _: S, _: S, _: S) {} \
         fn f(n: &Namespace) { n.on(\"e\", h); }",
        &[
            "is not a handler",
            "at most eight",
            "if it has more than eight arguments",
        ],
    ),
    (
        "async fn h() -> Result<(), std::io::Error> { Ok(()) } fn f(n: &Namespace) { n.on(\"e\", h); }",
        &[
            "is not a return type of an event handler",
            "return `Result<_, HandlerError>`",
        ],
    ),
    (
        "struct Own; async fn h() -> Own { Own } fn f(n: &Namespace) { n.fallback(h); }",
        &[
            "is not a return type of an event handler",
            "derive `serde::Serialize`",
        ],
    ),
    (
        "fn f(n: &Namespace) { n.on_server_side(\"e\", |_| async { Err::<(), _>(std::fmt::Error) }); }",
        &[
            "is not a return type of an event handler",
            "return `Result<_, HandlerError>`",
        ],
    ),
    (
        "async fn h() -> bool { false } fn f(n: &Namespace) { n.on_connect(h); }",
        &[
            "`bool` is not a return type of a connect handler",
            "return an `Err`",
        ],
    ),
    (
        "async fn h() -> Result<bool, ConnectError> { Ok(false) } fn f(n: &Namespace) { n.middleware(h); }",
        &[
            "is not a return type of a connect handler",
            "return an `Err`",
        ],
    ),
    (
        "async fn h() -> Result<(), std::net::AddrParseError> { Ok(()) } fn f(n: &Namespace) { n.on_connect(h); }",
        &[
            "is not a return type of a connect handler",
            "return `Result<(), HandlerError>`",
        ],
    ),
    (
        "async fn h() -> u32 { 1 } fn f(n: &Namespace) { n.on_disconnect(h); }",
        &[
            "`u32` is not a return type of a disconnect handler",
            "the client has gone",
        ],
    ),
    (
        "struct Own; async fn h() -> Result<(), Own> { Err(Own) } \
         fn f(n: &Namespace) { n.on_disconnecting(h); }",
        &[
            "is not a return type of a disconnect handler",
            "whose error has a text",
        ],
    ),
    (
        "struct O; impl O { async fn m(&self) {} } impl NamespaceHandlers for O { \
         fn register(m: &Registrar<'_, Self>) { m.on(\"e\", Self::m); } }",
        &["is not a method of", "take `self: Arc<Self>`"],
    ),
    (
        "struct O; impl O { fn m(self: std::sync::Arc<Self>) {} } impl NamespaceHandlers for O { \
         fn register(m: &Registrar<'_, Self>) { m.on_connect(Self::m); } }",
        &["is not a method of", "if it is not async: write `async fn`"],
    ),
    (
        "struct O; impl O { async fn m(self: std::sync::Arc<Self>, _: String) {} } \
         impl NamespaceHandlers for O { fn register(m: &Registrar<'_, Self>) { m.on(\"e\", Self::m); } }",
        &["`String` cannot be an argument", "`Data<String>`"],
    ),
    (
        "struct O; impl O { async fn m(self: std::sync::Arc<Self>) -> bool { false } } \
         impl NamespaceHandlers for O { fn register(m: &Registrar<'_, Self>) { m.on_connect(Self::m); } }",
        &["`bool` is not a return type of a connect handler"],
    ),
    (
        "event! { pub Say(\"say\", String => u32); } async fn h(Typed(a): Typed<Say>) -> String { a } \
         fn f(n: &Namespace) { n.on_event(Say, h); }",
        &["the contract asks for the answer `u32`"],
    ),
    // These have no trait of the crate: the words are those of the compiler.
    (
        "fn f(b: EngineIoBuilder) { let _ = b.on_message(|_, _| {}); }",
        &["is not a future"],
    ),
    (
        "fn f(b: Builder) { let _ = b.allow_request(|_| async { true }); }",
        &["resolves to `Result<(), "],
    ),
];

/// Programs that compile: what the errors above tell the reader to write.
const TAKEN: &[&str] = &[
    "async fn h(_: Data<String>) {} fn f(n: &Namespace) { n.on(\"e\", h); }",
    "fn f(n: &Namespace) { n.on(\"e\", |Data(a): Data<String>| async move { a }); }",
    "type S = Socket; async fn h(_: S, _: S, _: S, _: S, _: S, _: S, _: S, _: S) {} \
     fn f(n: &Namespace) { n.on(\"e\", h); }",
    "async fn h() -> Result<(), HandlerError> { std::fs::read(\"a\")?; Ok(()) } \
     fn f(n: &Namespace) { n.on(\"e\", h).on_connect(h).middleware(h).on_disconnect(h); }",
    "async fn h() -> Result<(), ConnectError> { Err(\"not authorized\".into()) } \
     fn f(n: &Namespace) { n.on_connect(h); }",
    "fn f(b: Builder) { let _ = b.allow_request(|_| async { Ok(()) }); }",
    "fn f(b: EngineIoBuilder) { let _ = b.allow_request(|_| std::future::ready(Ok(()))); }",
    "fn f(b: EngineIoBuilder) { let _ = b.on_message(|_, _| async {}); }",
    "fn f(n: &Namespace) { n.on_server_side(\"e\", |_| async { Ok::<_, HandlerError>(1) }); }",
];

/// Each handler that does not fit gets an error at its place, which says what to write.
#[test]
fn compiler_names_the_cure() {
    let programs: Vec<&str> = REFUSED.iter().map(|(program, _)| *program).collect();
    let errors = compile(&library(), &programs);
    for (at, (program, phrases)) in REFUSED.iter().enumerate() {
        let said: String = errors
            .iter()
            .filter(|error| error.program == at)
            .map(|error| error.text.as_str())
            .collect();
        assert!(
            !said.is_empty(),
            "{program}\nhas no error among {errors:#?}"
        );
        for phrase in *phrases {
            assert!(
                said.contains(phrase),
                "{program}\nnot said: {phrase}\n{said}"
            );
        }
    }
}

/// The code that the errors propose compiles.
#[test]
fn the_cure_compiles() {
    let errors = compile(&library(), TAKEN);
    assert!(errors.is_empty(), "{errors:#?}");
}

/// An error of the compiler, and which program it is about.
#[derive(Debug)]
struct CompileError {
    program: usize,
    text: String,
}

/// Compiles all programs at once, a line and a module for each.
fn compile(library: &Path, programs: &[&str]) -> Vec<CompileError> {
    let mut source = String::new();
    for (at, program) in programs.iter().enumerate() {
        assert!(!program.contains('\n'), "a program is one line: {program}");
        source += &format!("mod program_{at} {{ use actix_socketio::*; {program} }}\n");
    }
    let messages = rustc(library, &source);
    let errors = messages
        .iter()
        .filter(|message| message["level"] == "error");
    errors
        // The summary has no place.
        .filter_map(|message| {
            let spans = message["spans"].as_array()?;
            let primary = spans.iter().find(|span| span["is_primary"] == true)?;
            Some(CompileError {
                program: primary["line_start"].as_u64()? as usize - 1,
                // Whether a path is written depends on what else is in scope.
                text: message["rendered"]
                    .as_str()?
                    .replace("std::string::String", "String"),
            })
        })
        .collect()
}

/// Returns the library that lies beside this test: the newest that the compiler can load, since a
/// build with other features leaves one too.
fn library() -> PathBuf {
    let folder = beside();
    let mut libraries: Vec<(SystemTime, PathBuf)> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("libactix_socketio-") && name.ends_with(".rlib")
        })
        .map(|path| (fs::metadata(&path).unwrap().modified().unwrap(), path))
        .collect();
    libraries.sort();
    let mut said = Vec::new();
    for (_, library) in libraries.into_iter().rev() {
        let messages = rustc(&library, "extern crate actix_socketio;\n");
        if messages.iter().all(|message| message["level"] != "error") {
            return library;
        }
        said.push((library, messages));
    }
    panic!(
        "no library in {} that the compiler can load: {said:#?}",
        folder.display()
    );
}

/// Runs the compiler up to the metadata, and returns what it says.
fn rustc(library: &Path, source: &str) -> Vec<Value> {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(out).unwrap();
    let folder = beside();
    let mut command = Command::new(compiler());
    command
        .args([
            "-",
            "--edition=2024",
            "--crate-type=lib",
            "--crate-name=diagnostics",
        ])
        .args(["--emit=metadata", "--error-format=json", "-Awarnings", "-L"])
        .arg(format!("dependency={}", folder.display()));
    // If the tests were built for a named target, the macros are in the host's folder.
    if let (Some(profile), Some(target)) = (folder.parent(), folder.ancestors().nth(3)) {
        let host = target.join(profile.file_name().unwrap_or_default());
        command
            .arg("-L")
            .arg(format!("dependency={}", host.join("deps").display()));
    }
    let mut rustc = command
        .arg(format!("--extern=actix_socketio={}", library.display()))
        .arg("--out-dir")
        .arg(out)
        .current_dir(out)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    rustc
        .stdin
        .take()
        .unwrap()
        .write_all(source.as_bytes())
        .unwrap();
    let output = rustc.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let messages: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{said}")))
        .collect();
    let has_errors = messages.iter().any(|message| message["level"] == "error");
    assert_eq!(output.status.success(), !has_errors, "{said}");
    messages
}

/// Returns the folder of this test, where Cargo puts the libraries that it is linked with.
fn beside() -> PathBuf {
    env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// Returns the compiler that belongs to the Cargo that runs this test.
fn compiler() -> PathBuf {
    if let Some(named) = env::var_os("RUSTC") {
        return named.into();
    }
    let beside_cargo = env::var_os("CARGO").map(|cargo| Path::new(&cargo).with_file_name("rustc"));
    beside_cargo
        .filter(|rustc| rustc.exists())
        .unwrap_or_else(|| "rustc".into())
}
