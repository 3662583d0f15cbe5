//! The way of a write: its intent is made durable, it is sent, and what became of it is found out where its answer does not come.
//!
//! The main function is [`Caller::write`].

use std::sync::Arc;

use serde_json::Value;

use super::asked::{Asked, defect};
use super::caller::{Answered, Caller, Next, Recorded};
use super::flight::{Reply, send_once};
use super::reconcile::{Remedy, Sent};
use super::stop::HostStop;
use crate::aws::error::{AwsError, ErrorKind, NO_CREDENTIALS};
use crate::aws::operation::{Token, Write};
use crate::aws::retry::Tries;
use crate::journal::{Body, CallOutcome, Intent, Record, RecordedCall, Step};

/// What is known of the times that a write was sent.
#[derive(Debug)]
enum Doubt {
    /// None can have done anything: it was not sent yet, or AWS refused it each time.
    None,
    /// One was in doubt and is known to have done nothing; what others did with it may still show in the next answer.
    Settled,
    /// One may have done what it asks for.
    Open(Sent),
}

/// Whether a failed call left kiln: what could not be signed was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Sent,
    Unsigned,
}

impl Left {
    fn of(error: &AwsError) -> Self {
        if error.code == NO_CREDENTIALS { Self::Unsigned } else { Self::Sent }
    }
}

impl Caller {
    /// A plugin's write, in the stage's place and with its credentials.
    pub(crate) async fn write<W: Write>(&mut self, request: W) -> Answered<W> {
        let request = Arc::new(request);
        let (asked, recorded) = self.ask(&*request).await?;
        if let Some(step) = recorded {
            return Box::pin(self.replay_write(&request, asked, step)).await;
        }
        self.actor.in_time(self.run.clock.now())?;
        let permitted = self.actor.permit(&*request, &self.run.secrets).and_then(|()| self.actor.permit_write::<W>());
        if let Err(refused) = permitted {
            let (refused, request) = (self.masked::<W>(refused), Body::Sealed(asked.sealed.clone()));
            self.note_write::<W>(&asked, Some(request), &Err(refused.clone()), None).await?;
            self.count_refused(&refused)?;
            return Ok(Err(refused));
        }
        let token = Token::new(asked.token.clone());
        let before = self.look_before(&request, &token).await?;
        let intent = Intent {
            call: asked.call.clone(),
            action: W::ACTION.to_owned(),
            request: Body::Sealed(asked.sealed.clone()),
            request_hash: asked.request_hash.clone(),
            retry: W::RETRY,
            token: Some(asked.token.clone()),
            before: before.map(|found| self.run.seal(&found)).transpose()?,
            at: self.run.clock.now(),
        };
        self.note_durable(&Record::Intent(intent.clone())).await?;
        let reply = self.send_write(&request, &token, &intent, Doubt::None).await?;
        self.answer_write::<W>(&asked, reply).await
    }

    /// Answer a write that the journal holds: with what it was answered then, or by finding out what became of it.
    async fn replay_write<W: Write>(&mut self, request: &Arc<W>, asked: Asked, step: Step) -> Answered<W> {
        let RecordedCall { intent, result, settled, .. } = self.recorded::<W>(&asked, step)?;
        if let Some(result) = result {
            return match self.recorded_answer::<W>(result.outcome)? {
                Recorded::Answer(answer) => Ok(answer),
                Recorded::Withheld(_) => {
                    Err(HostStop::Defect(format!("the journal does not hold the answer of {}, a write", W::ACTION)))
                }
            };
        }
        // INVARIANT: a script's call comes from an intent or from a result.
        let Some(intent) = intent else {
            return Err(HostStop::Defect("the journal holds a call that is neither asked nor answered".to_owned()));
        };
        self.go_live().await?;
        let verdict = settled.map(|settled| settled.verdict);
        let sent = Sent::by_an_earlier_process(self.run.clock.now(), verdict);
        let token = Token::new(asked.token.clone());
        let reply = self.send_write(request, &token, &intent, Doubt::Open(sent)).await?;
        self.answer_write::<W>(&Asked { began: intent.at, ..asked }, reply).await
    }

