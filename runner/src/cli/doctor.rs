//! `kiln doctor`: what a machine has and lacks for a run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::aws::Endpoint;
use super::dispatch::Global;
use super::document::{write, write_json};
use super::exit::Exit;
use super::load::{PipelineFile, cache_path, engine_without_cache};
use super::say::complain;
use crate::doctor::{MachineSetup, examine};
use crate::pipeline::Span;
use crate::plugin::Plugins;
use crate::report::health::{Health, render};
use crate::report::{Output, Style};

/// Say what this machine has and lacks for a run, and what to do about it. Nothing is written, neither here nor in AWS.
#[derive(Debug, Args)]
#[command(after_help = "\
Looked at are this binary and its plugins, region, endpoint, proxies, certificates, credentials (whose, from where, for how long), the \
clock beside AWS's, the shared store, the state directory and the cache; with a PIPELINE also whether the roles of its environments can be \
assumed, each in a session that may do nothing.

Exit codes:
  0    a run can begin; there may be warnings
  2    the input is wrong: arguments, the pipeline file
  3    a run would not begin, or would fail: see the lines with `problem`

  kiln doctor                       # of this machine
  kiln doctor web.toml              # and of the pipeline's roles and store
  kiln doctor --offline             # without asking anybody
  kiln doctor --output json | jq -r '.observations[] | select(.health == \"problem\") | .says'")]
pub(super) struct Doctor {
    /// A pipeline: are its region, its store and the roles of its environments to be had?
    #[arg(value_name = "PIPELINE")]
    pipeline: Option<PathBuf>,
    /// Ask nobody: neither AWS nor whoever gives credentials
    #[arg(long)]
    offline: bool,
    /// How long to wait for each answer
    #[arg(long, value_name = "DURATION", default_value = "8s")]
    patience: Span,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// Nobody is waited for longer.
const LONGEST: Duration = Duration::from_secs(60);

impl Doctor {
    pub(super) async fn execute(self, global: &Global) -> Exit {
        // Without the cache: to read from it is to write to it.
        let plugins = match engine_without_cache(global) {
            Ok(engine) => Arc::new(Plugins::new(engine)),
            Err(exit) => return exit,
        };
        let pipeline = match self.pipeline.map(|path| PipelineFile::at(path).check_by(&plugins, global)).transpose() {
            Ok(pipeline) => pipeline,
            Err(exit) => return exit,
        };
        let surroundings = MachineSetup {
            pipeline,
            plugins,
            provenance: global.binary.provenance,
            state_dir: global.absolute_state_dir(),
            cache: cache_path(global),
            region: self.endpoint.region().cloned(),
            endpoint_url: self.endpoint.url().map(str::to_owned),
            profile: self.endpoint.profile().map(str::to_owned),
            store: global.store.clone(),
            offline: self.offline,
            patience: self.patience.get().clamp(Duration::from_millis(100), LONGEST),
        };
        let view = match examine(surroundings).await {
            Ok(view) => view,
            Err(error) => return complain(&error.to_string(), None, Exit::Environment),
        };
        let exit = if view.health == Health::Problem { Exit::Environment } else { Exit::Done };
        match global.output {
            Output::Json => write_json(exit, &view),
            Output::Auto => write(exit, |out| render(&view, Style::of_stdout(), out)),
            Output::Plain => write(exit, |out| render(&view, Style::of_stdout().colourless(), out)),
        }
    }
}
