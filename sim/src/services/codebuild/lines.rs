//! What builds write into their logs.
//!
//! The main type is [`Line`]; CodeBuild's own lines have its mark and the time, those of commands have not.

use super::shapes::{PhaseName, Status};
use super::state::{Build, Context};
use crate::clock::Timestamp;

/// A line, and when it was written.
pub(super) type Line = (Timestamp, String);

/// A line of CodeBuild's own.
pub(super) fn own(at: Timestamp, text: &str) -> Line {
    let instant = jiff::Timestamp::from_millisecond(i64::try_from(at.0).unwrap_or_default()).unwrap_or_default();
    (at, format!("[Container] {} {text}\n", instant.strftime("%Y/%m/%d %H:%M:%S%.6f")))
}

/// Lines of a command, spread over the time from `start` to `end`.
pub(super) fn spread(start: Timestamp, end: Timestamp, texts: &[String]) -> Vec<Line> {
    let steps = u32::try_from(texts.len() + 1).unwrap_or(u32::MAX);
    let step = end.since(start) / steps;
    let times = (1..).map(|index| start + step * index);
    times.zip(texts).map(|(at, text)| (at, format!("{text}\n"))).collect()
}

/// The command of a phase, where there is one.
pub(super) fn command(build: &Build, phase: PhaseName) -> Option<&'static str> {
    let pushes = build.behaviour.pushes.is_some();
    match phase {
        PhaseName::PreBuild if pushes => {
            Some("aws ecr get-login-password | docker login --username AWS --password-stdin $REGISTRY")
        }
        PhaseName::Build if pushes => Some("docker build --tag $IMAGE ."),
        PhaseName::PostBuild if pushes => Some("docker push $IMAGE"),
        PhaseName::Build => Some("make"),
        PhaseName::Submitted
        | PhaseName::Queued
        | PhaseName::Provisioning
        | PhaseName::DownloadSource
        | PhaseName::Install
        | PhaseName::PreBuild
        | PhaseName::PostBuild
        | PhaseName::UploadArtifacts
        | PhaseName::Finalizing
        | PhaseName::Completed => None,
    }
}

/// What the command of a phase prints, unless the world file says so.
pub(super) fn output(build: &Build, phase: PhaseName) -> Vec<String> {
    if let Some(said) = build.behaviour.log.get(&phase) {
        return said.clone();
    }
    let lines: &[&str] = match phase {
        PhaseName::PreBuild if build.behaviour.pushes.is_some() => &["Login Succeeded"],
        PhaseName::Build if build.behaviour.pushes.is_some() => &[
            "#1 [internal] load build definition from Dockerfile",
            "#1 DONE 0.1s",
            "#4 [builder 1/4] FROM public.ecr.aws/docker/library/rust:1.95",
            "#4 CACHED",
            "#6 [builder 3/4] COPY . .",
            "#6 DONE 0.4s",
            "#7 [builder 4/4] RUN make release",
            "#7 DONE",
            "#9 exporting to image",
            "#9 DONE 1.2s",
        ],
        PhaseName::Submitted
        | PhaseName::Queued
        | PhaseName::Provisioning
        | PhaseName::DownloadSource
        | PhaseName::Install
        | PhaseName::PreBuild
        | PhaseName::Build
        | PhaseName::PostBuild
        | PhaseName::UploadArtifacts
        | PhaseName::Finalizing
        | PhaseName::Completed => &[],
    };
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// The lines at the beginning of a phase.
pub(super) fn entering(build: &Build, phase: PhaseName, now: Timestamp) -> Vec<Line> {
    match phase {
        PhaseName::DownloadSource => [
            "Running on CodeBuild On-demand",
            "Waiting for agent ping",
            "Waiting for DOWNLOAD_SOURCE",
            "Phase is DOWNLOAD_SOURCE",
        ]
        .map(|text| own(now, text))
        .into(),
        PhaseName::Install | PhaseName::PreBuild | PhaseName::Build | PhaseName::PostBuild => {
            let entering = own(now, &format!("Entering phase {}", phase.text()));
            let running = command(build, phase).map(|command| own(now, &format!("Running command {command}")));
            [entering].into_iter().chain(running).collect()
        }
        PhaseName::Submitted
        | PhaseName::Queued
        | PhaseName::Provisioning
        | PhaseName::UploadArtifacts
        | PhaseName::Finalizing
        | PhaseName::Completed => Vec::new(),
    }
}

/// The lines at the end of a phase.
pub(super) fn leaving(phase: PhaseName, status: Status, context: &Context, now: Timestamp) -> Vec<Line> {
    match phase {
        PhaseName::DownloadSource
        | PhaseName::Install
        | PhaseName::PreBuild
        | PhaseName::Build
        | PhaseName::PostBuild
        | PhaseName::UploadArtifacts => {
            let Context { status_code, message } = context;
            vec![
                own(now, &format!("Phase complete: {} State: {}", phase.text(), status.text())),
                own(now, &format!("Phase context status code: {status_code} Message: {message}")),
            ]
        }
        PhaseName::Submitted
        | PhaseName::Queued
        | PhaseName::Provisioning
        | PhaseName::Finalizing
        | PhaseName::Completed => Vec::new(),
    }
}
