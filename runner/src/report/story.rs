//! Runs for the tests of reports, as their events.
//!
//! The main type is [`Story`].

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::event::{Event, EventKind, Failure, LogLevel, RunOutcome, StageOutcome, StageOutline};
use crate::types::StageName;

/// When every story begins.
pub(crate) const START: u64 = 1_795_453_200_000;
pub(crate) const RUN: &str = "019a9c1e-7a00-7c3e-8f00-5a5b5c5d5e5f";
const JOURNAL: &str = ".kiln/runs/019a9c1e-7a00-7c3e-8f00-5a5b5c5d5e5f";
const DIGEST: &str = "sha256:3f1c9a2b7d10e4aa5c6b8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c";

/// The image that the stories build.
pub(crate) fn image() -> String {
    format!("111111111111.dkr.ecr.us-west-2.amazonaws.com/web@{DIGEST}")
}

fn name(stage: &str) -> StageName {
    stage.parse().unwrap()
}

/// Builds the events of a run, one after the other.
pub(crate) struct Story {
    pub(crate) events: Vec<Event>,
    at: u64,
    begun: HashMap<String, u64>,
}

impl Story {
    /// A run of the pipeline `web`, with its five stages.
    pub(crate) fn of_web() -> Self {
        Self::of(&[
            ("build", "build-image", None, &[]),
            ("scan", "scan-image", None, &["build"]),
            ("deploy", "deploy-ecs", Some("production"), &["build", "scan"]),
            ("verify", "verify-alarms", Some("production"), &["deploy"]),
            ("cleanup", "cleanup-images", None, &["verify"]),
        ])
    }

    pub(crate) fn of(stages: &[(&str, &str, Option<&str>, &[&str])]) -> Self {
        let mut story = Self { events: Vec::new(), at: START, begun: HashMap::new() };
        let outline = |(stage, plugin, environment, needs): &(&str, &str, Option<&str>, &[&str])| StageOutline {
            name: name(stage),
            plugin: (*plugin).to_owned(),
            environment: environment.map(|environment| environment.parse().unwrap()),
            needs: needs.iter().map(|needed| name(needed)).collect(),
        };
        story.tell(
            None,
            EventKind::RunStarted {
                run: RUN.parse().unwrap(),
                pipeline: "web".parse().unwrap(),
                file: "pipelines/web-service.toml".to_owned(),
                account: "111111111111".parse().unwrap(),
                region: "us-west-2".parse().unwrap(),
                stages: stages.iter().map(outline).collect(),
                resumed: None,
            },
        );
        story
    }

    /// What follows happens `millis` after the start.
    pub(crate) fn at(&mut self, millis: u64) -> &mut Self {
        self.at = START + millis;
        self
    }

    pub(crate) fn tell(&mut self, stage: Option<&str>, kind: EventKind) -> &mut Self {
        let seq = self.events.len() as u64;
        self.events.push(Event { seq, at: self.at, stage: stage.map(name), kind });
        self
    }

    pub(crate) fn start(&mut self, stage: &str) -> &mut Self {
        self.begun.entry(stage.to_owned()).or_insert(self.at);
        self.tell(Some(stage), EventKind::StageStarted { attempt: 1 })
    }

    pub(crate) fn progress(&mut self, stage: &str, message: &str, of: Option<(u32, u32)>) -> &mut Self {
        let (done, total) = of.unzip();
        self.tell(Some(stage), EventKind::StageProgress { message: message.to_owned(), done, total })
    }

    pub(crate) fn log(&mut self, stage: &str, level: LogLevel, message: &str) -> &mut Self {
        self.tell(Some(stage), EventKind::StageLog { level, message: message.to_owned() })
    }

    pub(crate) fn call(&mut self, stage: &str, action: &str, write: bool) -> &mut Self {
        let kind = EventKind::Call {
            action: action.to_owned(),
            write,
            millis: 42,
            request_id: Some("7a6c5d4e-0000-4000-8000-1a2b3c4d5e6f".to_owned()),
            error: None,
        };
        self.tell(Some(stage), kind)
    }

