//! `kiln show`: what the journal of a run holds.

use std::path::PathBuf;

use clap::Args;

use super::dispatch::{Global, complain};
use super::document::{write, write_json};
use super::exit::Exit;
use crate::journal::{self, list_runs};
use crate::report::{Output, Style, show as report};

/// Print what the journal of a run holds.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The run's id, its beginning, or the path of its directory [default: the newest run]
    #[arg(value_name = "RUN")]
    run: Option<String>,
}

impl Show {
    pub(super) fn execute(&self, global: &Global) -> Exit {
        let directory = match self.find(global) {
            Ok(directory) => directory,
            Err(exit) => return exit,
        };
        let path = directory.join("journal");
        let recording = match journal::read(&path) {
            Ok(recording) => recording,
            Err(error) => return complain(&error.to_string(), None, Exit::Environment),
        };
        let Some(view) = journal::view(&recording) else {
            let message = format!("{} holds nothing yet: the runner was killed as it began", path.display());
            return complain(&message, Some("nothing was sent to AWS; run the pipeline again"), Exit::Environment);
        };
        let style = if global.output == Output::Plain { Style::of_stdout().colourless() } else { Style::of_stdout() };
        match global.output {
            Output::Json => write_json(Exit::Done, &view),
            Output::Auto | Output::Plain => {
                write(Exit::Done, |out| report::render(&view, global.verbose > 0, style, out))
            }
        }
    }

    fn find(&self, global: &Global) -> Result<PathBuf, Exit> {
        if let Some(named) = &self.run {
            let path = PathBuf::from(named);
            if path.join("journal").is_file() {
                return Ok(path);
            }
        }
        let runs =
            list_runs(&global.state_dir).map_err(|error| complain(&error.to_string(), None, Exit::Environment))?;
        let wanted = self.run.as_deref().unwrap_or_default();
        let mut found = runs.iter().filter(|run| run.run.as_str().starts_with(wanted));
        let state = global.state_dir.display();
        match (found.next(), found.next()) {
            (Some(run), None) => Ok(run.dir.clone()),
            // Without a name the newest is meant: runs are listed newest first.
            (Some(run), Some(_)) if self.run.is_none() => Ok(run.dir.clone()),
            (Some(_), Some(_)) => Err(complain(
                &format!("more than one run in {state} begins with `{wanted}`"),
                Some("write more of its id"),
                Exit::Input,
            )),
            (None, _) if runs.is_empty() => Err(complain(
                &format!("there are no runs in {state}"),
                Some("`--state-dir` says where runs are kept"),
                Exit::Input,
            )),
            (None, _) => {
                let known: Vec<&str> = runs.iter().take(5).map(|run| run.run.as_str()).collect();
                let help = format!("the newest runs are {}", known.join(", "));
                Err(complain(&format!("there is no run `{wanted}` in {state}"), Some(&help), Exit::Input))
            }
        }
    }
}
