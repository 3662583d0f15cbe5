//! What the state of a bake means.
//! The main function is [`step`].

use kiln_plugin::aws::imagebuilder::{Image, WorkflowExecution, WorkflowStep};
use kiln_plugin::aws::logs::LogEvent;
use kiln_plugin::aws::{Error, ErrorKind};
use kiln_plugin::{Failure, FailureKind, count};

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Look again.
    Wait,
    /// The image is there.
    Made,
    /// It will never be.
    Failed(Failure),
}

/// What the status of an image says.
pub(crate) fn step(image: &Image) -> Step {
    let name = brief(image);
    let reason = || image.reason.clone();
    match image.status.as_str() {
        "AVAILABLE" => Step::Made,
        "FAILED" => Step::Failed(failed(image)),
        "CANCELLED" => Step::Failed(
            Failure::new(FailureKind::Conflict, format!("the bake of {name} was cancelled"))
                .help("Somebody has cancelled it. Run it again.")
                .details(reason()),
        ),
        "DEPRECATED" | "DISABLED" | "DELETED" => Step::Failed(
            Failure::new(FailureKind::Conflict, format!("{name} is {} already", image.status.to_lowercase()))
                .help("Somebody, or a lifecycle policy of Image Builder, has put it out of use. Bake again.")
                .details(reason()),
        ),
        // PENDING, CREATING, BUILDING, TESTING, DISTRIBUTING, INTEGRATING; what AWS adds is waited for, too.
        _ => Step::Wait,
    }
}

/// The image as people name it.
pub(crate) fn brief(image: &Image) -> String {
    format!("{} {}", image.name, image.version)
}

fn failed(image: &Image) -> Failure {
    let name = brief(image);
    let message = match (&image.failed_step, image.region_failures.as_slice()) {
        (_, [_, ..]) => {
            let regions: Vec<&str> = image.region_failures.iter().map(|failure| failure.region.as_str()).collect();
            format!("the bake of {name} failed in its distribution to {}", regions.join(", "))
        }
        (Some(step), []) => format!("the bake of {name} failed in step {step}"),
        (None, []) => format!("the bake of {name} failed"),
    };
    let regions = image.region_failures.iter().map(|failure| {
        let account = failure.account.as_deref().map(|account| format!(" in account {account}")).unwrap_or_default();
        format!("{}{account}: {} ({})", failure.region, failure.message, failure.status)
    });
    let made = match image.amis.len() {
        0 => None,
        made => Some(format!("{} made nevertheless: what is made stays", were(made))),
    };
    Failure::failed(message)
        .help("Mend what the log shows, and run it again. What is meant to be baked stands in the recipe and its components.")
        .details(image.reason.clone())
        .details(regions)
        .details(made)
}

fn were(made: usize) -> String {
    format!("{} {}", count(made, "machine image"), if made == 1 { "was" } else { "were" })
}

/// How far a bake is: its workflow's step, and how many are done.
pub(crate) fn progress(
    image: &Image,
    workflow: Option<&WorkflowExecution>,
    steps: &[WorkflowStep],
) -> (String, Option<(u32, u32)>) {
    let running =
        steps.iter().find(|step| step.status == "RUNNING").or_else(|| steps.iter().find(|it| it.status == "PENDING"));
    let message = match running {
        Some(step) => format!("{}: {}", image.status, step.name),
        None => image.status.clone(),
    };
    let counted = workflow.filter(|workflow| workflow.steps > 0).map(|workflow| (workflow.steps_done, workflow.steps));
    (message, counted)
}

/// Of an image's workflows the one that matters: the one that failed, or that runs.
pub(crate) fn current(executions: &[WorkflowExecution]) -> Option<&WorkflowExecution> {
    let of = |status: &str| executions.iter().find(|execution| execution.status == status && !execution.retried);
    of("FAILED").or_else(|| of("RUNNING")).or_else(|| of("PENDING"))
}

/// What the step that failed says of itself.
pub(crate) fn failed_step(steps: &[WorkflowStep]) -> Option<String> {
    let step = steps.iter().find(|step| step.status == "FAILED")?;
    let said = step.message.as_deref().unwrap_or("Image Builder does not say why");
    Some(format!("step {} ({}): {said}", step.name, step.action))
}

/// The end of the log, a line each.
pub(crate) fn log_lines(group: &str, stream: &str, events: &[LogEvent]) -> Vec<String> {
    if events.is_empty() {
        return vec![format!("the log {group} {stream} is empty")];
    }
    let mut lines = vec![format!("the end of the log {group} {stream} ({}):", count(events.len(), "line"))];
    lines.extend(events.iter().map(|event| format!("  {}", event.message.trim_end())));
    lines
}

/// Why the log cannot be read.
pub(crate) fn without_log(group: &str, stream: &str, error: &Error) -> String {
    match error.kind {
        ErrorKind::Denied => format!(
            "its log is in the log group {group} ({stream}): say `log-group = \"{group}\"` in `with` to see the end of it here"
        ),
        _ => format!("the log {group} {stream} could not be read: {}: {}", error.code, error.message),
    }
}

