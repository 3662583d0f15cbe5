//! Finds out what became of a write whose answer never came: because the connection broke, or because the runner died.
//!
//! The main function is [`Caller::find_out`]. It looks where the operation says, waits for as long as AWS may not show yet
//! what happened, writes down what it found, and answers whether the call is to be sent.

use std::sync::Arc;
use std::time::Duration;

use super::caller::Caller;
use super::flight::aside;
use super::stop::HostStop;
use crate::aws::clients::Clients;
use crate::aws::error::AwsError;
use crate::aws::operation::{Fate, Operation, RetryClass, Token, Unanswered};
use crate::aws::retry::Tries;
use crate::event::{EventKind, Failure};
use crate::journal::{Decider, Intent, Reconciled, Record, Stuck, Verdict};

/// For this long after a call was sent, that nothing is seen of it does not mean that it did not happen. AWS promises no
/// bound; what it documents for the services here is "a few seconds".
const SETTLE: Duration = Duration::from_secs(20);

/// How long to wait between two looks.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// What is to be done about a write whose answer never came.
#[derive(Debug)]
pub(super) enum Found<T> {
    /// Nothing: it happened, and this is its answer.
    Answer(T),
    /// Send it: it did not happen.
    Send,
    /// Send it: it may have happened, and to do it again does no harm.
    SendAgain,
}

/// How a write is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) intent: &'a Intent,
    pub(super) token: &'a Token,
    /// It was not sent later than this, by the run's clock.
    pub(super) last: u64,
    /// How long the machine had slept when it was sent first; nothing, where an earlier process sent it.
    pub(super) slept: Duration,
    /// Whether it is not sent again, whatever is found.
    pub(super) given_up: bool,
    /// What a person said.
    pub(super) verdict: Option<Verdict>,
}

impl Caller {
    /// What must be known before a write is sent, as far as the stage may look.
    pub(super) async fn look_before<O: Operation>(
        &self,
        clients: &Arc<Clients>,
        operation: &Arc<O>,
        token: &Token,
    ) -> Result<Option<serde_json::Value>, HostStop> {
        if self.may_look(&**operation).is_err() {
            return Ok(None);
        }
        let mut tries = Tries::default();
        loop {
            self.look_in_turn(&**operation).await?;
            let (turn, generation) = (self.turn().await?, clients.generation());
            let (asking, asked) = (Arc::clone(operation), Arc::clone(clients));
            let error = match aside(turn, Box::pin(async move { asking.before(&asked).await })).await? {
                Ok(before) => return Ok(before),
                Err(error) => error,
            };
            self.heed::<O>(clients, generation, &error);
            match tries.fail(error.kind, token.as_str()) {
                Some(pause) => self.pause(pause).await?,
                // What cannot be seen now is missed only if the answer is lost: no reason not to send.
                None => return Ok(None),
            }
        }
    }

    /// Find out what became of `operation`, which was sent as `sent` says.
    pub(super) async fn find_out<O: Operation>(
        &self,
        clients: &Arc<Clients>,
        operation: &Arc<O>,
        sent: Sent<'_>,
    ) -> Result<Found<O::Output>, HostStop> {
        if sent.verdict == Some(Verdict::NotHappened) {
            self.note_fate::<O>(&sent, Verdict::NotHappened, "a person said so").await?;
            return Ok(Found::Send);
        }
        loop {
            let fate = self.look(clients, operation, &sent).await?;
            match fate {
                Fate::Happened { output, evidence } => {
                    self.note_fate::<O>(&sent, Verdict::Happened, &evidence).await?;
                    return Ok(Found::Answer(output));
                }
                Fate::Unknown { evidence, likely: Some(output), .. } if sent.verdict == Some(Verdict::Happened) => {
                    let evidence = format!("a person said so; {evidence}");
                    self.note_fate::<O>(&sent, Verdict::Happened, &evidence).await?;
                    return Ok(Found::Answer(output));
                }
                Fate::NotHappened { .. } if self.clock_now() < sent.last.saturating_add(millis(SETTLE)) => {
                    self.pause(LOOK_AGAIN).await?;
                }
                Fate::NotHappened { evidence } if sent.verdict == Some(Verdict::Happened) => {
                    let evidence = format!("a person said that it happened, but {evidence}");
                    return Err(self.stuck::<O>(&sent, &evidence, "look again, then say what became of it").await?);
                }
                Fate::NotHappened { evidence } => {
                    self.note_fate::<O>(&sent, Verdict::NotHappened, &evidence).await?;
                    return Ok(Found::Send);
                }
                Fate::SendAgain => return Ok(Found::SendAgain),
                Fate::Unknown { evidence, check, likely: _ } => {
                    return Err(self.stuck::<O>(&sent, &evidence, &check).await?);
                }
            }
        }
    }

