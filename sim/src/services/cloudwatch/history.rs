//! The history of alarms.
//!
//! The main type is [`HistoryItem`]: something that happened to an alarm.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::alarm::Alarm;
use super::alarms::{AlarmType, invalid_token, records};
use super::state::State;
use crate::clock::Timestamp;
use crate::ctx::Ctx;
use crate::error::AwsError;

/// How long CloudWatch remembers.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ItemType {
    ConfigurationUpdate,
    StateUpdate,
    Action,
}

/// Something that happened to an alarm.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HistoryItem {
    alarm_name: String,
    alarm_type: &'static str,
    timestamp: Timestamp,
    history_item_type: ItemType,
    history_summary: String,
    history_data: String,
}

impl HistoryItem {
    pub(super) fn of(alarm: &Alarm, now: Timestamp, kind: ItemType, summary: String, data: String) -> Self {
        Self {
            alarm_name: alarm.name.clone(),
            alarm_type: alarm.kind(),
            timestamp: now,
            history_item_type: kind,
            history_summary: summary,
            history_data: data,
        }
    }
}

impl State {
    /// Write it down.
    pub(super) fn record(&mut self, item: HistoryItem) {
        let oldest = item.timestamp.before(KEPT);
        self.history.retain(|kept| kept.timestamp >= oldest);
        self.history.push(item);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAlarmHistory {
    alarm_name: Option<String>,
    #[serde(default)]
    alarm_types: Vec<AlarmType>,
    history_item_type: Option<ItemType>,
    start_date: Option<Timestamp>,
    end_date: Option<Timestamp>,
    max_records: Option<usize>,
    next_token: Option<String>,
    scan_by: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AlarmHistory {
    alarm_history_items: Vec<HistoryItem>,
    next_token: Option<String>,
}

pub(super) fn describe_alarm_history(ctx: &mut Ctx<'_>, input: DescribeAlarmHistory) -> Result<AlarmHistory, AwsError> {
    let size = records(input.max_records)?;
    let wanted = |item: &HistoryItem| {
        // Without types, CloudWatch tells of metric alarms, as it does in DescribeAlarms.
        let kinds = if input.alarm_types.is_empty() { &[AlarmType::Metric][..] } else { &input.alarm_types };
        input.alarm_name.as_ref().is_none_or(|name| *name == item.alarm_name)
            && kinds.iter().any(|kind| kind.name() == item.alarm_type)
            && input.history_item_type.is_none_or(|kind| kind == item.history_item_type)
            && input.start_date.is_none_or(|start| item.timestamp >= start)
            && input.end_date.is_none_or(|end| item.timestamp <= end)
    };
    // An item's place in the whole history tells it apart from others of the same instant.
    let history = &ctx.scope.place().cloudwatch.history;
    let mut items: Vec<(String, HistoryItem)> = history
        .iter()
        .enumerate()
        .filter(|(_, item)| wanted(item))
        .map(|(place, item)| (place.to_string(), item.clone()))
        .collect();
    if input.scan_by.as_deref() != Some("TimestampAscending") {
        items.reverse();
    }
    let (items, next_token) = ctx
        .page("alarm-history", items, size, input.next_token.as_deref(), |(place, _)| place)
        .map_err(invalid_token)?;
    Ok(AlarmHistory { alarm_history_items: items.into_iter().map(|(_, item)| item).collect(), next_token })
}
