//! Hostile plugins: whatever a guest does, its stage fails with a typed error, the host stays alive and small, the next
//! stage is unharmed, AWS is untouched, and the journal can be read.
//!
//! The main type is [`Attack`]; what came of it is an [`Aftermath`].

mod abi;
mod bounds;
mod calls;
mod components;
mod floods;
mod machine;
mod outputs;
mod plans;
mod secrets;
mod terminals;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kiln_tests::{Account, Guest, Kiln, World};
use serde_json::Value;

/// An account in which there are two secrets and nothing else. The plugins' clock is the world's own.
const WORLD: &str = r#"
[[secrets]]
name  = "prod/registry"
value = '{"token":"simulated-registry-token-8f3a"}'

[[secrets]]
name  = "prod/other"
value = "the-other-stages-secret-77ab"
"#;

/// The values behind the secrets of [`WORLD`].
const TOKEN: &str = "simulated-registry-token-8f3a";
const OTHER: &str = "the-other-stages-secret-77ab";

/// A pipeline whose first stage is hostile and whose second is not.
struct Attack {
    plugin: Vec<u8>,
    /// Lines of `[stages.evil]`.
    stage: String,
    /// Lines of `[plugins.evil]`.
    declaration: String,
    /// Other tables.
    tables: String,
    command: &'static str,
    on_failure: &'static str,
    /// The most that may be written to the two streams and to files.
    written: usize,
    /// The most memory that the runner may have held, in MiB.
    memory: u64,
}

impl Attack {
    fn by(guest: &Guest) -> Self {
        Self::with_file(guest.build())
    }

    /// `run` does this, and nothing else is hostile.
    fn running(body: &str) -> Self {
        Self::by(&Guest::new(body))
    }

    fn with_file(plugin: impl Into<Vec<u8>>) -> Self {
        Self {
            plugin: plugin.into(),
            stage: String::new(),
            declaration: String::new(),
            tables: String::new(),
            command: "run",
            on_failure: "continue",
            written: 256 << 10,
            memory: 320,
        }
    }

    /// With more lines of its stage.
    fn stage(mut self, lines: &str) -> Self {
        self.stage += lines;
        self.stage.push('\n');
        self
    }

    /// With more lines of its plugin's declaration.
    fn declared(mut self, lines: &str) -> Self {
        self.declaration += lines;
        self
    }

    /// With other tables in the pipeline.
    fn tables(mut self, tables: &str) -> Self {
        self.tables += tables;
        self
    }

    /// `kiln plan` instead of `kiln run`.
    fn planned(mut self) -> Self {
        self.command = "plan";
        self
    }

    /// With `on-failure = "undo"`: then the other stage is not run.
    fn undone(mut self) -> Self {
        self.on_failure = "undo";
        self
    }

    /// It may write more than others.
    fn writing(mut self, bytes: usize) -> Self {
        self.written = bytes;
        self
    }

    /// Do it, with the events as JSON.
    fn json(self) -> Aftermath {
        self.perform(&["--output", "json"])
    }

    /// Do it, with what people read.
    fn plain(self) -> Aftermath {
        self.perform(&["--output", "plain", "--verbose"])
    }

    fn perform(self, arguments: &[&str]) -> Aftermath {
        let Self { plugin, stage, declaration, tables, command, on_failure, written, memory } = self;
        let pipeline = format!(
            r#"
[pipeline]
name         = "attacked"
region       = "us-west-2"
max-parallel = 1

[plugins.evil]
path = "evil.wasm"
{declaration}

[plugins.kind]
path = "kind.wasm"

[secrets.token]
id  = "prod/registry"
key = "token"

[secrets.other]
id = "prod/other"

[stages.evil]
plugin     = "evil"
on-failure = "{on_failure}"
{stage}

[stages.kind]
plugin = "kind"
with   = {{ theirs = "${{secrets.other}}" }}
{tables}
"#
        );
        let account = Account::at_scale(&World::of(WORLD), 1.0);
        let kiln = account
            .kiln([command, "pipeline.toml"])
            .args(arguments.iter().copied())
            .file("pipeline.toml", pipeline)
            .file("evil.wasm", plugin)
            .file("kind.wasm", Guest::harmless().build());
        let (outcome, peak, took) = watched(kiln);
        let stdout = outcome.stdout();
        let events = stdout.starts_with("{\"seq\"");
        let mut aftermath = Aftermath {
            code: outcome.code(),
            stages: if events { outcome.stages() } else { Vec::new() },
            failure: if events { outcome.failure("evil") } else { Value::Null },
            stdout,
            stderr: outcome.stderr(),
            files: outcome.left_behind(),
            journal: String::new(),
            took,
            peak,
        };
        let said = aftermath.stdout.len() + aftermath.stderr.len();
        assert!(said <= written, "it wrote {said} bytes to its streams");
        let plugins = outcome.directory().join("evil.wasm").metadata().map(|file| file.len()).unwrap_or_default();
        let kept = aftermath.files.len() - plugins as usize;
        assert!(kept <= written.max(1 << 20) * 2, "it left {kept} bytes behind");
        assert!(peak <= memory << 20, "the runner held {} MiB", peak >> 20);
        let effects = account.effects();
        assert!(effects.is_empty(), "AWS was changed: {effects:?}");
        if command == "run" && outcome.directory().join(".kiln").exists() {
            let show = outcome.then(["show", "--output", "plain"]).run();
            assert_eq!(show.code(), Some(0), "the journal cannot be read: {}", show.all());
            aftermath.journal = show.stdout();
            assert!(aftermath.journal.len() <= written.max(1 << 20), "`kiln show` wrote {}", aftermath.journal.len());
        }
        aftermath
    }
}

