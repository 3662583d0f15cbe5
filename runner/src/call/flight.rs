//! Calls that are under way: each on a task of its own.
//!
//! The main functions are [`send_once`] and [`on_own_task`]. The SDK needs ten times the stack of a guest, and what a guest's stack
//! has once used it keeps for as long as its stage waits.

use std::pin::Pin;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use super::stop::HostStop;
use crate::aws::error::{AwsError, ErrorKind};
use crate::aws::request_id::capture;

/// An attempt to send a call is given up after this long. The SDK's own limit is lower; this one holds whatever the SDK
/// does.
const DEADLINE: Duration = Duration::from_secs(90);

/// What came of sending a call.
#[derive(Debug)]
pub(super) struct Reply<T> {
    pub(super) answer: Result<T, AwsError>,
    /// AWS's id of the request, where it said one.
    pub(super) request_id: Option<String>,
}

/// Send a call once. Whoever sends holds a `permit` until the answer is there.
pub(super) async fn send_once<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    sending: Pin<Box<dyn Future<Output = Result<T, AwsError>> + Send>>,
) -> Result<Reply<T>, HostStop> {
    let sending = async move {
        let (sent, request_id) = capture(tokio::time::timeout(DEADLINE, sending)).await;
        let answer = sent.unwrap_or_else(|_| Err(timed_out(request_id.clone())));
        Reply { answer, request_id }
    };
    on_own_task(permit, Box::pin(sending)).await
}

/// Let `work` call AWS on a task of its own, which ends when nobody waits for it any more.
pub(super) async fn on_own_task<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    work: Pin<Box<dyn Future<Output = T> + Send>>,
) -> Result<T, HostStop> {
    let mut task = JoinSet::new();
    task.spawn(async move {
        let answer = work.await;
        drop(permit);
        answer
    });
    match task.join_next().await {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(error)) => Err(HostStop::Defect(format!("a call of AWS came to no end: {error}"))),
        // INVARIANT: the one task is there until it was joined.
        None => Err(HostStop::Defect("a call of AWS was lost".to_owned())),
    }
}

fn timed_out(request_id: Option<String>) -> AwsError {
    AwsError {
        kind: ErrorKind::Unavailable,
        code: "TimedOut".to_owned(),
        message: format!("no answer within {} seconds", DEADLINE.as_secs()),
        operation: String::new(),
        request_id,
    }
}
