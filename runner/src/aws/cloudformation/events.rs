//! What happened to stacks, and the token by which an operation of ours is found there.
//!
//! The main function is [`operation_fate`]; the request records are [`Operation`](crate::aws::operation::Operation)s.

use super::wire::{self, DescribeEvents, DescribeStackEvents, EventFilter, OperationEventItem, StackEventItem};
use super::{STACK, call, check_change_set, some, stack, when};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, ErrorKind, invalid};
use crate::aws::limits::Pages;
use crate::aws::look::Look;
use crate::aws::operation::{Fate, Read, Unanswered, heads};
use crate::aws::values::is_since;
use crate::contract::bindings::kiln::aws_cloudformation::cloudformation::{
    DescribeEventsRequest, DescribeEventsResponse, DescribeStackEventsRequest, DescribeStackEventsResponse, HookEvent,
    Operation, OperationEvent, StackEvent, ValidationEvent,
};

heads! {
    DescribeStackEventsRequest => DescribeStackEventsResponse:
        "cloudformation:DescribeStackEvents" on |it, at| stack(at, &it.stack);
    DescribeEventsRequest => DescribeEventsResponse: "cloudformation:DescribeEvents" on |it, at| stack(at, &it.stack);
}

/// The read by which operations are looked up.
pub(super) const EVENTS: &str = "cloudformation:DescribeStackEvents";

impl Read for DescribeStackEventsRequest {
    /// CloudFormation tells the newest first: those behind one that is known are asked for no further than that.
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        STACK.check(&self.stack)?;
        let is_known = |event: &StackEvent| {
            self.after.as_ref().is_some_and(|after| event.id == *after)
                || self.since.is_some_and(|since| event.at < since)
        };
        let mut pages = Pages::of("events");
        while let Some(next_token) = pages.next()? {
            let request = DescribeStackEvents { stack_name: self.stack.clone(), next_token };
            let answer: wire::StackEventsAnswer = call(aws, "DescribeStackEvents", &request).await?;
            let mut events: Vec<StackEvent> = answer.stack_events.member.into_iter().map(event).collect();
            let known = events.iter().position(is_known);
            events.truncate(known.unwrap_or(events.len()));
            pages.add(events, if known.is_some() { None } else { answer.next_token });
        }
        let mut events = pages.all();
        events.reverse();
        Ok(DescribeStackEventsResponse { events })
    }
}

fn hook(
    kind: Option<String>,
    status: Option<String>,
    reason: Option<String>,
    mode: Option<String>,
) -> Option<HookEvent> {
    let (type_, status) = (some(kind)?, status.unwrap_or_default());
    Some(HookEvent { type_, status, reason: some(reason), mode: mode.unwrap_or_default() })
}

fn event(item: StackEventItem) -> StackEvent {
    StackEvent {
        id: item.event_id,
        operation: some(item.operation_id),
        stack_id: item.stack_id,
        logical: item.logical_resource_id.unwrap_or_default(),
        physical: some(item.physical_resource_id),
        type_: item.resource_type.unwrap_or_default(),
        at: when(item.timestamp).unwrap_or_default(),
        status: item.resource_status.unwrap_or_default(),
        reason: some(item.resource_status_reason),
        detailed_status: some(item.detailed_status),
        token: some(item.client_request_token),
        hook: hook(item.hook_type, item.hook_status, item.hook_status_reason, item.hook_failure_mode),
    }
}

impl Read for DescribeEventsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        STACK.check(&self.stack)?;
        let stack_name = match (&self.operation, &self.change_set) {
            (Some(_), None) => None,
            (None, Some(name)) => {
                check_change_set(name)?;
                Some(self.stack.clone())
            }
            _ => return Err(invalid("events are of an operation or of a change set: one of the two")),
        };
        let mut pages = Pages::of("events");
        while let Some(next_token) = pages.next()? {
            let request = DescribeEvents {
                stack_name: stack_name.clone(),
                operation_id: self.operation.clone(),
                change_set_name: self.change_set.clone(),
                filters: self.failed.then_some(EventFilter { failed_events: true }),
                next_token,
            };
            let answer: wire::OperationEventsAnswer = call(aws, "DescribeEvents", &request).await?;
            pages.add(answer.operation_events.member.into_iter().map(operation_event).collect(), answer.next_token);
        }
        Ok(DescribeEventsResponse { events: pages.all() })
    }
}

fn operation_event(item: OperationEventItem) -> OperationEvent {
    let validation = some(item.validation_name).map(|name| ValidationEvent {
        name,
        status: item.validation_status.unwrap_or_default(),
        reason: some(item.validation_status_reason),
        path: some(item.validation_path),
        mode: item.validation_failure_mode.unwrap_or_default(),
    });
    OperationEvent {
        id: item.event_id,
        operation: item.operation_id,
        kind: item.event_type,
        logical: some(item.logical_resource_id),
        type_: some(item.resource_type),
        at: when(item.timestamp),
        status: some(item.resource_status),
        reason: some(item.resource_status_reason),
        token: some(item.client_request_token),
        hook: hook(item.hook_type, item.hook_status, item.hook_status_reason, item.hook_failure_mode),
        validation,
    }
}

/// How an operation on `stack` stands whose answer never came: all events of an operation carry the token that it was sent with.
/// `None` where there is no such stack.
pub(super) async fn operation_fate(
    look: &Look,
    stack: &str,
    asked: &Unanswered<'_>,
) -> Result<Option<Fate<Operation>>, AwsError> {
    // Clocks may differ: what is a little older than the sending is looked at, too.
    let since = Some(asked.sent.saturating_sub(60_000));
    let request = DescribeStackEventsRequest { stack: stack.to_owned(), after: None, since };
    let events = match look.read(&request).await {
        Ok(found) => found.events,
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let token = asked.token.as_str();
    let ours = events.iter().find(|event| event.token.as_deref() == Some(token));
    Ok(Some(match ours {
        Some(event) => Fate::Happened {
            output: Operation { token: token.to_owned() },
            evidence: format!("the event {} of {} carries the call's token", event.status, event.logical),
        },
        None => {
            let recent = events.iter().filter(|event| is_since(Some(event.at), asked.sent)).count();
            let evidence = match recent {
                0 => "no event of the stack is newer than the call".to_owned(),
                _ => "events of the stack are newer than the call, and none carries its token".to_owned(),
            };
            Fate::NotHappened { evidence }
        }
    }))
}
