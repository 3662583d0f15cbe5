//! What is being done with a stack.
//!
//! The main type is [`Execution`].

use std::collections::{BTreeMap, BTreeSet};

use super::engine::{ResourceFate, ResourceTarget};
use super::permissions::Requester;
use super::stack::StackResource;

/// An operation on a stack that is under way.
#[derive(Debug, Clone)]
pub(super) struct Execution {
    /// Its id, as events tell it.
    pub(super) id: String,
    /// What is scheduled for another turn counts no more.
    pub(super) turn: u64,
    pub(super) kind: ExecutionKind,
    pub(super) stage: ExecutionStage,
    pub(super) token: Option<String>,
    pub(super) options: Options,
    /// How many of those that it needs each resource still waits for.
    pub(super) waits: BTreeMap<String, usize>,
    /// Who waits for each resource.
    pub(super) dependents: BTreeMap<String, Vec<String>>,
    pub(super) running: BTreeSet<String>,
    /// What those are brought to that are running or done.
    pub(super) targets: BTreeMap<String, ResourceTarget>,
    /// What comes of deletions, by the key of what is deleted.
    pub(super) fates: BTreeMap<String, ResourceFate>,
    /// Logical ids of what failed, the first one first.
    pub(super) failed: Vec<String>,
    /// What is to be deleted when all is made, by a key of its own.
    pub(super) garbage: BTreeMap<String, Garbage>,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExecutionKind {
    Create,
    Update,
    Delete,
    /// Of a creation.
    Rollback,
    UpdateRollback,
}

/// How far an operation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExecutionStage {
    /// Resources are made and changed.
    Making,
    /// Alarms are watched for a time.
    Monitoring,
    /// A nested stack waits for its parent.
    Held,
    /// What is left over is deleted.
    Clearing,
}

/// What whoever asked for it wants.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    pub(super) on_failure: OnFailure,
    /// Resources that stay when their stack goes.
    pub(super) retain: BTreeSet<String>,
    /// Resources that a rollback leaves as they are.
    pub(super) skip: BTreeSet<String>,
    /// The policy that counts while this lasts.
    pub(super) policy: Option<String>,
    /// Whether what this made goes with a rollback even where it says that it stays.
    pub(super) retain_except_on_create: bool,
    /// Whether nobody waits until resources serve.
    pub(super) express: bool,
    /// Resources that the plan brings back to what the template says.
    pub(super) drifted: BTreeSet<String>,
    /// Who asked for it.
    pub(super) requester: Requester,
    /// A stack whose deletion is forced leaves what cannot be deleted.
    pub(super) force: bool,
}

/// What happens when something fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum OnFailure {
    #[default]
    Rollback,
    Delete,
    Nothing,
}

/// A thing that is to be deleted.
#[derive(Debug, Clone)]
pub(super) struct Garbage {
    pub(super) resource: StackResource,
    /// It goes, whatever its policies say.
    pub(super) surely: bool,
    /// Another thing has its logical id by now.
    pub(super) replaced: bool,
    /// How many others must go before it.
    pub(super) holds: usize,
    pub(super) started: bool,
}

impl Execution {
    pub(super) fn new(id: String, turn: u64, kind: ExecutionKind, token: Option<String>, options: Options) -> Self {
        Self {
            id,
            turn,
            kind,
            stage: ExecutionStage::Making,
            token,
            options,
            waits: BTreeMap::new(),
            dependents: BTreeMap::new(),
            running: BTreeSet::new(),
            targets: BTreeMap::new(),
            fates: BTreeMap::new(),
            failed: Vec::new(),
            garbage: BTreeMap::new(),
        }
    }

    /// Add what is to be deleted.
    pub(super) fn discard(&mut self, resource: StackResource, surely: bool, replaced: bool) {
        let key = format!("{}\n{}", resource.logical, resource.physical.as_deref().unwrap_or_default());
        self.garbage.insert(key, Garbage { resource, surely, replaced, holds: 0, started: false });
    }
}

impl ExecutionKind {
    /// AWS's name of such an operation.
    pub(super) fn operation(self) -> &'static str {
        match self {
            ExecutionKind::Create => "CREATE_STACK",
            ExecutionKind::Update => "UPDATE_STACK",
            ExecutionKind::Delete => "DELETE_STACK",
            ExecutionKind::Rollback | ExecutionKind::UpdateRollback => "ROLLBACK",
        }
    }
}
