//! What happens to alarms with time: evaluations and scripts.
//!
//! The main type is [`Event`]. An alarm is evaluated at the ends of its periods as long as its metric has data that an
//! evaluation can see, and not beyond: then nothing changes any more.

use std::time::Duration;

use super::alarm::{Alarm, AlarmState, EvaluationState, Watch, set_evaluation, set_state};
use super::samples::MetricKey;
use crate::clock::Timestamp;
use crate::ctx::Scope;

/// What falls due.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// An alarm is evaluated, unless another instant was planned since.
    Evaluate { name: String, due: Timestamp },
    /// A script changes an alarm.
    Scripted { name: String, change: AlarmChange },
    /// A new alarm has warmed up.
    WarmedUp { name: String },
}

/// What a script changes of an alarm.
#[derive(Debug, Clone)]
pub(crate) struct AlarmChange {
    pub(super) state: Option<AlarmState>,
    /// The evaluation, which may be as it should be.
    pub(super) evaluation: Option<Option<EvaluationState>>,
    pub(super) reason: String,
}

/// Let it happen.
pub(crate) fn happen(scope: &mut Scope<'_>, event: Event) {
    match event {
        Event::Evaluate { name, due } => evaluate(scope, &name, due),
        Event::Scripted { name, change } => {
            if let Some(evaluation) = change.evaluation {
                let reason = change.state.is_none().then_some(change.reason.as_str());
                set_evaluation(scope, &name, evaluation, reason);
                plan(scope, &name);
            }
            if let Some(state) = change.state {
                set_state(scope, &name, state, &change.reason, None);
            }
        }
        Event::WarmedUp { name } => {
            let alarms = &scope.place().cloudwatch.alarms;
            if alarms.get(&name).is_some_and(|alarm| alarm.evaluation == Some(EvaluationState::InWarmUp)) {
                set_evaluation(scope, &name, None, None);
                plan(scope, &name);
            }
        }
    }
}

fn evaluate(scope: &mut Scope<'_>, name: &str, due: Timestamp) {
    let now = scope.now();
    let cloudwatch = &mut scope.place().cloudwatch;
    let Some(alarm) = cloudwatch.alarms.get_mut(name).filter(|alarm| alarm.due == Some(due)) else { return };
    alarm.due = None;
    let alarm = &*alarm;
    let Watch::Metric(condition) = &alarm.watch else { return };
    let verdict = alarm.is_evaluated().then(|| condition.evaluate(&cloudwatch.metrics, now)).flatten();
    let newest = alarm.metric().and_then(|metric| cloudwatch.metrics.newest(metric));
    let goes_on = newest.is_some_and(|newest| newest.0 + condition.range() >= now.0);
    let news = verdict.filter(|verdict| verdict.state != alarm.state);
    if let Some(verdict) = news {
        set_state(scope, name, verdict.state, &verdict.reason, Some(verdict.data));
    }
    if goes_on {
        plan(scope, name);
    }
}

/// Evaluate an alarm at the end of its current period.
pub(super) fn plan(scope: &mut Scope<'_>, name: &str) {
    let now = scope.now();
    let Some(alarm) = scope.place().cloudwatch.alarms.get_mut(name) else { return };
    let Some(period) = period(alarm) else { return };
    if alarm.due.is_some() {
        return;
    }
    let due = Timestamp(now.0 - now.0 % period + period);
    alarm.due = Some(due);
    let event = Event::Evaluate { name: name.to_owned(), due };
    scope.schedule(Duration::from_millis(due.0 - now.0), event);
}

fn period(alarm: &Alarm) -> Option<u64> {
    match &alarm.watch {
        Watch::Metric(condition) => condition.series.as_ref().map(|series| series.period),
        Watch::Composite { .. } | Watch::Log(_) => None,
    }
}

/// Data came for a series: the alarms that watch it are evaluated.
pub(super) fn data_came(scope: &mut Scope<'_>, metric: &MetricKey) {
    let alarms = scope.place().cloudwatch.alarms.values();
    let watching: Vec<String> =
        alarms.filter(|alarm| alarm.metric() == Some(metric)).map(|alarm| alarm.name.clone()).collect();
    for name in watching {
        plan(scope, &name);
    }
}
