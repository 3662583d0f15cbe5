//! Metrics: the samples of each series, and statistics over them.
//!
//! The main types are [`Samples`] and [`Statistic`].

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::clock::Timestamp;

/// How long samples are kept.
const KEPT: Duration = Duration::from_secs(15 * 86_400);

/// Which series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MetricKey {
    pub(super) namespace: String,
    pub(super) name: String,
    /// In the order of their names.
    pub(super) dimensions: BTreeMap<String, String>,
}

impl fmt::Display for MetricKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dimensions: Vec<String> = self.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
        write!(formatter, "{}/{} {}", self.namespace, self.name, dimensions.join(","))
    }
}

impl Serialize for MetricKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What was put at an instant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Sample {
    pub(super) at: Timestamp,
    pub(super) unit: Option<String>,
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) minimum: f64,
    pub(super) maximum: f64,
    /// Values with how often each came; none where only a summary was put, which has no percentiles.
    pub(super) values: Vec<(f64, f64)>,
}

/// Samples by series.
#[derive(Debug, Default, Clone, Serialize)]
pub(super) struct Samples(BTreeMap<MetricKey, Vec<Sample>>);

impl Samples {
    pub(super) fn put(&mut self, key: MetricKey, sample: Sample, now: Timestamp) {
        let samples = self.0.entry(key).or_default();
        let oldest = now.before(KEPT);
        samples.retain(|kept| kept.at >= oldest);
        samples.push(sample);
    }

    /// Every series that has samples.
    pub(super) fn keys(&self) -> impl Iterator<Item = &MetricKey> {
        self.0.keys()
    }

    /// The instant of the newest sample.
    pub(super) fn newest(&self, key: &MetricKey) -> Option<Timestamp> {
        self.0.get(key)?.iter().map(|sample| sample.at).max()
    }

    /// The statistic of each period of `period` milliseconds from `start` (a multiple of it) to before `end` that has
    /// samples.
    pub(super) fn points(&self, query: &Series, start: Timestamp, end: Timestamp) -> BTreeMap<Timestamp, f64> {
        let period = query.period.max(1);
        let mut periods: BTreeMap<Timestamp, Vec<&Sample>> = BTreeMap::new();
        for sample in self.0.get(&query.metric).into_iter().flatten() {
            let matches = query.unit.is_none() || sample.unit == query.unit;
            if matches && sample.at >= start && sample.at < end {
                periods.entry(Timestamp(sample.at.0 - sample.at.0 % period)).or_default().push(sample);
            }
        }
        let of = |(at, samples): (Timestamp, Vec<&Sample>)| query.statistic.of(&samples).map(|value| (at, value));
        periods.into_iter().filter_map(of).collect()
    }
}

/// A series and how to read it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Series {
    pub(super) metric: MetricKey,
    pub(super) statistic: Statistic,
    /// Milliseconds.
    pub(super) period: u64,
    pub(super) unit: Option<String>,
}

/// What a period's samples are summed up to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) enum Statistic {
    SampleCount,
    Sum,
    Average,
    Minimum,
    Maximum,
    /// `p99.9`
    Percentile(f64),
}

impl FromStr for Statistic {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "SampleCount" => Ok(Statistic::SampleCount),
            "Sum" => Ok(Statistic::Sum),
            "Average" => Ok(Statistic::Average),
            "Minimum" => Ok(Statistic::Minimum),
            "Maximum" => Ok(Statistic::Maximum),
            other => {
                let percent = other.strip_prefix('p').and_then(|digits| digits.parse::<f64>().ok());
                percent.filter(|percent| (0.0..=100.0).contains(percent)).map(Statistic::Percentile).ok_or(())
            }
        }
    }
}

impl Statistic {
    fn of(self, samples: &[&Sample]) -> Option<f64> {
        let total = |part: fn(&Sample) -> f64| samples.iter().map(|sample| part(sample)).sum::<f64>();
        let (count, sum) = (total(|sample| sample.count), total(|sample| sample.sum));
        match self {
            Statistic::SampleCount => Some(count),
            Statistic::Sum => Some(sum),
            Statistic::Average => (count > 0.0).then(|| sum / count),
            Statistic::Minimum => samples.iter().map(|sample| sample.minimum).reduce(f64::min),
            Statistic::Maximum => samples.iter().map(|sample| sample.maximum).reduce(f64::max),
            Statistic::Percentile(percent) => percentile(percent, samples),
        }
    }
}

/// The smallest value that at least `percent` of all values do not exceed.
fn percentile(percent: f64, samples: &[&Sample]) -> Option<f64> {
    let mut values: Vec<(f64, f64)> = samples.iter().flat_map(|sample| sample.values.iter().copied()).collect();
    values.sort_by(|one, other| one.0.total_cmp(&other.0));
    let all: f64 = values.iter().map(|(_, count)| count).sum();
    let mut seen = 0.0;
    for (value, count) in &values {
        seen += count;
        if seen >= all * percent / 100.0 {
            return Some(*value);
        }
    }
    values.last().map(|(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_sum_up_the_samples_of_each_period() {
        let metric = MetricKey { namespace: "Web".into(), name: "Latency".into(), dimensions: BTreeMap::new() };
        let mut store = Samples::default();
        for (at, value) in [(0, 10.0), (30_000, 20.0), (59_999, 60.0), (120_000, 5.0)] {
            let at = Timestamp(at);
            let values = vec![(value, 1.0)];
            let sample = Sample { at, unit: None, count: 1.0, sum: value, minimum: value, maximum: value, values };
            store.put(metric.clone(), sample, at);
        }
        let points = |text: &str| {
            let statistic: Option<Statistic> = text.parse().ok();
            let series = Series { metric: metric.clone(), statistic: statistic?, period: 60_000, unit: None };
            Some(store.points(&series, Timestamp(0), Timestamp(180_000)).into_values().collect::<Vec<_>>())
        };
        assert_eq!(points("Sum"), Some(vec![90.0, 5.0]));
        assert_eq!(points("Average"), Some(vec![30.0, 5.0]));
        assert_eq!(points("SampleCount"), Some(vec![3.0, 1.0]));
        assert_eq!(points("Maximum"), Some(vec![60.0, 5.0]));
        assert_eq!(points("p50"), Some(vec![20.0, 5.0]));
        assert_eq!(points("p99.9"), Some(vec![60.0, 5.0]));
        assert_eq!(points("median"), None);
    }
}
