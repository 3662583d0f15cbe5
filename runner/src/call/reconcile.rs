//! Finds out what became of a write whose answer never came: because the connection broke, or because the runner died.
//!
//! The main function is [`Caller::find_out`]. It looks where the operation says, waits for as long as AWS may not show yet
//! what happened, writes down what it found, and answers whether the call is to be sent.

use std::sync::Arc;
use std::time::Duration;

use kiln_span::millis;

use super::caller::Caller;
use super::flight::on_own_task;
use super::stop::HostStop;
use crate::aws::look::denied;
use crate::aws::operation::{Fate, RetryClass, Token, Unanswered, Write};
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
pub(super) enum Remedy<T> {
    /// Nothing: it happened, and this is its answer.
    Answer(T),
    /// Send it: it did not happen.
    Send,
    /// Send it: it may have happened, and to do it again does no harm.
    SendAgain,
}

/// A write that was sent, or may have been, and whose answer did not come.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    /// It was not sent later than this, by the run's clock.
    last: u64,
    /// How long the machine had slept when it was sent first; nothing, where an earlier process sent it.
    slept: Duration,
    then: Then,
    /// What a person said became of it.
    said: Option<Verdict>,
}

/// What comes after it was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It may be sent again.
    SendAgain,
    /// It is not sent again, whatever is found.
    GiveUp,
}

impl Sent {
    /// It was sent by this process, the last time at `last`; the machine had slept for `slept` before.
    pub(super) fn now(last: u64, slept: Duration) -> Self {
        Self { last, slept, then: Then::SendAgain, said: None }
    }

    /// It may have been sent by a process that died, which may have waited long before: until `now`. A person may have said what
    /// became of it.
    pub(super) fn by_an_earlier_process(now: u64, verdict: Option<Verdict>) -> Self {
        Self { last: now, slept: Duration::ZERO, then: Then::SendAgain, said: verdict }
    }

    /// It was sent once more at `last`: what a person said of the sending before counts no longer.
    pub(super) fn again(self, last: u64) -> Self {
        Self { last, said: None, ..self }
    }

    /// It is not sent again.
    pub(super) fn given_up(self) -> Self {
        Self { then: Then::GiveUp, ..self }
    }
}

impl Caller {
    /// What must be known before a write is sent, as far as the stage may look.
    pub(super) async fn look_before<W: Write>(
        &self,
        request: &Arc<W>,
        token: &Token,
    ) -> Result<Option<serde_json::Value>, HostStop> {
        let clients = &self.actor.standing.clients;
        let mut tries = Tries::default();
        loop {
            self.pace_of_look::<W>().await?;
            let (permit, generation) = (self.in_flight().await?, clients.generation());
            let (asking, look) = (Arc::clone(request), self.actor.look::<W>());
            let error = match on_own_task(permit, Box::pin(async move { asking.before(&look).await })).await? {
                Ok(before) => return Ok(before),
                Err(error) if denied(&error).is_some() => return Ok(None),
                Err(error) => error,
            };
            self.learn_from::<W>(clients, generation, &error);
            match tries.fail(error.kind, token.as_str()) {
                Some(pause) => self.run.pause(pause).await?,
                // What cannot be seen now is missed only if the answer is lost: no reason not to send.
                None => return Ok(None),
            }
        }
    }

    /// Find out what became of `request`, which was sent as `sent` says.
    pub(super) async fn find_out<W: Write>(
        &self,
        request: &Arc<W>,
        token: &Token,
        intent: &Intent,
        sent: &Sent,
    ) -> Result<Remedy<W::Output>, HostStop> {
        if sent.said == Some(Verdict::NotHappened) {
            self.note_fate::<W>(intent, Verdict::NotHappened, "a person said so").await?;
            return Ok(Remedy::Send);
        }
        loop {
            let fate = self.look(request, token, intent, sent).await?;
            match fate {
                Fate::Happened { output, evidence } => {
                    self.note_fate::<W>(intent, Verdict::Happened, &evidence).await?;
                    return Ok(Remedy::Answer(output));
                }
                Fate::Unknown { evidence, likely: Some(output), .. } if sent.said == Some(Verdict::Happened) => {
                    let evidence = format!("a person said so; {evidence}");
                    self.note_fate::<W>(intent, Verdict::Happened, &evidence).await?;
                    return Ok(Remedy::Answer(output));
                }
                Fate::NotHappened { .. } if self.run.clock.now() < sent.last.saturating_add(millis(SETTLE)) => {
                    self.run.pause(LOOK_AGAIN).await?;
                }
                Fate::NotHappened { evidence } if sent.said == Some(Verdict::Happened) => {
                    let evidence = format!("a person said that it happened, but {evidence}");
                    let check = "look again, then say what became of it";
                    return Err(self.stuck::<W>(intent, token, &evidence, check).await?);
                }
                Fate::NotHappened { evidence } => {
                    self.note_fate::<W>(intent, Verdict::NotHappened, &evidence).await?;
                    return Ok(Remedy::Send);
                }
                Fate::SendAgain => return Ok(Remedy::SendAgain),
                Fate::Unknown { evidence, check, likely: _ } => {
                    return Err(self.stuck::<W>(intent, token, &evidence, &check).await?);
                }
            }
        }
    }

