//! `kiln:stage/timer`: the run's clock, journaled.

use serde_json::Value;

use super::state::{StageHost, stop};
use crate::call::differs;
use crate::call::stop::HostStop;
use crate::contract::bindings::kiln::stage::timer::Host;
use crate::journal::{self, Record, Step, Timer};

impl Host for StageHost {
    async fn now(&mut self) -> wasmtime::Result<u64> {
        let work = self.enter("timer.now").await?;
        let now = work.local_read("clock", |run| Value::from(run.clock.now())).await.map_err(stop)?;
        now.as_u64().ok_or_else(|| stop(HostStop::Defect("the journal holds a clock that shows no instant".to_owned())))
    }

    async fn sleep(&mut self, milliseconds: u64) -> wasmtime::Result<()> {
        let work = self.enter("timer.sleep").await?;
        let until = match work.caller.step().await.map_err(stop)? {
            (_, Some(Step::Timer(recorded))) if recorded.millis == milliseconds => {
                // Whatever came after it says that the wait was over.
                if !work.caller.is_live() {
                    return Ok(());
                }
                work.caller.go_live().await.map_err(stop)?;
                recorded.until
            }
            (call, Some(other)) => return Err(stop(differs(&call, &other, &journal::waited(milliseconds)))),
            (call, None) => {
                let until = work.run.clock.now().saturating_add(milliseconds);
                let record = Record::Timer(Timer { call, millis: milliseconds, until });
                work.caller.note(&record).map_err(stop)?;
                until
            }
        };
        let deadline = work.caller.actor().deadline;
        if until > deadline {
            work.run.sleep_until(deadline).await.map_err(stop)?;
            return Err(stop(HostStop::TimedOut));
        }
        work.run.sleep_until(until).await.map_err(stop)
    }

    async fn deadline(&mut self) -> wasmtime::Result<u64> {
        Ok(self.enter("timer.deadline").await?.caller.actor().deadline)
    }
}
