//! What the state of a build means.
//! The main functions are [`ended`] and [`failure`].

use kiln_plugin::aws::codebuild::{Build, Phase};
use kiln_plugin::aws::ecr::ImageDetail;
use kiln_plugin::aws::logs::LogEvent;
use kiln_plugin::aws::{Error, ErrorKind};
use kiln_plugin::progress::Status;
use kiln_plugin::{Failure, FailureKind, count};

/// The variable by which a build may tell the digest that it pushed. It decides where it is given.
pub(crate) const EXPORTED_DIGEST: &str = "IMAGE_DIGEST";
/// In milliseconds.
pub(crate) const SECOND: u64 = 1000;
/// The phases that every build goes through.
const PHASES: u32 = 11;

/// How a build ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Succeeded,
    Failed,
    Fault,
    TimedOut,
    Stopped,
}

/// How it ended, if it did. A status that AWS adds is one that has not ended: the deadline decides.
pub(crate) fn ended(status: &str) -> Option<Ended> {
    match status {
        "SUCCEEDED" => Some(Ended::Succeeded),
        "FAILED" => Some(Ended::Failed),
        "FAULT" => Some(Ended::Fault),
        "TIMED_OUT" => Some(Ended::TimedOut),
        "STOPPED" => Some(Ended::Stopped),
        _ => None,
    }
}

/// Whether it ended, and not well.
pub(crate) fn has_failed(build: &Build) -> bool {
    ended(&build.status).is_some_and(|ended| ended != Ended::Succeeded)
}

/// How far a build is.
pub(crate) fn status(build: &Build) -> Status {
    let done = build.phases.iter().filter(|phase| phase.status.is_some()).count();
    let phase = build.current_phase.as_deref().unwrap_or(&build.status);
    Status { message: format!("build {}: {phase}", build.id), done: u32::try_from(done).ok(), total: Some(PHASES) }
}

/// Why a build that has ended is no success; none where it is one.
pub(crate) fn failure(build: &Build) -> Option<Failure> {
    let id = &build.id;
    let phase = failed_phase(build);
    let place = phase.map(|phase| format!(" in phase {}", phase.name)).unwrap_or_default();
    let (kind, message, help) = match ended(&build.status)? {
        Ended::Succeeded => return None,
        Ended::Failed => (
            FailureKind::Failed,
            format!("build {id} failed{place}"),
            "Mend what the end of the log shows, and run it again.",
        ),
        Ended::Fault => (
            FailureKind::Unavailable,
            format!("build {id} failed{place} by a fault of CodeBuild, not of the build"),
            "Run it again.",
        ),
        Ended::TimedOut => (
            FailureKind::TimedOut,
            format!("build {id} reached its time limit{place}"),
            "Give it more time (`timeout-minutes`), or find out what it waits for.",
        ),
        Ended::Stopped => (
            FailureKind::Conflict,
            format!("build {id} was stopped by somebody else{place}"),
            "Ask who stopped it, and run it again.",
        ),
    };
    let messages = phase.map(|phase| phase.messages.clone()).unwrap_or_default();
    Some(Failure::new(kind, message).help(help).details(messages))
}

/// Whether an image that was pushed then may be of this build: it was at work then, or says that it pushed it. ECR's times are
/// whole seconds.
pub(crate) fn may_have_pushed(build: &Build, image: &ImageDetail) -> bool {
    if let Some(exported) = build.exported.iter().find(|variable| variable.name == EXPORTED_DIGEST) {
        return exported.value == image.digest;
    }
    let (Some(pushed), Some(started)) = (image.pushed, build.started) else { return false };
    let end = build.ended.unwrap_or(u64::MAX);
    started <= pushed.saturating_add(SECOND) && pushed <= end.saturating_add(SECOND)
}

/// The first phase that did not succeed: what comes behind it fails for its sake.
fn failed_phase(build: &Build) -> Option<&Phase> {
    build.phases.iter().find(|phase| phase.status.as_deref().is_some_and(|status| status != "SUCCEEDED"))
}

