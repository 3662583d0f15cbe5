//! One rehearsal: what it needs, and what came of it.
//!
//! The main type is [`Rehearsal`]. A rehearsal is deterministic: the same pipeline, world and seed give the same events,
//! byte for byte. Time is virtual: the clock of the runtime stands still while anything works and jumps when everything
//! waits, and the simulator, the plugins' timers, the pauses between retries and all time-outs ride on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_sim::{Effect, Simulator, WorldFile};
use serde_json::Value;

use super::connector::InProcess;
use super::recorder::Recorder;
use crate::aws::clients::Connection;
use crate::call::{Control, Interrupter};
use crate::clock::Clock;
use crate::contract::Limits;
use crate::diagnostic::{Diagnostic, SourceFile};
use crate::event::{Event, RunOutcome};
use crate::pipeline::{self, Pipeline, Values};
use crate::plugin::Plugins;
use crate::report::plan::PlanView;
use crate::report::{Report, Reports};
use crate::run::{self, RunError, RunOptions, RunSource, Sharing};
use crate::types::RunId;
use crate::words::count;

/// When rehearsals begin unless they say otherwise: 2026-01-05T09:00:00Z, a Monday morning.
pub const START: u64 = 1_767_603_600_000;

/// A rehearsal.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    /// The pipeline file.
    pub source: SourceFile,
    /// Its inputs, as text.
    pub inputs: BTreeMap<String, String>,
    /// The environment variables that the pipeline sees.
    pub env: BTreeMap<String, String>,
    /// The simulated account.
    pub world: WorldFile,
    /// What all that is left to chance follows from.
    pub seed: u64,
    /// When it begins: milliseconds since the Unix epoch.
    pub start: u64,
    /// How many stages may be at work at once.
    pub max_parallel: Option<usize>,
}

/// What came of a rehearsal.
#[derive(Debug, Clone)]
pub struct Rehearsed {
    /// How the run ended.
    pub outcome: RunOutcome,
    /// All that happened.
    pub events: Vec<Event>,
    /// All that was changed in the account.
    pub effects: Vec<Effect>,
    /// The account before.
    pub before: Value,
    /// The account after.
    pub after: Value,
    /// From start to end, in milliseconds of the simulated time.
    pub millis: u64,
}

/// Why there was no rehearsal.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    /// The pipeline file is wrong.
    #[error("the pipeline has {}", count(_0.len(), "problem"))]
    Pipeline(Vec<Diagnostic>),
    /// The run could not begin, or had to be given up.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The runtime could not be made.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[from] std::io::Error),
}

/// What the run of `rehearsal` would do, as a plan says it that is made before it. Must not be called within a runtime.
///
/// # Errors
/// The pipeline file is wrong, or a run could not begin.
pub fn plan(rehearsal: Rehearsal, plugins: Arc<Plugins>) -> Result<PlanView, RehearseError> {
    let values = Values { inputs: rehearsal.inputs, env: rehearsal.env, region: None };
    let pipeline = pipeline::load(&rehearsal.source, plugins.as_ref(), &values).map_err(RehearseError::Pipeline)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let clock = Clock::starting_at(rehearsal.start, 1.0);
        let simulator = Simulator::new(rehearsal.world.in_process(), kiln_sim::Clock::new(rehearsal.start, 1.0));
        let (_interrupter, control) = Interrupter::new();
        let options = options(&pipeline, &simulator, clock, control, Box::new(Reports::new(Vec::new())));
        Ok(run::plan(Arc::new(pipeline), plugins, options).await?)
    })
}

/// The options of a run against a simulator in this process.
fn options(
    pipeline: &Pipeline,
    simulator: &Simulator,
    clock: Clock,
    control: Control,
    report: Box<dyn Report>,
) -> RunOptions {
    RunOptions {
        max_parallel: None,
        state_dir: None,
        run_id: None,
        connection: Connection::in_process(&pipeline.region, InProcess::to(simulator.clone()), clock),
        clock,
        limits: Limits::default(),
        detach_after: None,
        sharing: Sharing::default(),
        control,
        report,
    }
}

/// Rehearse: everything that happens is told to `report` as it happens. Must not be called within a runtime.
pub fn rehearse(
    rehearsal: Rehearsal,
    plugins: Arc<Plugins>,
    report: Box<dyn Report>,
) -> Result<Rehearsed, RehearseError> {
    let values = Values { inputs: rehearsal.inputs, env: rehearsal.env, region: None };
    let pipeline = pipeline::load(&rehearsal.source, plugins.as_ref(), &values).map_err(RehearseError::Pipeline)?;
    // One thread, one clock that stands still while anything works: the order of things is always the same.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let clock = Clock::starting_at(rehearsal.start, 1.0);
        let simulator = Simulator::new(rehearsal.world.in_process(), kiln_sim::Clock::new(rehearsal.start, 1.0));
        let before = simulator.state();
        let (recorder, kept) = Recorder::before(report);
        let (_interrupter, control) = Interrupter::new();
        let options = RunOptions {
            max_parallel: rehearsal.max_parallel,
            run_id: Some(RunId::seeded(rehearsal.start, rehearsal.seed)),
            ..options(&pipeline, &simulator, clock, control, Box::new(recorder))
        };
        let source = RunSource { file: rehearsal.source.name, text: rehearsal.source.text };
        let summary = run::run(Arc::new(pipeline), plugins, source, options).await?;
        // What is under way in the account comes to its next rest as the world is looked at.
        simulator.advance();
        Ok(Rehearsed {
            outcome: summary.outcome,
            events: kept.take(),
            effects: simulator.effects(),
            before,
            after: simulator.state(),
            millis: clock.now().saturating_sub(rehearsal.start),
        })
    })
}
