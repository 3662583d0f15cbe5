//! Runs what is measured, each time from the same start.
//! The main type is [`Workbench`]; what a run took is a [`Taken`].

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::simulator::Simulator;
use crate::error::TaskError;
use crate::layout::Layout;

/// What a command took.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    /// From its start to its end, in milliseconds.
    pub(super) wall: f64,
    /// The processor's time, its children's included, in milliseconds.
    pub(super) cpu: f64,
    /// The most memory that one process held, in MiB.
    pub(super) memory: f64,
    /// What it wrote to standard output.
    pub(super) output: String,
    /// What it wrote to standard error.
    pub(super) trace: String,
}

/// Where measured commands run.
pub(super) struct Workbench {
    pub(super) root: PathBuf,
    pub(super) python: PathBuf,
    pub(super) kiln: PathBuf,
    /// Everything that is written while measuring.
    scratch: PathBuf,
}

impl Workbench {
    pub(super) fn new(layout: &Layout, python: PathBuf, kiln: PathBuf) -> Result<Self, TaskError> {
        let scratch = layout.target.join("bench").join("scratch");
        if scratch.exists() {
            fs::remove_dir_all(&scratch).map_err(TaskError::file("remove", &scratch))?;
        }
        fs::create_dir_all(&scratch).map_err(TaskError::file("make", &scratch))?;
        Ok(Self { root: layout.root.clone(), python, kiln, scratch })
    }

    /// A path for something that is written while measuring.
    pub(super) fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf, TaskError> {
        let path = self.scratch(name);
        fs::write(&path, content).map_err(TaskError::file("write", &path))?;
        Ok(path)
    }

    /// An empty directory.
    pub(super) fn empty(&self, name: &str) -> Result<PathBuf, TaskError> {
        emptied(self.scratch(name))
    }

    /// The simulated account of a world file.
    pub(super) fn simulator(&self, world: &Path, latency: u32) -> Result<Simulator, TaskError> {
        let mut command = Command::new(&self.kiln);
        self.surround(&mut command);
        command.arg("sim").arg("--world").arg(world).args(["--port", "0"]);
        if latency > 0 {
            command.arg("--latency").arg(format!("{latency}ms"));
        }
        Simulator::start(command, &self.scratch("simulator-url"))
    }

    /// Run a command, which must succeed, and say what it took.
    pub(super) fn measure(&self, command: &[&str]) -> Result<Taken, TaskError> {
        self.measure_with(command, &[])
    }

    /// The same with more of an environment.
    pub(super) fn measure_with(&self, command: &[&str], environment: &[(&str, &Path)]) -> Result<Taken, TaskError> {
        self.measure_ended(command, environment, 0)
    }

    /// The same of a command that must end with a certain exit code.
    fn measure_ended(&self, command: &[&str], environment: &[(&str, &Path)], code: i32) -> Result<Taken, TaskError> {
        let output = self.scratch("output");
        let mut measured = Command::new(&self.python);
        self.surround(&mut measured);
        measured.envs(environment.iter().map(|(name, value)| (*name, value.as_os_str())));
        measured
            .arg(self.root.join("bench/measure.py"))
            .arg(&output)
            .args(command)
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        let spelt = command.join(" ");
        let answered = measured.output().map_err(|source| TaskError::Start {
            program: self.python.display().to_string(),
            help: "remove .venv and run this again".to_owned(),
            source,
        })?;
        let said = String::from_utf8_lossy(&answered.stderr);
        let taken: Value = serde_json::from_slice(&answered.stdout)
            .map_err(|_| TaskError::other(format!("`{spelt}` cannot be measured: {said}"), "run it by hand"))?;
        let figure = |name: &str| taken.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
        if figure("status") != f64::from(code) {
            return Err(TaskError::other(
                format!("`{spelt}` ended with {}: {said}", figure("status")),
                "run it by hand",
            ));
        }
        let output = fs::read_to_string(&output).map_err(TaskError::file("read", &output))?;
        Ok(Taken {
            wall: figure("wall"),
            cpu: figure("cpu"),
            memory: figure("rss") / 1024.0,
            output,
            trace: said.into_owned(),
        })
    }

