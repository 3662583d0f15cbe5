//! What happens to images with time.
//!
//! The main type is [`Event`].

use super::state::WorkflowKind;
use super::{cancel, start, walk};
use crate::ctx::Scope;
use crate::worldfile::Span;

/// What falls due.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// An image has been in a state without a workflow for as long as that takes.
    GoesOn { image: String },
    /// A step of a workflow is over.
    StepEnds { image: String, kind: WorkflowKind, step: usize },
    /// An image that is to be no longer made is no longer made.
    Cancelled { image: String },
    /// Inspector's look at an image comes one state further.
    ScanGoesOn { image: String },
    /// A pipeline runs by its schedule, and again after this time.
    ScheduledRun { pipeline: String, again: Span },
}

/// Let it happen.
pub(crate) fn happen(scope: &mut Scope<'_>, event: Event) {
    match event {
        Event::GoesOn { image } => walk::goes_on(scope, &image),
        Event::StepEnds { image, kind, step } => walk::step_ends(scope, &image, kind, step),
        Event::Cancelled { image } => cancel::is_cancelled(scope, &image),
        Event::ScanGoesOn { image } => walk::scan_goes_on(scope, &image),
        Event::ScheduledRun { pipeline, again } => start::by_schedule(scope, &pipeline, again),
    }
}