    pub(crate) fn finish(&mut self, stage: &str, outputs: Value, calls: u32) -> &mut Self {
        self.end(stage, StageOutcome::Done, Some(outputs), None, calls)
    }

    pub(crate) fn fail(&mut self, stage: &str, failure: Failure, calls: u32) -> &mut Self {
        self.end(stage, StageOutcome::Failed, None, Some(failure), calls)
    }

    /// The stage did not work at all.
    pub(crate) fn leave(&mut self, stage: &str, outcome: StageOutcome) -> &mut Self {
        self.end(stage, outcome, None, None, 0)
    }

    fn end(
        &mut self,
        stage: &str,
        outcome: StageOutcome,
        outputs: Option<Value>,
        failure: Option<Failure>,
        calls: u32,
    ) -> &mut Self {
        let millis = self.at - self.begun.get(stage).copied().unwrap_or(self.at);
        self.tell(Some(stage), EventKind::StageFinished { outcome, outputs, failure, millis, calls })
    }

    pub(crate) fn over(&mut self, outcome: RunOutcome, calls: u32) -> Vec<Event> {
        let millis = self.at - START;
        self.tell(None, EventKind::RunFinished { outcome, millis, calls, journal: Some(JOURNAL.to_owned()) });
        std::mem::take(&mut self.events)
    }

    fn build(&mut self) -> &mut Self {
        self.at(40).start("build");
        self.at(60).call("build", "codebuild:StartBuild", true);
        self.at(90).log("build", LogLevel::Info, "build web-image:77 of project web-image started");
        self.at(100).progress("build", "SUBMITTED phase", Some((1, 8)));
        self.at(4_000).progress("build", "PROVISIONING phase", Some((3, 8)));
        self.at(14_000).progress("build", "BUILD phase", Some((6, 8)));
        self.at(72_040).finish(
            "build",
            json!({
                "image": image(), "repository": "web", "digest": DIGEST, "tag": "4f5c2a1", "build-id": "web-image:77",
            }),
            12,
        )
    }

    fn scan(&mut self) -> &mut Self {
        self.at(72_100).start("scan").progress("scan", "the scan is in progress", None);
        self.at(86_100).finish(
            "scan",
            json!({ "status": "COMPLETE", "critical": 0, "high": 0, "medium": 4, "low": 9, "accepted": 1 }),
            5,
        )
    }

    fn deploy_begins(&mut self) -> &mut Self {
        self.at(86_200).start("deploy");
        self.at(86_300).call("deploy", "ecs:RegisterTaskDefinition", true);
        self.at(86_400).log("deploy", LogLevel::Info, "task definition web:43 registered");
        self.at(86_500).call("deploy", "ecs:UpdateService", true);
        self.at(86_600).progress("deploy", "0 of 4 tasks healthy", Some((0, 4)));
        self.at(120_600).progress("deploy", "2 of 4 tasks healthy", Some((2, 4)))
    }

    fn deploy(&mut self) -> &mut Self {
        self.deploy_begins();
        self.at(131_000).progress("deploy", "3 of 4 tasks healthy", Some((3, 4)));
        self.at(209_200).finish(
            "deploy",
            json!({
                "task-definition": "arn:aws:ecs:us-west-2:111111111111:task-definition/web:43",
                "previous-task-definition": "arn:aws:ecs:us-west-2:111111111111:task-definition/web:42",
                "deployment": "arn:aws:ecs:us-west-2:111111111111:service-deployment/web/web/Kq3LxYp0",
                "image": image(),
                "service": "arn:aws:ecs:us-west-2:111111111111:service/web/web",
            }),
            31,
        )
    }
}

fn failure(kind: &str, message: &str, help: Option<&str>, details: &[&str]) -> Failure {
    Failure {
        kind: kind.to_owned(),
        message: message.to_owned(),
        help: help.map(str::to_owned),
        details: details.iter().map(|detail| (*detail).to_owned()).collect(),
    }
}

