//! A recorded run, for a person who looks at it later.
//!
//! The main type is [`RunView`].

use std::io::{self, Write};

use kiln_span::human;
use serde::{Deserialize, Serialize};

use super::style::{Style, Symbol, Tone};
use super::{fit, outputs, sentence};
use crate::event::{Failure, RunOutcome, StageOutcome};
use crate::harmless;
use crate::types::{AccountId, PipelineName, Region, RunId, StageName};

/// A recorded run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// Its id.
    pub run: RunId,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The account of the runner's own credentials.
    pub account: AccountId,
    /// The pipeline's region.
    pub region: Region,
    /// When it began, in milliseconds since the Unix epoch.
    pub started: u64,
    /// How it ended; nothing where the record has no end: the runner works still, or was killed.
    pub outcome: Option<RunOutcome>,
    /// From start to end, in milliseconds, where it ended.
    #[serde(default)]
    pub millis: Option<u64>,
    /// All stages that the record knows.
    pub stages: Vec<StageView>,
    /// What the reader should know of the record itself, such as a torn tail.
    pub warnings: Vec<String>,
}

/// A recorded stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageView {
    /// Its name.
    pub name: StageName,
    /// Its plugin.
    pub plugin: String,
    /// How often it was started.
    pub attempts: u32,
    /// How it ended; nothing where the record has no end of it.
    pub outcome: Option<StageOutcome>,
    /// From its first start to its end, in milliseconds.
    pub millis: Option<u64>,
    /// Its outputs, where it is done.
    pub outputs: Option<serde_json::Value>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// Its undo, if one began.
    #[serde(default)]
    pub undo: Option<UndoView>,
    /// Its AWS calls, in order.
    pub calls: Vec<CallView>,
}

/// A recorded undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "with")]
pub enum UndoView {
    /// It has no end.
    Unfinished,
    /// What was undone.
    Done(String),
    /// Why it could not be undone.
    Failed(Failure),
}

/// A recorded AWS call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallView {
    /// Its number within the stage.
    pub seq: u64,
    /// When it was sent, in milliseconds since the Unix epoch.
    pub at: Option<u64>,
    /// The IAM action.
    pub action: String,
    /// Whether it can change anything.
    pub write: bool,
    /// The client token that was sent with it.
    pub token: Option<String>,
    /// How it ended.
    pub outcome: ShownOutcome,
    /// AWS's request id.
    pub request_id: Option<String>,
    /// How long it took.
    pub millis: Option<u64>,
}

/// How a recorded call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "with")]
pub enum ShownOutcome {
    /// AWS answered.
    Answered,
    /// AWS refused it, or it was not sent: why.
    Failed(String),
    /// The record has its intent and no result: nobody knows whether it had an effect.
    Unknown,
}

/// Write `view` for people. With `verbose`, every call is listed; without, those that failed or whose end is unknown, and
/// all writes.
pub fn render(view: &RunView, verbose: bool, style: Style, writer: &mut impl Write) -> io::Result<()> {
    let page = RunText { view, verbose, style };
    page.head(writer)?;
    for stage in &view.stages {
        writeln!(writer)?;
        page.stage(stage, writer)?;
    }
    if !view.warnings.is_empty() {
        writeln!(writer)?;
        for warning in &view.warnings {
            writeln!(writer, "{} warning: {}", style.symbol(Symbol::Warning), harmless::line(warning))?;
        }
    }
    page.unknown_calls(writer)
}

struct RunText<'a> {
    view: &'a RunView,
    verbose: bool,
    style: Style,
}