    /// One look, repeated where AWS could not answer it.
    async fn look<O: Operation>(
        &self,
        clients: &Arc<Clients>,
        operation: &Arc<O>,
        sent: &Sent<'_>,
    ) -> Result<Fate<O::Output>, HostStop> {
        if let Err(needed) = self.may_look(&**operation) {
            let evidence = format!("looking needs {needed}, which the plugin does not declare");
            return Ok(blind(&**operation, self.age(sent), sent.given_up, evidence));
        }
        let before = self.seen_before(Some(sent.intent))?;
        let mut tries = Tries::default();
        loop {
            self.look_in_turn(&**operation).await?;
            let generation = clients.generation();
            let unanswered = Unanswered {
                token: sent.token,
                before: before.as_ref(),
                sent: sent.intent.at,
                age: self.age(sent),
                given_up: sent.given_up,
            };
            // Seldom, so the guest's stack may pay for it.
            let error: AwsError = match Box::pin(operation.fate(clients, &unanswered)).await {
                Ok(fate) => return Ok(fate),
                Err(error) => self.mask(error),
            };
            self.heed::<O>(clients, generation, &error);
            match tries.fail(error.kind, sent.token.as_str()) {
                Some(pause) => self.pause(pause).await?,
                None => {
                    let evidence = format!("the look-up failed ({}: {})", error.code, error.message);
                    return Ok(blind(&**operation, self.age(sent), sent.given_up, evidence));
                }
            }
        }
    }

    /// How long ago it may have been sent first. The run's clock may have stood still for a part of it.
    fn age(&self, sent: &Sent<'_>) -> Duration {
        let by_the_clock = Duration::from_millis(self.clock_now().saturating_sub(sent.intent.at));
        by_the_clock + self.slept().saturating_sub(sent.slept)
    }

    /// Wait until the service may be asked, where a look asks it anything.
    async fn look_in_turn<O: Operation>(&self, operation: &O) -> Result<(), HostStop> {
        match operation.looks(self.place()).is_empty() {
            true => Ok(()),
            false => self.keep_pace(O::ACTION.name).await,
        }
    }