pub(crate) fn done() -> Vec<Event> {
    let mut story = Story::of_web();
    story.build().scan().deploy();
    story.at(209_300).start("verify").progress("verify", "web-5xx is OK", Some((0, 600)));
    story.at(809_300).finish("verify", json!({ "alarms": ["web-5xx"], "baked-seconds": 600 }), 61);
    story.at(809_400).start("cleanup");
    story.at(809_500).call("cleanup", "ecr:BatchDeleteImage", true);
    let warning = EventKind::Warning {
        message: "the clock of this machine is 94 s behind AWS".to_owned(),
        help: Some("set it, or requests will be refused once it is 5 minutes off".to_owned()),
    };
    story.at(809_600).tell(None, warning);
    story.at(811_000).finish("cleanup", json!({ "deleted": ["sha256:1", "sha256:2", "sha256:3"], "kept": 10 }), 7);
    story.at(811_040).over(RunOutcome::Done, 116)
}

pub(crate) fn failed_build() -> Vec<Event> {
    let mut story = Story::of_web();
    story.at(40).start("build");
    story.at(100).progress("build", "BUILD phase", Some((6, 8)));
    let log: Vec<String> = (1..=60).map(|line| format!("[Container] line {line} of the build log")).collect();
    let mut log: Vec<&str> = log.iter().map(String::as_str).collect();
    log.push("ERROR: failed to solve: process \"/bin/sh -c npm ci\" did not complete successfully: exit code: 1");
    let failed = failure(
        "failed",
        "build web-image:78 failed in the phase BUILD: exit status 1 of `docker build -t web .`",
        Some("read the whole log: group /aws/codebuild/web-image, stream 5d0c7a2e"),
        &log,
    );
    story.at(49_000).fail("build", failed, 9);
    for stage in ["scan", "deploy", "verify", "cleanup"] {
        story.leave(stage, StageOutcome::NotRun);
    }
    story.at(49_020).over(RunOutcome::Failed, 9)
}

pub(crate) fn critical_finding() -> Vec<Event> {
    let mut story = Story::of_web();
    story.build();
    story.at(72_100).start("scan").progress("scan", "the scan is in progress", None);
    let failed = failure(
        "rejected",
        "web@sha256:3f1c9a2b7d10 has 1 finding of severity critical, and `fail-on` is `high`",
        Some("update the package, or accept the finding in `with.accept` with a reason and an end"),
        &["CRITICAL CVE-2026-41112 openssl 3.0.11-1: fixed in 3.0.11-2"],
    );
    story.at(86_100).fail("scan", failed, 5);
    for stage in ["deploy", "verify", "cleanup"] {
        story.leave(stage, StageOutcome::NotRun);
    }
    story.at(86_110).over(RunOutcome::Failed, 17)
}

pub(crate) fn crashing_tasks() -> Vec<Event> {
    let mut story = Story::of_web();
    story.build().scan().deploy_begins();
    let failed = failure(
        "failed",
        "the deployment of web:43 was stopped by the circuit breaker: 3 tasks failed to start",
        Some("look at the log group /ecs/web for what `app` wrote before it exited"),
        &[
            "task 0d1f6a0c: Essential container in task exited; container app: exit code 1",
            "task 52be7731: Essential container in task exited; container app: exit code 1",
            "task 9ac4e02b: Essential container in task exited; container app: exit code 137 (OutOfMemoryError)",
        ],
    );
    story.at(181_000).fail("deploy", failed, 24);
    story.at(181_010).tell(Some("deploy"), EventKind::UndoStarted);
    story.at(181_020).progress("deploy", "waiting for web:42", None);
    let undone = EventKind::UndoFinished { result: Ok("service web runs web:42 again".to_owned()) };
    story.at(214_000).tell(Some("deploy"), undone);
    for stage in ["verify", "cleanup"] {
        story.leave(stage, StageOutcome::NotRun);
    }
    story.at(214_010).over(RunOutcome::Failed, 47)
}

