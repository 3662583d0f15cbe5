//! What can go wrong with a journal, in sentences that say what to do.
//!
//! The main type is [`JournalError`].

use std::io;
use std::path::PathBuf;

use crate::files::Gone;
use crate::types::Digest;

/// Why a journal could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `open the journal`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is a journal already where a new one was to be made.
    #[error("there is a journal at {} already; a run's journal is made once and then only resumed", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// Another process writes this journal.
    #[error(
        "the journal {} is being written by another kiln process; wait for that run to end, or end it, and try again",
        path.display()
    )]
    Locked {
        /// Which.
        path: PathBuf,
    },
    /// A file that is no journal, or a header that is damaged.
    #[error("{} is not a journal that this kiln can read: {reason}", path.display())]
    Header {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A frame is damaged and a valid one follows it, so that what is damaged was complete once.
    #[error(
        "the journal {} is damaged: frame {frame}, which begins at byte {offset}, {reason}, and a valid frame ({later}) \
         follows at byte {later_offset}; nothing is skipped, so the run cannot be resumed. Restore the file from a \
         backup, or look at the run's account and settle it by hand",
        path.display()
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// The sequence number that the damaged frame should have.
        frame: u64,
        /// Where it begins.
        offset: u64,
        /// What is wrong with it, as a verb: `has a wrong checksum`.
        reason: String,
        /// The sequence number of the valid frame behind it.
        later: u64,
        /// Where that begins.
        later_offset: u64,
    },
    /// A frame is whole but its content cannot be understood.
    #[error(
        "the journal {} holds a record that this kiln cannot read: frame {frame}, which begins at byte {offset}: \
         {reason}. If a newer kiln wrote it, use that version",
        path.display()
    )]
    Record {
        /// Which.
        path: PathBuf,
        /// The frame's sequence number.
        frame: u64,
        /// Where it begins.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// A blob is missing or not what its name says.
    #[error("the blob {digest} beside the journal, {}, {reason}", path.display())]
    Blob {
        /// Which.
        digest: Digest,
        /// Where it should be.
        path: PathBuf,
        /// What is wrong, as a verb: `is missing`.
        reason: String,
    },
    /// A record cannot be turned into JSON.
    #[error("a {kind} record cannot be written as JSON: {source}")]
    Encode {
        /// The record's kind.
        kind: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
    /// A record could not be read again as it was written.
    #[error("a {kind} record would not be read again as it was written: {reason}; this is a defect of kiln")]
    Unreadable {
        /// The record's kind.
        kind: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// One record is too large.
    #[error(
        "a {kind} record of {size} bytes is larger than the journal takes ({limit} bytes); the stage asked for or was \
         answered too much at once"
    )]
    RecordTooLarge {
        /// The record's kind.
        kind: &'static str,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The journal of the run is full.
    #[error(
        "the journal {} holds {size} bytes, and a run may hold {limit}; poll less often, read less at once, or split the \
         pipeline",
        path.display()
    )]
    Full {
        /// Which.
        path: PathBuf,
        /// What it holds.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The shared store has another process's record where this one's should go, or gave its lease to another.
    #[error("the run is not this process's any more: {by}. Nothing more is sent to AWS")]
    TakenOver {
        /// Who has it, as a sentence without its end.
        by: String,
    },
    /// The shared store does not take the journal.
    #[error("the journal {} cannot be carried to the shared store: {reason}", path.display())]
    Replica {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The file that is written is not the one that its path leads to: nobody would find what it holds.
    #[error("the journal {} {what} while its run was at work; nothing more is sent to AWS", path.display())]
    Vanished {
        /// Which.
        path: PathBuf,
        /// What became of it.
        what: Gone,
    },
    /// An earlier write or sync failed, so nothing that is written now could be relied on.
    #[error(
        "the journal {} takes no more records, because an earlier write failed ({cause}); the run must end. What was \
         recorded before is kept, and the run can be resumed when the disk is well",
        path.display()
    )]
    Poisoned {
        /// Which.
        path: PathBuf,
        /// The failure that poisoned it.
        cause: String,
        /// What became of the file, where that was it.
        gone: Option<Gone>,
    },
}

impl JournalError {
    /// Whether it is the shared store, and not this machine, that does not take the journal.
    pub fn is_of_store(&self) -> bool {
        matches!(self, Self::TakenOver { .. } | Self::Replica { .. })
    }

    /// What became of the file, where it is not where its path leads any more.
    pub fn gone(&self) -> Option<&Gone> {
        match self {
            Self::Vanished { what, .. } => Some(what),
            Self::Poisoned { gone, .. } => gone.as_ref(),
            Self::Io { .. }
            | Self::Exists { .. }
            | Self::Locked { .. }
            | Self::Header { .. }
            | Self::Damaged { .. }
            | Self::Record { .. }
            | Self::Blob { .. }
            | Self::Encode { .. }
            | Self::Unreadable { .. }
            | Self::RecordTooLarge { .. }
            | Self::Full { .. }
            | Self::TakenOver { .. }
            | Self::Replica { .. } => None,
        }
    }

    /// For `map_err` on an operation of the operating system.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
