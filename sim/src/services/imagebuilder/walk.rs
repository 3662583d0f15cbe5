//! The way of an image from state to state.
//!
//! The main functions are [`goes_on`] and [`step_ends`].

use serde_json::json;

use super::behaviour::{BakeBehaviour, BakePhase, ScanEnd};
use super::distribute;
use super::events::Event;
use super::state::{Bake, BakeStatus, Standing, Workflow, WorkflowKind, WorkflowStep, put};
use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::services::logs;

/// The steps of each workflow: name and action.
fn steps(kind: WorkflowKind) -> &'static [(&'static str, &'static str)] {
    match kind {
        WorkflowKind::Build => &[
            ("LaunchBuildInstance", "LaunchInstance"),
            ("ApplyBuildComponents", "ExecuteComponents"),
            ("RunSanitizeScript", "SanitizeInstance"),
            ("CreateOutputAMI", "CreateImage"),
            ("TerminateBuildInstance", "TerminateInstance"),
        ],
        WorkflowKind::Test => &[
            ("LaunchTestInstance", "LaunchInstance"),
            ("ApplyTestComponents", "ExecuteComponents"),
            ("TerminateTestInstance", "TerminateInstance"),
        ],
        WorkflowKind::Distribution => &[("DistributeImage", "DistributeImage")],
    }
}

impl WorkflowKind {
    fn phase(self) -> BakePhase {
        match self {
            Self::Build => BakePhase::Build,
            Self::Test => BakePhase::Test,
            Self::Distribution => BakePhase::Distribution,
        }
    }

    fn status(self) -> BakeStatus {
        match self {
            Self::Build => BakeStatus::Building,
            Self::Test => BakeStatus::Testing,
            Self::Distribution => BakeStatus::Distributing,
        }
    }

    /// The step that does the work, and that fails where it fails.
    fn heart(self) -> usize {
        match self {
            Self::Build | Self::Test => 1,
            Self::Distribution => 0,
        }
    }
}

/// An image that is being made, and that nobody has cancelled.
fn under_way(scope: &mut Scope<'_>, arn: &str) -> Option<Bake> {
    let bake = scope.place().imagebuilder.bake(arn)?;
    (!bake.status.is_over() && !bake.cancelling).then(|| bake.clone())
}

/// An image has been in a state without a workflow for as long as that takes.
pub(super) fn goes_on(scope: &mut Scope<'_>, arn: &str) {
    let Some(bake) = under_way(scope, arn) else { return };
    match bake.status {
        BakeStatus::Pending => {
            turn(scope, arn, BakeStatus::Creating);
            let wait = bake.recipe.behaviour.duration(BakePhase::Start);
            scope.schedule(wait, Event::GoesOn { image: arn.to_owned() });
        }
        BakeStatus::Creating => begin(scope, &bake, WorkflowKind::Build),
        BakeStatus::Integrating => turn(scope, arn, BakeStatus::Available),
        BakeStatus::Building
        | BakeStatus::Testing
        | BakeStatus::Distributing
        | BakeStatus::Available
        | BakeStatus::Cancelled
        | BakeStatus::Failed => {}
    }
}

fn turn(scope: &mut Scope<'_>, arn: &str, status: BakeStatus) {
    if let Some(bake) = scope.place().imagebuilder.bake(arn) {
        bake.status = status;
    }
}

/// A workflow begins with its first step.
fn begin(scope: &mut Scope<'_>, bake: &Bake, kind: WorkflowKind) {
    let (arn, now) = (&bake.arn, scope.now());
    let id = format!("wf-{}", scope.world.ids.uuid(&format!("imagebuilder/workflow/{arn}")));
    let mut made = Vec::new();
    for (name, action) in steps(kind) {
        let id = format!("step-{}", scope.world.ids.uuid(&format!("imagebuilder/step/{arn}")));
        let (standing, message, started, ended) = (Standing::Pending, None, None, None);
        made.push(WorkflowStep { id, name, action, standing, message, started, ended });
    }
    let (standing, message, ended) = (Standing::Running, None, None);
    let workflow = Workflow { id, kind, standing, message, started: now, ended, steps: made };
    if let Some(bake) = scope.place().imagebuilder.bake(arn) {
        bake.status = kind.status();
        bake.workflows.push(workflow);
    }
    step_begins(scope, bake, kind, 0);
}

fn step_begins(scope: &mut Scope<'_>, bake: &Bake, kind: WorkflowKind, step: usize) {
    let (arn, now) = (&bake.arn, scope.now());
    let Some((name, action)) = steps(kind).get(step) else { return };
    write(scope, bake, now, &[format!("Step {name} ({action}) is running.")]);
    if let Some(step) = at(scope, arn, kind, step) {
        step.standing = Standing::Running;
        step.started = Some(now);
    }
    // The heart of a workflow takes half of its time, the others share the rest.
    let whole = bake.recipe.behaviour.duration(kind.phase());
    let others = u32::try_from(steps(kind).len().saturating_sub(1)).unwrap_or(1);
    let takes = match others {
        0 => whole,
        _ if step == kind.heart() => whole / 2,
        others => whole / 2 / others,
    };
    scope.schedule(takes, Event::StepEnds { image: arn.clone(), kind, step });
}

fn at<'s>(scope: &'s mut Scope<'_>, arn: &str, kind: WorkflowKind, step: usize) -> Option<&'s mut WorkflowStep> {
    let bake = scope.place().imagebuilder.bake(arn)?;
    bake.workflows.iter_mut().find(|workflow| workflow.kind == kind)?.steps.get_mut(step)
}

