//! Carries the host's calls, which speak JSON text, to a [`Stage`], which speaks its own types.
//! [`export!`](crate::export) is the only caller.

use serde::Deserialize;
use serde_json::Value;

use crate::bindings::kiln::stage::context;
use crate::bindings::kiln::stage::types::Description;
use crate::{Failure, Plan, Stage, known, panic, schema};

/// What the plugin is. Calls nothing of the host.
pub fn describe<S: Stage>(version: &str) -> Description {
    Description {
        name: S::NAME.to_owned(),
        version: version.to_owned(),
        summary: S::SUMMARY.to_owned(),
        config_schema: schema::of_config::<S::Config>().to_string(),
        output_schema: schema::of_outputs::<S::Outputs>().to_string(),
        permissions: S::permissions(),
        undoable: S::UNDOABLE,
    }
}

/// Plan, or say which stages must have run before it can be planned.
pub fn plan<S: Stage>(config: &str) -> Result<Plan, Failure> {
    panic::report_by_log();
    let unknown = context::unknown();
    let mut value = json(config)?;
    let stages = known::mark(&mut value, &unknown);
    match S::Config::deserialize(value) {
        Ok(config) => S::plan(config),
        Err(_) if !stages.is_empty() => Ok(known::plan_later(S::NAME, &stages, &unknown)),
        Err(error) => Err(unreadable(&error)),
    }
}

/// Do it.
pub fn run<S: Stage>(config: &str) -> Result<String, Failure> {
    panic::report_by_log();
    let outputs = S::run(typed::<S>(config)?)?;
    serde_json::to_string(&outputs)
        .map_err(|error| Failure::internal(format!("the outputs of {} cannot be written as JSON: {error}", S::NAME)))
}

/// Take it back.
pub fn undo<S: Stage>(config: &str) -> Result<String, Failure> {
    panic::report_by_log();
    S::undo(typed::<S>(config)?)
}

fn json(config: &str) -> Result<Value, Failure> {
    serde_json::from_str(config).map_err(|error| unreadable(&error))
}

fn typed<S: Stage>(config: &str) -> Result<S::Config, Failure> {
    S::Config::deserialize(json(config)?).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> Failure {
    Failure::config(format!("the stage's config is not what the plugin understands: {error}"))
        .help("Correct `with` of this stage; `kiln plugin inspect` shows what it may hold.")
}
