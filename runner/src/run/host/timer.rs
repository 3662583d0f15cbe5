//! `kiln:stage/timer`: the run's clock, journaled.

use serde_json::Value;

use super::state::{StageHost, stop};
use crate::journal::{Record, Timer};
use crate::plugin::bindings::kiln::stage::timer::Host;
use crate::run::stop::HostStop;

impl Host for StageHost {
    async fn now(&mut self) -> wasmtime::Result<u64> {
        let work = self.enter("timer.now").await?;
        let now = work.run.clock.now();
        work.local_read("clock", Value::from(now)).map_err(stop)?;
        Ok(now)
    }

    async fn sleep(&mut self, milliseconds: u64) -> wasmtime::Result<()> {
        let work = self.enter("timer.sleep").await?;
        let clock = work.run.clock;
        let until = clock.now().saturating_add(milliseconds);
        let call = work.caller.next_key().map_err(stop)?;
        work.caller.note(&Record::Timer(Timer { call, millis: milliseconds, until })).map_err(stop)?;
        if until > work.deadline {
            work.run.sleep_until(work.deadline).await.map_err(stop)?;
            return Err(stop(HostStop::TimedOut));
        }
        work.run.sleep_until(until).await.map_err(stop)
    }

    async fn deadline(&mut self) -> wasmtime::Result<u64> {
        Ok(self.enter("timer.deadline").await?.deadline)
    }
}
