//! Alarms in a world file, and the scripts that they follow.
//!
//! The main types are [`AlarmSeed`] and [`Scripted`], a script's step that waits for a deployment.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::alarm::{Alarm, AlarmState, EvaluationState, LogQuery, Watch};
use super::alarms::check_rule;
use super::composite::Rule;
use super::evaluate::{Comparison, Condition, MissingData};
use super::events::{self, AlarmChange, Event};
use super::mutes::{self, MuteSeed};
use super::samples::{MetricKey, Series};
use crate::ctx::Scope;
use crate::world::World;
use crate::worldfile::{Problems, Span};

/// An alarm in a world file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct AlarmSeed {
    name: String,
    description: Option<String>,
    /// The state that it begins in: `INSUFFICIENT_DATA` unless told.
    state: Option<AlarmState>,
    reason: Option<String>,
    /// What it watches. An alarm without a metric and a rule changes only by its script and by `SetAlarmState`.
    metric: Option<MetricSeed>,
    /// The rule of a composite alarm; it may name alarms that stand before it.
    rule: Option<String>,
    /// The query of a log alarm, whose state changes only by its script and by `SetAlarmState`.
    log: Option<LogQuery>,
    /// How it is evaluated at the beginning: as it should be unless told.
    evaluation: Option<EvaluationSeed>,
    /// It is new, and CloudWatch evaluates it only after so long.
    warm_up: Option<Span>,
    #[serde(default)]
    script: Vec<StepSeed>,
}

/// How an alarm is evaluated, where `NONE` is as it should be.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum EvaluationSeed {
    None,
    PartialData,
    InWarmUp,
    EvaluationError,
    EvaluationFailure,
}

