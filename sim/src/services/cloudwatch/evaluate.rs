//! Whether a metric's newest points cross an alarm's threshold.
//!
//! The main type is [`Condition`]; [`Condition::judge`] is pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::alarm::AlarmState;
use super::metrics::MetricDataQuery;
use super::samples::{Samples, Series};
use crate::clock::Timestamp;

/// CloudWatch looks at this many periods more than it needs, in case that some have no data.
const MORE: usize = 2;

/// How a value is compared with the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(clippy::enum_variant_names, reason = "the names are CloudWatch's")]
pub(super) enum Comparison {
    GreaterThanOrEqualToThreshold,
    GreaterThanThreshold,
    LessThanThreshold,
    LessThanOrEqualToThreshold,
}

impl Comparison {
    fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Comparison::GreaterThanOrEqualToThreshold => value >= threshold,
            Comparison::GreaterThanThreshold => value > threshold,
            Comparison::LessThanThreshold => value < threshold,
            Comparison::LessThanOrEqualToThreshold => value <= threshold,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Comparison::GreaterThanOrEqualToThreshold => "greater than or equal to",
            Comparison::GreaterThanThreshold => "greater than",
            Comparison::LessThanThreshold => "less than",
            Comparison::LessThanOrEqualToThreshold => "less than or equal to",
        }
    }
}

/// What a period without data counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum MissingData {
    Breaching,
    NotBreaching,
    Ignore,
    #[default]
    Missing,
}

/// What a metric alarm waits for.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Condition {
    /// The series; none where the alarm watches an expression, which the simulator does not evaluate.
    pub(super) series: Option<Series>,
    /// The statistic in the caller's words, and whether it was given as `ExtendedStatistic`.
    pub(super) statistic: Option<(String, bool)>,
    /// What was given in the place of one metric.
    pub(super) queries: Vec<MetricDataQuery>,
    pub(super) evaluation_periods: usize,
    pub(super) datapoints_to_alarm: Option<usize>,
    pub(super) threshold: f64,
    pub(super) comparison: Comparison,
    pub(super) missing: Option<MissingData>,
}

/// A period that has data.
#[derive(Debug, Clone, Copy)]
struct RealPoint {
    at: Timestamp,
    /// How many periods ago, from 1: the newest one.
    age: usize,
    value: f64,
}

/// What an evaluation found.
#[derive(Debug, PartialEq)]
pub(super) struct Evaluation {
    pub(super) state: AlarmState,
    pub(super) reason: String,
    pub(super) data: String,
}

impl Condition {
    /// The periods that an evaluation looks at, in milliseconds.
    pub(super) fn range(&self) -> u64 {
        let period = self.series.as_ref().map_or(60_000, |series| series.period);
        period * (self.evaluation_periods + MORE) as u64
    }

    /// Evaluate the whole periods before `now`. None: the state stays as it is.
    pub(super) fn evaluate(&self, store: &Samples, now: Timestamp) -> Option<Evaluation> {
        let series = self.series.as_ref()?;
        let end = now.0 - now.0 % series.period;
        let start = end.saturating_sub(self.range());
        let found = store.points(series, Timestamp(start), Timestamp(end));
        let periods = (start..end).step_by(usize::try_from(series.period).unwrap_or(usize::MAX));
        let points: Vec<_> = periods.map(|at| (Timestamp(at), found.get(&Timestamp(at)).copied())).collect();
        self.judge(&points, now)
    }

    /// Judge points, oldest first. A period without data is filled in only where too few others have data.
    pub(super) fn judge(&self, points: &[(Timestamp, Option<f64>)], now: Timestamp) -> Option<Evaluation> {
        let wanted = self.datapoints_to_alarm.unwrap_or(self.evaluation_periods);
        let real: Vec<RealPoint> = points
            .iter()
            .rev()
            .zip(1..)
            .filter_map(|((at, value), age)| Some(RealPoint { at: *at, age, value: (*value)? }))
            .take(self.evaluation_periods)
            .collect();
        let state = self.state(&real, wanted)?;
        Some(Evaluation { state, reason: self.reason(state, &real, wanted), data: self.data(&real, now) })
    }

