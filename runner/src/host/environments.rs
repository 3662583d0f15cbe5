//! `kiln:environments/environments`: acting in other environments of the pipeline, journaled.

use serde_json::json;

use super::state::{StageHost, Work, stop};
use crate::call::Standing;
use crate::call::stop::HostStop;
use crate::contract::bindings::kiln::environments::environments::{Environment, Host};
use crate::types::EnvironmentName;

impl Host for StageHost {
    async fn elsewhere(&mut self) -> wasmtime::Result<Vec<Environment>> {
        let work = self.enter("environments.elsewhere").await?;
        Ok(work.own.elsewhere.iter().map(|(name, standing)| environment(name, standing)).collect())
    }

    async fn enter(&mut self, name: String) -> wasmtime::Result<Result<Environment, String>> {
        let work = StageHost::enter(self, "environments.enter").await?;
        let found = work.own.elsewhere.iter().find(|(known, _)| known.as_str() == name).cloned();
        let Some((name, standing)) = found else {
            return Ok(Err(format!("the stage's config names no environment {name:?} under `elsewhere`")));
        };
        let entered = environment(&name, &standing);
        note(work, &format!("environment {name}"), Some(&entered)).await.map_err(stop)?;
        work.caller.act_as(standing);
        Ok(Ok(entered))
    }

    async fn leave(&mut self) -> wasmtime::Result<()> {
        let work = self.enter("environments.leave").await?;
        note(work, "its own environment", None).await.map_err(stop)?;
        let own = work.own.clone();
        work.caller.act_as(own);
        Ok(())
    }
}

/// Write down where the calls that follow are made.
async fn note(work: &mut Work, what: &str, entered: Option<&Environment>) -> Result<(), HostStop> {
    let place = entered.map(|entered| json!({ "account": entered.account, "region": entered.region }));
    work.local_read(what, |_| place.unwrap_or_default()).await.map(|_| ())
}

fn environment(name: &EnvironmentName, standing: &Standing) -> Environment {
    let place = &standing.place;
    Environment {
        name: name.to_string(),
        account: place.account.to_string(),
        region: place.region.to_string(),
        partition: place.partition.clone(),
    }
}