impl RunText<'_> {
    fn head(&self, writer: &mut impl Write) -> io::Result<()> {
        let RunView { run, pipeline, account, region, started, outcome, millis, .. } = self.view;
        let (symbol, word) = match outcome {
            Some(outcome) => (sentence::symbol_of_run(*outcome), sentence::word_of_run(*outcome)),
            None => (Symbol::Running, "has no end in the record: it runs still, or its runner was killed"),
        };
        let took = millis.map(|millis| format!(" after {}", human(millis))).unwrap_or_default();
        let name = self.style.paint(Tone::Strong, &format!("run {run} of {pipeline}"));
        writeln!(writer, "{} {name} {word}{took}", self.style.symbol(symbol))?;
        writeln!(writer, "  account {account}, {region}, started {}", instant(*started))?;
        let calls: usize = self.view.stages.iter().map(|stage| stage.calls.len()).sum();
        let writes = self.view.stages.iter().flat_map(|stage| &stage.calls).filter(|call| call.write).count();
        writeln!(writer, "  {}, {}", fit::count(calls as u64, "AWS call"), fit::count(writes as u64, "write"))
    }

    fn stage(&self, stage: &StageView, writer: &mut impl Write) -> io::Result<()> {
        let style = self.style;
        let (symbol, word) = match stage.outcome {
            Some(outcome) => (sentence::symbol_of_stage(outcome), sentence::word_of_stage(outcome)),
            None if stage.attempts > 0 => (Symbol::Running, "has no end in the record"),
            None => (Symbol::Idle, "was not started"),
        };
        let took = stage.millis.filter(|_| stage.attempts > 0);
        let took = took.map(|millis| format!(" after {}", human(millis))).unwrap_or_default();
        let attempts = if stage.attempts > 1 { format!(", {} attempts", stage.attempts) } else { String::new() };
        let name = style.paint(Tone::Strong, stage.name.as_str());
        let plugin = harmless::line(&stage.plugin);
        writeln!(writer, "{} {name} ({plugin}) {word}{took}{attempts}", style.symbol(symbol))?;
        if let Some(outputs) = &stage.outputs {
            self.outputs(outputs, writer)?;
        }
        if let Some(failure) = &stage.failure {
            self.failure("failure", failure, writer)?;
        }
        match &stage.undo {
            Some(UndoView::Done(what)) => self.labelled("undone", what, writer)?,
            Some(UndoView::Unfinished) => self.labelled("undo", "it has no end in the record", writer)?,
            Some(UndoView::Failed(failure)) => self.failure("undo failed", failure, writer)?,
            None => {}
        }
        self.calls(stage, writer)
    }

    fn outputs(&self, outputs: &serde_json::Value, writer: &mut impl Write) -> io::Result<()> {
        if !self.verbose {
            let words = outputs::in_short(outputs, self.style);
            return if words.is_empty() { Ok(()) } else { self.labelled("outputs", &words, writer) };
        }
        for (name, value) in outputs.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            self.labelled(&format!("output {}", harmless::line(name)), &value, writer)?;
        }
        Ok(())
    }

    fn failure(&self, label: &str, failure: &Failure, writer: &mut impl Write) -> io::Result<()> {
        self.labelled(label, &failure.message, writer)?;
        for line in failure.details.iter().flat_map(|detail| harmless::lines(detail)) {
            self.margin(&line, writer)?;
        }
        match &failure.help {
            Some(help) => self.labelled("help", help, writer),
            None => Ok(()),
        }
    }

    fn labelled(&self, label: &str, foreign: &str, writer: &mut impl Write) -> io::Result<()> {
        let mut lines = harmless::lines(foreign);
        let label = self.style.paint(Tone::Accent, &format!("{label}:"));
        writeln!(writer, "    {label} {}", lines.next().unwrap_or_default())?;
        lines.try_for_each(|line| self.margin(&line, writer))
    }

    fn margin(&self, line: &str, writer: &mut impl Write) -> io::Result<()> {
        writeln!(writer, "    {} {line}", self.style.margin())
    }

    fn calls(&self, stage: &StageView, writer: &mut impl Write) -> io::Result<()> {
        let listed = |call: &&CallView| self.verbose || call.write || call.outcome != ShownOutcome::Answered;
        let calls: Vec<&CallView> = stage.calls.iter().filter(listed).collect();
        let actions = calls.iter().map(|call| fit::width(&call.action)).max().unwrap_or_default();
        for call in &calls {
            let (symbol, outcome) = match &call.outcome {
                ShownOutcome::Answered => (Symbol::Done, "answered".to_owned()),
                ShownOutcome::Failed(why) => (Symbol::Failed, format!("failed: {}", harmless::line(why))),
                ShownOutcome::Unknown => (Symbol::Warning, "its end is unknown".to_owned()),
            };
            let since = call.at.map(|at| format!("+{}", kiln_span::since_start(at.saturating_sub(self.view.started))));
            let took = call.millis.map(|millis| format!(" in {}", human(millis))).unwrap_or_default();
            writeln!(
                writer,
                "    {:>4} {} {} {} {} {outcome}{took}",
                call.seq,
                fit::pad_left(&since.unwrap_or_default(), 9),
                self.style.symbol(symbol),
                if call.write { "write" } else { "read " },
                fit::pad(&harmless::line(&call.action), actions),
            )?;
            if self.verbose || call.outcome == ShownOutcome::Unknown {
                for (label, id) in [("request", &call.request_id), ("token", &call.token)] {
                    if let Some(id) = id {
                        let line = format!("{label} {}", harmless::line(id));
                        writeln!(writer, "{:28}{}", "", self.style.paint(Tone::Faint, &line))?;
                    }
                }
            }
        }
        let hidden = stage.calls.len() - calls.len();
        if hidden > 0 {
            let line = format!("and {} that AWS answered (--verbose lists them)", fit::count(hidden as u64, "read"));
            writeln!(writer, "         {}", self.style.paint(Tone::Faint, &line))?;
        }
        Ok(())
    }

    /// A write whose end is unknown is what the reader has to look after: it comes last.
    fn unknown_calls(&self, writer: &mut impl Write) -> io::Result<()> {
        let unknown = |call: &&CallView| call.write && call.outcome == ShownOutcome::Unknown;
        let all: Vec<(&StageName, &CallView)> = self
            .view
            .stages
            .iter()
            .flat_map(|stage| stage.calls.iter().filter(unknown).map(|call| (&stage.name, call)))
            .collect();
        if all.is_empty() {
            return Ok(());
        }
        writeln!(writer)?;
        for (stage, call) in all {
            writeln!(
                writer,
                "{} {stage}: {} (call {}) was sent and no answer is recorded: look in AWS whether it had its effect",
                self.style.symbol(Symbol::Warning),
                harmless::line(&call.action),
                call.seq
            )?;
        }
        Ok(())
    }
}

