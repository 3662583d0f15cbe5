//! Alarms, and the states that they pass through.
//!
//! The main type is [`Alarm`].

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::composite::Rule;
use super::evaluate::{Comparison, Condition};
use super::history::{HistoryItem, ItemType};
use super::samples::MetricKey;
use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::services::{autoscaling, ecs};

/// The state of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum AlarmState {
    Ok,
    Alarm,
    InsufficientData,
}

impl AlarmState {
    pub(super) fn name(self) -> &'static str {
        match self {
            AlarmState::Ok => "OK",
            AlarmState::Alarm => "ALARM",
            AlarmState::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

/// What CloudWatch says of an evaluation that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum EvaluationState {
    /// Not all data could be had.
    PartialData,
    /// The alarm is new, and not evaluated yet.
    InWarmUp,
    /// The alarm's configuration is wrong.
    EvaluationError,
    /// A trouble of CloudWatch's own.
    EvaluationFailure,
}

/// An alarm.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Alarm {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) description: Option<String>,
    pub(super) actions: Actions,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) watch: Watch,
    pub(super) configured: Timestamp,
    pub(super) state: AlarmState,
    pub(super) reason: String,
    pub(super) reason_data: Option<String>,
    /// None where it is evaluated as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evaluation: Option<EvaluationState>,
    /// How long a new alarm is not evaluated, where it has been told so.
    #[serde(skip)]
    pub(super) warm_up: Option<Duration>,
    /// When the state, or the evaluation, was last set.
    pub(super) updated: Timestamp,
    /// When the state last changed.
    pub(super) transitioned: Timestamp,
    /// When the alarm is evaluated next, where that is planned.
    #[serde(skip)]
    pub(super) due: Option<Timestamp>,
}

/// Whom an alarm tells. The simulator keeps it and tells nobody.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Actions {
    pub(super) enabled: bool,
    pub(super) ok: Vec<String>,
    pub(super) alarm: Vec<String>,
    pub(super) insufficient_data: Vec<String>,
}

/// What an alarm watches.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Watch {
    Metric(Box<Condition>),
    Composite {
        text: String,
        #[serde(skip)]
        rule: Rule,
    },
    /// The results of a query over logs, which the simulator does not run: its state changes by script and by `SetAlarmState`.
    Log(Box<LogQuery>),
}

/// What a log alarm asks, and what it compares the answer with.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct LogQuery {
    /// The log groups.
    pub(super) groups: Vec<String>,
    /// The query.
    #[serde(default)]
    pub(super) query: String,
    /// Such as `count(*)`.
    pub(super) aggregation: String,
    /// What its answer is compared with.
    pub(super) threshold: f64,
    /// How it is compared.
    pub(super) comparison: Comparison,
}

impl Alarm {
    /// A new alarm, not evaluated yet.
    pub(super) fn new(scope: &Scope<'_>, name: &str, watch: Watch) -> Self {
        let now = scope.now();
        Self {
            name: name.to_owned(),
            arn: scope.arn("cloudwatch", &format!("alarm:{name}")),
            description: None,
            actions: Actions { enabled: true, ..Actions::default() },
            tags: BTreeMap::new(),
            watch,
            configured: now,
            state: AlarmState::InsufficientData,
            reason: "Unchecked: Initial alarm creation".to_owned(),
            reason_data: None,
            evaluation: None,
            warm_up: None,
            updated: now,
            transitioned: now,
            due: None,
        }
    }

    /// Whether CloudWatch evaluates it at all now.
    pub(super) fn is_evaluated(&self) -> bool {
        matches!(self.evaluation, None | Some(EvaluationState::PartialData))
    }

