//! The one way of every AWS call: authorise, journal, send, journal, answer.
//!
//! The main type is [`Caller`]: whoever makes calls in one attempt of a stage. Whatever must hold for all calls is
//! written here once and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::clients::Clients;
use super::error::{AwsError, ErrorKind};
use super::operation::{Operation, Token};
use super::request_id::capture;
use super::retry;
use crate::event::EventKind;
use crate::journal::{self, Body, CallKey, CallOutcome, CallResult, Intent, Phase, Record};
use crate::plugin::Limits;
use crate::policy::{Grants, Place};
use crate::run::context::RunContext;
use crate::run::shown;
use crate::run::stop::HostStop;
use crate::types::{Digest, StageName};

/// On whose authority a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Authority {
    /// A plugin's: what it declared.
    Plugin,
    /// The host's own, for what it needs to run stages at all (secrets, its own identity).
    Host,
}

/// Makes the calls of one attempt of one stage.
#[derive(Debug)]
pub(crate) struct Caller {
    run: Arc<RunContext>,
    stage: StageName,
    attempt: u32,
    phase: Phase,
    place: Place,
    clients: Arc<Clients>,
    grants: Grants,
    reveal: bool,
    read_only: bool,
    maximum_calls: u32,
    seq: u64,
    calls: u32,
    refused: u32,
    maximum_refused: u32,
    /// Bytes of records so far.
    noted: u64,
    maximum_noted: u64,
}

/// What a [`Caller`] is made of.
#[derive(Debug)]
pub(crate) struct CallerParts {
    pub(crate) run: Arc<RunContext>,
    pub(crate) stage: StageName,
    pub(crate) attempt: u32,
    pub(crate) phase: Phase,
    pub(crate) place: Place,
    pub(crate) clients: Arc<Clients>,
    pub(crate) grants: Grants,
    pub(crate) reveal: bool,
    /// While planning: every write is refused.
    pub(crate) read_only: bool,
    pub(crate) maximum_calls: u32,
}

/// An attempt to send a call is given up after this long. The SDK's own limit is lower; this one holds whatever the SDK
/// does.
const DEADLINE: Duration = Duration::from_secs(90);

/// The largest request, as JSON: a record of the journal holds it, and what it repeats of it.
const MAXIMUM_REQUEST: u64 = 256 << 10;

/// An error's text in an event is cut to this.
const ERROR_BYTES: usize = 2_000;

/// Nothing is sent any more when a guest must end.
fn check_stop(run: &RunContext) -> Result<(), HostStop> {
    match run.control.interrupted() {
        Some(_) => Err(HostStop::Interrupted),
        None => Ok(()),
    }
}

impl Caller {
    pub(crate) fn new(parts: CallerParts) -> Self {
        let CallerParts { run, stage, attempt, phase, place, clients, grants, reveal, read_only, maximum_calls } =
            parts;
        Self {
            run,
            stage,
            attempt,
            phase,
            place,
            clients,
            grants,
            reveal,
            read_only,
            maximum_calls,
            seq: 0,
            calls: 0,
            refused: 0,
            maximum_refused: u32::MAX,
            noted: 0,
            maximum_noted: u64::MAX,
        }
    }

    /// The caller for a guest: it may be refused only so often, and fill only so much of the journal.
    pub(crate) fn bounded(self, limits: &Limits) -> Self {
        Self { maximum_refused: limits.refused_calls, maximum_noted: limits.journal_bytes, ..self }
    }

    /// The stage that calls.
    pub(crate) fn stage(&self) -> &StageName {
        &self.stage
    }

    /// Something happened to the stage.
    pub(crate) fn emit(&self, kind: EventKind) {
        self.run.events.emit(Some(&self.stage), kind);
    }