    /// Send it, and again as long as that is harmless and can help. Every time with the same token. What became of one whose answer
    /// did not come is found out first: also of one that an earlier process sent.
    async fn send_write<W: Write>(
        &self,
        request: &Arc<W>,
        token: &Token,
        intent: &Intent,
        mut doubt: Doubt,
    ) -> Result<Reply<W::Output>, HostStop> {
        let clients = &self.actor.standing.clients;
        let mut tries = Tries::default();
        let mut request_id = None;
        let slept = self.run.clock.slept();
        loop {
            self.keep_pace(W::ACTION).await?;
            let permit = self.in_flight().await?;
            // Not sooner: what is found must still hold when the call is sent again.
            if let Doubt::Open(sent) = &doubt {
                // Past the deadline it is only looked at.
                let in_time = self.actor.in_time(self.run.clock.now()).is_ok();
                let sent = if in_time { sent.clone() } else { sent.clone().given_up() };
                match Box::pin(self.find_out(request, token, intent, &sent)).await? {
                    Remedy::Answer(output) => return Ok(Reply { answer: Ok(output), request_id }),
                    Remedy::Send => doubt = Doubt::Settled,
                    // What is harmless now may not be after the next refusal: a token is forgotten.
                    Remedy::SendAgain => {}
                }
            }
            let generation = clients.generation();
            // Only now: who waits for others may lose the lease meanwhile.
            self.actor.in_time(self.run.clock.now())?;
            self.run.guard()?;
            let sending = request.when_sent(self.run.clock.now()).map_or_else(|| Arc::clone(request), Arc::new);
            let (by, with) = (Arc::clone(clients), token.clone());
            let sent = send_once(permit, Box::pin(async move { sending.send(&by, &with).await })).await?;
            request_id = sent.request_id;
            let error = match sent.answer {
                Ok(output) => {
                    self.answered::<W>();
                    let output = match doubt {
                        Doubt::None => output,
                        Doubt::Settled | Doubt::Open(_) => request.amend(self.seen_before(intent)?.as_ref(), output),
                    };
                    return Ok(Reply { answer: Ok(output), request_id });
                }
                Err(error) => self.masked::<W>(error),
            };
            let failed_at = self.run.clock.now();
            let next = self.after::<W>(&error, clients, generation, &mut tries, token.as_str()).await?;
            let left = Left::of(&error);
            if left == Left::Sent && error.kind == ErrorKind::Unavailable {
                doubt = Doubt::Open(match doubt {
                    Doubt::None | Doubt::Settled => Sent::now(failed_at, slept),
                    Doubt::Open(earlier) => earlier.again(failed_at),
                });
            }
            match (next, doubt) {
                (Next::TryAgain, known) => doubt = known,
                (Next::GiveUp, Doubt::None | Doubt::Settled) => return Ok(Reply { answer: Err(error), request_id }),
                (Next::GiveUp, Doubt::Open(sent)) => {
                    return self
                        .give_up(request, token, intent, sent, left, Reply { answer: Err(error), request_id })
                        .await;
                }
            }
        }
    }

    /// Answer a write that is not sent again although it may have happened: whoever gives up on it must know what became of it.
    async fn give_up<W: Write>(
        &self,
        request: &Arc<W>,
        token: &Token,
        intent: &Intent,
        sent: Sent,
        left: Left,
        last: Reply<W::Output>,
    ) -> Result<Reply<W::Output>, HostStop> {
        match (left, &last.answer) {
            // It was not sent again, so that it failed says nothing of the sending before.
            (Left::Unsigned, Err(error)) => {
                let evidence = format!("it could not be signed when it was to be sent again: {}", error.message);
                Err(self.stuck::<W>(intent, token, &evidence, "see to the stage's role").await?)
            }
            (Left::Unsigned | Left::Sent, _) => {
                let found = Box::pin(self.find_out(request, token, intent, &sent.given_up())).await?;
                Ok(match found {
                    Remedy::Answer(output) => Reply { answer: Ok(output), request_id: last.request_id },
                    Remedy::Send | Remedy::SendAgain => last,
                })
            }
        }
    }

    /// What was seen of the world before a write.
    pub(super) fn seen_before(&self, intent: &Intent) -> Result<Option<Value>, HostStop> {
        intent.before.as_ref().map(|before| self.run.open(before)).transpose()
    }

    /// Write down how a write was answered, and answer it.
    async fn answer_write<W: Write>(&mut self, asked: &Asked, reply: Reply<W::Output>) -> Answered<W> {
        let Reply { answer, request_id } = reply;
        self.note_write::<W>(asked, None, &answer, request_id).await?;
        self.run.progressed();
        Ok(answer)
    }

    /// Write down, durably, how a write was answered, and tell of it.
    async fn note_write<W: Write>(
        &mut self,
        asked: &Asked,
        request: Option<Body>,
        answer: &Result<W::Output, AwsError>,
        request_id: Option<String>,
    ) -> Result<(), HostStop> {
        let outcome = match answer {
            Ok(output) => CallOutcome::Ok(Body::Sealed(self.run.seal(&serde_json::to_value(output).map_err(defect)?)?)),
            Err(error) => self.failed(error)?,
        };
        let result = self.result::<W>(asked, request, outcome, request_id);
        let event = Self::event_of(&result, true, answer.as_ref().err());
        self.note_durable(&Record::Result(result)).await?;
        self.emit(event);
        Ok(())
    }
}