/// Run to the end, watching how much memory is held. What does not end is ended.
pub(crate) fn watched(kiln: Kiln) -> (kiln_tests::Outcome, u64, Duration) {
    const PATIENCE: Duration = Duration::from_secs(150);
    let began = Instant::now();
    let running = kiln.start();
    let id = running.id();
    let over = Arc::new(AtomicBool::new(false));
    let watcher = {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            let mut peak = 0;
            while !over.load(Ordering::Relaxed) {
                peak = peak.max(held(id));
                if began.elapsed() > PATIENCE
                    && let Some(process) = rustix::process::Pid::from_raw(id as i32)
                {
                    let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            peak
        })
    };
    let outcome = running.end();
    over.store(true, Ordering::Relaxed);
    let took = began.elapsed();
    assert!(took < PATIENCE, "it did not end within {PATIENCE:?}");
    (outcome, watcher.join().unwrap_or_default(), took)
}

/// The most memory that the process has held so far, in bytes.
fn held(process: u32) -> u64 {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(Path::new(&path)).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() << 10
}

/// What came of an attack. What holds for all attacks was asserted already.
struct Aftermath {
    code: Option<i32>,
    stages: Vec<String>,
    /// Why the hostile stage failed.
    failure: Value,
    stdout: String,
    stderr: String,
    /// All bytes of all files.
    files: Vec<u8>,
    /// What `kiln show` prints.
    journal: String,
    took: Duration,
    /// The most memory that the runner held, in bytes.
    peak: u64,
}

impl Aftermath {
    /// The hostile stage failed in this way; the other one is unharmed.
    #[track_caller]
    fn failed(&self, kind: &str, message: &str) -> &Self {
        let failure = &self.failure;
        assert_eq!(self.code, Some(1), "{}", self.all());
        assert_eq!(self.stages, ["evil failed", "kind done"], "{}", self.all());
        assert_eq!(failure["kind"], kind, "{failure:#}");
        let said = failure["message"].as_str().unwrap_or_default();
        assert!(said.contains(message), "{message:?} is not in {said:?}");
        self
    }

    /// Both stages ended well.
    #[track_caller]
    fn done(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{}", self.all());
        assert_eq!(self.stages, ["evil done", "kind done"]);
        self
    }

    /// The plugin was refused before anything ran.
    #[track_caller]
    fn refused(&self, message: &str) -> &Self {
        assert_eq!(self.code, Some(2), "{}", self.all());
        let said = format!("{}{}", self.stdout, self.stderr);
        assert!(said.contains(message), "{message:?} is not in {}", self.all());
        assert!(!self.stdout.contains("run-started"), "it began: {}", self.all());
        self
    }

    /// `value` was written nowhere.
    #[track_caller]
    fn never_says(&self, value: &str) -> &Self {
        for (place, text) in [("stdout", &self.stdout), ("stderr", &self.stderr), ("show", &self.journal)] {
            assert!(!text.contains(value), "{place} holds {value}: {text}");
        }
        let files = String::from_utf8_lossy(&self.files);
        assert!(!files.contains(value), "a file holds {value}");
        self
    }

    /// Nothing that a terminal would obey was written.
    #[track_caller]
    fn harmless_for_terminals(&self) -> &Self {
        for (place, text) in [("stdout", &self.stdout), ("stderr", &self.stderr), ("show", &self.journal)] {
            let odd = text.chars().find(|c| (c.is_control() && !matches!(c, '\n' | '\t')) || *c == '\u{202e}');
            assert_eq!(odd, None, "{place} holds it: {text:?}");
            let command = text.lines().find(|line| line.trim_start().starts_with("::") || line.contains("##vso["));
            assert_eq!(command, None, "{place} holds a command");
        }
        self
    }

    fn all(&self) -> String {
        let cut = |text: &str| text.chars().take(8_000).collect::<String>();
        format!("exit {:?}\n--- stdout\n{}\n--- stderr\n{}", self.code, cut(&self.stdout), cut(&self.stderr))
    }
}

/// `body` again and again, without end; then nothing. It answers no address, so it must not be left.
fn endlessly(body: &str) -> String {
    format!("(loop $again {body} (br $again)) unreachable")
}

/// `body` so many times, with the local `$i` as counter, then an answer.
fn times(count: u32, body: &str) -> String {
    format!(
        "(local $i i32) (loop $again {body}
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $again (i32.lt_u (local.get $i) (i32.const {count}))))
         (call $ok (str \"{{}}\"))"
    )
}
