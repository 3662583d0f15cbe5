//! `kiln show`: what the journal of a run holds.

use clap::Args;

use super::aws::Endpoint;
use super::dispatch::Global;
use super::document::{write, write_json};
use super::exit::Exit;
use super::say::complain;
use super::store::look_at_run;
use crate::journal;
use crate::report::{Output, Style, show as report};

/// Print what the journal of a run holds.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The run's id, its beginning, or the path of its directory [default: the newest run]
    #[arg(value_name = "RUN")]
    run: Option<String>,
    #[command(flatten)]
    endpoint: Endpoint,
}

impl Show {
    pub(super) async fn execute(&self, global: &Global) -> Exit {
        let directory = match look_at_run(global, &self.endpoint, self.run.as_deref()).await {
            Ok(directory) => directory,
            Err(exit) => return exit,
        };
        let path = directory.join("journal");
        let recording = match journal::read(&path) {
            Ok(recording) => recording,
            Err(error) => return complain(&error.to_string(), None, Exit::Environment),
        };
        let Some(view) = crate::report::view(&recording) else {
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
}