    /// The series that the simulator evaluates the alarm by.
    pub(super) fn metric(&self) -> Option<&MetricKey> {
        match &self.watch {
            Watch::Metric(condition) => condition.series.as_ref().map(|series| &series.metric),
            Watch::Composite { .. } | Watch::Log(_) => None,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match &self.watch {
            Watch::Metric(_) => "MetricAlarm",
            Watch::Composite { .. } => "CompositeAlarm",
            Watch::Log(_) => "LogAlarm",
        }
    }
}

/// Whether an alarm here is in ALARM; nothing where there is none.
pub(crate) fn is_alarming(scope: &mut Scope<'_>, name: &str) -> Option<bool> {
    state_of(scope, name).map(|state| state == AlarmState::Alarm)
}

/// The state of an alarm here.
pub(crate) fn state_of(scope: &mut Scope<'_>, name: &str) -> Option<AlarmState> {
    scope.place().cloudwatch.alarms.get(name).map(|alarm| alarm.state)
}

/// Put an alarm into a state, with everything that follows from it.
pub(super) fn set_state(scope: &mut Scope<'_>, name: &str, state: AlarmState, reason: &str, data: Option<String>) {
    let now = scope.now();
    let Some(alarm) = scope.place().cloudwatch.alarms.get_mut(name) else { return };
    let before = (alarm.state, std::mem::replace(&mut alarm.reason, reason.to_owned()));
    alarm.state = state;
    alarm.reason_data = data;
    alarm.updated = now;
    if before.0 == state {
        return;
    }
    alarm.transitioned = now;
    let told = |(state, reason): (AlarmState, &str)| json!({ "stateValue": state.name(), "stateReason": reason });
    let data = json!({
        "version": "1.0", "oldState": told((before.0, &before.1)), "newState": told((state, reason)),
    });
    let summary = format!("Alarm updated from {} to {}", before.0.name(), state.name());
    let item = HistoryItem::of(alarm, now, ItemType::StateUpdate, summary, data.to_string());
    scope.place().cloudwatch.record(item);
    follow(scope, name);
    ecs::alarm_changed(scope, name, state);
    autoscaling::alarm_changed(scope, name, state);
}

/// Say of an alarm how it is evaluated; its state stays.
pub(super) fn set_evaluation(
    scope: &mut Scope<'_>,
    name: &str,
    evaluation: Option<EvaluationState>,
    reason: Option<&str>,
) {
    let now = scope.now();
    let Some(alarm) = scope.place().cloudwatch.alarms.get_mut(name) else { return };
    if alarm.evaluation != evaluation {
        alarm.evaluation = evaluation;
        alarm.updated = now;
    }
    if let Some(reason) = reason {
        alarm.reason = reason.to_owned();
    }
}

/// Evaluate the composite alarms whose rules name this one.
fn follow(scope: &mut Scope<'_>, changed: &str) {
    let state = &scope.place().cloudwatch;
    let parents: Vec<String> = state
        .alarms
        .values()
        .filter(|alarm| matches!(&alarm.watch, Watch::Composite { rule, .. } if rule.names().contains(&changed)))
        .map(|alarm| alarm.name.clone())
        .collect();
    for parent in parents {
        judge(scope, &parent);
    }
}

/// Evaluate a composite alarm. Rules form no cycles, so that this ends.
pub(super) fn judge(scope: &mut Scope<'_>, name: &str) {
    let alarms = &scope.place().cloudwatch.alarms;
    let Some(alarm) = alarms.get(name) else { return };
    let Watch::Composite { rule, .. } = &alarm.watch else { return };
    let holds = rule.holds(&|child: &str| alarms.get(child).map(|alarm| alarm.state));
    let state = if holds { AlarmState::Alarm } else { AlarmState::Ok };
    let causes: Vec<String> = rule
        .names()
        .into_iter()
        .filter_map(|child| alarms.get(child))
        .map(|child| format!("{} is {}", child.arn, child.state.name()))
        .collect();
    if alarm.state == state {
        return;
    }
    let reason = format!("{} transitioned to {}: {}", alarm.arn, state.name(), causes.join(", "));
    let reason: String = reason.chars().take(1023).collect();
    set_state(scope, name, state, &reason, None);
}

/// How long an alarm needs to see something; none where it watches no metric.
pub(crate) fn window_of(scope: &mut Scope<'_>, name: &str) -> Option<Duration> {
    match &scope.place().cloudwatch.alarms.get(name)?.watch {
        Watch::Metric(condition) => {
            let period = condition.series.as_ref()?.period;
            Some(Duration::from_millis(period * condition.evaluation_periods as u64))
        }
        Watch::Composite { .. } | Watch::Log(_) => None,
    }
}