/// A step of a workflow is over.
pub(super) fn step_ends(scope: &mut Scope<'_>, arn: &str, kind: WorkflowKind, step: usize) {
    let Some(bake) = under_way(scope, arn).filter(|bake| bake.status == kind.status()) else { return };
    let now = scope.now();
    let failure = bake.recipe.behaviour.fail.as_ref();
    let strikes = failure.is_some_and(|failure| failure.strikes(kind.phase(), bake.number));
    let Some((name, _)) = steps(kind).get(step) else { return };
    if kind != WorkflowKind::Distribution && step == kind.heart() {
        write(scope, &bake, now, &bake.recipe.behaviour.log);
        if strikes {
            let usual = format!("Step {name} failed: the component ended with exit code 1.");
            let message = failure.and_then(|failure| failure.message.clone()).unwrap_or(usual);
            fails(scope, &bake, kind, step, &message, None);
            return;
        }
    }
    if kind == WorkflowKind::Distribution {
        let failed = distribute::all(scope, &bake);
        if !failed.is_empty() {
            let message = format!("Distribution failed in {} of the regions.", failed.len());
            let regions = failed
                .into_iter()
                .map(|(region, message)| json!({ "region": region, "status": "FAILED", "errorMessage": message }));
            let regions: Vec<_> = regions.collect();
            fails(scope, &bake, kind, step, &message, Some(json!({ "regionFailures": regions })));
            return;
        }
    }
    if let Some(step) = at(scope, arn, kind, step) {
        step.standing = Standing::Completed;
        step.ended = Some(now);
    }
    write(scope, &bake, now, &[format!("Step {name} is completed.")]);
    match step + 1 < steps(kind).len() {
        true => step_begins(scope, &bake, kind, step + 1),
        false => workflow_ends(scope, &bake, kind),
    }
}

/// A workflow went well: what comes next.
fn workflow_ends(scope: &mut Scope<'_>, bake: &Bake, kind: WorkflowKind) {
    let (arn, now) = (&bake.arn, scope.now());
    if let Some(bake) = scope.place().imagebuilder.bake(arn)
        && let Some(workflow) = bake.workflows.iter_mut().find(|workflow| workflow.kind == kind)
    {
        workflow.standing = Standing::Completed;
        workflow.ended = Some(now);
    }
    match kind {
        WorkflowKind::Build => {
            if bake.scans {
                scan_goes_on(scope, arn);
            }
            let next = if bake.tests { WorkflowKind::Test } else { WorkflowKind::Distribution };
            begin(scope, bake, next);
        }
        WorkflowKind::Test => begin(scope, bake, WorkflowKind::Distribution),
        WorkflowKind::Distribution => {
            turn(scope, arn, BakeStatus::Integrating);
            let wait = bake.recipe.behaviour.duration(BakePhase::Integration);
            scope.schedule(wait, Event::GoesOn { image: arn.clone() });
        }
    }
}

/// A step fails, and with it the workflow and the image.
fn fails(
    scope: &mut Scope<'_>,
    bake: &Bake,
    kind: WorkflowKind,
    step: usize,
    message: &str,
    distribution: Option<serde_json::Value>,
) {
    let (arn, now) = (&bake.arn, scope.now());
    let name = steps(kind).get(step).map_or("", |(name, _)| *name);
    let mut lines: Vec<String> = bake.recipe.behaviour.fail.iter().flat_map(|failure| failure.log.clone()).collect();
    lines.push(format!("Step {name} has failed: {message}"));
    write(scope, bake, now, &lines);
    let Some(bake) = scope.place().imagebuilder.bake(arn) else { return };
    let mut context = json!({ "imageStatus": bake.status.text(), "failedStep": name });
    if let Some(workflow) = bake.workflows.iter_mut().find(|workflow| workflow.kind == kind) {
        workflow.standing = Standing::Failed;
        workflow.ended = Some(now);
        workflow.message = Some(message.to_owned());
        for (index, other) in workflow.steps.iter_mut().enumerate() {
            match index.cmp(&step) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => {
                    other.standing = Standing::Failed;
                    other.ended = Some(now);
                    other.message = Some(message.to_owned());
                    put(&mut context, "stepExecutionId", other.id.as_str().into());
                }
                std::cmp::Ordering::Greater => other.standing = Standing::Skipped,
            }
        }
        put(&mut context, "workflowExecutionId", workflow.id.as_str().into());
    }
    if let Some(distribution) = distribution {
        put(&mut context, "distributionFailure", distribution);
    }
    bake.status = BakeStatus::Failed;
    bake.reason = Some(format!("Workflow step {name} failed with message '{message}'"));
    bake.failure = Some(context);
}

/// Inspector's look at what was built comes one state further.
pub(super) fn scan_goes_on(scope: &mut Scope<'_>, arn: &str) {
    let Some(bake) = scope.place().imagebuilder.bake(arn) else { return };
    let behaviour: BakeBehaviour = bake.recipe.behaviour.clone();
    let end = behaviour.scan.unwrap_or(ScanEnd::Completed);
    let next = match bake.scan {
        None | Some("PENDING") => "SCANNING",
        Some("SCANNING") if end == ScanEnd::Completed => "COLLECTING",
        Some("SCANNING" | "COLLECTING") => end.text(),
        Some(_) => return,
    };
    bake.scan = Some(next);
    if matches!(next, "SCANNING" | "COLLECTING") {
        scope.schedule(behaviour.duration(BakePhase::Scan) / 2, Event::ScanGoesOn { image: arn.to_owned() });
    }
}

/// Write into the image's log.
pub(super) fn write(scope: &mut Scope<'_>, bake: &Bake, at: Timestamp, lines: &[String]) {
    let group = bake.log_group.clone().unwrap_or_else(|| format!("/aws/imagebuilder/{}", bake.recipe.name));
    let lines = lines.iter().map(|line| (at, line.clone())).collect();
    logs::append(scope, &group, bake.version(), lines);
}
