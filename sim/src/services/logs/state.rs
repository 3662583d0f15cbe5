//! What CloudWatch Logs holds.
//!
//! The main types are [`State`], [`Group`] and [`Stream`]; [`append`] is how other services write into a stream.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::error::AwsError;

/// What AWS adds to the bytes of each event's message.
pub(super) const OVERHEAD: usize = 26;

/// Log groups by name.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct State {
    pub(super) groups: BTreeMap<String, Group>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Group {
    /// Without the `:*` that some of AWS writes behind it.
    pub(super) arn: String,
    pub(super) created: Timestamp,
    pub(super) retention_days: Option<u64>,
    pub(super) kms_key_id: Option<String>,
    pub(super) class: String,
    pub(super) streams: BTreeMap<String, Stream>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Stream {
    pub(super) arn: String,
    pub(super) created: Timestamp,
    pub(super) last_ingestion: Option<Timestamp>,
    /// In the order of their positions.
    pub(super) events: Vec<LogEvent>,
    written: u64,
}

/// One line of a log.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LogEvent {
    pub(super) at: Timestamp,
    pub(super) ingested: Timestamp,
    pub(super) message: String,
    /// Tells events of one instant apart, in the order in which they came.
    number: u64,
}

/// Where an event stands in its stream: its instant, and its number among all that the stream was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Position(pub(super) u128);

impl LogEvent {
    pub(super) fn position(&self) -> Position {
        Position((u128::from(self.at.0) << 64) | u128::from(self.number))
    }

    pub(super) fn bytes(&self) -> usize {
        self.message.len() + OVERHEAD
    }
}

impl Group {
    pub(super) fn new(scope: &Scope<'_>, name: &str) -> Self {
        Self {
            arn: scope.arn("logs", &format!("log-group:{name}")),
            created: scope.now(),
            retention_days: None,
            kms_key_id: None,
            class: "STANDARD".to_owned(),
            streams: BTreeMap::new(),
        }
    }

    /// The instant before which events are gone, where the group keeps them for a time only.
    pub(super) fn expired_before(&self, now: Timestamp) -> Timestamp {
        self.retention_days.map_or(Timestamp(0), |days| now.before(Duration::from_secs(days * 86_400)))
    }

    pub(super) fn stored_bytes(&self) -> usize {
        self.streams.values().map(Stream::stored_bytes).sum()
    }
}

impl Stream {
    pub(super) fn new(group: &Group, name: &str, now: Timestamp) -> Self {
        let arn = format!("{}:log-stream:{name}", group.arn);
        Self { arn, created: now, last_ingestion: None, events: Vec::new(), written: 0 }
    }

    pub(super) fn put(&mut self, at: Timestamp, message: String, now: Timestamp) {
        self.written += 1;
        let event = LogEvent { at, ingested: now, message, number: self.written };
        let place = self.events.partition_point(|other| other.position() < event.position());
        self.events.insert(place, event);
        self.last_ingestion = Some(now);
    }

    pub(super) fn stored_bytes(&self) -> usize {
        self.events.iter().map(LogEvent::bytes).sum()
    }
}

pub(super) fn no_group() -> AwsError {
    AwsError::new("ResourceNotFoundException", "The specified log group does not exist.")
}

pub(super) fn no_stream() -> AwsError {
    AwsError::new("ResourceNotFoundException", "The specified log stream does not exist.")
}

pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterException", message)
}

impl State {
    pub(super) fn group(&mut self, name: &str) -> Result<&mut Group, AwsError> {
        self.groups.get_mut(name).ok_or_else(no_group)
    }
}

/// The group's name of an input that has either a name or an identifier: a name or an ARN.
pub(super) fn which_group(name: Option<String>, identifier: Option<String>) -> Result<String, AwsError> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(id)) => {
            let id = id.strip_suffix(":*").unwrap_or(&id);
            Ok(id.split_once(":log-group:").map_or(id, |(_, name)| name).to_owned())
        }
        (Some(_), Some(_)) | (None, None) => {
            Err(invalid("Exactly one of logGroupName and logGroupIdentifier must be specified"))
        }
    }
}

/// Make a group, where it is missing.
pub(crate) fn open_group(scope: &mut Scope<'_>, group: &str) {
    let fresh = Group::new(scope, group);
    scope.place().logs.groups.entry(group.to_owned()).or_insert(fresh);
}

/// Whether there is a group of this name.
pub(crate) fn has_group(scope: &mut Scope<'_>, group: &str) -> bool {
    scope.place().logs.groups.contains_key(group)
}

/// Write lines into a stream in the name of another service; group and stream are made where they are missing.
pub(crate) fn append(scope: &mut Scope<'_>, group: &str, stream: &str, lines: Vec<(Timestamp, String)>) {
    let now = scope.now();
    let fresh = Group::new(scope, group);
    let group = scope.place().logs.groups.entry(group.to_owned()).or_insert(fresh);
    if !group.streams.contains_key(stream) {
        let fresh = Stream::new(group, stream, now);
        group.streams.insert(stream.to_owned(), fresh);
    }
    if let Some(stream) = group.streams.get_mut(stream) {
        for (at, message) in lines {
            stream.put(at, message, now);
        }
    }
}
