//! `kiln resolve`: say what became of a call that kiln could not find out.

use std::io::Write;

use clap::{Args, ValueEnum};

use super::aws::Endpoint;
use super::dispatch::Global;
use super::document::{write, write_json};
use super::exit::Exit;
use super::say::complain;
use super::store::{complain_of_lease, open_run};
use crate::clock::Clock;
use crate::journal::{Decider, History, Reconciled, Record, RunState, Stuck, UndoEnd, Verdict};
use crate::report::Output;
use crate::run::Resumable;
use crate::types::StageName;

/// Say what became of a call that kiln could not find out, so that its run can go on.
///
/// `kiln show RUN` says what was asked and what to look at. For an undo that failed, `happened` means that it was done by
/// hand, and `--because` says what was done; to have it tried again, use `kiln undo`.
#[derive(Debug, Args)]
pub(super) struct Resolve {
    /// The run's id, its beginning, or the path of its directory
    #[arg(value_name = "RUN")]
    run: String,
    /// What became of it
    #[arg(long = "as", value_name = "VERDICT", value_enum)]
    verdict: Said,
    /// Of which stage, where more than one waits for a decision
    #[arg(long, value_name = "STAGE")]
    stage: Option<StageName>,
    /// How you know: it is written into the journal
    #[arg(long, value_name = "TEXT")]
    because: Option<String>,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// What a person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Said {
    /// It happened: it is not sent again
    Happened,
    /// It did not happen: it is sent
    NotHappened,
}

impl Resolve {
    pub(super) async fn execute(self, global: &Global) -> Exit {
        let stuck = |state: &RunState| *state == RunState::Stuck;
        let resumable = match open_run(global, &self.endpoint, Some(&self.run), stuck).await {
            Ok(resumable) => resumable,
            Err(exit) => return exit,
        };
        let exit = self.settle(global, &resumable).await;
        match resumable.let_go().await {
            Ok(()) => exit,
            Err(error) => complain_of_lease(&error),
        }
    }

    async fn settle(&self, global: &Global, resumable: &Resumable) -> Exit {
        let clock = resumable.clock();
        let stuck = match self.choose(&resumable.history) {
            Ok(stuck) => stuck,
            Err(exit) => return exit,
        };
        let record = match self.record(stuck, resumable, clock) {
            Ok(record) => record,
            Err(exit) => return exit,
        };
        if let Err(error) = resumable.settle(&record).await {
            return complain(&error.to_string(), error.help().as_deref(), Exit::Environment);
        }
        match global.output {
            Output::Json => write_json(Exit::Done, &record),
            Output::Auto | Output::Plain => {
                let said = settled(stuck, &resumable.history);
                write(Exit::Done, |out| writeln!(out, "{said}"))
            }
        }
    }

    /// What is to be settled.
    fn choose<'a>(&self, history: &'a History) -> Result<&'a Stuck, Exit> {
        let mut waiting =
            history.stuck.iter().filter(|stuck| self.stage.as_ref().is_none_or(|stage| stuck.stage == *stage));
        match (waiting.next(), waiting.next()) {
            (Some(stuck), None) => Ok(stuck),
            (None, _) => Err(complain(
                &format!("nothing of run {} waits for a decision", history.start.run),
                Some("`kiln show` says how it stands"),
                Exit::Input,
            )),
            (Some(_), Some(_)) => {
                let stages: Vec<&str> = history.stuck.iter().map(|stuck| stuck.stage.as_str()).collect();
                let help = format!("say which by `--stage`: {}", stages.join(", "));
                Err(complain("more than one stage waits for a decision", Some(&help), Exit::Input))
            }
        }
    }

    fn record(&self, stuck: &Stuck, resumable: &Resumable, clock: Clock) -> Result<Record, Exit> {
        let at = clock.now();
        let reason = || self.because.clone().unwrap_or_else(|| "no reason given".to_owned());
        if let Some(call) = &stuck.call {
            let verdict = match self.verdict {
                Said::Happened => Verdict::Happened,
                Said::NotHappened => Verdict::NotHappened,
            };
            let evidence = reason();
            return Ok(Record::Reconciled(Reconciled {
                call: call.clone(),
                verdict,
                by: Decider::Person,
                evidence,
                at,
            }));
        }
        if self.verdict == Said::NotHappened {
            let run = &resumable.history.start.run;
            return Err(complain(
                &format!("the undo of stage `{}` failed; there is nothing to settle about that", stuck.stage),
                Some(&format!("`kiln undo {run}` tries it again; `--as happened` says that it was done by hand")),
                Exit::Input,
            ));
        }
        let Some(because) = &self.because else {
            return Err(complain(
                &format!("the undo of stage `{}` failed, and nothing says that it was done otherwise", stuck.stage),
                Some("say what was done by hand, and by whom: `--because \"…\"`; kiln cannot look at it"),
                Exit::Input,
            ));
        };
        let undo = resumable.history.stage(&stuck.stage).and_then(|stage| stage.undo.as_ref());
        let attempt = undo.map_or(1, |undo| undo.start.attempt);
        let result = Ok(format!("done by hand: {because}"));
        Ok(Record::UndoEnd(UndoEnd { stage: stuck.stage.clone(), attempt, result, at }))
    }
}

/// What was settled, and what still waits.
fn settled(stuck: &Stuck, history: &History) -> String {
    let run = &history.start.run;
    let done = match stuck.call {
        Some(_) => "settled".to_owned(),
        None => format!("the undo of stage `{}` counts as done by hand: kiln has looked at nothing", stuck.stage),
    };
    let waits = |other: &&Stuck| (&other.stage, &other.call) != (&stuck.stage, &stuck.call);
    let rest: Vec<String> = history.stuck.iter().filter(waits).map(|other| format!("`{}`", other.stage)).collect();
    if rest.is_empty() {
        format!("{done}; go on with `kiln resume {run}`")
    } else {
        format!("{done}; stage {} still waits for a decision", rest.join(" and "))
    }
}
