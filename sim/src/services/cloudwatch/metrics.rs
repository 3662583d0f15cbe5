//! Operations on metrics.
//!
//! The main functions are [`put_metric_data`] and [`get_metric_data`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::alarms::{check_period, invalid, invalid_token};
use super::events::data_came;
use super::samples::{MetricKey, Sample, Series, Statistic};
use crate::clock::Timestamp;
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::page;
use crate::service::Empty;

const OLDEST: Duration = Duration::from_secs(14 * 86_400);
const NEWEST: Duration = Duration::from_secs(2 * 3600);
const MOST_POINTS: usize = 100_800;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Dimension {
    name: String,
    value: String,
}

impl Dimension {
    pub(super) fn map(dimensions: &[Dimension]) -> BTreeMap<String, String> {
        dimensions.iter().map(|dimension| (dimension.name.clone(), dimension.value.clone())).collect()
    }

    pub(super) fn list(dimensions: &BTreeMap<String, String>) -> Vec<Dimension> {
        dimensions.iter().map(|(name, value)| Dimension { name: name.clone(), value: value.clone() }).collect()
    }
}

/// A series to read, or an expression over others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetricDataQuery {
    id: String,
    pub(super) metric_stat: Option<MetricStat>,
    expression: Option<String>,
    label: Option<String>,
    pub(super) return_data: Option<bool>,
    period: Option<u64>,
    account_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetricStat {
    metric: Metric,
    period: u64,
    stat: String,
    unit: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Metric {
    namespace: String,
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
}

impl Metric {
    pub(super) fn of(key: &MetricKey) -> Self {
        let dimensions = Dimension::list(&key.dimensions);
        Self { namespace: key.namespace.clone(), metric_name: key.name.clone(), dimensions }
    }
}

impl MetricStat {
    pub(super) fn series(&self) -> Result<Series, AwsError> {
        check_period(self.period)?;
        let statistic: Statistic = self
            .stat
            .parse()
            .map_err(|()| invalid(format!("The value {} for parameter Stat is not supported", self.stat)))?;
        let metric = MetricKey {
            namespace: self.metric.namespace.clone(),
            name: self.metric.metric_name.clone(),
            dimensions: Dimension::map(&self.metric.dimensions),
        };
        Ok(Series { metric, statistic, period: self.period * 1000, unit: self.unit.clone() })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutMetricData {
    namespace: String,
    #[serde(default)]
    metric_data: Vec<Datum>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Datum {
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    timestamp: Option<Timestamp>,
    value: Option<f64>,
    statistic_values: Option<StatisticSet>,
    #[serde(default)]
    values: Vec<f64>,
    #[serde(default)]
    counts: Vec<f64>,
    unit: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StatisticSet {
    sample_count: f64,
    sum: f64,
    minimum: f64,
    maximum: f64,
}

/// AWS refuses namespaces that begin with `AWS/`. Here anybody may put into them: whoever plays a load balancer must.
pub(super) fn put_metric_data(ctx: &mut Ctx<'_>, input: PutMetricData) -> Result<Empty, AwsError> {
    let now = ctx.now();
    if input.metric_data.is_empty() {
        return Err(missing("The parameter MetricData is required."));
    }
    let mut samples = Vec::new();
    for (place, datum) in input.metric_data.into_iter().enumerate() {
        let at = format!("MetricData.member.{}", place + 1);
        let key = MetricKey {
            namespace: input.namespace.clone(),
            name: datum.metric_name.clone(),
            dimensions: Dimension::map(&datum.dimensions),
        };
        samples.push((key, sample(datum, &at, now)?));
    }
    for (key, sample) in samples {
        ctx.scope.place().cloudwatch.metrics.put(key.clone(), sample, now);
        data_came(ctx, &key);
    }
    Ok(Empty {})
}

fn missing(message: &str) -> AwsError {
    AwsError::new("MissingParameter", message).shape("MissingRequiredParameterException")
}

fn wrong(message: String) -> AwsError {
    AwsError::new("InvalidParameterValue", message).shape("InvalidParameterValueException")
}

fn sample(datum: Datum, place: &str, now: Timestamp) -> Result<Sample, AwsError> {
    let at = datum.timestamp.unwrap_or(now);
    if at < now.before(OLDEST) || at > now + NEWEST {
        return Err(wrong(format!(
            "The parameter {place}.Timestamp must specify a time no more than two weeks in the past and no more than two \
             hours in the future."
        )));
    }
    let unit = datum.unit;
    let of = |values: Vec<(f64, f64)>| Sample {
        at,
        unit: unit.clone(),
        count: values.iter().map(|(_, count)| count).sum(),
        sum: values.iter().map(|(value, count)| value * count).sum(),
        minimum: values.iter().map(|(value, _)| *value).fold(f64::INFINITY, f64::min),
        maximum: values.iter().map(|(value, _)| *value).fold(f64::NEG_INFINITY, f64::max),
        values,
    };
    match (datum.value, datum.statistic_values, datum.values.as_slice()) {
        (Some(value), None, []) => Ok(of(vec![(value, 1.0)])),
        (None, Some(set), []) if set.sample_count > 0.0 => {
            let StatisticSet { sample_count, sum, minimum, maximum } = set;
            Ok(Sample { at, unit, count: sample_count, sum, minimum, maximum, values: Vec::new() })
        }
        (None, Some(_), []) => {
            Err(wrong(format!("The value for parameter {place}.StatisticValues.SampleCount is wrong.")))
        }
        (None, None, values @ [_, ..]) => {
            if !datum.counts.is_empty() && datum.counts.len() != values.len() {
                return Err(wrong(format!("{place}.Values and {place}.Counts must have the same size.")));
            }
            let counts = datum.counts.iter().copied().chain(std::iter::repeat(1.0));
            Ok(of(values.iter().copied().zip(counts).collect()))
        }
        (None, None, []) => Err(missing(&format!("The parameter {place}.Value is required."))),
        _ => {
            let message = format!("The parameters {place}.Value, .Values and .StatisticValues are mutually exclusive.");
            Err(AwsError::new("InvalidParameterCombination", message).shape("InvalidParameterCombinationException"))
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetMetricData {
    metric_data_queries: Vec<MetricDataQuery>,
    start_time: Timestamp,
    end_time: Timestamp,
    next_token: Option<String>,
    scan_by: Option<String>,
    max_datapoints: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetricData {
    metric_data_results: Vec<Outcome>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Outcome {
    id: String,
    label: String,
    timestamps: Vec<Timestamp>,
    values: Vec<f64>,
    status_code: &'static str,
}

/// A point of the answer: which query's, and its name for the page's token.
struct Point {
    query: usize,
    at: Timestamp,
    value: f64,
    key: String,
}

pub(super) fn get_metric_data(ctx: &mut Ctx<'_>, input: GetMetricData) -> Result<MetricData, AwsError> {
    if input.start_time >= input.end_time {
        return Err(invalid("The parameter EndTime must be greater than StartTime"));
    }
    let wanted = |query: &&MetricDataQuery| query.return_data != Some(false);
    let store = &ctx.scope.place().cloudwatch.metrics;
    let mut points = Vec::new();
    for (place, query) in input.metric_data_queries.iter().filter(wanted).enumerate() {
        let stat = match (&query.metric_stat, &query.expression) {
            (Some(stat), None) => stat,
            (None, Some(_)) => return Err(invalid("the simulator does not evaluate expressions over metrics")),
            _ => return Err(invalid("Exactly one of MetricStat and Expression must be specified")),
        };
        let series = stat.series()?;
        let start = Timestamp(input.start_time.0 - input.start_time.0 % series.period);
        let found = store.points(&series, start, input.end_time);
        let found: Vec<Point> = found
            .into_iter()
            .map(|(at, value)| Point { query: place, at, value, key: format!("{place}/{}", at.0) })
            .collect();
        if input.scan_by.as_deref() == Some("TimestampAscending") {
            points.extend(found);
        } else {
            points.extend(found.into_iter().rev());
        }
    }
    let size = input.max_datapoints.unwrap_or(MOST_POINTS).clamp(1, MOST_POINTS);
    let (points, next_token) = page::cut("metric-data", points, size, input.next_token.as_deref(), |point| &point.key)
        .map_err(invalid_token)?;
    // What the page ends in goes on in the next one, and with it everything behind.
    let open = next_token.as_ref().and(points.last()).map(|point| point.query);
    let outcome = |(place, query): (usize, &MetricDataQuery)| {
        let name = query.metric_stat.as_ref().map(|stat| stat.metric.metric_name.clone());
        let of = || points.iter().filter(move |point| point.query == place);
        Outcome {
            id: query.id.clone(),
            label: query.label.clone().or(name).unwrap_or_default(),
            timestamps: of().map(|point| point.at).collect(),
            values: of().map(|point| point.value).collect(),
            status_code: if open.is_some_and(|open| place >= open) { "PartialData" } else { "Complete" },
        }
    };
    let metric_data_results = input.metric_data_queries.iter().filter(wanted).enumerate().map(outcome).collect();
    Ok(MetricData { metric_data_results, next_token })
}
