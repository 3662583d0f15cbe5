//! What a run writes down so that it can be killed at any instant and resumed: nothing twice, nothing lost.
//!
//! The main type is [`Journal`], one append-only file a run; `docs/journal.md` describes its format to the byte.
//! [`Record`] is what is written, [`read`] gives it back, [`token`] derives the client tokens of AWS calls from it.

mod blob;
mod canonical;
mod component;
mod error;
mod frame;
mod history;
mod list;
mod reader;
mod record;
mod replica;
mod script;
mod token;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use blob::{PRIVATE, make_dir};
pub use blob::{attach, attached};
pub use canonical::{canonical_json, request_hash};
pub use component::{keep_component, kept_component};
pub use error::JournalError;
pub use history::{AttemptPast, History, HistoryError, StagePast, UndoPast};
pub use list::{ListedRun, RunState, list_runs, run_dir};
pub(crate) use list::{RunOutline, is_locked};
pub use reader::{Entry, Recording, Tail, read};
pub use record::{
    Body, CallKey, CallOutcome, CallResult, Decider, FORMAT, Fence, Intent, LocalRead, OLDEST_FORMAT, Phase,
    Reconciled, Record, Remember, RetryClass, RunEnd, RunResume, RunStart, StageEnd, StageStart, Stuck, Timer, UndoEnd,
    UndoStart, Verdict,
};
pub use replica::{Framed, Payload, Pushing, Replica, Slice, has_blob, header, payload, split_frames, tears_at};
pub use script::{Mismatch, RecordedCall, Script, Step};
pub(crate) use script::{asked_aws, asked_host, remembered, waited};
pub use token::token;
pub(crate) use writer::Encoded;
pub use writer::{Journal, SizeWarning};
