//! The way of a read: it is sent until it is answered, and its answer is written down.
//!
//! The main function is [`Caller::read`].

use std::sync::Arc;

use serde_json::Value;

use super::asked::{Asked, bytes_of, defect, open_part};
use super::caller::{Answered, Caller, Next, Recorded};
use super::flight::{Reply, send_once};
use super::stop::HostStop;
use crate::aws::error::AwsError;
use crate::aws::operation::Read;
use crate::aws::retry::Tries;
use crate::event::EventKind;
use crate::journal::{self, Body, CallOutcome, Mismatch, Record, RecordedCall, Step};
use crate::secrets::redact::{NewSecret, RedactError, SecretId};

impl Caller {
    /// A plugin's read, in the stage's place and with its credentials.
    pub(crate) async fn read<R: Read>(&mut self, request: R) -> Answered<R> {
        let request = Arc::new(request);
        let (asked, recorded) = self.ask(&*request).await?;
        if let Some(step) = recorded {
            return Box::pin(self.replay_read(&request, &asked, step)).await;
        }
        self.actor.in_time(self.run.clock.now())?;
        if let Err(refused) = self.actor.permit(&*request, &self.run.secrets) {
            let refused = self.masked::<R>(refused);
            self.note_read::<R>(&asked, &Err(refused.clone()), None)?;
            self.count_refused(&refused)?;
            return Ok(Err(refused));
        }
        let Reply { answer, request_id } = self.send_read(&request, &asked).await?;
        if let Ok(output) = &answer {
            self.learn::<R>(&asked, output)?;
        }
        self.note_read::<R>(&asked, &answer, request_id)?;
        Ok(answer)
    }

    /// The host's own read, with the runner's own credentials: of what it needs to run stages at all (secrets, its own identity). What
    /// is secret of the answer, the vault takes in under its name in the pipeline.
    pub(crate) async fn read_as_host<R: Read>(&mut self, request: R) -> Answered<R> {
        let request = Arc::new(request);
        let asked = self.ask_as_host(&*request)?;
        let control = self.run.control.clone();
        let Reply { answer, request_id } = tokio::select! {
            biased;
            replied = self.send_read(&request, &asked) => replied?,
            // Whoever ends the run need not wait for an answer.
            () = control.interruption() => return Err(HostStop::Interrupted),
        };
        self.note_read::<R>(&asked, &answer, request_id)?;
        Ok(answer)
    }

    /// Answer a read that the journal holds with what it was answered then.
    async fn replay_read<R: Read>(&mut self, request: &Arc<R>, asked: &Asked, step: Step) -> Answered<R> {
        let RecordedCall { result: Some(result), .. } = self.recorded::<R>(asked, step)? else {
            return Err(HostStop::Defect("the journal holds a read that was not answered".to_owned()));
        };
        match self.recorded_answer::<R>(result.outcome)? {
            Recorded::Answer(answer) => Ok(answer),
            Recorded::Withheld(expected) => self.read_again(request, asked, &expected).await,
        }
    }

    /// Ask again for what was not written down, which must be what it was.
    async fn read_again<R: Read>(&mut self, request: &Arc<R>, asked: &Asked, expected: &Body) -> Answered<R> {
        let output = match self.send_read(request, asked).await?.answer {
            Ok(output) => output,
            Err(error) => return Ok(Err(error)),
        };
        self.learn::<R>(asked, &output)?;
        let is_same = match expected {
            Body::Hashed(expected) => {
                *expected == journal::request_hash(&serde_json::to_value(&output).map_err(defect)?)
            }
            Body::Withheld(expected) | Body::Sealed(expected) => self.run.open(expected)? == open_part::<R>(&output)?,
            Body::Plain(expected) => *expected == open_part::<R>(&output)?,
        };
        if !is_same {
            return Err(HostStop::NonDeterminism(Box::new(Mismatch {
                call: asked.call.clone(),
                expected: format!("an answer of {} that holds a secret", R::ACTION),
                got: "was answered another secret: it was changed meanwhile".to_owned(),
            })));
        }
        Ok(Ok(output))
    }

    /// Send it, and again as long as that can help.
    async fn send_read<R: Read>(&self, request: &Arc<R>, asked: &Asked) -> Result<Reply<R::Output>, HostStop> {
        let clients = &self.actor.standing.clients;
        let mut tries = Tries::default();
        loop {
            self.keep_pace(R::ACTION).await?;
            let permit = self.in_flight().await?;
            let generation = clients.generation();
            let (sending, by) = (Arc::clone(request), Arc::clone(clients));
            let Reply { answer, request_id } =
                send_once(permit, Box::pin(async move { sending.send(&by).await })).await?;
            let error = match answer {
                Ok(output) => {
                    self.answered::<R>();
                    return Ok(Reply { answer: Ok(output), request_id });
                }
                Err(error) => self.masked::<R>(error),
            };
            match self.after::<R>(&error, clients, generation, &mut tries, &asked.token).await? {
                Next::TryAgain => {}
                Next::GiveUp => return Ok(Reply { answer: Err(error), request_id }),
            }
        }
    }

    /// Write down how a read was answered, and tell of it.
    fn note_read<R: Read>(
        &mut self,
        asked: &Asked,
        answer: &Result<R::Output, AwsError>,
        request_id: Option<String>,
    ) -> Result<(), HostStop> {
        let outcome = match answer {
            Ok(output) => {
                let open = self.run.seal(&open_part::<R>(output)?)?;
                CallOutcome::Ok(if R::SENSITIVE.is_empty() { Body::Sealed(open) } else { Body::Withheld(open) })
            }
            Err(error) => self.failed(error)?,
        };
        let result = self.result::<R>(asked, Some(Body::Sealed(asked.sealed.clone())), outcome, request_id);
        let event = Self::event_of(&result, false, answer.as_ref().err());
        self.note(&Record::Result(result))?;
        self.emit(event);
        Ok(())
    }

    /// Keep what an answer holds of secrets out of all that is written from now on.
    fn learn<R: Read>(&self, asked: &Asked, output: &R::Output) -> Result<(), HostStop> {
        if R::SENSITIVE.is_empty() {
            return Ok(());
        }
        let mut answer = serde_json::to_value(output).map_err(defect)?;
        let id = SecretId::of_answer(R::ACTION, &asked.request_hash);
        for member in R::SENSITIVE {
            let Some(value) = answer.get_mut(*member).map(Value::take).and_then(bytes_of) else { continue };
            let new = NewSecret { id: id.clone(), value, key: None };
            match self.run.redactor.learn(new) {
                Ok(_) => {}
                Err(RedactError::TooShort { length: 0, .. }) => {}
                Err(error @ RedactError::TooShort { .. }) => {
                    self.emit(EventKind::Warning { message: error.to_string(), help: None });
                }
                Err(error @ RedactError::TooLarge { .. }) => return Err(HostStop::Limit(error.to_string())),
            }
        }
        Ok(())
    }
}
