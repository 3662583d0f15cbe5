//! `kiln:stage/secrets`: handles to secrets whose values stay with the host.

use wasmtime::component::Resource;

use super::state::{StageHost, stop};
use crate::call::stop::HostStop;
use crate::contract::bindings::kiln::stage::secrets::{Host, HostSecret, SecretError};
use crate::secrets::{SecretHandle, secret_name};

impl Host for StageHost {
    async fn open(&mut self, reference: String) -> wasmtime::Result<Result<Resource<SecretHandle>, SecretError>> {
        let work = self.enter("secrets.open").await?;
        let Some(name) = secret_name(&reference).filter(|name| work.caller.actor().standing.secrets.contains(*name))
        else {
            return Ok(Err(SecretError::NotGranted));
        };
        let Some(handle) = work.run.secrets.handle(name) else {
            return Ok(Err(SecretError::Unavailable));
        };
        let handle =
            self.table.push(handle).map_err(|_| stop(HostStop::Limit("it holds too many handles".to_owned())))?;
        Ok(Ok(handle))
    }
}

impl HostSecret for StageHost {
    async fn name(&mut self, handle: Resource<SecretHandle>) -> wasmtime::Result<String> {
        self.enter("secret.name").await?;
        Ok(self.table.get(&handle)?.name().to_owned())
    }

    async fn codebuild_reference(&mut self, handle: Resource<SecretHandle>) -> wasmtime::Result<String> {
        self.enter("secret.codebuild-reference").await?;
        Ok(self.table.get(&handle)?.codebuild_reference())
    }

    async fn ecs_reference(&mut self, handle: Resource<SecretHandle>) -> wasmtime::Result<String> {
        self.enter("secret.ecs-reference").await?;
        Ok(self.table.get(&handle)?.ecs_reference())
    }

    async fn reveal(&mut self, handle: Resource<SecretHandle>) -> wasmtime::Result<Result<String, SecretError>> {
        let reveal = self.enter("secret.reveal").await?.caller.actor().standing.reveal;
        let handle = self.table.get(&handle)?;
        Ok(if !reveal { Err(SecretError::NotRevealed) } else { handle.value().ok_or(SecretError::Unavailable) })
    }

    async fn drop(&mut self, handle: Resource<SecretHandle>) -> wasmtime::Result<()> {
        self.enter("secret.drop").await?;
        self.table.delete(handle)?;
        Ok(())
    }
}
