//! Log streams.
//!
//! The main functions are [`create_log_stream`] and [`describe_log_streams`].

use serde::{Deserialize, Serialize};

use super::groups::{invalid_token, page_size};
use super::state::{Stream, invalid, no_stream, which_group};
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::service::Empty;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WhichStream {
    log_group_name: String,
    log_stream_name: String,
}

pub(super) fn create_log_stream(ctx: &mut Ctx<'_>, input: WhichStream) -> Result<Empty, AwsError> {
    let name = input.log_stream_name;
    if name.is_empty() || name.len() > 512 || name.contains([':', '*']) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{name}' at 'logStreamName' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: [^:*]*"
        )));
    }
    let now = ctx.now();
    let group = ctx.place().logs.group(&input.log_group_name)?;
    if group.streams.contains_key(&name) {
        return Err(AwsError::new("ResourceAlreadyExistsException", "The specified log stream already exists"));
    }
    let stream = Stream::new(group, &name, now);
    let arn = stream.arn.clone();
    group.streams.insert(name, stream);
    ctx.touch(arn);
    Ok(Empty {})
}

pub(super) fn delete_log_stream(ctx: &mut Ctx<'_>, input: WhichStream) -> Result<Empty, AwsError> {
    let streams = &mut ctx.place().logs.group(&input.log_group_name)?.streams;
    let stream = streams.remove(&input.log_stream_name).ok_or_else(no_stream)?;
    ctx.touch(stream.arn);
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLogStreams {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    order_by: Option<OrderBy>,
    #[serde(default)]
    descending: bool,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
enum OrderBy {
    LogStreamName,
    LastEventTime,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogStreams {
    log_streams: Vec<LogStream>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogStream {
    log_stream_name: String,
    creation_time: u64,
    first_event_timestamp: Option<u64>,
    last_event_timestamp: Option<u64>,
    last_ingestion_time: Option<u64>,
    arn: String,
    stored_bytes: usize,
}

pub(super) fn describe_log_streams(ctx: &mut Ctx<'_>, input: DescribeLogStreams) -> Result<LogStreams, AwsError> {
    let size = page_size(input.limit)?;
    let by_time = input.order_by == Some(OrderBy::LastEventTime);
    if by_time && input.log_stream_name_prefix.is_some() {
        return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
    }
    let prefix = input.log_stream_name_prefix.unwrap_or_default();
    let name = which_group(input.log_group_name, input.log_group_identifier)?;
    let streams = ctx.place().logs.group(&name)?.streams.iter().filter(|(name, _)| name.starts_with(&prefix));
    let mut streams: Vec<LogStream> = streams
        .map(|(name, stream)| LogStream {
            log_stream_name: name.clone(),
            creation_time: stream.created.0,
            first_event_timestamp: stream.events.first().map(|event| event.at.0),
            last_event_timestamp: stream.events.last().map(|event| event.at.0),
            last_ingestion_time: stream.last_ingestion.map(|at| at.0),
            arn: stream.arn.clone(),
            // AWS has told 0 for every stream since 2019.
            stored_bytes: 0,
        })
        .collect();
    if by_time {
        streams.sort_by_key(|stream| stream.last_event_timestamp);
    }
    if input.descending {
        streams.reverse();
    }
    let list = format!("logs:streams:{name}:{by_time}:{}", input.descending);
    let (log_streams, next_token) = ctx
        .page(&list, streams, size, input.next_token.as_deref(), |stream: &LogStream| &stream.log_stream_name)
        .map_err(invalid_token)?;
    Ok(LogStreams { log_streams, next_token })
}