    /// Whether the stage may make the reads that the look-up needs; else the first that it may not make.
    fn may_look<O: Operation>(&self, operation: &O) -> Result<(), &'static str> {
        for (action, resources) in operation.looks(self.place()) {
            self.grants().allows(action, &resources).map_err(|_| action)?;
        }
        Ok(())
    }

    async fn note_fate<O: Operation>(&self, sent: &Sent<'_>, verdict: Verdict, evidence: &str) -> Result<(), HostStop> {
        self.reconciled(Reconciled {
            call: sent.intent.call.clone(),
            verdict,
            by: Decider::Lookup,
            evidence: evidence.to_owned(),
            at: self.clock_now(),
        })
        .await?;
        self.emit(EventKind::CallReconciled {
            action: O::ACTION.name.to_owned(),
            verdict: word(verdict).to_owned(),
            evidence: evidence.to_owned(),
        });
        Ok(())
    }

    /// Write down that a person must decide.
    pub(super) async fn stuck<O: Operation>(
        &self,
        sent: &Sent<'_>,
        evidence: &str,
        check: &str,
    ) -> Result<HostStop, HostStop> {
        let (call, run) = (&sent.intent.call, self.run_id());
        let request = serde_json::to_string(&sent.intent.request).unwrap_or_default();
        let failure = Failure {
            kind: "stuck".to_owned(),
            message: format!(
                "{} was sent, its answer never came, and what became of it cannot be found out: {evidence}",
                O::ACTION.name
            ),
            help: Some(format!(
                "{check}; then `kiln resolve {run} --as happened` or `--as not-happened`, and `kiln resume {run}`"
            )),
            details: vec![
                format!("call {} of stage {} ({}, attempt {})", call.seq, call.stage, call.phase, call.attempt),
                format!("asked for {request}"),
                format!("client token {}", sent.token.as_str()),
            ],
        };
        self.emit(EventKind::CallReconciled {
            action: O::ACTION.name.to_owned(),
            verdict: "unknown".to_owned(),
            evidence: evidence.to_owned(),
        });
        let stuck = Stuck {
            stage: call.stage.clone(),
            call: Some(call.clone()),
            failure: failure.clone(),
            at: self.clock_now(),
        };
        self.record_durable(&Record::Stuck(stuck)).await?;
        Ok(HostStop::Stuck(Box::new(failure)))
    }
}

/// What is known of an operation of this age that cannot be looked up. That it would be harmless to send one again by its
/// token says nothing of one that is given up: whoever asks for the same later has another token.
fn blind<O: Operation>(operation: &O, age: Duration, given_up: bool, evidence: String) -> Fate<O::Output> {
    let harmless = match O::RETRY {
        RetryClass::Read => true,
        RetryClass::Token => age < O::TOKEN_LASTS && !given_up,
        RetryClass::Natural => operation.means_the_same_later(),
        RetryClass::Unsafe => false,
    };
    match harmless {
        true => Fate::SendAgain,
        false => Fate::Unknown { evidence, check: format!("look in CloudTrail for {}", O::ACTION.name), likely: None },
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Happened => "happened",
        Verdict::NotHappened => "not-happened",
        Verdict::SendAgain => "send-again",
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::bindings::kiln::aws::{codebuild, ecr};

    fn may_be_sent<O: Operation>(operation: &O, age: u64, given_up: bool) -> bool {
        let fate = blind(operation, Duration::from_secs(age), given_up, "nobody may look".to_owned());
        matches!(fate, Fate::SendAgain)
    }

    fn is_sent_again<O: Operation>(operation: &O, age: u64) -> bool {
        may_be_sent(operation, age, false)
    }

    #[test]
    fn without_a_look_a_build_is_started_again_only_while_its_token_is_known() {
        let build = codebuild::StartBuildRequest {
            project: "web-image".to_owned(),
            source_version: None,
            environment: Vec::new(),
            cache: None,
            buildspec: None,
            timeout_minutes: None,
        };
        assert!(is_sent_again(&build, 239));
        assert!(!is_sent_again(&build, 240));
        assert!(!may_be_sent(&build, 1, true), "whoever gives up on it must know what became of it");
    }

    #[test]
    fn without_a_look_images_are_deleted_again_only_by_digest() {
        let delete = |id: ecr::ImageId| ecr::BatchDeleteImageRequest { repository: "web".to_owned(), images: vec![id] };
        let by_digest = delete(ecr::ImageId { digest: Some("sha256:0".to_owned()), tag: None });
        assert!(is_sent_again(&by_digest, 1) && may_be_sent(&by_digest, 1, true));
        assert!(!is_sent_again(&delete(ecr::ImageId { digest: None, tag: Some("v1".to_owned()) }), 1));
    }
}
