//! Which metrics there are, and which alarms watch one.
//!
//! The main functions are [`list_metrics`] and [`describe_alarms_for_metric`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::alarm::{Alarm, Watch};
use super::alarms::{DescribedAlarm, invalid};
use super::evaluate::Condition;
use super::metrics::{Dimension, Metric};
use super::samples::{MetricKey, Series};
use crate::ctx::Ctx;
use crate::error::AwsError;

/// A page of metrics.
const METRICS: usize = 500;
/// Metrics without data for so long are not listed any more.
const LISTED: Duration = Duration::from_secs(14 * 86_400);
/// What `RecentlyActive` asks for.
const RECENT: Duration = Duration::from_secs(3 * 3600);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListMetrics {
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default)]
    dimensions: Vec<DimensionFilter>,
    next_token: Option<String>,
    recently_active: Option<Recently>,
}

#[derive(Deserialize)]
enum Recently {
    PT3H,
}

/// A dimension that a metric must have, with this value or any.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DimensionFilter {
    name: String,
    value: Option<String>,
}

impl DimensionFilter {
    fn wants(&self, metric: &MetricKey) -> bool {
        let found = metric.dimensions.get(&self.name);
        found.is_some_and(|found| self.value.as_ref().is_none_or(|value| value == found))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Metrics {
    metrics: Vec<Metric>,
    next_token: Option<String>,
}

pub(super) fn list_metrics(ctx: &mut Ctx<'_>, input: ListMetrics) -> Result<Metrics, AwsError> {
    let age = match input.recently_active {
        Some(Recently::PT3H) => RECENT,
        None => LISTED,
    };
    let oldest = ctx.now().before(age);
    let samples = &ctx.scope.place().cloudwatch.metrics;
    let wanted = |metric: &&MetricKey| {
        input.namespace.as_ref().is_none_or(|namespace| *namespace == metric.namespace)
            && input.metric_name.as_ref().is_none_or(|name| *name == metric.name)
            && input.dimensions.iter().all(|dimension| dimension.wants(metric))
            && samples.newest(metric).is_some_and(|newest| newest >= oldest)
    };
    let found: Vec<(String, Metric)> =
        samples.keys().filter(wanted).map(|metric| (metric.to_string(), Metric::of(metric))).collect();
    let wrong = |_| AwsError::new("InvalidParameterValue", "Invalid nextToken").shape("InvalidParameterValueException");
    let (found, next_token) =
        ctx.page("metrics", found, METRICS, input.next_token.as_deref(), |(name, _)| name).map_err(wrong)?;
    Ok(Metrics { metrics: found.into_iter().map(|(_, metric)| metric).collect(), next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAlarmsForMetric {
    metric_name: String,
    namespace: String,
    statistic: Option<String>,
    extended_statistic: Option<String>,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    period: Option<u64>,
    unit: Option<String>,
}

impl DescribeAlarmsForMetric {
    fn wants(&self, metric: &MetricKey, condition: &Condition) -> bool {
        let Some(Series { metric: watched, period, unit, .. }) = &condition.series else { return false };
        // An alarm over queries is found by its expression's metrics at AWS neither.
        let Some((statistic, _)) = &condition.statistic else { return false };
        let asked = self.statistic.as_ref().or(self.extended_statistic.as_ref());
        watched == metric
            && asked.is_none_or(|asked| asked == statistic)
            && self.period.is_none_or(|asked| asked * 1000 == *period)
            && self.unit.as_ref().is_none_or(|asked| unit.as_ref() == Some(asked))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AlarmsForMetric {
    metric_alarms: Vec<DescribedAlarm>,
}

pub(super) fn describe_alarms_for_metric(
    ctx: &mut Ctx<'_>,
    input: DescribeAlarmsForMetric,
) -> Result<AlarmsForMetric, AwsError> {
    if input.statistic.is_some() && input.extended_statistic.is_some() {
        return Err(invalid("Statistic and ExtendedStatistic are mutually exclusive"));
    }
    let metric = MetricKey {
        namespace: input.namespace.clone(),
        name: input.metric_name.clone(),
        dimensions: Dimension::map(&input.dimensions),
    };
    let wanted = |alarm: &&Alarm| match &alarm.watch {
        Watch::Metric(condition) => input.wants(&metric, condition),
        Watch::Composite { .. } | Watch::Log(_) => false,
    };
    let alarms = ctx.scope.place().cloudwatch.alarms.values();
    Ok(AlarmsForMetric { metric_alarms: alarms.filter(wanted).map(DescribedAlarm::of).collect() })
}
