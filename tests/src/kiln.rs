//! The real binary, run in an empty directory with nothing of this process's environment.
//!
//! The main types are [`Kiln`] and its [`Outcome`].

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// The repository's root.
pub fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// The binary under test: `KILN_BIN`, or the one beside this test's own.
pub fn binary() -> PathBuf {
    std::env::var_os("KILN_BIN").map_or_else(|| beside_the_test("kiln"), PathBuf::from)
}

/// A program of the workspace, as the build of this test made it.
pub fn beside_the_test(program: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_else(|error| panic!("this test's own path: {error}"));
    let directory = test.ancestors().nth(2).unwrap_or_else(|| panic!("{} lies nowhere", test.display()));
    directory.join(program)
}

/// A command line of the real binary.
pub struct Kiln {
    command: Command,
    directory: TempDir,
    scale: Option<f64>,
    survives_large_files: bool,
    stdout: Option<Stdio>,
}

impl Kiln {
    /// A command line, in an empty directory of its own.
    pub fn new<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("a directory: {error}"));
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(directory.path());
        surround(&mut command);
        Self { command, directory, scale: None, survives_large_files: false, stdout: None }
    }

    /// Let its clock go as fast as a simulator's.
    pub fn scale(mut self, scale: f64) -> Self {
        self.scale = Some(scale);
        self
    }

    /// Set an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Remove an environment variable.
    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Run it as another user.
    pub fn as_user(mut self, user: u32) -> Self {
        use std::os::unix::process::CommandExt as _;
        self.command.uid(user).gid(user);
        self
    }

    /// Let a file that may grow no more be an error for it and not its end, as a full disk is.
    pub fn surviving_large_files(mut self) -> Self {
        self.survives_large_files = true;
        self
    }

    /// Let it read from there.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// Let it write there, and not to where an outcome finds it.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = Some(stdout.into());
        self
    }

    /// The directory that it will be started in.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Put a file into its directory.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.directory.path().join(name);
        let above = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(above).unwrap_or_else(|error| panic!("{}: {error}", above.display()));
        std::fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self
    }

    /// More arguments.
    pub fn args<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Run it to its end.
    pub fn run(self) -> Outcome {
        self.start().end()
    }

    /// Start it.
    pub fn start(mut self) -> Running {
        let takes_scale = self.command.get_args().next().is_some_and(|command| command == "run" || command == "plan");
        if let Some(scale) = self.scale.filter(|_| takes_scale) {
            self.command.arg("--clock-scale").arg(scale.to_string());
        }
        if self.survives_large_files {
            self.command = within_shell(&self.command, self.directory.path());
        }
        let stdout = self.stdout.take().unwrap_or_else(Stdio::piped);
        let child = self.command.stdout(stdout).stderr(Stdio::piped()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{}: {error}", binary().display()));
        Running { child, directory: self.directory }
    }
}

/// The same command, begun by a shell that ignores the signal of files that grow too large.
fn within_shell(command: &Command, directory: &Path) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
    surround(&mut shell);
    shell.current_dir(directory);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Give `command` an environment with nothing of this process's.
pub(crate) fn surround(command: &mut Command) {
    command
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("KILN_CACHE_DIR", cache())
        .env("CI", "true")
        .stdin(Stdio::null());
}

/// Compiled plugins are shared by all tests of a build: compiling them is what costs most.
pub(crate) fn cache() -> PathBuf {
    let binary = binary();
    binary.parent().unwrap_or(Path::new(".")).join("test-components")
}

/// A `kiln` at work.
pub struct Running {
    child: Child,
    directory: TempDir,
}

impl Running {
    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The directory that it was started in.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Wait until it ends although nobody reads what it writes, and answer its exit code. It must within `patience`.
    #[track_caller]
    pub fn end_unread(&mut self, patience: Duration) -> Option<i32> {
        let deadline = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.code(),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
                still => {
                    // It was not waited for with success: the id is its own.
                    let _ = self.child.kill();
                    panic!("it did not end within {patience:?}: {still:?}");
                }
            }
        }
    }

    /// Wait until it ends, which it must within `patience`.
    #[track_caller]
    pub fn end_within(self, patience: Duration) -> Outcome {
        let process = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        let (over, waiting) = mpsc::channel::<()>();
        let watcher = std::thread::spawn(move || {
            let late = waiting.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout);
            if let (true, Some(process)) = (late, process) {
                // It is a child that was not waited for yet: the id is its own.
                let _ = kill_process(process, Signal::KILL);
            }
            late
        });
        let outcome = self.end();
        drop(over);
        let late = watcher.join().unwrap_or(true);
        assert!(!late, "it did not end within {patience:?}: {}", outcome.all());
        outcome
    }

    /// Wait until it ends.
    pub fn end(self) -> Outcome {
        let output = self.child.wait_with_output().unwrap_or_else(|error| panic!("waiting for kiln: {error}"));
        Outcome { output, directory: self.directory }
    }
}

/// What came of a command line.
pub struct Outcome {
    output: Output,
    directory: TempDir,
}

impl Outcome {
    /// The exit code; none where a signal killed it.
    pub fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// Its standard output.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Its standard error.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// Both streams, for messages of failed tests.
    pub fn all(&self) -> String {
        format!("exit {:?}\n--- stdout\n{}--- stderr\n{}", self.code(), self.stdout(), self.stderr())
    }

    /// The directory that it ran in.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The events of `--output json`.
    pub fn events(&self) -> Vec<Value> {
        let stdout = self.stdout();
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        stdout.lines().map(parse).collect()
    }

    /// How each stage ended: `deploy failed`.
    pub fn stages(&self) -> Vec<String> {
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut stages = Vec::new();
        for event in self.events() {
            let kind = event.get("event").cloned().unwrap_or_default();
            if text(&kind, "type") == "stage-finished" {
                stages.push(format!("{} {}", text(&event, "stage"), text(&kind, "outcome")));
            }
        }
        stages
    }

    /// The failure of a stage.
    pub fn failure(&self, stage: &str) -> Value {
        let of_stage = |event: &&Value| event.get("stage").and_then(Value::as_str) == Some(stage);
        let events = self.events();
        let mut failures = events.iter().filter(of_stage).filter_map(|event| event.get("event")?.get("failure"));
        failures.next_back().cloned().unwrap_or_default()
    }

    /// All bytes of the files that it left: journals and blobs.
    pub fn left_behind(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        collect(self.directory.path(), &mut bytes);
        bytes
    }

    /// The same directory, for another command line.
    pub fn then<'a>(self, arguments: impl IntoIterator<Item = &'a str>) -> Kiln {
        let mut next = Kiln::new(arguments);
        next.command.current_dir(self.directory.path());
        next.directory = self.directory;
        next
    }
}

fn collect(directory: &Path, bytes: &mut Vec<u8>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, bytes);
        } else if let Ok(content) = std::fs::read(&path) {
            bytes.extend(content);
        }
    }
}
