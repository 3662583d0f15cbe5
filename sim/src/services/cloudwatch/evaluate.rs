//! Whether a metric's newest points cross an alarm's threshold.
//!
//! The main type is [`Condition`]; [`Condition::judge`] is pure.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::alarm::AlarmState;
use super::metrics::MetricDataQuery;
use super::samples::{Samples, Series};
use crate::clock::Timestamp;

/// CloudWatch looks at this many periods more than it needs, in case that some have no data.
const MORE: usize = 2;

/// How a value is compared with the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
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
        let missing = self.missing.unwrap_or_default();
        let real: Vec<(Timestamp, f64)> = points
            .iter()
            .rev()
            .filter_map(|(at, value)| Some((*at, (*value)?)))
            .take(self.evaluation_periods)
            .collect();
        let breaching = real.iter().filter(|(_, value)| self.comparison.holds(*value, self.threshold)).count();
        let unknown = self.evaluation_periods - real.len();
        let state = match missing {
            MissingData::Breaching if breaching + unknown >= wanted => Some(AlarmState::Alarm),
            MissingData::Breaching => Some(AlarmState::Ok),
            MissingData::NotBreaching if breaching >= wanted => Some(AlarmState::Alarm),
            MissingData::NotBreaching => Some(AlarmState::Ok),
            MissingData::Ignore if breaching >= wanted => Some(AlarmState::Alarm),
            MissingData::Ignore if breaching + unknown < wanted => Some(AlarmState::Ok),
            MissingData::Ignore => None,
            MissingData::Missing if real.is_empty() => Some(AlarmState::InsufficientData),
            MissingData::Missing if breaching >= wanted.min(real.len()) => Some(AlarmState::Alarm),
            MissingData::Missing => Some(AlarmState::Ok),
        }?;
        Some(Evaluation { state, reason: self.reason(state, &real, wanted), data: self.data(&real, now) })
    }

    fn reason(&self, state: AlarmState, real: &[(Timestamp, f64)], wanted: usize) -> String {
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
        let shown: Vec<&(Timestamp, f64)> =
            real.iter().filter(|(_, value)| breaches(*value) == (state == AlarmState::Alarm)).collect();
        let values: Vec<String> = shown.iter().map(|(at, value)| format!("{value:?} ({at})")).collect();
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

    fn data(&self, real: &[(Timestamp, f64)], now: Timestamp) -> String {
        let series = self.series.as_ref();
        let values: Vec<f64> = real.iter().rev().map(|(_, value)| *value).collect();
        json!({
            "version": "1.0",
            "queryDate": now.to_string(),
            "startDate": real.last().map(|(at, _)| at.to_string()),
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

    #[test]
    fn missing_data_is_treated_as_the_guide_says() {
        use AlarmState::{Alarm, InsufficientData, Ok};
        let three = |missing| condition(3, 3, missing);
        for (points, expected) in [
            ("0-X-X", [Some(Ok), Some(Ok), Some(Ok), Some(Ok)]),
            ("----0", [Some(Ok), Some(Ok), Some(Ok), Some(Ok)]),
            ("-----", [Some(InsufficientData), None, Some(Alarm), Some(Ok)]),
            ("0XX-X", [Some(Alarm), Some(Alarm), Some(Alarm), Some(Alarm)]),
            ("--X--", [Some(Alarm), None, Some(Alarm), Some(Ok)]),
        ] {
            assert_eq!(states(three, points), expected, "{points}");
        }
        let two = |missing| condition(2, 3, missing);
        assert_eq!(states(two, "00X0X"), [Some(Alarm); 4]);
        assert_eq!(states(two, "XXX00"), [Some(Ok); 4]);
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
