//! What a run writes down so that it can be killed at any instant and resumed: nothing twice, nothing lost.
//!
//! The main type is [`Journal`], one append-only file a run; `docs/journal.md` describes its format to the byte.
//! [`Record`] is what is written, [`read`] gives it back, [`token`] derives the client tokens of AWS calls from it.

mod blob;
mod canonical;
mod error;
mod frame;
mod list;
mod reader;
mod record;
mod token;
mod view;
mod writer;

#[cfg(test)]
mod tests;

pub use blob::{attach, attached};
pub use canonical::{canonical_json, request_hash};
pub use error::JournalError;
pub use list::{RunState, RunSummary, list_runs, run_dir};
pub use reader::{Entry, Recording, Tail, read};
pub use record::{
    Body, CallKey, CallOutcome, CallResult, Decider, FORMAT, Fence, Intent, LocalRead, Phase, Reconciled, Record,
    Remember, RetryClass, RunEnd, RunResume, RunStart, StageEnd, StageStart, Stuck, Timer, UndoEnd, UndoStart, Verdict,
};
pub use token::token;
pub use view::view;
pub use writer::{Journal, SizeWarning};
