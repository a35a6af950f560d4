//! A test in a process of its own: signals go to all of a process.
//!
//! The test starts its own executable with its own name. The other process finds [`IS_CHILD`] in its
//! environment, and serves.

use std::env;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::{ServerPath, TestRun, within};

/// The other process. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Runs a test, which is named from the root of the suite. If the test of this process runs on
    /// both paths, the other one takes the same path.
    pub(crate) fn start(test: &str) -> Self {
        let test = match TestRun::current().map(|_| TestRun::with_path().path) {
            None => test.to_owned(),
            Some(ServerPath::Http) => format!("{test}::http"),
            Some(ServerPath::Direct) => format!("{test}::direct"),
        };
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args([&test, "--exact", "--nocapture"])
            .env(IS_CHILD, "1")
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Returns `true` in the process that a test has started.
    pub(crate) fn is_child() -> bool {
        env::var_os(IS_CHILD).is_some()
    }

    /// Writes a line that [`line`](Self::line) finds.
    pub(crate) fn tell(head: &str, rest: impl std::fmt::Display) {
        // The test harness has written the beginning of a line.
        println!("\n{head}{rest}");
    }

    /// Returns the rest of the next line that begins so.
    pub(crate) async fn line(&mut self, head: &str) -> String {
        loop {
            let line = within("the process to speak", self.lines.next_line())
                .await
                .unwrap();
            let line = line.expect("a process that serves");
            if let Some(rest) = line.strip_prefix(head) {
                return rest.to_owned();
            }
        }
    }

    /// Sends it SIGTERM.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().unwrap().to_string();
        let killed = std::process::Command::new("kill")
            .args(["-TERM", &id])
            .status();
        assert!(killed.unwrap().success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        within("the process to end", self.child.wait())
            .await
            .unwrap()
    }
}

const IS_CHILD: &str = "SOCKETIO_TEST_IS_CHILD";