    /// One look, repeated where AWS could not answer it.
    async fn look<W: Write>(
        &self,
        request: &Arc<W>,
        token: &Token,
        intent: &Intent,
        sent: &Sent,
    ) -> Result<Fate<W::Output>, HostStop> {
        let (clients, look) = (&self.actor.standing.clients, self.actor.look::<W>());
        let before = self.seen_before(intent)?;
        let mut tries = Tries::default();
        loop {
            self.pace_of_look::<W>().await?;
            let generation = clients.generation();
            let age = self.age(intent, sent);
            let given_up = sent.then == Then::GiveUp;
            let unanswered = Unanswered { token, before: before.as_ref(), sent: intent.at, age, given_up };
            // Seldom, so the guest's stack may pay for it.
            let error = match Box::pin(request.fate(&look, &unanswered)).await {
                Ok(fate) => return Ok(fate),
                Err(error) => error,
            };
            if let Some(needed) = denied(&error) {
                let evidence = format!("looking needs {needed}, which the plugin does not declare");
                return Ok(blind(&**request, age, sent.then, evidence));
            }
            self.learn_from::<W>(clients, generation, &error);
            match tries.fail(error.kind, token.as_str()) {
                Some(pause) => self.run.pause(pause).await?,
                None => {
                    let error = self.masked::<W>(error);
                    let evidence = format!("the look-up failed ({}: {})", error.code, error.message);
                    return Ok(blind(&**request, self.age(intent, sent), sent.then, evidence));
                }
            }
        }
    }

    /// How long ago it may have been sent first. The run's clock may have stood still for a part of it.
    fn age(&self, intent: &Intent, sent: &Sent) -> Duration {
        let clock = &self.run.clock;
        let by_the_clock = Duration::from_millis(clock.now().saturating_sub(intent.at));
        by_the_clock + clock.slept().saturating_sub(sent.slept)
    }

    /// Wait until the service may be asked, where a look asks it anything.
    async fn pace_of_look<W: Write>(&self) -> Result<(), HostStop> {
        match W::LOOKS.is_empty() {
            true => Ok(()),
            false => self.keep_pace(W::ACTION).await,
        }
    }

    async fn note_fate<W: Write>(&self, intent: &Intent, verdict: Verdict, evidence: &str) -> Result<(), HostStop> {
        let reconciled = Reconciled {
            call: intent.call.clone(),
            verdict,
            by: Decider::Lookup,
            evidence: evidence.to_owned(),
            at: self.run.clock.now(),
        };
        self.run.record_durable(&Record::Reconciled(reconciled)).await?;
        self.emit(EventKind::CallReconciled {
            action: W::ACTION.to_owned(),
            verdict: word(verdict).to_owned(),
            evidence: evidence.to_owned(),
        });
        Ok(())
    }

    /// Write down that a person must decide.
    pub(super) async fn stuck<W: Write>(
        &self,
        intent: &Intent,
        token: &Token,
        evidence: &str,
        check: &str,
    ) -> Result<HostStop, HostStop> {
        let (call, run) = (&intent.call, &self.run.id);
        let request = serde_json::to_string(&intent.request).unwrap_or_default();
        let failure = Failure {
            kind: "stuck".to_owned(),
            message: format!(
                "{} was sent, its answer never came, and what became of it cannot be found out: {evidence}",
                W::ACTION
            ),
            help: Some(format!(
                "{check}; then `kiln resolve {run} --as happened` or `--as not-happened`, and `kiln resume {run}`"
            )),
            details: vec![
                format!("call {} of stage {} ({}, attempt {})", call.seq, call.stage, call.phase, call.attempt),
                format!("asked for {request}"),
                format!("client token {}", token.as_str()),
            ],
        };
        self.emit(EventKind::CallReconciled {
            action: W::ACTION.to_owned(),
            verdict: "unknown".to_owned(),
            evidence: evidence.to_owned(),
        });
        let stuck = Stuck {
            stage: call.stage.clone(),
            call: Some(call.clone()),
            failure: failure.clone(),
            at: self.run.clock.now(),
        };
        self.run.record_durable(&Record::Stuck(stuck)).await?;
        Ok(HostStop::Stuck(Box::new(failure)))
    }
}

/// What is known of an operation of this age that cannot be looked up. That it would be harmless to send one again by its
/// token says nothing of one that is given up: whoever asks for the same later has another token.
fn blind<W: Write>(request: &W, age: Duration, then: Then, evidence: String) -> Fate<W::Output> {
    let harmless = match W::RETRY {
        RetryClass::Token => age < W::TOKEN_LASTS && then == Then::SendAgain,
        RetryClass::Natural => request.means_the_same_later(),
        RetryClass::Unsafe => false,
    };
    match harmless {
        true => Fate::SendAgain,
        false => Fate::Unknown { evidence, check: format!("look in CloudTrail for {}", W::ACTION), likely: None },
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Happened => "happened",
        Verdict::NotHappened => "not-happened",
        Verdict::SendAgain => "send-again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::bindings::kiln::aws_codebuild::codebuild;
    use crate::contract::bindings::kiln::aws_ecr::ecr;

    fn may_be_sent<W: Write>(request: &W, age: u64, then: Then) -> bool {
        let fate = blind(request, Duration::from_secs(age), then, "nobody may look".to_owned());
        matches!(fate, Fate::SendAgain)
    }

    fn is_sent_again<W: Write>(request: &W, age: u64) -> bool {
        may_be_sent(request, age, Then::SendAgain)
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
        assert!(!may_be_sent(&build, 1, Then::GiveUp), "whoever gives up on it must know what became of it");
    }

    #[test]
    fn without_a_look_images_are_deleted_again_only_by_digest() {
        let delete = |id: ecr::ImageId| ecr::BatchDeleteImageRequest { repository: "web".to_owned(), images: vec![id] };
        let by_digest = delete(ecr::ImageId { digest: Some("sha256:0".to_owned()), tag: None });
        assert!(is_sent_again(&by_digest, 1) && may_be_sent(&by_digest, 1, Then::GiveUp));
        assert!(!is_sent_again(&delete(ecr::ImageId { digest: None, tag: Some("v1".to_owned()) }), 1));
    }
}