pub(crate) fn undo_fails() -> Vec<Event> {
    let mut story = Story::of_web();
    story.build().scan().deploy();
    story.at(209_300).start("verify");
    let rejected = failure(
        "rejected",
        "the alarm web-5xx is in ALARM: 37 of 40 requests failed",
        None,
        &["Threshold Crossed: 1 datapoint"],
    );
    story.at(309_300).fail("verify", rejected, 11);
    story.at(309_310).tell(Some("deploy"), EventKind::UndoStarted);
    let conflict = failure(
        "conflict",
        "service web was updated by somebody else to web:44",
        Some("decide which revision is right, then `aws ecs update-service` by hand"),
        &[],
    );
    story.at(311_000).tell(Some("deploy"), EventKind::UndoFinished { result: Err(conflict) });
    story.leave("cleanup", StageOutcome::NotRun);
    story.at(311_010).over(RunOutcome::Failed, 61)
}

pub(crate) fn retried() -> Vec<Event> {
    let mut story = Story::of_web();
    story.at(40).start("build");
    let unavailable = failure("unavailable", "CodeBuild refused the build: too many builds run", None, &[]);
    let retrying = EventKind::StageRetrying { attempt: 1, attempts: 3, delay: 10_400, failure: unavailable };
    story.at(900).tell(Some("build"), retrying);
    story.at(11_300).tell(Some("build"), EventKind::StageStarted { attempt: 2 });
    story.at(61_000).finish("build", json!({ "image": image(), "tag": "4f5c2a1" }), 14);
    story.at(61_010).leave("scan", StageOutcome::Skipped);
    story.deploy();
    story.at(209_210).leave("verify", StageOutcome::Skipped).leave("cleanup", StageOutcome::Skipped);
    story.over(RunOutcome::Done, 45)
}

pub(crate) fn interrupted() -> Vec<Event> {
    let mut story = Story::of_web();
    story.build().scan().deploy_begins();
    story.at(122_000).tell(None, EventKind::Interrupted { signal: "SIGTERM".to_owned() });
    story.at(122_100).end("deploy", StageOutcome::Interrupted, None, None, 14);
    for stage in ["verify", "cleanup"] {
        story.leave(stage, StageOutcome::NotRun);
    }
    story.at(122_110).over(RunOutcome::Interrupted, 37)
}

/// Text that would act on a terminal or a CI service, that is too long, or wide.
pub(crate) fn odd_text() -> Vec<Event> {
    let mut story =
        Story::of(&[("a-stage-whose-name-is-longer-than-its-column", "build-image", None, &[]), ("b", "x", None, &[])]);
    let long = "a-stage-whose-name-is-longer-than-its-column";
    story.at(10).start(long).start("b");
    story.at(20).log("b", LogLevel::Warn, "\u{1b}[2J\u{1b}[31mred\u{7}\u{9b}1m and \u{202e}reversed");
    story.at(30).log("b", LogLevel::Info, "::error::not a command");
    story.at(40).log("b", LogLevel::Info, "##vso[task.complete]neither");
    story.at(50).log(long, LogLevel::Info, &"long ".repeat(1_000));
    story.at(60).progress("b", "漢字の進捗 — naïve 🚀", Some((1, 2)));
    story.at(70).progress(long, &"wide 漢字 ".repeat(40), None);
    let failed = failure(
        "rejected",
        "two lines\n::warning::of which one is a trap",
        Some("read\n##[error]both"),
        &["\u{1b}]0;title\u{7}evidence\nsecond line\n::set-output name=x::y"],
    );
    story.at(80).fail(long, failed, 1);
    story.at(90).finish("b", json!({ "note": "漢字".repeat(60), "line": "a\nb" }), 1);
    story.at(100).over(RunOutcome::Failed, 2)
}

pub(crate) fn all() -> Vec<Vec<Event>> {
    vec![
        done(),
        failed_build(),
        critical_finding(),
        crashing_tasks(),
        undo_fails(),
        retried(),
        interrupted(),
        odd_text(),
    ]
}
