//! `kiln plan`: what a run would do.

use clap::Args;

use super::aws::{Aws, Endpoint};
use super::dispatch::Global;
use super::document::{write, write_json};
use super::exit::Exit;
use super::load::PipelineFile;
use super::say::complain;
use super::signals;
use crate::call::{HostStop, Interrupter};
use crate::report::{Output, Reports, Style, plan as view};
use crate::run::{self, RunError};

/// Show what a run would do.
#[derive(Debug, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    pipeline: PipelineFile,
    #[command(flatten)]
    aws: Aws,
}

impl Plan {
    pub(super) async fn execute(self, global: &Global) -> Exit {
        let loaded = match self.pipeline.load(global, self.aws.endpoint.region()) {
            Ok(loaded) => loaded,
            Err(exit) => return exit,
        };
        let (interrupter, control) = Interrupter::new();
        let watch = match signals::watch(interrupter) {
            Ok(watch) => watch,
            Err(error) => return complain(&format!("cannot watch for signals: {error}"), None, Exit::Environment),
        };
        let watched = control.clone();
        let report = Box::new(Reports::new(Vec::new()));
        let (clock, region) = (self.aws.clock(), &loaded.pipeline.region);
        let connection = match self.aws.endpoint.connection(region).await {
            Ok(connection) => connection,
            Err(exit) => return exit,
        };
        let options = Endpoint::options(global, connection, clock, control, report);
        let plan = match run::plan(loaded.pipeline, loaded.plugins, options).await {
            Ok(plan) => plan,
            Err(RunError::GivenUp(HostStop::Interrupted)) => {
                return signals::exit_of(&watched.interrupted().unwrap_or_default());
            }
            Err(error) => return complain(&error.to_string(), error.help().as_deref(), Exit::Environment),
        };
        // What is left is to show it, to a reader who may take as long as he likes.
        watch.over();
        let exit = if plan.failed() { Exit::Failed } else { Exit::Done };
        match global.output {
            Output::Json => write_json(exit, &plan),
            Output::Auto => write(exit, |out| view::render(&plan, Style::of_stdout(), out)),
            Output::Plain => write(exit, |out| view::render(&plan, Style::of_stdout().colourless(), out)),
        }
    }
}