impl EvaluationSeed {
    fn evaluation(self) -> Option<EvaluationState> {
        match self {
            EvaluationSeed::None => None,
            EvaluationSeed::PartialData => Some(EvaluationState::PartialData),
            EvaluationSeed::InWarmUp => Some(EvaluationState::InWarmUp),
            EvaluationSeed::EvaluationError => Some(EvaluationState::EvaluationError),
            EvaluationSeed::EvaluationFailure => Some(EvaluationState::EvaluationFailure),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct MetricSeed {
    namespace: String,
    name: String,
    #[serde(default)]
    dimensions: BTreeMap<String, String>,
    statistic: String,
    period: Span,
    #[serde(default = "one")]
    evaluation_periods: usize,
    datapoints_to_alarm: Option<usize>,
    threshold: f64,
    comparison: Comparison,
    treat_missing_data: Option<MissingData>,
}

fn one() -> usize {
    1
}

/// A step of a script: `after` the beginning of the world, or `at` a time after a deployment of a service began.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StepSeed {
    after: Option<Span>,
    /// `CLUSTER/SERVICE`.
    after_deployment_of: Option<String>,
    at: Option<Span>,
    /// Only the deployment of this number, from 1; every one unless told.
    nth: Option<u64>,
    state: Option<AlarmState>,
    evaluation: Option<EvaluationSeed>,
    reason: Option<String>,
}

/// A step that waits for a deployment.
#[derive(Debug, Clone)]
pub(super) struct Scripted {
    alarm: String,
    service: String,
    at: Duration,
    nth: Option<u64>,
    change: AlarmChange,
}

/// Put the alarms of a world file into the world.
pub(crate) fn plant(world: &mut World, seeds: &[AlarmSeed], muting: &[MuteSeed], problems: &mut Problems) {
    let mut scope = world.scope(None, None);
    for seed in seeds {
        let place = format!("alarms: {}", seed.name);
        match alarm(&mut scope, seed) {
            Ok(alarm) => {
                if scope.place().cloudwatch.alarms.insert(seed.name.clone(), alarm).is_some() {
                    problems.add(&place, "the alarm is there twice");
                }
                let missing = seed.metric.as_ref().and_then(|metric| metric.treat_missing_data);
                if matches!(missing, Some(MissingData::Missing | MissingData::Breaching)) {
                    // Who says so of a metric without data sees it when the first period ends.
                    events::plan(&mut scope, &seed.name);
                }
            }
            Err(problem) => problems.add(&place, problem),
        }
        for step in &seed.script {
            if let Err(problem) = play(&mut scope, &seed.name, step) {
                problems.add(&place, problem);
            }
        }
        if let Some(warm_up) = seed.warm_up {
            scope.schedule(warm_up.duration(), Event::WarmedUp { name: seed.name.clone() });
        }
    }
    mutes::plant(world, muting, problems);
}

fn alarm(scope: &mut Scope<'_>, seed: &AlarmSeed) -> Result<Alarm, String> {
    let watch = match (&seed.metric, &seed.rule, &seed.log) {
        (None, None, Some(query)) => Watch::Log(Box::new(query.clone())),
        (Some(metric), None, None) => Watch::Metric(Box::new(condition(metric)?)),
        (None, Some(text), None) => {
            let rule = Rule::parse(text).map_err(|wrong| format!("its rule cannot be read: {wrong}"))?;
            check_rule(scope, &rule, &seed.name)?;
            Watch::Composite { text: text.clone(), rule }
        }
        (None, None, None) => Watch::Metric(Box::new(Condition {
            series: None,
            statistic: None,
            queries: Vec::new(),
            evaluation_periods: 1,
            datapoints_to_alarm: None,
            threshold: 0.0,
            comparison: Comparison::GreaterThanThreshold,
            missing: None,
        })),
        _ => return Err("it has a `metric`, a `rule` or a `log`, not two of them".to_owned()),
    };
    if seed.rule.is_some() && (seed.evaluation.is_some() || seed.warm_up.is_some()) {
        return Err("a composite alarm has neither `evaluation` nor `warm-up`".to_owned());
    }
    let mut alarm = Alarm::new(scope, &seed.name, watch);
    alarm.description = seed.description.clone();
    alarm.state = seed.state.unwrap_or(AlarmState::InsufficientData);
    alarm.evaluation = seed.evaluation.and_then(EvaluationSeed::evaluation);
    if let Some(warm_up) = seed.warm_up {
        if seed.evaluation.is_some() || seed.state.is_some_and(|state| state != AlarmState::InsufficientData) {
            return Err("while it warms up its evaluation is IN_WARM_UP and its state INSUFFICIENT_DATA".to_owned());
        }
        alarm.evaluation = Some(EvaluationState::InWarmUp);
        alarm.warm_up = Some(warm_up.duration());
    }
    if let Some(reason) = seed.reason.clone() {
        alarm.reason = reason;
    } else if seed.state.is_some() && seed.warm_up.is_none() {
        alarm.reason = "The world file begins with this state.".to_owned();
    }
    Ok(alarm)
}

fn condition(seed: &MetricSeed) -> Result<Condition, String> {
    let statistic = seed.statistic.parse().map_err(|()| format!("{:?} is no statistic", seed.statistic))?;
    let period = seed.period.duration();
    if period.as_secs() == 0 || period.subsec_millis() != 0 {
        return Err("`period` is a whole number of seconds".to_owned());
    }
    if seed.evaluation_periods == 0 || seed.datapoints_to_alarm.is_some_and(|points| points > seed.evaluation_periods) {
        return Err("`datapoints-to-alarm` is at most `evaluation-periods`, which is at least 1".to_owned());
    }
    let metric =
        MetricKey { namespace: seed.namespace.clone(), name: seed.name.clone(), dimensions: seed.dimensions.clone() };
    Ok(Condition {
        series: Some(Series { metric, statistic, period: period.as_secs() * 1000, unit: None }),
        statistic: Some((seed.statistic.clone(), seed.statistic.starts_with('p'))),
        queries: Vec::new(),
        evaluation_periods: seed.evaluation_periods,
        datapoints_to_alarm: seed.datapoints_to_alarm,
        threshold: seed.threshold,
        comparison: seed.comparison,
        missing: seed.treat_missing_data,
    })
}

fn play(scope: &mut Scope<'_>, alarm: &str, step: &StepSeed) -> Result<(), String> {
    if step.state.is_none() && step.evaluation.is_none() {
        return Err("a step of a script has a `state`, an `evaluation` or both".to_owned());
    }
    let change = AlarmChange {
        state: step.state,
        evaluation: step.evaluation.map(EvaluationSeed::evaluation),
        reason: step.reason.clone().unwrap_or_else(|| "The world file's script says so.".to_owned()),
    };
    match (step.after, &step.after_deployment_of) {
        (Some(after), None) if step.at.is_none() && step.nth.is_none() => {
            let event = Event::Scripted { name: alarm.to_owned(), change };
            scope.schedule(after.duration(), event);
            Ok(())
        }
        (None, Some(service)) if service.split('/').count() == 2 && step.nth != Some(0) => {
            let at = step.at.map(Span::duration).unwrap_or_default();
            let (alarm, service) = (alarm.to_owned(), service.clone());
            let scripted = Scripted { alarm, service, at, nth: step.nth, change };
            scope.place().cloudwatch.scripts.push(scripted);
            Ok(())
        }
        _ => {
            Err("a step of a script has `after`, or `after-deployment-of = \"CLUSTER/SERVICE\"` with `at` and perhaps \
            `nth` (from 1)"
                .to_owned())
        }
    }
}

/// A deployment of a service began: the scripts that wait for it go on.
pub(crate) fn deployment_started(scope: &mut Scope<'_>, cluster: &str, service: &str) {
    let name = format!("{cluster}/{service}");
    let cloudwatch = &mut scope.place().cloudwatch;
    let count = cloudwatch.deployments.entry(name.clone()).or_default();
    *count += 1;
    let count = *count;
    let due: Vec<Scripted> = cloudwatch
        .scripts
        .iter()
        .filter(|step| step.service == name && step.nth.is_none_or(|nth| nth == count))
        .cloned()
        .collect();
    for step in due {
        let event = Event::Scripted { name: step.alarm, change: step.change };
        scope.schedule(step.at, event);
    }
}