/// The log group that an image writes to.
pub(crate) fn log_group(image: &Image) -> String {
    image.log_group.clone().unwrap_or_else(|| format!("/aws/imagebuilder/{}", image.name))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kiln_plugin::aws::imagebuilder::{OutputAmi, RegionFailure};

    pub(crate) fn image(status: &str) -> Image {
        Image {
            arn: "arn:aws:imagebuilder:us-west-2:111111111111:image/web/1.0.0/2".to_owned(),
            name: "web".to_owned(),
            version: "1.0.0/2".to_owned(),
            image_type: "AMI".to_owned(),
            status: status.to_owned(),
            reason: None,
            failed_step: None,
            region_failures: Vec::new(),
            recipe: None,
            pipeline: None,
            distribution: None,
            build_type: "USER_INITIATED".to_owned(),
            created: None,
            tests: true,
            scans: false,
            scan_status: String::new(),
            scan_reason: None,
            amis: Vec::new(),
            log_group: None,
            tags: Vec::new(),
        }
    }

    pub(crate) fn ami(region: &str, account: &str, id: &str) -> OutputAmi {
        OutputAmi {
            region: region.to_owned(),
            account: account.to_owned(),
            ami: id.to_owned(),
            name: "web".to_owned(),
            status: "AVAILABLE".to_owned(),
            reason: None,
        }
    }

    #[test]
    fn each_status_is_decided() {
        for (status, expected) in [
            ("PENDING", "wait"),
            ("CREATING", "wait"),
            ("BUILDING", "wait"),
            ("TESTING", "wait"),
            ("DISTRIBUTING", "wait"),
            ("INTEGRATING", "wait"),
            ("MELTING", "wait"),
            ("AVAILABLE", "made"),
            ("FAILED", "failed FailureKind::Failed"),
            ("CANCELLED", "failed FailureKind::Conflict"),
            ("DEPRECATED", "failed FailureKind::Conflict"),
            ("DISABLED", "failed FailureKind::Conflict"),
            ("DELETED", "failed FailureKind::Conflict"),
        ] {
            let told = match step(&image(status)) {
                Step::Wait => "wait".to_owned(),
                Step::Made => "made".to_owned(),
                Step::Failed(failure) => format!("failed {:?}", failure.kind),
            };
            assert_eq!(told, expected, "{status}");
        }
    }

    #[test]
    fn a_bake_that_failed_says_where_and_what_was_made_nevertheless() {
        let failure = RegionFailure {
            region: "eu-west-1".to_owned(),
            account: None,
            status: "FAILED".to_owned(),
            message: "no key".to_owned(),
        };
        let image = Image {
            region_failures: vec![failure],
            failed_step: Some("DistributeImage".to_owned()),
            amis: vec![ami("us-west-2", "111111111111", "ami-1")],
            ..image("FAILED")
        };
        let failure = failed(&image);
        assert_eq!(failure.message, "the bake of web 1.0.0/2 failed in its distribution to eu-west-1");
        assert_eq!(
            failure.details,
            ["eu-west-1: no key (FAILED)", "1 machine image was made nevertheless: what is made stays"]
        );
        let of_step = failed(&Image { region_failures: Vec::new(), ..image });
        assert_eq!(of_step.message, "the bake of web 1.0.0/2 failed in step DistributeImage");
    }

    #[test]
    fn progress_names_the_step() {
        let step = |name: &str, status: &str| WorkflowStep {
            id: String::new(),
            name: name.to_owned(),
            action: "ExecuteComponents".to_owned(),
            status: status.to_owned(),
            message: None,
            started: None,
            ended: None,
        };
        let workflow = |status: &str, retried| WorkflowExecution {
            id: status.to_owned(),
            workflow: String::new(),
            workflow_type: "BUILD".to_owned(),
            status: status.to_owned(),
            message: None,
            steps: 5,
            steps_done: 1,
            started: None,
            ended: None,
            retried,
        };
        let steps = [step("LaunchBuildInstance", "COMPLETED"), step("ApplyBuildComponents", "RUNNING")];
        let running = workflow("RUNNING", false);
        let told = progress(&image("BUILDING"), Some(&running), &steps);
        assert_eq!(told, ("BUILDING: ApplyBuildComponents".to_owned(), Some((1, 5))));
        assert_eq!(progress(&image("PENDING"), None, &[]), ("PENDING".to_owned(), None));
        let all = [workflow("FAILED", true), workflow("RUNNING", false), workflow("COMPLETED", false)];
        assert_eq!(current(&all).map(|it| it.status.as_str()), Some("RUNNING"), "what was retried counts no more");
        let failed = failed_step(&[step("a", "COMPLETED"), step("b", "FAILED")]);
        assert_eq!(failed.as_deref(), Some("step b (ExecuteComponents): Image Builder does not say why"));
    }
}
