//! `kiln permissions`: what AWS must allow to the roles that a pipeline is run with.

use clap::Args;

use super::dispatch::Global;
use super::document::{write, write_json};
use super::exit::Exit;
use super::load::PipelineFile;
use super::say::complain;
use crate::pipeline::{EvaluationPhase, Pipeline};
use crate::report::permissions::render;
use crate::report::{Output, Style};
use crate::run::{self, RunnerIs};
use crate::types::{AccountId, Arn};

/// Show what AWS must allow to the roles that a pipeline is run with.
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is asked of AWS. A value that is not known before the run, such as the output of a stage or an input without a \
value, reaches as far as its kind of resource: give the inputs that name resources, and the policies become narrower.

  kiln permissions web.toml                       # a table: each action, on what, for which stage, and why
  kiln permissions web.toml --iam                 # the policy of the runner's role; policy and trust policy of each environment's
  kiln permissions web.toml --iam | jq .environments.production.policy")]
pub(super) struct Permissions {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// Print IAM's own documents, as JSON
    #[arg(long)]
    iam: bool,
    /// The account of the runner's own role [default: that of the pipeline's environments, where it is one]
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<AccountId>,
    /// The ARN of the runner's own role, for the trust policies of the others [default: anybody in its account whom IAM lets]
    #[arg(long, value_name = "ARN")]
    runner: Option<Arn>,
}

impl Permissions {
    pub(super) fn execute(&self, global: &Global) -> Exit {
        // Without inputs the file is enough.
        let given = !self.pipeline.inputs().is_empty();
        let (pipeline, plugins, phase) = match given {
            true => match self.pipeline.load(global, None) {
                Ok(loaded) => (loaded.pipeline, loaded.plugins, EvaluationPhase::Plan),
                Err(exit) => return exit,
            },
            false => match self.pipeline.check_with_plugins(global) {
                Ok((pipeline, plugins)) => (pipeline.into(), plugins, EvaluationPhase::Check),
                Err(exit) => return exit,
            },
        };
        let Some(account) = self.account_of(&pipeline) else {
            let help = "say it: --account 111111111111";
            return complain(
                "it cannot be told from the pipeline in which account the runner is",
                Some(help),
                Exit::Input,
            );
        };
        let (role, store) = (self.runner.as_ref(), global.store.as_ref());
        let view = match run::permissions(&pipeline, &plugins, &RunnerIs { account: &account, role, store, phase }) {
            Ok(view) => view,
            Err(error) => return complain(&error.to_string(), None, Exit::Input),
        };
        match global.output {
            _ if self.iam => write_json(Exit::Done, &view.documents()),
            Output::Json => write_json(Exit::Done, &view),
            Output::Auto => write(Exit::Done, |out| render(&view, Style::of_stdout(), out)),
            Output::Plain => write(Exit::Done, |out| render(&view, Style::of_stdout().colourless(), out)),
        }
    }

    /// The runner's account: as told, as its role's ARN says, or the only one that the pipeline names.
    fn account_of(&self, pipeline: &Pipeline) -> Option<AccountId> {
        let told = self.account.clone().or_else(|| self.runner.as_ref()?.account().parse().ok());
        let mut named: Vec<&AccountId> = pipeline.environments.values().map(|place| &place.account).collect();
        named.dedup();
        told.or_else(|| match named.as_slice() {
            [one] => Some((*one).clone()),
            _ => None,
        })
    }
}
