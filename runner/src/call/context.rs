//! What all stages of a run share.
//!
//! The main type is [`RunContext`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::Semaphore;

use super::events::Events;
use super::gate::Gate;
use super::ledger::Ledger;
use super::stop::{Control, HostStop};
use crate::aws::clients::Clients;
use crate::aws::pacing::Pacer;
use crate::clock::Clock;
use crate::journal::Record;
use crate::secrets::Vault;
use crate::secrets::redact::{Redactor, Sealed};
use crate::store::Leases;
use crate::types::{PipelineName, RunId};

/// What all stages of a run share.
#[derive(Debug)]
pub(crate) struct RunContext {
    pub(crate) id: RunId,
    pub(crate) pipeline: PipelineName,
    /// Whether nothing is run, only planned.
    pub(crate) planning: bool,
    pub(crate) ledger: Ledger,
    /// The environments that it may deploy to, for whoever keeps a journal.
    pub(crate) leases: Option<Leases>,
    pub(crate) events: Events,
    pub(crate) redactor: Redactor,
    pub(crate) secrets: Vault,
    pub(crate) clock: Clock,
    pub(crate) control: Control,
    /// Clients with the runner's own credentials, in the pipeline's region.
    pub(crate) own_clients: Arc<Clients>,
    pub(crate) images: Mutex<BTreeSet<String>>,
    /// Whoever calls AWS holds one of these meanwhile: each call has a connection, and a process only so many files.
    pub(crate) in_flight: Arc<Semaphore>,
    /// How fast services are asked.
    pub(crate) pacer: Pacer,
    /// How many AWS calls its stages made, those that are answered from the journal among them.
    pub(crate) calls: AtomicU32,
    /// When the run last began or ended a stage or changed something in AWS, by its clock.
    pub(crate) progress: AtomicU64,
    /// Where a resumed run waits until all of it has been replayed.
    pub(crate) gate: Gate,
}

impl RunContext {
    /// Write a record. It is durable with the next one that must be.
    pub(crate) fn record(&self, record: &Record) -> Result<(), HostStop> {
        self.ledger.record(record, &self.redactor).map(|_| ())
    }

    /// Write a record and wait until it is durable.
    pub(crate) async fn record_durable(&self, record: &Record) -> Result<(), HostStop> {
        self.ledger.record_durable(record, &self.redactor).await.map(|_| ())
    }

    /// Wait until all records are durable.
    pub(crate) async fn sync(&self) -> Result<(), HostStop> {
        self.ledger.sync().await
    }

    /// `value` as a record holds it: without the secrets in it, and so that [`open`](Self::open) gives it back.
    pub(crate) fn seal(&self, value: &Value) -> Result<Sealed, HostStop> {
        Ok(self.redactor.seal(value)?)
    }

    /// What a record holds, exactly as it was.
    pub(crate) fn open(&self, sealed: &Sealed) -> Result<Value, HostStop> {
        Ok(self.redactor.open(sealed)?)
    }

    /// What attempts remembered, exactly as it was.
    pub(crate) fn open_memory<'a>(
        &self,
        remembered: impl Iterator<Item = &'a (Sealed, Sealed)>,
    ) -> Result<BTreeMap<String, String>, HostStop> {
        let mut memory = BTreeMap::new();
        for (name, value) in remembered {
            memory.insert(self.redactor.open_text(name)?, self.redactor.open_text(value)?);
        }
        Ok(memory)
    }

    /// That the run may change its environments, and will know that it did: the last thing before a write is sent.
    pub(crate) fn guard(&self) -> Result<(), HostStop> {
        self.ledger.still_there()?;
        match &self.leases {
            Some(leases) => Ok(leases.guard()?),
            None => Ok(()),
        }
    }

    /// The run came a step further: it does not only wait.
    pub(crate) fn progressed(&self) {
        self.progress.fetch_max(self.clock.now(), Ordering::Relaxed);
    }

    /// Wait until the run has come no further for `duration` of its clock.
    pub(crate) async fn stalled_for(&self, duration: std::time::Duration) {
        let duration = kiln_span::millis(duration);
        loop {
            let until = self.progress.load(Ordering::Relaxed).saturating_add(duration);
            if self.clock.now() >= until {
                return;
            }
            self.clock.sleep_until(until).await;
        }
    }

    /// Wait until the clock shows `instant`, or until the run is told to end.
    pub(crate) async fn sleep_until(&self, instant: u64) -> Result<(), HostStop> {
        tokio::select! {
            // In one order always: a rehearsal must not depend on chance.
            biased;
            () = self.clock.sleep_until(instant) => Ok(()),
            () = self.control.interruption() => Err(HostStop::Interrupted),
        }
    }

    /// Wait for `duration` of the run's clock, or until the run is told to end.
    pub(crate) async fn pause(&self, duration: std::time::Duration) -> Result<(), HostStop> {
        self.sleep_until(self.clock.now().saturating_add(kiln_span::millis(duration))).await
    }

    /// Images by digest among the outputs of finished stages.
    pub(crate) fn images(&self) -> Vec<String> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Note the images that a finished stage's outputs name.
    pub(crate) fn note_images(&self, outputs: &Value) {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        collect_images(outputs, &mut images);
    }
}

fn collect_images(value: &Value, images: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.contains("@sha256:") => {
            images.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| collect_images(item, images)),
        Value::Object(fields) => fields.values().for_each(|field| collect_images(field, images)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
