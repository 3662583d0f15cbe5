//! CloudWatch Logs: the newest events of a stream.
//!
//! The main type is [`GetLogEventsRequest`].

use std::collections::VecDeque;

use super::clients::Clients;
use super::error::{AwsError, from_sdk, invalid};
use super::names::{self, Given};
use super::operation::{Read, heads};
use super::values::signed;
use crate::contract::bindings::kiln::aws_logs::logs::{GetLogEventsRequest, GetLogEventsResponse, LogEvent};
use crate::types::Arn;

/// The most pages that are followed. A page is at most 1 MiB, so this bounds the memory that one call takes.
const PAGES: usize = 16;

/// A log group's ARN is written with `:*` behind it by some of AWS, and without by the rest.
fn group_arn(given: &str) -> Option<Arn> {
    match Given::from(given.strip_suffix(":*").unwrap_or(given)) {
        Given::Arn(arn) => Some(arn),
        Given::Name(_) => None,
    }
}

heads! {
    GetLogEventsRequest => GetLogEventsResponse: "logs:GetLogEvents" on |it, at| {
        let group = group_arn(&it.log_group)
            .unwrap_or_else(|| names::here(at, "logs", &format!("log-group:{}", it.log_group)));
        vec![names::beside(&group, &format!("{}:log-stream:{}", group.resource(), it.log_stream))]
    };
}

impl Read for GetLogEventsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if !(1..=10_000).contains(&limit) {
            return Err(invalid(format_args!("1 to 10000 events can be read, not {limit}")));
        }
        if self.log_stream.is_empty() || self.log_stream.contains([':', '*']) {
            return Err(invalid(format_args!("{:?} is not the name of a log stream", self.log_stream)));
        }
        let (name, arn) = match group_arn(&self.log_group) {
            Some(arn) => (None, Some(String::from(arn))),
            None => {
                names::check("a log group", &self.log_group, "-_/.#")?;
                (Some(self.log_group.clone()), None)
            }
        };
        let request = aws
            .logs()
            .get_log_events()
            .set_log_group_name(name)
            .set_log_group_identifier(arn)
            .log_stream_name(&self.log_stream)
            .start_from_head(false)
            .limit(signed("the number of events", self.limit)?);
        let mut events = VecDeque::new();
        let mut token: Option<String> = None;
        // Each page is older than the one before; the same token again says that there is none.
        for _ in 0..PAGES {
            let page = request.clone().set_next_token(token.clone()).send().await.map_err(from_sdk)?;
            for event in page.events.unwrap_or_default().into_iter().rev().take(limit - events.len()) {
                events.push_front(LogEvent {
                    timestamp: event.timestamp.and_then(|millis| u64::try_from(millis).ok()).unwrap_or(0),
                    message: event.message.unwrap_or_default().trim_end_matches(['\r', '\n']).to_owned(),
                });
            }
            if events.len() >= limit || page.next_backward_token.is_none() || page.next_backward_token == token {
                break;
            }
            token = page.next_backward_token;
        }
        Ok(GetLogEventsResponse { events: events.into() })
    }
}