    /// `kiln run` of a pipeline, with its events as output and its journal in an empty directory. Answers the journal's
    /// size in bytes, too.
    pub(super) fn run(&self, pipeline: &Path, simulator: &Simulator, more: &[&str]) -> Result<(Taken, u64), TaskError> {
        self.run_in(&self.scratch("state"), pipeline, simulator, more, &[])
    }

    /// The same, whose journal says at its end what it took.
    pub(super) fn run_traced(&self, pipeline: &Path, simulator: &Simulator) -> Result<Taken, TaskError> {
        let trace = ("KILN_LOG", Path::new("kiln_runner::journal=debug"));
        Ok(self.run_in(&self.scratch("state"), pipeline, simulator, &[], &[trace])?.0)
    }

    /// The same with the journal in a directory `state`, which is emptied, and with more of an environment.
    pub(super) fn run_in(
        &self,
        state: &Path,
        pipeline: &Path,
        simulator: &Simulator,
        more: &[&str],
        environment: &[(&str, &Path)],
    ) -> Result<(Taken, u64), TaskError> {
        let state = emptied(state.to_path_buf())?;
        let pipeline = text(pipeline);
        let mut command = vec!["run", pipeline.as_str()];
        command.extend(more);
        let taken = self.on_run(&command, simulator, &state, environment, 0)?;
        let runs = state.join("runs");
        let mut bytes = 0;
        for run in fs::read_dir(&runs).map_err(TaskError::file("read", &runs))? {
            let journal = run.map_err(TaskError::file("read", &runs))?.path().join("journal");
            bytes += fs::metadata(&journal).map_err(TaskError::file("read", &journal))?.len();
        }
        Ok((taken, bytes))
    }

    /// `kiln run` that leaves the run as soon as it has only waited for a while, and a `kiln resume` that goes on with it
    /// when the wait, of `wait` since the run's start, is over. Answers what the resume took.
    pub(super) fn resume(&self, pipeline: &Path, simulator: &Simulator, wait: Duration) -> Result<Taken, TaskError> {
        let state = self.empty("state")?;
        let over = Instant::now() + wait + Duration::from_millis(500);
        let pipeline = text(pipeline);
        self.on_run(&["run", &pipeline, "--detach-after", "300ms"], simulator, &state, &[], DETACHED)?;
        std::thread::sleep(over.saturating_duration_since(Instant::now()));
        self.on_run(&["resume"], simulator, &state, &[], 0)
    }

    /// Begin a run or go on with one, with its events as output and its journal in `state`.
    fn on_run(
        &self,
        command: &[&str],
        simulator: &Simulator,
        state: &Path,
        environment: &[(&str, &Path)],
        code: i32,
    ) -> Result<Taken, TaskError> {
        let (kiln, url, directory) = (text(&self.kiln), simulator.url(), text(state));
        let mut whole = vec![kiln.as_str()];
        whole.extend(command);
        whole.extend(["--endpoint-url", &url, "--output", "json", "--state-dir", &directory]);
        self.measure_ended(&whole, environment, code)
    }

    /// Credentials that are good for nothing but the simulator, and nothing of the caller's own.
    pub(super) fn surround(&self, command: &mut Command) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let tools = self.python.parent().map(Path::to_path_buf).unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&path))).unwrap_or(path);
        command
            .current_dir(&self.root)
            .env_clear()
            .env("PATH", path)
            .env("HOME", &self.scratch)
            .env("KILN_CACHE_DIR", self.scratch("cache"))
            .env("AWS_ACCESS_KEY_ID", "kiln-bench")
            .env("AWS_SECRET_ACCESS_KEY", "kiln-bench")
            .env("AWS_REGION", "us-west-2")
            .env("AWS_DEFAULT_REGION", "us-west-2")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("NO_PROXY", "127.0.0.1,localhost");
    }
}

/// The exit code of a run that was left while it waits.
const DETACHED: i32 = 5;

fn emptied(path: PathBuf) -> Result<PathBuf, TaskError> {
    if path.exists() {
        fs::remove_dir_all(&path).map_err(TaskError::file("empty", &path))?;
    }
    fs::create_dir_all(&path).map_err(TaskError::file("make", &path))?;
    Ok(path)
}

/// A path as an argument.
pub(super) fn text(path: &Path) -> String {
    path.display().to_string()
}