    /// The state that real points, newest first, make of the alarm. None: it stays as it is.
    fn state(&self, real: &[RealPoint], wanted: usize) -> Option<AlarmState> {
        let breaches = |point: &&RealPoint| self.comparison.holds(point.value, self.threshold);
        let breaching = real.iter().filter(breaches).count();
        let unknown = self.evaluation_periods - real.len();
        let missing = self.missing_data();
        if breaching >= wanted || (breaching + unknown >= wanted && missing == MissingData::Breaching) {
            return Some(AlarmState::Alarm);
        }
        if breaching + unknown < wanted || missing == MissingData::NotBreaching {
            return Some(AlarmState::Ok);
        }
        // What has no data decides, and is neither good nor bad.
        let keeps = missing == MissingData::Ignore;
        if real.is_empty() {
            return (!keeps).then_some(AlarmState::InsufficientData);
        }
        let since_oldest = real.iter().rposition(|point| breaches(&point)).and_then(|oldest| real.get(..=oldest));
        match since_oldest {
            // Fewer points than it takes, and all breach since the oldest one that does: AWS waits until that one is as
            // old as the alarm takes points, and then holds it for enough.
            Some(since) if real.len() < wanted && since.iter().all(|point| breaches(&point)) => {
                let old_enough = since.last().is_some_and(|oldest| oldest.age >= wanted);
                let state = if old_enough { AlarmState::Alarm } else { AlarmState::Ok };
                (!keeps).then_some(state)
            }
            Some(_) | None => Some(AlarmState::Ok),
        }
    }

    /// What a period without data counts as: metrics of DynamoDB have a default of their own.
    fn missing_data(&self) -> MissingData {
        let of_dynamodb = self.series.as_ref().is_some_and(|series| series.metric.namespace == "AWS/DynamoDB");
        self.missing.unwrap_or(if of_dynamodb { MissingData::Ignore } else { MissingData::Missing })
    }

    fn reason(&self, state: AlarmState, real: &[RealPoint], wanted: usize) -> String {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let (periods, comparison, threshold) = (self.evaluation_periods, self.comparison.words(), self.threshold);
        if state == AlarmState::InsufficientData {
            let were = if periods == 1 { "was" } else { "were" };
            return format!("Insufficient Data: {periods} datapoint{} {were} unknown.", plural(periods));
        }
        if real.is_empty() {
            return format!(
                "Threshold Crossed: no datapoints were received for {periods} period{} and {periods} missing \
                 datapoint{} {} treated as [{}].",
                plural(periods),
                plural(periods),
                if periods == 1 { "was" } else { "were" },
                if state == AlarmState::Alarm { "Breaching" } else { "NonBreaching" },
            );
        }
        let breaches = |value: f64| self.comparison.holds(value, threshold);
        let shown: Vec<&RealPoint> =
            real.iter().filter(|point| breaches(point.value) == (state == AlarmState::Alarm)).collect();
        let values: Vec<String> = shown.iter().map(|point| format!("{:?} ({})", point.value, point.at)).collect();
        let not = if state == AlarmState::Alarm { "" } else { "not " };
        let (transition, needed) = match state {
            AlarmState::Alarm => ("OK -> ALARM", wanted),
            AlarmState::Ok | AlarmState::InsufficientData => ("ALARM -> OK", periods + 1 - wanted),
        };
        let reason = format!(
            "Threshold Crossed: {} out of the last {periods} datapoint{} [{}] {} {not}{comparison} the threshold \
             ({threshold:?}) (minimum {needed} datapoint{} for {transition} transition).",
            shown.len(),
            plural(periods),
            values.join(", "),
            if shown.len() == 1 { "was" } else { "were" },
            plural(needed),
        );
        reason.chars().take(1023).collect()
    }

