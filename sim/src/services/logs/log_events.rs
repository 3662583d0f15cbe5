//! Events of one stream.
//!
//! The main functions are [`put_log_events`] and [`get_log_events`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::state::{LogEvent, OVERHEAD, Position, invalid, no_stream, which_group};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;

/// The most bytes that a batch or a page holds.
const MOST_BYTES: usize = 1_048_576;
/// The most events that a batch or a page holds.
pub(super) const MOST_EVENTS: usize = 10_000;
const OLDEST: Duration = Duration::from_hours(14 * 24);
const NEWEST: Duration = Duration::from_hours(2);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutLogEvents {
    log_group_name: String,
    log_stream_name: String,
    log_events: Vec<InputLogEvent>,
}

#[derive(Deserialize)]
struct InputLogEvent {
    timestamp: u64,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutLogEventsOutput {
    next_sequence_token: String,
    rejected_log_events_info: Option<Rejected>,
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rejected {
    too_new_log_event_start_index: Option<usize>,
    too_old_log_event_end_index: Option<usize>,
    expired_log_event_end_index: Option<usize>,
}

pub(super) fn put_log_events(ctx: &mut Ctx<'_>, input: PutLogEvents) -> Result<PutLogEventsOutput, AwsError> {
    let events = input.log_events;
    let now = ctx.now();
    let fresh = ctx.world.ids.hex("logs/sequence", 16);
    let group = ctx.place().logs.group(&input.log_group_name)?;
    let expired = group.expired_before(now);
    let stream = group.streams.get_mut(&input.log_stream_name).ok_or_else(no_stream)?;
    check(&events, now)?;

    let mut rejected = Rejected::default();
    let mut kept = 0;
    for (index, event) in events.into_iter().enumerate() {
        let at = Timestamp(event.timestamp);
        if at > now + NEWEST {
            rejected.too_new_log_event_start_index.get_or_insert(index);
        } else if at < now.before(OLDEST) {
            rejected.too_old_log_event_end_index = Some(index + 1);
        } else if at < expired {
            rejected.expired_log_event_end_index = Some(index + 1);
        } else {
            stream.put(at, event.message, now);
            kept += 1;
        }
    }
    let arn = stream.arn.clone();
    ctx.touch(arn);
    if kept == 0 {
        ctx.unchanged();
    }
    let digits = u64::from_str_radix(&fresh, 16).unwrap_or_default();
    Ok(PutLogEventsOutput {
        next_sequence_token: format!("{digits:056}"),
        rejected_log_events_info: (rejected != Rejected::default()).then_some(rejected),
    })
}

fn check(events: &[InputLogEvent], now: Timestamp) -> Result<(), AwsError> {
    if events.is_empty() || events.len() > MOST_EVENTS {
        return Err(invalid(format!(
            "1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have length \
             between 1 and {MOST_EVENTS}"
        )));
    }
    if events.iter().any(|event| event.message.is_empty()) {
        return Err(invalid("Log event message must not be empty."));
    }
    let bytes: usize = events.iter().map(|event| event.message.len() + OVERHEAD).sum();
    if bytes > MOST_BYTES {
        return Err(invalid(format!("Upload too large: {bytes} bytes exceeds limit of {MOST_BYTES}")));
    }
    if !events.is_sorted_by_key(|event| event.timestamp) {
        return Err(invalid("Log events in a single PutLogEvents request must be in chronological order."));
    }
    let valid = now.before(OLDEST).0..=(now + NEWEST).0;
    let mut times = events.iter().map(|event| event.timestamp).filter(|at| valid.contains(at));
    let first = times.next().unwrap_or_default();
    if times.next_back().is_some_and(|last| last - first > 86_400_000) {
        return Err(invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetLogEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: String,
    start_time: Option<u64>,
    end_time: Option<u64>,
    next_token: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    start_from_head: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetLogEventsOutput {
    events: Vec<OutputLogEvent>,
    next_forward_token: String,
    next_backward_token: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutputLogEvent {
    timestamp: u64,
    message: String,
    ingestion_time: u64,
}

/// Which way a page goes, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cursor {
    /// The oldest events behind this position.
    After(Position),
    /// The newest events before this position.
    Before(Position),
}

impl Cursor {
    fn read(token: &str) -> Option<Self> {
        let (direction, digits) = token.split_once('/')?;
        let position = (digits.len() == 56).then(|| digits.parse().ok().map(Position))??;
        match direction {
            "f" => Some(Cursor::After(position)),
            "b" => Some(Cursor::Before(position)),
            _ => None,
        }
    }

    fn token(self) -> String {
        match self {
            Cursor::After(Position(position)) => format!("f/{position:056}"),
            Cursor::Before(Position(position)) => format!("b/{position:056}"),
        }
    }
}

pub(super) fn get_log_events(ctx: &mut Ctx<'_>, input: GetLogEvents) -> Result<GetLogEventsOutput, AwsError> {
    let limit = page_size(input.limit)?;
    let from = match input.next_token.as_deref() {
        Some(token) => Cursor::read(token).ok_or_else(|| invalid("The specified nextToken is invalid."))?,
        None if input.start_from_head => Cursor::After(Position(0)),
        None => Cursor::Before(Position(u128::MAX)),
    };
    let now = ctx.now();
    let name = which_group(input.log_group_name, input.log_group_identifier)?;
    let group = ctx.place().logs.group(&name)?;
    let start = group.expired_before(now).0.max(input.start_time.unwrap_or_default());
    let end = input.end_time.unwrap_or(u64::MAX);
    let stream = group.streams.get(&input.log_stream_name).ok_or_else(no_stream)?;
    let events: Vec<&LogEvent> = stream.events.iter().filter(|event| (start..end).contains(&event.at.0)).collect();

    let page: Vec<&LogEvent> = match from {
        Cursor::After(position) => fitting(events.into_iter().filter(|event| event.position() > position), limit),
        Cursor::Before(position) => {
            let older = events.into_iter().rev().filter(|event| event.position() < position);
            let mut page = fitting(older, limit);
            page.reverse();
            page
        }
    };
    let (forward, backward) = match (page.first(), page.last(), from) {
        (Some(first), Some(last), _) => (last.position(), first.position()),
        // At an end its own token comes back; the other one leads back to where this page would have been.
        (_, _, Cursor::After(position)) => (position, Position(position.0.saturating_add(1))),
        (_, _, Cursor::Before(Position(u128::MAX))) => (Position(0), Position(0)),
        (_, _, Cursor::Before(position)) => (Position(position.0.saturating_sub(1)), position),
    };
    let output = |event: &LogEvent| OutputLogEvent {
        timestamp: event.at.0,
        message: event.message.clone(),
        ingestion_time: event.ingested.0,
    };
    Ok(GetLogEventsOutput {
        events: page.into_iter().map(output).collect(),
        next_forward_token: Cursor::After(forward).token(),
        next_backward_token: Cursor::Before(backward).token(),
    })
}

/// As many events as a page holds.
fn fitting<'e>(events: impl Iterator<Item = &'e LogEvent>, limit: usize) -> Vec<&'e LogEvent> {
    let mut bytes = 0;
    let fits = |event: &&LogEvent| {
        bytes += event.bytes();
        bytes <= MOST_BYTES
    };
    events.take(limit).take_while(fits).collect()
}

pub(super) fn page_size(limit: Option<usize>) -> Result<usize, AwsError> {
    match limit.unwrap_or(MOST_EVENTS) {
        size @ 1..=MOST_EVENTS => Ok(size),
        size => Err(invalid(format!(
            "1 validation error detected: Value '{size}' at 'limit' failed to satisfy constraint: Member must have \
             value between 1 and {MOST_EVENTS}"
        ))),
    }
}

/// The ARN that IAM checks a read of events against: the stream's where one is named, the group's where none is.
pub(super) fn target(scope: &mut Scope<'_>, input: &Value) -> String {
    let member = |name: &str| input.get(name).and_then(Value::as_str);
    let (name, identifier) = (member("logGroupName"), member("logGroupIdentifier"));
    let stream = member("logStreamName").map_or_else(|| "*".to_owned(), |stream| format!("log-stream:{stream}"));
    match identifier.map(|id| id.strip_suffix(":*").unwrap_or(id)) {
        Some(arn) if arn.starts_with("arn:") => format!("{arn}:{stream}"),
        id => scope.arn("logs", &format!("log-group:{}:{stream}", name.or(id).unwrap_or("*"))),
    }
}
