//! Asks AWS who the runner is, or who it would be in a role, without a run: for whoever looks at a machine.
//!
//! The main function is [`ask_identity`]. It is one call by the way of all calls, which keeps no journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

use tokio::sync::Semaphore;

use super::error::RunError;
use super::setup::host_caller;
use crate::aws::clients::{AssumedRole, Connection};
use crate::call::context::RunContext;
use crate::call::events::Events;
use crate::call::gate::Gate;
use crate::call::ledger::Ledger;
use crate::call::stop::Interrupter;
use crate::clock::Clock;
use crate::contract::bindings::kiln::aws_sts::sts::{GetCallerIdentityRequest, GetCallerIdentityResponse};
use crate::report::Report;
use crate::secrets::Vault;
use crate::secrets::redact::Redactor;
use crate::types::{Region, RunId};

/// Whom to ask for.
pub(crate) struct IdentityQuestion {
    pub(crate) connection: Connection,
    pub(crate) region: Region,
    /// The role to be in; the runner's own credentials where there is none.
    pub(crate) role: Option<AssumedRole>,
    pub(crate) redactor: Redactor,
    /// Who is told of each try.
    pub(crate) report: Box<dyn Report>,
}

/// Who AWS says that the caller is.
pub(crate) async fn ask_identity(question: IdentityQuestion) -> Result<GetCallerIdentityResponse, RunError> {
    let IdentityQuestion { connection, region, role, redactor, report } = question;
    let clock = Clock::scaled(1.0);
    let clients = Arc::new(connection.clients(&region, role).await);
    let (_, control) = Interrupter::new();
    let run = RunContext {
        id: RunId::new(clock.now()),
        pipeline: "doctor".parse()?,
        planning: true,
        ledger: Ledger::nowhere(),
        leases: None,
        events: Events::new(clock, redactor.clone(), report),
        redactor,
        secrets: Vault::new(BTreeMap::new()),
        clock,
        control,
        own_clients: Arc::clone(&clients),
        images: std::sync::Mutex::default(),
        in_flight: Arc::new(Semaphore::new(1)),
        pacer: connection.pacer(),
        calls: AtomicU32::new(0),
        progress: AtomicU64::new(clock.now()),
        gate: Gate::opened(),
    };
    let mut caller = host_caller(&Arc::new(run), &region, None, &clients, 1)?;
    let answered = caller.read_as_host(GetCallerIdentityRequest { reserved: false }).await;
    answered.map_err(RunError::GivenUp)?.map_err(RunError::Identity)
}
