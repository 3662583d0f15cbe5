//! Where a run writes its records: nothing for people in them holds a secret, and what was recorded before the journal could
//! begin is its first.
//!
//! The main type is [`Ledger`].

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use super::stop::HostStop;
use crate::event::Failure;
use crate::journal::{Encoded, Journal, Record};
use crate::secrets::redact::Redactor;

/// Where a run writes its records.
#[derive(Debug)]
pub(crate) struct Ledger(Mutex<LedgerState>);

#[derive(Debug)]
enum LedgerState {
    /// Nothing is kept: plans and rehearsals leave nothing behind.
    Nowhere,
    /// The journal has not begun: it must not before the secrets are known that it must not hold.
    Ahead(Vec<Record>),
    /// It is there.
    Begun(Journal),
}

impl Ledger {
    /// A ledger that keeps nothing.
    pub(crate) fn nowhere() -> Self {
        Self(Mutex::new(LedgerState::Nowhere))
    }

    /// A ledger whose journal is still to begin.
    pub(crate) fn ahead() -> Self {
        Self(Mutex::new(LedgerState::Ahead(Vec::new())))
    }

    /// A ledger over a journal that is there.
    pub(crate) fn of(journal: Journal) -> Self {
        Self(Mutex::new(LedgerState::Begun(journal)))
    }

    /// The journal has begun: what was recorded so far is written to it.
    pub(crate) fn begin(&self, journal: Journal) -> Result<(), HostStop> {
        let before = std::mem::replace(&mut *self.state(), LedgerState::Begun(journal.clone()));
        if let LedgerState::Ahead(records) = before {
            for record in &records {
                journal.append(record)?;
            }
        }
        Ok(())
    }

    /// Whether anything is kept.
    pub(crate) fn is_kept(&self) -> bool {
        !matches!(&*self.state(), LedgerState::Nowhere)
    }

    /// Write a record. It is durable with the next one that must be. Answers how many bytes it has.
    pub(crate) fn record(&self, record: &Record, redactor: &Redactor) -> Result<u64, HostStop> {
        let record = masked(record, redactor);
        let encoded = Encoded::of(&record)?;
        let bytes = encoded.bytes();
        match &mut *self.state() {
            LedgerState::Nowhere => {}
            LedgerState::Ahead(records) => records.push(record.into_owned()),
            LedgerState::Begun(journal) => {
                journal.write(&encoded)?;
            }
        }
        Ok(bytes)
    }

    /// Write a record and wait until it is durable. Answers how many bytes it has.
    pub(crate) async fn record_durable(&self, record: &Record, redactor: &Redactor) -> Result<u64, HostStop> {
        // Before the journal begins nothing is done that must be known.
        let Some(journal) = self.journal() else { return self.record(record, redactor) };
        let encoded = Encoded::of(&masked(record, redactor))?;
        let bytes = encoded.bytes();
        journal.write_durable(encoded).await?;
        Ok(bytes)
    }

    /// Wait until all records are durable.
    pub(crate) async fn sync(&self) -> Result<(), HostStop> {
        if let Some(journal) = self.journal() {
            journal.sync().await?;
        }
        Ok(())
    }

    /// That what was recorded is where it will be looked for.
    pub(crate) fn still_there(&self) -> Result<(), HostStop> {
        match self.journal() {
            Some(journal) => Ok(journal.still_there()?),
            None => Ok(()),
        }
    }

    fn journal(&self) -> Option<Journal> {
        match &*self.state() {
            LedgerState::Begun(journal) => Some(journal.clone()),
            LedgerState::Nowhere | LedgerState::Ahead(_) => None,
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, LedgerState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The record with what it tells people masked. What a resume goes on with is sealed already, and stays as it is.
fn masked<'a>(record: &'a Record, redactor: &Redactor) -> Cow<'a, Record> {
    let text = |text: &mut String| *text = redactor.text(text).into_owned();
    let failure = |failure: &mut Failure| {
        text(&mut failure.message);
        failure.help.iter_mut().for_each(text);
        failure.details.iter_mut().for_each(text);
    };
    Cow::Owned(match record {
        Record::StageEnd(end) => {
            let mut end = end.clone();
            end.failure.iter_mut().for_each(failure);
            Record::StageEnd(end)
        }
        Record::UndoEnd(end) => {
            let mut end = end.clone();
            match &mut end.result {
                Ok(sentence) => text(sentence),
                Err(why) => failure(why),
            }
            Record::UndoEnd(end)
        }
        Record::Stuck(stuck) => {
            let mut stuck = stuck.clone();
            failure(&mut stuck.failure);
            Record::Stuck(stuck)
        }
        Record::Reconciled(reconciled) => {
            let mut reconciled = reconciled.clone();
            text(&mut reconciled.evidence);
            Record::Reconciled(reconciled)
        }
        Record::RunStart(_)
        | Record::RunResume(_)
        | Record::StageStart(_)
        | Record::Intent(_)
        | Record::Result(_)
        | Record::LocalRead(_)
        | Record::Timer(_)
        | Record::Remember(_)
        | Record::Fence(_)
        | Record::UndoStart(_)
        | Record::RunEnd(_) => return Cow::Borrowed(record),
    })
}
