//! Asks a plugin what it thinks of a config, before a run.
//!
//! The main function is [`check`]. The plugin sees the config and the files that it names, and nothing else: whatever else it calls ends it.

use std::sync::Arc;

use serde_json::Value;
use wasmtime::Store;

use super::component::{Plugin, block_on};
use super::engine::Engine;
use super::error::PluginError;
use super::quote::quoted;
use super::schema;
use crate::contract::Limits;
use crate::contract::bindings::StagePre;
use crate::contract::bindings::checker::CheckerPre;
use crate::contract::bindings::checker::exports::kiln::checks::checks as said;
use crate::harmless::is_unseen;
use crate::host::{StageHost, trap_reason};
use crate::pipeline::{Checked, ConfigProblem, FilePlace, Files};

/// How many problems of one config are told.
const MOST: usize = 200;
/// The longest sentence about one.
const LONGEST: usize = 2_000;
/// The longest schema of outputs.
const SCHEMA: usize = 256 << 10;

/// Whether a component looks at configs.
pub(super) fn exported(pre: &StagePre<StageHost>) -> bool {
    CheckerPre::new(pre.instance_pre().clone()).is_ok()
}

/// Run `check` with small limits.
pub(super) fn check(
    engine: &Engine,
    plugin: &Plugin,
    config: &Value,
    unknown: &[String],
    files: &Files,
) -> Result<Checked, PluginError> {
    let name = &plugin.description.name;
    let failed = |reason: String| PluginError::Check { name: name.clone(), reason: quoted(&reason) };
    let pre = CheckerPre::new(plugin.ready(engine)?.instance_pre().clone());
    let pre = pre.map_err(|error| failed(format!("{error:#}")))?;
    // A template may be large, and is read more than once.
    let limits = Limits { fuel: 10_000_000_000, ..Limits::default() };
    let mut store = Store::new(&engine.wasmtime, StageHost::checking(limits, Arc::new(files.clone())));
    StageHost::limit(&mut store, &limits).map_err(|error| failed(format!("{error:#}")))?;
    let (config, unknown) = (config.to_string(), unknown.to_vec());
    let answer = block_on(async {
        let checker = pre.instantiate_async(&mut store).await?;
        checker.kiln_checks_checks().call_check(&mut store, &config, &unknown).await
    });
    let checked = answer.map_err(|error| failed(trap_reason(&error)))?;
    let outputs = checked.output_schema.map(|text| match text.len() > SCHEMA {
        true => Err(failed(format!("its schema of the outputs has more than {} KiB", SCHEMA >> 10))),
        false => schema::read(&text).map_err(|reason| failed(format!("its schema of the outputs {reason}"))),
    });
    let problems = checked.problems.into_iter().take(MOST).map(problem).collect();
    Ok(Checked { problems, outputs: outputs.transpose()? })
}

fn problem(said: said::Problem) -> ConfigProblem {
    let place = said.place.map(|place| FilePlace { path: fit(&place.path), line: place.line, column: place.column });
    ConfigProblem { pointer: said.config, place, message: fit(&said.message), help: said.help.as_deref().map(fit) }
}

/// A sentence of a plugin, in a line.
fn fit(text: &str) -> String {
    let shown = text.chars().map(|c| if is_unseen(c) { ' ' } else { c });
    let mut fitted: String = shown.take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        fitted.push('\u{2026}');
    }
    fitted
}
