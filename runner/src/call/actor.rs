//! As whom, where and with what an attempt of a stage acts.
//!
//! The main type is [`Actor`], one value that is made where an attempt begins and passed on. [`Standing`] is what of it all
//! attempts of a stage share.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::stop::HostStop;
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, ErrorKind};
use crate::aws::look::{Authority, Look};
use crate::aws::operation::{Operation, PASS_ROLE, Write};
use crate::journal::{CallKey, Phase};
use crate::policy::Grants;
use crate::secrets::Vault;
use crate::types::{Arn, EnvironmentName, Place, StageName};

/// What all attempts of a stage share.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) stage: StageName,
    /// Where it acts.
    pub(crate) place: Place,
    /// With its credentials.
    pub(crate) clients: Arc<Clients>,
    /// What it may do.
    pub(crate) grants: Arc<Grants>,
    /// Whether it may see plaintext.
    pub(crate) reveal: bool,
    /// The names of the secrets that its config names.
    pub(crate) secrets: BTreeSet<String>,
    /// As what it acts in the other environments that its config names, in that order.
    pub(crate) elsewhere: Vec<(EnvironmentName, Arc<Standing>)>,
}

/// Whether an attempt may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// It plans: every write is refused.
    ReadOnly,
    /// It works.
    ReadWrite,
}

/// One attempt of one phase of a stage.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    pub(crate) standing: Arc<Standing>,
    pub(crate) attempt: u32,
    pub(crate) phase: Phase,
    pub(crate) access: Access,
    /// Nothing that is new is asked of AWS at this instant of the run's clock or later; the host itself has none (`u64::MAX`).
    pub(crate) deadline: u64,
}

impl Actor {
    /// The key of the attempt's step number `seq`.
    pub(crate) fn key(&self, seq: u64) -> CallKey {
        CallKey { stage: self.standing.stage.clone(), attempt: self.attempt, phase: self.phase, seq }
    }

    /// That it may ask AWS at `now` for what it has not asked for before.
    pub(crate) fn in_time(&self, now: u64) -> Result<(), HostStop> {
        if now >= self.deadline { Err(HostStop::TimedOut) } else { Ok(()) }
    }

    /// Looks for a write of type `W`, with what the stage may look at.
    pub(super) fn look<W: Write>(&self) -> Look {
        let Standing { clients, place, grants, .. } = &*self.standing;
        let authority: Arc<dyn Authority> = Arc::<Grants>::clone(grants);
        Look::of::<W>(Arc::clone(clients), place.clone(), authority)
    }

    /// That the stage may ask for `operation`.
    pub(super) fn permit<O: Operation>(&self, operation: &O, vault: &Vault) -> Result<(), AwsError> {
        let Standing { place, grants, reveal, .. } = &*self.standing;
        let own = (O::ACTION, operation.resources(place));
        let passed = operation.passes(place);
        if !passed.is_empty() && O::PASSES_TO.is_none() {
            let message = format!("{} hands roles to a service that kiln does not name", O::ACTION);
            return Err(refusal::<O>(ErrorKind::Denied, "PassedToNobody", message));
        }
        let passed = (!passed.is_empty()).then_some((PASS_ROLE, passed));
        for (action, resources) in std::iter::once(own).chain(operation.requires(place)).chain(passed) {
            grants
                .allows(action, &resources)
                .map_err(|denied| refusal::<O>(ErrorKind::Denied, "PermissionNotDeclared", denied.to_string()))?;
        }
        let foreign = operation.secret_references().into_iter().find(|given| !self.names(given, vault));
        if let Some(reference) = foreign {
            let message = format!(
                "{} refers to the secret `{reference}`, which the stage's config does not name; name it there as \
                 `${{secrets.NAME}}`",
                O::ACTION
            );
            return Err(refusal::<O>(ErrorKind::Denied, "SecretNotGranted", message));
        }
        if O::REVEALS && !reveal {
            let message = format!("{} shows plaintext to the stage, which needs `reveal = true`", O::ACTION);
            return Err(refusal::<O>(ErrorKind::Denied, "NotRevealed", message));
        }
        Ok(())
    }

    /// That the attempt may change anything.
    pub(super) fn permit_write<O: Operation>(&self) -> Result<(), AwsError> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => {
                let message = format!("{} was refused: planning changes nothing", O::ACTION);
                Err(refusal::<O>(ErrorKind::ReadOnly, "ReadOnly", message))
            }
        }
    }

    /// Whether `reference` is to a secret that the stage's config names, just as it is handed out.
    fn names(&self, reference: &str, vault: &Vault) -> bool {
        let handles = self.standing.secrets.iter().filter_map(|name| vault.handle(name));
        handles
            .into_iter()
            .any(|handle| handle.codebuild_reference() == reference || handle.ecs_reference() == reference)
    }
}

fn refusal<O: Operation>(kind: ErrorKind, code: &str, message: String) -> AwsError {
    AwsError { kind, code: code.to_owned(), message, operation: O::ACTION.to_owned(), request_id: None }
}

impl Authority for Grants {
    fn allows(&self, action: &'static str, resources: &[Arn]) -> bool {
        Self::allows(self, action, resources).is_ok()
    }
}
