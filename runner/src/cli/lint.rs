//! Runs the linters that plugins name for files beside a pipeline, where they are installed.
//!
//! The main function is [`lint`]. Only linters of a short list are ever run, by their own names and with the file alone.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use super::exit::Exit;
use super::say::{note, say};
use crate::harmless::line;
use crate::pipeline::Pipeline;

/// A linter that kiln knows.
struct Linter {
    /// Its program.
    program: &'static str,
    /// What it is given before the file.
    arguments: &'static [&'static str],
    /// How one gets it.
    install: &'static str,
}

const KNOWN: [Linter; 1] = [Linter {
    program: "cfn-lint",
    arguments: &["--format", "parseable", "--"],
    install: "`pip install cfn-lint` installs it",
}];

/// So much of what a linter says is shown.
const MOST_LINES: usize = 500;

/// Lint the files of a pipeline that lies in `directory`.
pub(super) fn lint(pipeline: &Pipeline, directory: &Path) -> Exit {
    let files: BTreeSet<(&str, &str)> = pipeline.stages.iter().flat_map(crate::pipeline::Stage::linted).collect();
    let mut exit = Exit::Done;
    for (linter, path) in files {
        let Some(known) = KNOWN.iter().find(|known| known.program == linter) else {
            note(&format!("{} is to be linted by {}, which kiln does not know", line(path), line(linter)));
            continue;
        };
        exit = match run(known, directory, path) {
            Exit::Done => exit,
            other => other,
        };
    }
    exit
}

fn run(linter: &Linter, directory: &Path, path: &str) -> Exit {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let mut command = Command::new(linter.program);
    command.args(linter.arguments).arg(path).current_dir(directory).stdin(Stdio::null());
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            note(&format!(
                "{} is not installed, and {} was not linted; {}",
                linter.program,
                line(path),
                linter.install
            ));
            return Exit::Environment;
        }
        Err(error) => {
            note(&format!("{} cannot be run: {error}", linter.program));
            return Exit::Environment;
        }
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    said.lines().take(MOST_LINES).for_each(|told| say(&format!("{}\n", line(told))));
    match output.status.success() {
        true => Exit::Done,
        false => Exit::Input,
    }
}