/// An instant as `2026-11-23T17:00:00Z`.
fn instant(millis: u64) -> String {
    let timestamp = i64::try_from(millis).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    timestamp.map_or_else(
        || format!("{millis} ms after 1970"),
        |timestamp| timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::harmless::hostile_tests::{HOSTILE, acts, poisoned};
    use crate::report::story;

    fn call(seq: u64, action: &str, write: bool, outcome: ShownOutcome) -> CallView {
        CallView {
            seq,
            at: Some(story::START + seq * 1_500),
            action: action.to_owned(),
            write,
            token: write.then(|| format!("5d2f7c1e-0000-4000-8000-00000000000{seq}")),
            request_id: (outcome != ShownOutcome::Unknown).then(|| format!("7a6c5d4e-0000-4000-8000-00000000000{seq}")),
            millis: (outcome != ShownOutcome::Unknown).then_some(42 * (seq + 1)),
            outcome,
        }
    }

    fn killed() -> RunView {
        let stage = |name: &str, plugin: &str| StageView {
            name: name.parse().unwrap(),
            plugin: plugin.to_owned(),
            attempts: 1,
            outcome: Some(StageOutcome::Done),
            millis: Some(72_000),
            outputs: None,
            failure: None,
            undo: None,
            calls: Vec::new(),
        };
        RunView {
            run: story::RUN.parse().unwrap(),
            pipeline: "web".parse().unwrap(),
            account: "111111111111".parse().unwrap(),
            region: "us-west-2".parse().unwrap(),
            started: story::START,
            outcome: None,
            millis: None,
            stages: vec![
                StageView {
                    attempts: 2,
                    outputs: Some(json!({ "image": story::image(), "tag": "4f5c2a1" })),
                    calls: vec![
                        call(
                            0,
                            "ecr:DescribeImages",
                            false,
                            ShownOutcome::Failed("not-found: no image web:4f5c2a1".to_owned()),
                        ),
                        call(1, "codebuild:StartBuild", true, ShownOutcome::Answered),
                        call(2, "codebuild:BatchGetBuilds", false, ShownOutcome::Answered),
                        call(3, "codebuild:BatchGetBuilds", false, ShownOutcome::Answered),
                    ],
                    ..stage("build", "build-image")
                },
                StageView {
                    outcome: None,
                    millis: None,
                    calls: vec![
                        call(0, "ecs:RegisterTaskDefinition", true, ShownOutcome::Answered),
                        call(1, "ecs:UpdateService", true, ShownOutcome::Unknown),
                    ],
                    ..stage("deploy", "deploy-ecs")
                },
                StageView { attempts: 0, outcome: None, millis: None, ..stage("verify", "verify-alarms") },
            ],
            warnings: vec!["the last 17 bytes of the journal are a torn record and were left out".to_owned()],
        }
    }

    fn failed() -> RunView {
        let mut view = killed();
        view.outcome = Some(RunOutcome::Failed);
        view.millis = Some(214_010);
        view.warnings.clear();
        let deploy = &mut view.stages[1];
        deploy.outcome = Some(StageOutcome::Failed);
        deploy.millis = Some(95_000);
        deploy.failure = Some(Failure {
            kind: "failed".to_owned(),
            message: "the deployment of web:43 was stopped by the circuit breaker".to_owned(),
            help: Some("look at the log group /ecs/web".to_owned()),
            details: vec!["task 0d1f6a0c: Essential container in task exited".to_owned()],
        });
        deploy.undo = Some(UndoView::Done("service web runs web:42 again".to_owned()));
        deploy.calls[1].outcome = ShownOutcome::Answered;
        view.stages[2].outcome = Some(StageOutcome::NotRun);
        view
    }

    fn rendered(view: &RunView, verbose: bool, style: Style) -> String {
        let mut text = Vec::new();
        render(view, verbose, style, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn foreign_text_cannot_act() {
        for view in [killed(), failed()] {
            for text in HOSTILE {
                assert_eq!(acts(&rendered(&poisoned(&view, text), true, Style::ASCII)), None);
            }
        }
    }

    #[test]
    fn a_run_whose_runner_was_killed() {
        insta::assert_snapshot!(rendered(&killed(), false, Style::UNICODE));
    }

    #[test]
    fn a_failed_run_in_detail() {
        insta::assert_snapshot!(rendered(&failed(), true, Style::ASCII));
    }

    #[test]
    fn a_view_reads_back_from_its_json() {
        for view in [killed(), failed()] {
            let json = serde_json::to_string(&view).unwrap();
            assert_eq!(serde_json::from_str::<RunView>(&json).unwrap(), view);
        }
    }
}