/// The end of the log, a line each, and where the rest is.
pub(crate) fn log_lines(events: &[LogEvent], link: Option<&str>) -> Vec<String> {
    let mut lines = Vec::new();
    if events.is_empty() {
        lines.push("the log is empty".to_owned());
    } else {
        lines.push(format!("the end of the log ({}):", count(events.len(), "line")));
        lines.extend(events.iter().map(|event| format!("  {}", event.message.trim_end())));
    }
    lines.extend(whole_log(link));
    lines
}

/// Where the whole log is.
pub(crate) fn whole_log(link: Option<&str>) -> Option<String> {
    link.map(|link| format!("the whole log: {link}"))
}

/// A failure whose log cannot be read: why not, and what to do about both.
pub(crate) fn without_log(failure: Failure, group: &str, stream: &str, error: &Error) -> Failure {
    match error.kind {
        ErrorKind::Denied => failure
            .detail(format!("its log is in the log group {group} ({stream}), which the stage's `with` does not name"))
            .help(format!("Say `log-group = \"{group}\"` in `with` to see the end of the log here; the whole of it is in CloudWatch.")),
        _ => failure
            .detail(format!("the log {group} {stream} could not be read: {}: {}", error.code, error.message))
            .help("Look at the log in CloudWatch, mend what its end shows, and run it again."),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn build(status: &str) -> Build {
        Build {
            id: "web-image:1".to_owned(),
            arn: "arn:aws:codebuild:us-west-2:111111111111:build/web-image:1".to_owned(),
            project: "web-image".to_owned(),
            status: status.to_owned(),
            current_phase: Some("COMPLETED".to_owned()),
            resolved_source_version: None,
            source_version: None,
            phases: Vec::new(),
            log_group: None,
            log_stream: None,
            log_link: None,
            exported: Vec::new(),
            started: Some(100_000),
            ended: Some(200_000),
        }
    }

    fn phase(name: &str, status: Option<&str>, messages: &[&str]) -> Phase {
        Phase {
            name: name.to_owned(),
            status: status.map(str::to_owned),
            seconds: Some(1),
            messages: messages.iter().map(|message| (*message).to_owned()).collect(),
        }
    }

    #[test]
    fn a_failed_build_names_the_first_phase_that_failed() {
        let mut build = build("FAILED");
        build.phases = vec![
            phase("INSTALL", Some("SUCCEEDED"), &[]),
            phase("BUILD", Some("FAILED"), &["COMMAND_EXECUTION_ERROR: docker build: exit status 1"]),
            phase("POST_BUILD", Some("FAILED"), &["nothing to push"]),
        ];
        let failure = failure(&build).map(|failure| (failure.kind, failure.message, failure.details));
        assert_eq!(
            failure,
            Some((
                FailureKind::Failed,
                "build web-image:1 failed in phase BUILD".to_owned(),
                vec!["COMMAND_EXECUTION_ERROR: docker build: exit status 1".to_owned()]
            ))
        );
    }

    #[test]
    fn each_end_is_decided() {
        let kind = |status: &str| failure(&build(status)).map(|failure| failure.kind);
        assert_eq!(kind("SUCCEEDED"), None);
        assert_eq!(kind("FAILED"), Some(FailureKind::Failed));
        assert_eq!(kind("FAULT"), Some(FailureKind::Unavailable));
        assert_eq!(kind("TIMED_OUT"), Some(FailureKind::TimedOut));
        assert_eq!(kind("STOPPED"), Some(FailureKind::Conflict));
        assert_eq!(ended("IN_PROGRESS"), None);
        assert_eq!(ended("MELTING"), None, "what AWS adds is waited for");
    }

    #[test]
    fn progress_counts_phases() {
        let mut build = build("IN_PROGRESS");
        build.current_phase = Some("BUILD".to_owned());
        build.phases = vec![phase("SUBMITTED", Some("SUCCEEDED"), &[]), phase("BUILD", None, &[])];
        let status = status(&build);
        assert_eq!(
            (status.message.as_str(), status.done, status.total),
            ("build web-image:1: BUILD", Some(1), Some(11))
        );
    }

    #[test]
    fn the_log_s_end_comes_with_its_link() {
        let events = [LogEvent { timestamp: 1, message: "boom\n".to_owned() }];
        let lines = log_lines(&events, Some("https://logs"));
        assert_eq!(lines, ["the end of the log (1 line):", "  boom", "the whole log: https://logs"]);
    }
}
