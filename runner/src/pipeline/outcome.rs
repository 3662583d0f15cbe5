//! `stages.NAME.outcome`: how another stage ended, as expressions ask for it.
//!
//! The main function is [`word`]. The words are those of events and of scenarios.

use super::expression::{Expression, Root};
use super::suggest::did_you_mean;
use crate::event::StageOutcome;
use crate::types::StageName;

/// What stands behind the stage's name.
pub(crate) const NAME: &str = "outcome";

/// How a stage can have ended where another is about to begin.
const WORDS: [&str; 4] = ["done", "failed", "skipped", "not-run"];

/// How a stage ended, in the word that an expression gets; none where nothing begins after such an end.
pub(crate) fn word(outcome: StageOutcome) -> Option<&'static str> {
    match outcome {
        StageOutcome::Done => Some("done"),
        StageOutcome::Failed => Some("failed"),
        StageOutcome::Skipped => Some("skipped"),
        StageOutcome::NotRun => Some("not-run"),
        StageOutcome::Interrupted | StageOutcome::Stuck => None,
    }
}

/// What to write instead of `text`, where a stage never ends so.
pub(super) fn correction(text: &str) -> Option<String> {
    if WORDS.contains(&text) {
        return None;
    }
    // As other tools call it.
    let meant = match text {
        "success" | "succeeded" | "successful" | "ok" | "passed" | "complete" | "completed" => Some("done"),
        "failure" | "error" => Some("failed"),
        "cancelled" | "canceled" | "forgone" => Some("not-run"),
        _ => None,
    };
    match meant {
        Some(meant) => Some(format!("did you mean `{meant}`?")),
        None => did_you_mean(text, WORDS, "stages end as"),
    }
}

/// The stages whose end an expression asks for.
pub(super) fn asked_by(expression: &Expression) -> impl Iterator<Item = StageName> {
    expression.references().iter().filter_map(|reference| match (reference.root, reference.names.as_slice()) {
        (Root::Stages, [stage, name]) if name == NAME => stage.parse().ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_one_and_others_are_corrected() {
        let ends = [StageOutcome::Done, StageOutcome::Failed, StageOutcome::Skipped, StageOutcome::NotRun];
        assert_eq!(ends.map(word), WORDS.map(Some));
        assert!(WORDS.iter().all(|word| correction(word).is_none()));
        assert_eq!(correction("succeeded").as_deref(), Some("did you mean `done`?"));
        assert_eq!(correction("skiped").as_deref(), Some("did you mean `skipped`?"));
        assert!(correction("x").is_some_and(|help| help.contains("not-run")));
    }
}