    /// How many AWS calls were answered.
    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }

    /// The key of the next thing that the journal holds of this attempt.
    pub(crate) fn next_key(&mut self) -> Result<CallKey, HostStop> {
        check_stop(&self.run)?;
        if self.noted > self.maximum_noted {
            return Err(HostStop::Limit(format!(
                "what it asked for fills more than {} MiB, the journal of one attempt",
                self.maximum_noted >> 20
            )));
        }
        let key = CallKey { stage: self.stage.clone(), attempt: self.attempt, phase: self.phase, seq: self.seq };
        self.seq += 1;
        Ok(key)
    }

    /// Write down what happened in this attempt.
    pub(crate) fn note(&mut self, record: &Record) -> Result<(), HostStop> {
        self.weigh(record);
        self.run.record(record)
    }

    /// Write down what happened in this attempt, and wait until it is durable.
    pub(crate) async fn note_durable(&mut self, record: &Record) -> Result<(), HostStop> {
        self.weigh(record);
        self.run.record_durable(record).await
    }

    fn weigh(&mut self, record: &Record) {
        let mut size = Size(0);
        // A record that cannot be written as JSON is an error when it is written.
        let _ = serde_json::to_writer(&mut size, record);
        self.noted = self.noted.saturating_add(size.0);
    }

    /// A plugin's call, in the stage's place and with its credentials.
    pub(crate) async fn call<O: Operation>(&mut self, operation: O) -> Result<Result<O::Output, AwsError>, HostStop> {
        let clients = Arc::clone(&self.clients);
        self.call_as(Authority::Plugin, &clients, operation).await
    }

    /// The host's own call, with the runner's own credentials.
    pub(crate) async fn call_as_host<O: Operation>(
        &mut self,
        operation: O,
    ) -> Result<Result<O::Output, AwsError>, HostStop> {
        let clients = Arc::clone(&self.run.own_clients);
        self.call_as(Authority::Host, &clients, operation).await
    }

    async fn call_as<O: Operation>(
        &mut self,
        authority: Authority,
        clients: &Clients,
        operation: O,
    ) -> Result<Result<O::Output, AwsError>, HostStop> {
        let call = self.next_key()?;
        if self.calls >= self.maximum_calls {
            return Err(HostStop::Limit(format!("it made more than {} AWS calls", self.maximum_calls)));
        }
        self.calls += 1;
        let request = operation.journaled().map_err(defect)?;
        let mut size = Size(0);
        serde_json::to_writer(&mut size, &request).map_err(defect)?;
        if size.0 > MAXIMUM_REQUEST {
            return Err(HostStop::Limit(format!(
                "a request of {} with {} KiB is too large for the journal; it takes {}",
                O::ACTION.name,
                size.0 >> 10,
                MAXIMUM_REQUEST >> 10
            )));
        }
        let request_hash = journal::request_hash(&request);
        let began = self.run.clock.now();
        if let Err(refused) = self.authorise(authority, &operation) {
            self.note_result::<O>(&call, Some(request), &request_hash, &Err(refused.clone()), None, began).await?;
            self.refused += 1;
            if self.refused > self.maximum_refused {
                return Err(HostStop::Limit(format!(
                    "it was refused {} AWS calls, the last with: {}",
                    self.refused,
                    shown(&self.run.redactor, &refused.message, ERROR_BYTES)
                )));
            }
            return Ok(Err(refused));
        }
        let token = Token::new(journal::token(&self.run.id, &call));
        if O::ACTION.write {
            let intent = Record::Intent(Intent {
                call: call.clone(),
                action: O::ACTION.name.to_owned(),
                request: Body::Plain(request.clone()),
                request_hash: request_hash.clone(),
                retry: O::RETRY,
                token: Some(token.as_str().to_owned()),
                before: None,
                at: self.run.clock.now(),
            });
            self.note_durable(&intent).await?;
        }
        let (answer, request_id) = self.send(clients, &operation, &token).await?;
        let answer = answer.map_err(|error| self.mask(AwsError { operation: O::ACTION.name.to_owned(), ..error }));
        let request = (!O::ACTION.write).then_some(request);
        self.note_result::<O>(&call, request, &request_hash, &answer, request_id, began).await?;
        Ok(answer)
    }

    /// Send it, and again as long as that is harmless and can help. Every time with the same token.
    async fn send<O: Operation>(
        &self,
        clients: &Clients,
        operation: &O,
        token: &Token,
    ) -> Result<(Result<O::Output, AwsError>, Option<String>), HostStop> {
        let mut attempt = 1;
        loop {
            let (sent, request_id) = capture(tokio::time::timeout(DEADLINE, operation.send(clients, token))).await;
            let error = match sent {
                Ok(Ok(output)) => return Ok((Ok(output), request_id)),
                Ok(Err(error)) => error,
                Err(_) => timed_out(request_id.clone()),
            };
            let Some(pause) = retry::pause(error.kind, O::RETRY, attempt, token.as_str()) else {
                return Ok((Err(error), request_id));
            };
            self.emit(EventKind::CallRetrying {
                action: O::ACTION.name.to_owned(),
                attempt,
                delay: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                error: self.mask(error).message,
            });
            // Nothing is lost by stopping here: the intent is written, and a resumed run sends it again.
            self.run.pause(pause).await?;
            attempt += 1;
        }
    }

    fn authorise<O: Operation>(&self, authority: Authority, operation: &O) -> Result<(), AwsError> {
        let refuse = |kind, code: &str, message: String| AwsError {
            kind,
            code: code.to_owned(),
            message,
            operation: O::ACTION.name.to_owned(),
            request_id: None,
        };
        if authority == Authority::Plugin {
            let own = (O::ACTION.name, operation.resources(&self.place));
            for (action, resources) in std::iter::once(own).chain(operation.requires(&self.place)) {
                self.grants
                    .allows(action, &resources)
                    .map_err(|denied| refuse(ErrorKind::Denied, "PermissionNotDeclared", denied.to_string()))?;
            }
            if O::REVEALS && !self.reveal {
                let message = format!("{} shows plaintext to the stage, which needs `reveal = true`", O::ACTION.name);
                return Err(refuse(ErrorKind::Denied, "NotRevealed", message));
            }
        }
        if O::ACTION.write && self.read_only {
            let message = format!("{} was refused: planning changes nothing", O::ACTION.name);
            return Err(refuse(ErrorKind::ReadOnly, "ReadOnly", message));
        }
        Ok(())
    }

    /// AWS repeats parts of requests in its messages; a secret among them must not travel on.
    fn mask(&self, error: AwsError) -> AwsError {
        AwsError { message: self.run.redactor.text(&error.message).into_owned(), ..error }
    }

    async fn note_result<O: Operation>(
        &mut self,
        call: &CallKey,
        request: Option<Value>,
        request_hash: &Digest,
        answer: &Result<O::Output, AwsError>,
        request_id: Option<String>,
        began: u64,
    ) -> Result<(), HostStop> {
        let outcome = match answer {
            Ok(output) => {
                let response = serde_json::to_value(output).map_err(defect)?;
                CallOutcome::Ok(match O::SECRET_OUTPUT {
                    true => Body::Hashed(journal::request_hash(&response)),
                    false => Body::Plain(response),
                })
            }
            Err(error) => CallOutcome::Err(serde_json::to_value(error).map_err(defect)?),
        };
        let at = self.run.clock.now();
        let millis = at.saturating_sub(began);
        let record = Record::Result(CallResult {
            call: call.clone(),
            action: O::ACTION.name.to_owned(),
            request_hash: request_hash.clone(),
            request: request.map(Body::Plain),
            outcome,
            request_id: request_id.clone(),
            millis,
            at,
        });
        if O::ACTION.write {
            self.note_durable(&record).await?;
        } else {
            self.note(&record)?;
        }
        self.emit(EventKind::Call {
            action: O::ACTION.name.to_owned(),
            write: O::ACTION.write,
            millis,
            request_id,
            error: answer.as_ref().err().map(|error| {
                let text = format!("{}: {}", error.code, error.message);
                shown(&self.run.redactor, &text, ERROR_BYTES)
            }),
        });
        Ok(())
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

/// Counts what is written to it.
struct Size(u64);

impl std::io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn defect(error: serde_json::Error) -> HostStop {
    HostStop::Defect(format!("a record of AWS cannot be written as JSON: {error}"))
}
