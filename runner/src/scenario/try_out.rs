//! Scenarios are rehearsed, and what came of them is judged.
//!
//! The main function is [`try_out`]; [`try_all`] does it for several, side by side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_sim::WorldError;
use serde_json::{Value, json};

use super::abreast::abreast;
use super::load::Scenario;
use super::outcomes::AtShare;
use super::results::Tested;
use super::verdict::{Unmet, judge};
use super::world::Piece;
use crate::diagnostic::SourceFile;
use crate::event::RunOutcome;
use crate::plugin::Plugins;
use crate::rehearse::{RehearseError, Rehearsed, rehearse};
use crate::report::{Report, Reports};

/// What came of a scenario.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The rehearsal.
    pub rehearsed: Rehearsed,
    /// Why the run could not begin, where it could not. Then nothing happened in the rehearsal.
    pub refused: Option<String>,
    /// The expectations that were not met.
    pub unmet: Vec<Unmet>,
    /// How long it took on the wall.
    pub wall: Duration,
}

/// Why a scenario could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum TryError {
    /// The pipeline could not be rehearsed.
    #[error(transparent)]
    Rehearse(#[from] RehearseError),
    /// The world, with what is known only now, is none.
    #[error(transparent)]
    World(#[from] WorldError),
    /// A share of a rollout that never happens.
    #[error(
        "the alarm `{alarm}` is to change at a share of deployment {nth} of {service}, but without it there is no such \
         deployment that ends"
    )]
    NoRollout {
        /// The alarm.
        alarm: String,
        /// The service, as `CLUSTER/SERVICE`.
        service: String,
        /// Which deployment.
        nth: u64,
    },
}

/// Rehearse a scenario of the pipeline `source` and judge it.
///
/// # Errors
/// There was nothing to judge.
pub fn try_out(scenario: &Scenario, source: &SourceFile, plugins: &Arc<Plugins>) -> Result<Trial, TryError> {
    let begin = Instant::now();
    let (rehearsed, refused) = match scenario.rehearse(source, plugins, Box::new(Reports::new(Vec::new()))) {
        Ok(rehearsed) => (rehearsed, None),
        Err(TryError::Rehearse(RehearseError::Run(refused))) => (nothing(), Some(refused.to_string())),
        Err(error) => return Err(error),
    };
    let unmet = judge(scenario, &rehearsed, refused.as_deref());
    Ok(Trial { rehearsed, refused, unmet, wall: begin.elapsed() })
}

/// Rehearse scenarios of the pipeline `source` and judge them, at most `workers` at a time. Each has its own thread, runtime, clock and
/// account, so that nothing of one comes into another. `done` is told of each in the order of the list, as soon as all before it are
/// done; one that cannot be tried, or in which kiln itself fails, stops no other.
pub fn try_all(
    scenarios: &[Scenario],
    source: &SourceFile,
    plugins: &Arc<Plugins>,
    workers: usize,
    done: impl FnMut(&Tested),
) -> Vec<Tested> {
    let tested = |scenario: &Scenario, result| Tested {
        name: scenario.name.clone(),
        path: scenario.path.clone(),
        description: scenario.description.clone(),
        result,
    };
    let work =
        |scenario: &Scenario| tested(scenario, try_out(scenario, source, plugins).map_err(|error| error.words(source)));
    let broken = |scenario: &Scenario, panic: String| {
        tested(scenario, Err(format!("kiln itself failed, which is a fault of kiln: {panic}")))
    };
    abreast(scenarios, workers, work, broken, done)
}

/// What comes of a run that does not begin.
fn nothing() -> Rehearsed {
    Rehearsed {
        outcome: RunOutcome::Failed,
        events: Vec::new(),
        effects: Vec::new(),
        before: Value::Null,
        after: Value::Null,
        millis: 0,
    }
}

impl Scenario {
    /// Rehearse the pipeline `source` as the scenario says. Where an alarm changes at a share of a rollout, a first
    /// rehearsal without it tells how long the rollout is.
    ///
    /// # Errors
    /// There was no rehearsal.
    pub fn rehearse(
        &self,
        source: &SourceFile,
        plugins: &Arc<Plugins>,
        report: Box<dyn Report>,
    ) -> Result<Rehearsed, TryError> {
        let mut steps = Vec::new();
        if !self.shares.is_empty() {
            let probe = self.rehearsal(source, self.world_with(&[])?);
            let probe = rehearse(probe, Arc::clone(plugins), Box::new(Reports::new(Vec::new())))?;
            for share in &self.shares {
                steps.push(share.step(&probe.after)?);
            }
        }
        let rehearsal = self.rehearsal(source, self.world_with(&steps)?);
        Ok(rehearse(rehearsal, Arc::clone(plugins), report)?)
    }
}

impl AtShare {
    /// The step of the alarm's script, by a rollout as it goes without the step.
    pub(super) fn step(&self, account: &Value) -> Result<Piece, TryError> {
        let length = self.length(account).ok_or_else(|| TryError::NoRollout {
            alarm: self.alarm.clone(),
            service: format!("{}/{}", self.cluster, self.service),
            nth: self.nth,
        })?;
        let mut step = self.step.clone();
        step.insert("at".to_owned(), Value::from(format!("{}ms", (length * 1000.0 * self.share).round() as u64)));
        let mut change = serde_json::Map::new();
        change.insert("name".to_owned(), Value::from(self.alarm.as_str()));
        change.extend(self.account.iter().map(|account| ("account".to_owned(), Value::from(account.as_str()))));
        change.extend(self.region.iter().map(|region| ("region".to_owned(), Value::from(region.as_str()))));
        change.insert("script".to_owned(), json!([step]));
        Ok(Piece::item(&[], "alarms", Value::Object(change)).appending())
    }

    /// The seconds from the beginning of the deployment to its end.
    fn length(&self, account: &Value) -> Option<f64> {
        let home = account.get("home")?.as_str()?;
        let (own_account, own_region) = home.split_once('/').unwrap_or((home, ""));
        let place = match (self.account.as_deref(), self.region.as_deref()) {
            (None, None) => home.to_owned(),
            (account, region) => format!("{}/{}", account.unwrap_or(own_account), region.unwrap_or(own_region)),
        };
        let ecs = account.get("places")?.get(&place)?.get("ecs")?;
        let service = ecs.get("clusters")?.get(&self.cluster)?.get("services")?.get(&self.service)?;
        // The first is the one that was there from the start.
        let deployment = service.get("service-deployments")?.get(usize::try_from(self.nth).ok()?)?;
        let instant = |key: &str| deployment.get(key).and_then(Value::as_f64);
        Some(instant("finished")? - instant("created")?)
    }
}

impl TryError {
    /// What went wrong, with the places in the pipeline that it is about.
    pub fn words(&self, pipeline: &SourceFile) -> String {
        match self {
            Self::Rehearse(RehearseError::Pipeline(problems)) => {
                format!("the pipeline has problems:\n{}", crate::diagnostic::render(problems, pipeline, false))
            }
            other => other.to_string(),
        }
    }
}
