//! The list of the runs in the shared store: an item for each, changed together with its journal.
//!
//! The main function is [`list_shared`].

use super::error::StoreError;
use super::table::{Item, Key, Table};
use crate::event::RunOutcome;
use crate::journal::{RunOutline, RunState};
use crate::types::{PipelineName, RunId};

/// The partition of the list.
const RUNS: &str = "runs";

/// A run of the shared store.
#[derive(Debug, Clone, PartialEq)]
pub struct SharedRun {
    /// Its id.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// The pipeline file.
    pub file: String,
    /// When it began, in milliseconds since the Unix epoch.
    pub started: u64,
    /// When it ended.
    pub ended: Option<u64>,
    /// How it stands. Whether a process is at it is for its lease to tell.
    pub state: RunState,
}

/// A run's entry, as it lies in the table.
pub(super) fn item(run: &RunOutline) -> Item {
    let mut item = Item::default().text("state", word(&run.state));
    if let Some(start) = &run.start {
        item = item.text("pipeline", start.pipeline.as_str()).text("file", start.file.as_str());
        item = item.number("started", start.at);
    }
    match run.ended {
        Some(ended) => item.number("ended", ended),
        None => item,
    }
}

/// Where a run's entry lies.
pub(super) fn place(run: &RunId) -> Key {
    Key::new(RUNS, run.as_str())
}

/// The newest runs of a shared store, at most so many, the newest first.
///
/// # Errors
/// The store cannot be read.
pub async fn list_shared(table: &Table, at_most: usize) -> Result<Vec<SharedRun>, StoreError> {
    let items = table.query(RUNS, "", Some(at_most)).await?;
    items.into_iter().map(|(place, item)| parse(table, &place, &item)).collect()
}

/// The runs whose ids begin with `prefix`.
pub(crate) async fn named(table: &Table, prefix: &str) -> Result<Vec<SharedRun>, StoreError> {
    let items = table.query(RUNS, prefix, Some(10)).await?;
    items.into_iter().map(|(place, item)| parse(table, &place, &item)).collect()
}

fn parse(table: &Table, place: &Key, item: &Item) -> Result<SharedRun, StoreError> {
    let wrong = |reason: &dyn std::fmt::Display| table.foreign(format!("{place}: {reason}"));
    let text = |name: &'static str| item.get_text(name).ok_or_else(|| wrong(&format!("it has no `{name}`")));
    let outcome = |word: &str| serde_json::from_value::<RunOutcome>(serde_json::Value::from(word));
    Ok(SharedRun {
        run: place.sort.parse().map_err(|error| wrong(&error))?,
        pipeline: text("pipeline")?.parse().map_err(|error| wrong(&error))?,
        file: text("file")?.to_owned(),
        started: item.get_number("started").unwrap_or_default(),
        ended: item.get_number("ended"),
        state: match text("state")? {
            "unfinished" => RunState::Unfinished,
            "stuck" => RunState::Stuck,
            ended => RunState::Ended(outcome(ended).map_err(|error| wrong(&error))?),
        },
    })
}

/// How a run stands, in one word.
fn word(state: &RunState) -> String {
    match state {
        RunState::Running => "running".to_owned(),
        RunState::Stuck => "stuck".to_owned(),
        RunState::Unfinished => "unfinished".to_owned(),
        RunState::Unreadable(_) => "unreadable".to_owned(),
        // INVARIANT: an outcome is written as a word.
        RunState::Ended(outcome) => {
            serde_json::to_value(outcome).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
        }
    }
}