    fn data(&self, real: &[RealPoint], now: Timestamp) -> String {
        let series = self.series.as_ref();
        let values: Vec<f64> = real.iter().rev().map(|point| point.value).collect();
        json!({
            "version": "1.0",
            "queryDate": now.to_string(),
            "startDate": real.last().map(|point| point.at.to_string()),
            "statistic": self.statistic.as_ref().map(|(statistic, _)| statistic),
            "period": series.map(|series| series.period / 1000),
            "recentDatapoints": values,
            "threshold": self.threshold,
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{MetricKey, Statistic};
    use super::*;

    fn condition(wanted: usize, periods: usize, missing: MissingData) -> Condition {
        Condition {
            series: None,
            statistic: None,
            queries: Vec::new(),
            evaluation_periods: periods,
            datapoints_to_alarm: Some(wanted),
            threshold: 5.0,
            comparison: Comparison::GreaterThanThreshold,
            missing: Some(missing),
        }
    }

    /// The last five periods: `X` breaches, `0` does not, `-` has no data.
    fn states(condition: impl Fn(MissingData) -> Condition, points: &str) -> [Option<AlarmState>; 4] {
        let points: Vec<(Timestamp, Option<f64>)> = points
            .chars()
            .enumerate()
            .map(|(at, point)| {
                let value = match point {
                    'X' => Some(9.0),
                    '0' => Some(1.0),
                    _ => None,
                };
                (Timestamp(at as u64 * 60_000), value)
            })
            .collect();
        [MissingData::Missing, MissingData::Ignore, MissingData::Breaching, MissingData::NotBreaching]
            .map(|missing| condition(missing).judge(&points, Timestamp(300_000)).map(|verdict| verdict.state))
    }

    /// All 52 cells: the ten rows of the guide's two tables, and what its text says of three more.
    #[test]
    fn missing_data_is_treated_as_the_guide_says() {
        const OK: Option<AlarmState> = Some(AlarmState::Ok);
        const ALARM: Option<AlarmState> = Some(AlarmState::Alarm);
        const INSUFFICIENT: Option<AlarmState> = Some(AlarmState::InsufficientData);
        const KEPT: Option<AlarmState> = None;
        // The columns: missing, ignore, breaching, notBreaching.
        for (wanted, points, expected) in [
            (3, "0-X-X", [OK, OK, OK, OK]),
            (3, "0----", [OK, OK, OK, OK]),
            (3, "-----", [INSUFFICIENT, KEPT, ALARM, OK]),
            (3, "0XX-X", [ALARM, ALARM, ALARM, ALARM]),
            (3, "--X--", [ALARM, KEPT, ALARM, OK]),
            (2, "0-X-X", [ALARM, ALARM, ALARM, ALARM]),
            (2, "00X0X", [ALARM, ALARM, ALARM, ALARM]),
            (2, "0-X--", [OK, OK, ALARM, OK]),
            (2, "----0", [OK, OK, ALARM, OK]),
            (2, "---X-", [ALARM, KEPT, ALARM, OK]),
            (3, "----X", [OK, KEPT, ALARM, OK]),
            (3, "---X-", [OK, KEPT, ALARM, OK]),
            (2, "----X", [OK, KEPT, ALARM, OK]),
        ] {
            let of = |missing| condition(wanted, 3, missing);
            assert_eq!(states(of, points), expected, "{wanted} of 3: {points}");
        }
        assert_eq!(states(|missing| condition(2, 3, missing), "XXX00"), [OK; 4]);
    }

    #[test]
    fn metrics_of_dynamodb_keep_the_state_where_nothing_is_said_of_missing_data() {
        let metric = |namespace: &str| MetricKey {
            namespace: namespace.to_owned(),
            name: "ThrottledRequests".to_owned(),
            dimensions: std::collections::BTreeMap::new(),
        };
        let states = ["AWS/DynamoDB", "Web"].map(|namespace| {
            let statistic = Statistic::Sum;
            let series = Series { metric: metric(namespace), statistic, period: 60_000, unit: None };
            let condition = Condition { series: Some(series), missing: None, ..condition(1, 1, MissingData::Missing) };
            condition.judge(&[(Timestamp(0), None)], Timestamp(60_000)).map(|verdict| verdict.state)
        });
        assert_eq!(states, [None, Some(AlarmState::InsufficientData)]);
    }

    #[test]
    fn a_reason_is_told_as_aws_tells_it() {
        let points = [(Timestamp(1_767_603_600_000), Some(9.0))];
        let verdict = condition(1, 1, MissingData::Missing).judge(&points, Timestamp(1_767_603_660_000));
        assert_eq!(
            verdict.map(|verdict| verdict.reason).as_deref(),
            Some(
                "Threshold Crossed: 1 out of the last 1 datapoint [9.0 (2026-01-05T09:00:00.000Z)] was greater than the \
                 threshold (5.0) (minimum 1 datapoint for OK -> ALARM transition)."
            )
        );
    }
}
