//! `kiln:stage/memory`: what a stage must remember for its undo, kept in the journal.

use super::state::{StageHost, stop};
use crate::call::differs;
use crate::call::stop::HostStop;
use crate::contract::bindings::kiln::stage::memory::Host;
use crate::journal::{self, Record, Remember, Step};

/// What one stage may remember, in bytes.
const MAXIMUM_BYTES: usize = 256 << 10;

impl Host for StageHost {
    async fn remember(&mut self, name: String, value: String) -> wasmtime::Result<()> {
        let work = self.enter("memory.remember").await?;
        let held: usize = work.memory.iter().map(|(name, value)| name.len() + value.len()).sum();
        if held + name.len() + value.len() > MAXIMUM_BYTES {
            return Err(stop(HostStop::Limit(format!(
                "it remembered more than {} KiB; remember references, not contents",
                MAXIMUM_BYTES >> 10
            ))));
        }
        match work.caller.step().await.map_err(stop)? {
            (call, Some(Step::Remember(recorded))) => {
                let redactor = &work.run.redactor;
                let open = |sealed| redactor.open_text(sealed).map_err(|error| stop(error.into()));
                if open(&recorded.name)? != name || open(&recorded.value)? != value {
                    let recorded = Step::Remember(recorded);
                    return Err(stop(differs(&call, &recorded, &journal::remembered(&name, &value))));
                }
            }
            (call, Some(other)) => {
                return Err(stop(differs(&call, &other, &journal::remembered(&name, &value))));
            }
            (call, None) => {
                let seal = |text: &str| work.run.redactor.seal_text(text).map_err(|error| stop(error.into()));
                let record = Remember { call, name: seal(&name)?, value: seal(&value)? };
                let mut answered = record.name.secrets().into_iter().chain(record.value.secrets());
                if let Some(answer) = answered.rfind(|id| id.is_answer()) {
                    // Whoever undoes it may not be able to ask for it again.
                    return Err(stop(HostStop::Limit(format!(
                        "it remembered what {} answered; remember what to ask for, not what is secret",
                        answer.name
                    ))));
                }
                let record = Record::Remember(record);
                work.caller.note_durable(&record).await.map_err(stop)?;
            }
        }
        work.memory.insert(name, value);
        Ok(())
    }

    async fn recall(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.enter("memory.recall").await?.memory.get(&name).cloned())
    }
}
