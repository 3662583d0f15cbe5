//! Searching the events of a group.
//!
//! The main function is [`filter_log_events`]; [`FilterPattern`] is what it searches for.

use serde::{Deserialize, Serialize};

use super::groups::invalid_token;
use super::log_events::page_size;
use super::state::{LogEvent, invalid, no_stream, which_group};
use crate::ctx::Ctx;
use crate::error::AwsError;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FilterLogEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_names: Option<Vec<String>>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<u64>,
    end_time: Option<u64>,
    #[serde(default)]
    filter_pattern: String,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FilterLogEventsOutput {
    events: Vec<FilteredLogEvent>,
    searched_log_streams: [String; 0],
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FilteredLogEvent {
    log_stream_name: String,
    timestamp: u64,
    message: String,
    ingestion_time: u64,
    event_id: String,
}

/// Words that a message must have, may not have, or must have one of.
#[derive(Debug, Default)]
struct FilterPattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl FilterPattern {
    /// Plain words and quoted phrases, `?word` for alternatives and `-word` for exclusions.
    fn parse(text: &str) -> Result<Self, AwsError> {
        if text.trim_start().starts_with(['{', '[', '%']) {
            return Err(invalid(format!("the simulator's filter patterns have words and phrases only, not {text:?}")));
        }
        let mut pattern = Self::default();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (terms, term) = match rest.split_at_checked(1) {
                Some(("?", tail)) => (&mut pattern.any, tail),
                Some(("-", tail)) => (&mut pattern.none, tail),
                Some(_) | None => (&mut pattern.all, rest),
            };
            let (term, tail) = match term.strip_prefix('"') {
                Some(phrase) => phrase.split_once('"').ok_or_else(|| invalid("Invalid filter pattern"))?,
                None => term.split_at(term.find(char::is_whitespace).unwrap_or(term.len())),
            };
            terms.push(term.to_owned());
            rest = tail.trim_start();
        }
        Ok(pattern)
    }

    fn matches(&self, message: &str) -> bool {
        let has = |term: &String| message.contains(term);
        self.all.iter().all(has) && (self.any.is_empty() || self.any.iter().any(has)) && !self.none.iter().any(has)
    }
}

pub(super) fn filter_log_events(ctx: &mut Ctx<'_>, input: FilterLogEvents) -> Result<FilterLogEventsOutput, AwsError> {
    let limit = page_size(input.limit)?;
    if input.log_stream_names.is_some() && input.log_stream_name_prefix.is_some() {
        return Err(invalid("LogStream name prefix and LogStream names are mutually exclusive parameters."));
    }
    let pattern = FilterPattern::parse(&input.filter_pattern)?;
    let now = ctx.now();
    let name = which_group(input.log_group_name, input.log_group_identifier)?;
    let group = ctx.place().logs.group(&name)?;
    let times =
        group.expired_before(now).0.max(input.start_time.unwrap_or_default())..=input.end_time.unwrap_or(u64::MAX);
    if let Some(names) = &input.log_stream_names
        && !names.iter().all(|name| group.streams.contains_key(name))
    {
        return Err(no_stream());
    }
    let searched = |name: &str| {
        input.log_stream_names.as_ref().is_none_or(|names| names.iter().any(|one| one == name))
            && input.log_stream_name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix))
    };
    let found = |event: &&LogEvent| times.contains(&event.at.0) && pattern.matches(&event.message);
    let mut events: Vec<FilteredLogEvent> = Vec::new();
    for (name, stream) in group.streams.iter().filter(|(name, _)| searched(name)) {
        events.extend(stream.events.iter().filter(found).map(|event| FilteredLogEvent {
            log_stream_name: name.clone(),
            timestamp: event.at.0,
            message: event.message.clone(),
            ingestion_time: event.ingested.0,
            event_id: event_id(&stream.arn, event),
        }));
    }
    events.sort_by(|a, b| (a.timestamp, &a.event_id).cmp(&(b.timestamp, &b.event_id)));
    let list = format!("logs:filter:{name}:{}", input.filter_pattern);
    let (events, next_token) = ctx
        .page(&list, events, limit, input.next_token.as_deref(), |event: &FilteredLogEvent| &event.event_id)
        .map_err(invalid_token)?;
    Ok(FilterLogEventsOutput { events, searched_log_streams: [], next_token })
}

/// 56 digits that no other event has: the event's position, and what tells its stream from others.
fn event_id(stream: &str, event: &LogEvent) -> String {
    let digest = crate::ids::sha256(stream.as_bytes());
    let stream = digest.get(..12).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default();
    format!("{:040}{stream:016}", event.position().0)
}

#[cfg(test)]
#[expect(clippy::panic, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_wants_all_its_words_one_of_its_alternatives_and_none_of_its_exclusions() {
        let Ok(pattern) = FilterPattern::parse("ERROR \"exit status\" ?one ?two -debug") else { panic!("a pattern") };
        assert!(pattern.matches("ERROR one: exit status 1"));
        assert!(!pattern.matches("ERROR three: exit status 1"));
        assert!(!pattern.matches("ERROR one: status exit 1"));
        assert!(!pattern.matches("ERROR two: exit status 1 debug"));
        assert!(FilterPattern::parse("").is_ok_and(|all| all.matches("anything")));
        assert!(FilterPattern::parse("{ $.x = 1 }").is_err() && FilterPattern::parse("\"open").is_err());
    }
}
