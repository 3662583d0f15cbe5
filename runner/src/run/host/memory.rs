//! `kiln:stage/memory`: what a stage must remember for its undo, kept in the journal.

use super::state::{StageHost, stop};
use crate::aws::call::differs;
use crate::journal::{self, Record, Remember, Step};
use crate::plugin::bindings::kiln::stage::memory::Host;
use crate::run::stop::HostStop;

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
            // What was written down was masked first.
            (_, Some(Step::Remember(recorded)))
                if recorded.name == work.run.redactor.text(&name)
                    && recorded.value == work.run.redactor.text(&value) => {}
            (call, Some(other)) => {
                return Err(stop(differs(&call, &other, &journal::remembered(&name, &value))));
            }
            (call, None) => {
                let record = Record::Remember(Remember { call, name: name.clone(), value: value.clone() });
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
