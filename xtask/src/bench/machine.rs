//! What the figures were measured on.
//! The main type is [`Machine`].

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// The machine and what runs on it.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory: String,
    /// What the journals are written to.
    pub(super) disk: String,
    pub(super) kernel: String,
    pub(super) rustc: String,
    pub(super) date: String,
    /// Processes that wanted to run when it began, over one, five and fifteen minutes.
    pub(super) load: String,
}

impl Machine {
    pub(super) fn describe(directory: &Path) -> Self {
        let memory = field("/proc/meminfo", "MemTotal").and_then(|total| total.split(' ').next()?.parse::<f64>().ok());
        Self {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory.map_or_else(|| "unknown".to_owned(), |kib| format!("{:.1} GiB", kib / 1_048_576.0)),
            disk: disk(directory),
            kernel: said("uname", &["-sr"]),
            rustc: said("rustc", &["--version"]),
            date: said("date", &["-u", "+%Y-%m-%d"]),
            load: load(),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "processor": self.processor, "cores": self.cores, "memory": self.memory, "disk": self.disk, "kernel": self.kernel,
            "rustc": self.rustc, "date": self.date, "load-before": self.load, "load-after": load(),
        })
    }

    /// A sentence.
    pub(super) fn sentence(&self) -> String {
        format!(
            "{}, {} cores, {} of memory, journals on {}, {}, {}, on {}. Load average before: {}; after: {}.",
            self.processor,
            self.cores,
            self.memory,
            self.disk,
            self.kernel,
            self.rustc,
            self.date,
            self.load,
            load()
        )
    }
}

/// The file system that holds `directory`, and its device.
fn disk(directory: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let holding = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (device, at, kind) = (words.next()?, words.next()?, words.next()?);
        directory.starts_with(at).then_some((at.len(), device, kind))
    });
    holding.max().map_or_else(|| "an unknown file system".to_owned(), |(_, device, kind)| format!("{kind} ({device})"))
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let three: Vec<&str> = text.split(' ').take(3).collect();
    three.join(" ")
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if text.is_empty() { format!("unknown {program}") } else { text }
}
