//! What can go wrong with leases and the shared store, in sentences that say what to do.
//!
//! The main types are [`LeaseError`] and [`StoreError`].

use std::io;
use std::path::PathBuf;

use super::lease::{Lease, LeaseKey};
use crate::aws::error::{AwsError, ErrorKind, NO_CREDENTIALS};
use crate::aws::network;
use crate::files::Gone;
use crate::journal::JournalError;
use crate::types::{Digest, RunId, StoreAddress};
use crate::words::count;

/// Why a lease could not be had or kept.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another process holds it and lives.
    #[error("{key} is being deployed to by run {}, {}, since {}", lease.run, lease.owner, since(lease))]
    Held {
        /// What.
        key: LeaseKey,
        /// By whom.
        lease: Box<Lease>,
    },
    /// The run itself is at work elsewhere.
    #[error("run {} is at work: {}, since {}", lease.run, lease.owner, since(lease))]
    AtWork {
        /// Where.
        lease: Box<Lease>,
    },
    /// Another run stopped in order and keeps it.
    #[error(
        "{key} is kept by run {}, which stopped at {} and has not come to its end ({})",
        lease.run, since(lease), lease.owner
    )]
    Parked {
        /// What.
        key: LeaseKey,
        /// By whom.
        lease: Box<Lease>,
        /// The command that goes on with that run.
        resume: String,
        /// The command that takes the environment from it.
        release: String,
    },
    /// Another run deployed there since this one did.
    #[error(
        "another run has held {key} since this run did: run {} ({}, {} since {})",
        lease.run, lease.owner, lease.state, since(lease)
    )]
    Newer {
        /// What.
        key: LeaseKey,
        /// By whom.
        lease: Box<Lease>,
    },
    /// Somebody else has it now.
    #[error("{key} is not this run's any more: {by}. Nothing more is sent to AWS")]
    Lost {
        /// What.
        key: LeaseKey,
        /// Who has it, as a sentence without its end.
        by: String,
    },
    /// It could not be renewed for so long that somebody else may have it.
    #[error(
        "{key} could not be confirmed as this run's for {}{}; another run may have it by now, so nothing more \
         is sent to AWS",
        count(*seconds, "second"),
        reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default()
    )]
    Uncertain {
        /// What.
        key: LeaseKey,
        /// Since when.
        seconds: u64,
        /// Why it could not be renewed.
        reason: Option<String>,
    },
    /// The file that it lies in is not the one that is locked: another run may lock the other.
    #[error(
        "the lease of {key}, {}, {what} while this run held it; another run may have it by now, so nothing more is sent to AWS",
        path.display()
    )]
    Vanished {
        /// What.
        key: LeaseKey,
        /// Its file.
        path: PathBuf,
        /// What became of it.
        what: Gone,
    },
    /// A process that holds it lives, and a person wants to release it.
    #[error("{key} is held by a process that lives: {}, of run {}", lease.owner, lease.run)]
    Alive {
        /// What.
        key: LeaseKey,
        /// By whom.
        lease: Box<Lease>,
    },
    /// The lease's file cannot be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The shared store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the shared store could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB refused, or does not answer.
    #[error("cannot {action} the store {store}: {}: {}", error.code, error.message)]
    Aws {
        /// What was tried: `read from`.
        action: &'static str,
        /// Which.
        store: StoreAddress,
        /// Why not.
        error: Box<AwsError>,
    },
    /// What lies in the table is not what kiln writes.
    #[error(
        "the store {store} holds something that this kiln cannot read: {what}. If a newer kiln wrote it, use that version"
    )]
    Foreign {
        /// Which.
        store: StoreAddress,
        /// Where and why.
        what: String,
    },
    /// The run is not there.
    #[error("there is no run {run} in the store {store}")]
    NoRun {
        /// The run.
        run: RunId,
        /// Where it is not.
        store: StoreAddress,
    },
    /// The copy on this machine is no beginning of what the store holds.
    #[error(
        "the copy of run {run} in {} differs from the store {store}: its frame {frame} is another one ({here} here, {there} \
         there). The run went on elsewhere after this machine had written what it never sent",
        dir.display()
    )]
    Differs {
        /// The run.
        run: RunId,
        /// The copy.
        dir: PathBuf,
        /// The store.
        store: StoreAddress,
        /// The first frame that differs.
        frame: u64,
        /// What the copy has there.
        here: String,
        /// What the store has there.
        there: String,
    },
    /// A blob that a frame names is not whole.
    #[error("the blob {digest} of the store {store} {reason}")]
    Blob {
        /// Which.
        digest: Digest,
        /// Where.
        store: StoreAddress,
        /// What is wrong, as a verb.
        reason: String,
    },
    /// The copy on this machine cannot be written or read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl LeaseError {
    /// What to do about it, where there is something to say.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Held { .. } => {
                Some("one run deploys to an environment at a time: wait for that one to end, then run this again".to_owned())
            }
            Self::AtWork { .. } => Some("wait for it to end, or end it; then it can be resumed".to_owned()),
            Self::Parked { lease, resume, release, .. } => Some(format!(
                "`{resume}` goes on with it; if it never will, `kiln undo {}` takes back what it did, or `{release}` lets \
                 others deploy over what it left",
                lease.run
            )),
            Self::Newer { .. } => Some(
                "look at what that run did (`kiln show`) before this one changes the environment again; `--despite-newer-run` \
                 goes on all the same"
                    .to_owned(),
            ),
            Self::Lost { .. } | Self::Uncertain { .. } => Some(
                "nothing is lost: look at who deploys there (`kiln lease list`), then `kiln resume` goes on where this ended"
                    .to_owned(),
            ),
            Self::Alive { .. } => {
                Some("end that process first; it keeps the environment for itself when it ends in order".to_owned())
            }
            Self::Vanished { .. } => Some(
                "look at who deploys there now (`kiln lease list`, `kiln runs`), then `kiln resume` goes on where this ended; keep \
                 the state directory out of what is cleaned up (`git clean`): `--state-dir`"
                    .to_owned(),
            ),
            Self::Io { .. } => Some("check the disk and `--state-dir`".to_owned()),
            Self::Store(error) => error.help(),
        }
    }
}

impl StoreError {
    /// What to do about it, where there is something to say.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Aws { error, store, .. } => match error.kind {
                ErrorKind::NotFound => Some(format!(
                    "make the table (partition key `pk`, sort key `sk`, both strings), or name its region: \
                     dynamodb://REGION/{}",
                    store.table()
                )),
                // Nobody refused it: it could not be signed.
                _ if error.code == NO_CREDENTIALS && error.kind == ErrorKind::AccessDenied => None,
                ErrorKind::AccessDenied => Some(
                    "the runner's role needs dynamodb:GetItem, PutItem, Query and ConditionCheckItem on the table"
                        .to_owned(),
                ),
                ErrorKind::Unavailable => Some(network::advice()),
                _ => None,
            },
            Self::Foreign { .. } | Self::Blob { .. } | Self::Journal(_) => None,
            Self::NoRun { .. } => Some("`kiln runs` lists those that are there".to_owned()),
            Self::Differs { dir, .. } => Some(format!(
                "the store is what counts: nothing of what only this copy holds was sent. Move {} away and try again",
                dir.display()
            )),
        }
    }
}

/// An instant for people.
pub(crate) fn instant(millis: u64) -> String {
    i64::try_from(millis)
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
        .map_or_else(|| "an unknown time".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

fn since(lease: &Lease) -> String {
    instant(lease.since)
}
