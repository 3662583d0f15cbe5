//! The way of a build from phase to phase.
//!
//! The main function is [`phase_ends`]. What a phase does is in `work`; here is only what comes after what.

use std::time::Duration;

use super::events::Event;
use super::lines;
use super::shapes::{PhaseName, Status};
use super::state::{Context, PhaseRecord};
use super::work::{self, Trouble};
use crate::ctx::Scope;

/// A build has been in a phase for as long as the phase takes.
pub(super) fn phase_ends(scope: &mut Scope<'_>, build: &str, phase: PhaseName) {
    if current(scope, build) == Some(phase) {
        let outcome = work::finish(scope, build, phase);
        leave(scope, build, phase, outcome);
    }
}

/// A build has waited for as long as it may.
pub(super) fn queue_times_out(scope: &mut Scope<'_>, build: &str) {
    if current(scope, build) == Some(PhaseName::Queued) {
        leave(scope, build, PhaseName::Queued, Err(timed_out()));
    }
}

/// A build has run for as long as it may.
pub(super) fn times_out(scope: &mut Scope<'_>, build: &str) {
    if let Some(phase) = current(scope, build).filter(|phase| *phase < PhaseName::Finalizing) {
        leave(scope, build, phase, Err(timed_out()));
    }
}

fn timed_out() -> Trouble {
    Trouble {
        status: Status::TimedOut,
        code: "BUILD_TIMED_OUT".to_owned(),
        message: "Build has timed out. ".to_owned(),
    }
}

/// The phase that a build is in, while it goes on.
fn current(scope: &mut Scope<'_>, id: &str) -> Option<PhaseName> {
    let build = scope.place().codebuild.build(id)?;
    (!build.build_complete).then_some(build.current_phase)
}

/// A build sets out.
pub(super) fn begin(scope: &mut Scope<'_>, id: &str) {
    enter(scope, id, PhaseName::Submitted);
    leave(scope, id, PhaseName::Submitted, Ok(()));
}

/// A build ends here and now.
pub(super) fn stop(scope: &mut Scope<'_>, id: &str) {
    if let Some(phase) = current(scope, id) {
        close(scope, id, phase, Status::Stopped, Context::default());
        enter(scope, id, PhaseName::Completed);
    }
}

fn enter(scope: &mut Scope<'_>, id: &str, phase: PhaseName) {
    let now = scope.now();
    let Some(build) = scope.place().codebuild.build(id) else { return };
    build.current_phase = phase;
    build.phases.push(PhaseRecord {
        phase_type: phase,
        phase_status: None,
        start_time: now,
        end_time: None,
        duration_in_seconds: None,
        contexts: None,
    });
    let (takes, queued, running) =
        (build.behaviour.duration(phase), build.queued_timeout_in_minutes, build.timeout_in_minutes);
    let minutes = |minutes: u32| Duration::from_secs(u64::from(minutes) * 60);
    let build = id.to_owned();
    match phase {
        PhaseName::Submitted => return,
        PhaseName::Completed => return work::complete(scope, id),
        PhaseName::Queued => {
            scope.schedule(minutes(queued), Event::QueueTimesOut { build: build.clone() });
        }
        PhaseName::Provisioning => {
            scope.schedule(minutes(running), Event::TimesOut { build: build.clone() });
        }
        PhaseName::DownloadSource
        | PhaseName::Install
        | PhaseName::PreBuild
        | PhaseName::Build
        | PhaseName::PostBuild
        | PhaseName::UploadArtifacts
        | PhaseName::Finalizing => {}
    }
    work::start(scope, id, phase);
    scope.schedule(takes, Event::PhaseEnds { build, phase });
}

/// Leave a phase for the one that comes after such an outcome.
fn leave(scope: &mut Scope<'_>, id: &str, phase: PhaseName, outcome: Result<(), Trouble>) {
    let next = match outcome {
        Ok(()) => {
            close(scope, id, phase, Status::Succeeded, Context::default());
            phase.next()
        }
        Err(Trouble { status, code, message }) => {
            close(scope, id, phase, status, Context { status_code: code, message });
            // Out of time, no command runs any more.
            match status {
                Status::TimedOut if phase > PhaseName::Queued => PhaseName::Finalizing,
                Status::TimedOut
                | Status::Succeeded
                | Status::Failed
                | Status::Fault
                | Status::InProgress
                | Status::Stopped => phase.next_after_failure(),
            }
        }
    };
    // Out of time or not, a build never goes back.
    enter(scope, id, next.max(phase.next()));
}

/// Write down how a phase ended.
fn close(scope: &mut Scope<'_>, id: &str, phase: PhaseName, status: Status, context: Context) {
    let now = scope.now();
    let Some(build) = scope.place().codebuild.build(id) else { return };
    if let Some(last) = build.phases.last_mut() {
        last.phase_status = Some(status);
        last.end_time = Some(now);
        last.duration_in_seconds = Some(now.since(last.start_time).as_secs());
        last.contexts = (phase > PhaseName::Queued || status != Status::Succeeded).then(|| vec![context.clone()]);
    }
    if status != Status::Succeeded {
        build.trouble.get_or_insert(status);
    }
    if status != Status::Stopped {
        work::log(scope, id, lines::leaving(phase, status, &context, now));
    }
}
