//! A run that had stopped, ready to go on: its journal is locked and read, and what it began with is known.
//!
//! The main type is [`Resumable`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::RunError;
use super::tenure::carry;
use crate::clock::Clock;
use crate::event::RunOutcome;
use crate::journal::{self, History, HistoryError, Journal, JournalError, Record, Recording, Tail};
use crate::pipeline::{Files, SecretReference, Values};
use crate::store::{LeaseEnding, LeaseError, Leases};
use crate::types::Digest;

/// A run that had stopped.
#[derive(Debug)]
pub struct Resumable {
    /// What its journal tells.
    pub history: History,
    /// The text of its pipeline file, as it was when the run began.
    pub text: Vec<u8>,
    /// Where its journal is.
    pub directory: PathBuf,
    /// How many bytes of a torn tail were cut off.
    pub truncated: u64,
    pub(crate) journal: Journal,
    /// In a shared store: its own lease, which this process holds, and how many frames are there.
    pub(crate) held: Option<(Leases, u64)>,
}

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// Its journal cannot be read or locked.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Its journal tells nothing, or contradicts itself.
    #[error("{}: {source}", directory.display())]
    History {
        /// Where.
        directory: PathBuf,
        /// What is wrong with it.
        source: HistoryError,
    },
    /// A component is not there any more.
    #[error(
        "the run uses the plugin `{name}` as the component {digest}, which is neither kept beside the run nor part of this kiln"
    )]
    Component {
        /// What the pipeline calls the plugin.
        name: String,
        /// The component's digest.
        digest: Digest,
    },
}

impl Resumable {
    /// Lock and read the journal in `directory`, and cut off a torn tail.
    ///
    /// # Errors
    /// Another process writes it, it is damaged, or the run never began.
    pub fn open(directory: &Path) -> Result<Self, ResumeError> {
        let length = std::fs::metadata(directory.join("journal")).map_or(0, |file| file.len());
        let (journal, recording) = Journal::reopen(directory)?;
        let history = history(directory, &recording)?;
        let text = journal::attached(directory, &history.start.source)?;
        let truncated = match recording.tail {
            Tail::Clean => 0,
            Tail::Torn { at } => length.saturating_sub(at),
        };
        Ok(Self { history, text, directory: directory.to_owned(), truncated, journal, held: None })
    }

    /// It is kept in a shared store as well, where `leases` hold it for this process, with its first `frames` frames.
    #[must_use]
    pub fn held(self, leases: Leases, frames: u64) -> Self {
        Self { held: Some((leases, frames)), ..self }
    }

    /// How the run ended, where there is nothing left to do.
    pub fn ended(&self) -> Option<RunOutcome> {
        match self.history.end.as_ref().map(|end| end.outcome) {
            Some(outcome @ (RunOutcome::Done | RunOutcome::Failed | RunOutcome::Undone)) => Some(outcome),
            Some(RunOutcome::Interrupted | RunOutcome::Detached | RunOutcome::Stuck) | None => None,
        }
    }

    /// Write down, durably, what a person says.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn settle(&self, record: &Record) -> Result<(), RunError> {
        if let Some((leases, there)) = &self.held {
            carry(&self.journal, &self.directory, leases, &self.history.start, *there)?;
        }
        self.journal.append_durable(record).await?;
        Ok(())
    }

    /// Let the run go again: nothing is done with it after all, or all that was to be done is.
    ///
    /// # Errors
    /// The shared store cannot be written.
    pub async fn let_go(&self) -> Result<(), LeaseError> {
        match &self.held {
            Some((leases, _)) => leases.end(LeaseEnding::Parked).await,
            None => Ok(()),
        }
    }

    /// The files beside the pipeline, as they were when the run began.
    ///
    /// # Errors
    /// One of them is not beside the journal any more.
    pub fn files(&self) -> Result<Files, JournalError> {
        let files = self.history.start.files.iter();
        files.map(|(path, digest)| Ok((path.clone(), journal::attached(&self.directory, digest)?.into()))).collect()
    }

    /// What the pipeline was given when the run began.
    pub fn values(&self) -> Values {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let start = &self.history.start;
        Values {
            inputs: start.inputs.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            env: start.env.clone(),
            region: Some(start.region.clone()),
        }
    }

    /// The run's clock: it goes on from where it was, as fast as it was.
    pub fn clock(&self) -> Clock {
        let start = &self.history.start;
        Clock::going_on(start.clock_origin, self.history.latest, start.clock_scale)
    }

    /// The bytes of the components that the run began with, by the names that the pipeline gives to its plugins.
    ///
    /// # Errors
    /// One is not there any more.
    pub fn components(&self, state_dir: &Path) -> Result<BTreeMap<String, Vec<u8>>, ResumeError> {
        let mut components = BTreeMap::new();
        for (name, digest) in &self.history.start.plugins {
            let kept = journal::kept_component(state_dir, digest)?;
            let bytes = kept.or_else(|| crate::contract::standard_component(digest));
            let missing = || ResumeError::Component { name: name.clone(), digest: digest.clone() };
            components.insert(name.clone(), bytes.ok_or_else(missing)?);
        }
        Ok(components)
    }

    /// References to the secrets in the versions that the run began with.
    pub(crate) fn pinned(&self, secrets: &BTreeMap<String, SecretReference>) -> BTreeMap<String, SecretReference> {
        let pin = |(name, reference): (&String, &SecretReference)| {
            let reference = match self.history.secrets.get(name) {
                Some(version) => {
                    SecretReference { version_id: Some(version.clone()), version_stage: None, ..reference.clone() }
                }
                None => reference.clone(),
            };
            (name.clone(), reference)
        };
        secrets.iter().map(pin).collect()
    }
}

fn history(directory: &Path, recording: &Recording) -> Result<History, ResumeError> {
    History::of(recording).map_err(|source| ResumeError::History { directory: directory.to_owned(), source })
}
