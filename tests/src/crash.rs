//! Ends real runs wherever they are, by SIGKILL or SIGTERM, and resumes them until they come to their end.
//!
//! The main type is [`Course`], a pipeline in a world; what came of one run of it is a [`Trial`].

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kiln_runner::journal;
use tempfile::TempDir;

use crate::kiln::{binary, cache, surround};
use crate::trap::{Snare, Traffic, Trap};
use crate::trial::Trial;

/// A run that is ended this often without coming to its end is stuck.
const MOST_PROCESSES: usize = 40;

/// A process that was told to end must have ended after so long. Kiln promises five seconds.
const HEARS: Duration = Duration::from_secs(6);

/// A pipeline in a world, and its inputs.
#[derive(Debug, Clone)]
pub struct Course {
    /// For messages.
    pub name: String,
    /// The pipeline's text.
    pub pipeline: String,
    /// The world's text.
    pub world: String,
    /// What lies beside the pipeline: components.
    pub files: Vec<(String, Vec<u8>)>,
    /// Further variables of the environment.
    pub env: Vec<(String, String)>,
    /// How many times as fast as the world its clocks go.
    pub scale: f64,
    /// A process that takes longer, in the world's time, comes to no end.
    pub patience: Duration,
}

/// How a process ended.
enum Ended {
    /// By itself, with this exit code.
    Exit(i32),
    /// It was killed.
    Killed,
    /// It was told to end, and did.
    Stopped,
}

impl Course {
    /// A pipeline in a world, on clocks that go `scale` times as fast as the world's.
    pub fn new(name: impl Into<String>, pipeline: impl Into<String>, world: impl Into<String>, scale: f64) -> Self {
        Self {
            name: name.into(),
            pipeline: pipeline.into(),
            world: world.into(),
            files: Vec::new(),
            env: Vec::new(),
            scale,
            patience: Duration::from_secs(120),
        }
    }

    /// With a file beside the pipeline.
    #[must_use]
    pub fn file(mut self, name: &str, content: Vec<u8>) -> Self {
        self.files.push((name.to_owned(), content));
        self
    }

    /// Run it, with one snare for each process until there are none left.
    pub fn run(&self, snares: &[Snare]) -> Trial {
        let trap = Trap::of(&self.world, self.scale);
        let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("a directory: {error}"));
        let pipeline = ("pipeline.toml".to_owned(), self.pipeline.clone().into_bytes());
        for (name, content) in self.files.iter().chain([&pipeline]) {
            std::fs::write(directory.path().join(name), content).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let mut trial = Trial::begun(self.scale);
        let mut snares = snares.iter().copied();
        let mut died: Option<Instant> = None;
        loop {
            let snare = snares.next().unwrap_or(Snare::NONE);
            let (ended, traffic) = self.process(&trap, &directory, snare, &mut trial);
            if let (Some(died), Some(first)) = (died, traffic.first) {
                trial.dead += first.saturating_duration_since(died);
            }
            died = Some(Instant::now());
            trial.compare_outputs(journal_of(directory.path()).as_deref());
            match ended {
                Ended::Exit(code) => {
                    trial.code = Some(code);
                    break;
                }
                Ended::Killed => trial.kills += 1,
                Ended::Stopped => trial.stops += 1,
            }
            if traffic.endless {
                trial.problems.push(format!("late: a process was at work for more than {:?}", self.patience));
                break;
            }
            if trial.requests.len() > MOST_PROCESSES {
                trial.problems.push("it comes to no end".to_owned());
                break;
            }
        }
        trial.finish(&trap, journal_of(directory.path()).as_deref());
        trial
    }

    /// One process: the run begins, or goes on where it began already.
    fn process(&self, trap: &Trap, directory: &TempDir, snare: Snare, trial: &mut Trial) -> (Ended, Traffic) {
        trap.arm(snare);
        let mut command = Command::new(binary());
        surround(&mut command);
        command.current_dir(directory.path()).env("AWS_ENDPOINT_URL", trap.url()).env("KILN_CACHE_DIR", cache());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if has_begun(directory.path()) {
            command.args(["resume", "--output", "json"]);
        } else {
            // A process that was ended before its first record was durable has done nothing.
            let _ = std::fs::remove_dir_all(directory.path().join(".kiln/runs"));
            command.args(["run", "pipeline.toml", "--input", "commit=4f2a9c1", "--output", "json"]);
            command.args(["--clock-scale", &self.scale.to_string()]);
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{}: {error}", binary().display()));
        trap.watch(child.id(), self.patience);
        let output = child.wait_with_output().unwrap_or_else(|error| panic!("waiting for kiln: {error}"));
        let traffic = trap.ended();
        trial.requests.push(traffic.requests);
        trial.waits.push(traffic.waits);
        let ended = match output.status.code() {
            None => Ended::Killed,
            Some(143) if traffic.caught.is_some() => Ended::Stopped,
            Some(code) => Ended::Exit(code),
        };
        if let Some(caught) = traffic.caught
            && caught.elapsed() > HEARS
        {
            trial.problems.push(format!("late: it ended {:?} after it was told to", caught.elapsed()));
        }
        if let Ended::Exit(code) = &ended
            && !matches!(code, 0 | 1)
        {
            trial.problems.push(format!("exit {code}: {}", String::from_utf8_lossy(&output.stderr)));
        }
        (ended, traffic)
    }
}

/// The journal of the one run, if it is there.
fn journal_of(directory: &Path) -> Option<PathBuf> {
    let runs = std::fs::read_dir(directory.join(".kiln/runs")).ok()?;
    let mut journals = runs.flatten().map(|run| run.path().join("journal")).filter(|journal| journal.is_file());
    journals.next()
}

fn has_begun(directory: &Path) -> bool {
    let recording = journal_of(directory).and_then(|journal| journal::read(&journal).ok());
    recording.is_some_and(|recording| recording.start().is_some())
}
