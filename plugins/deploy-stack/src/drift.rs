//! What was changed behind the stack's back.
//! The main function is [`look`].

use kiln_plugin::aws::cloudformation::{
    DescribeStackDriftDetectionStatusRequest, DescribeStackResourceDriftsRequest, DetectStackDriftRequest,
    ResourceDrift, Stack, describe_stack_drift_detection_status, describe_stack_resource_drifts, detect_stack_drift,
};
use kiln_plugin::{During, Failure, Look, log, poll};
use kiln_stack::show::shown;

use crate::config::{Config, Drift};

/// AWS's words where a search goes on: the code is that of every invalid input.
const IN_PROGRESS: &str = "Drift detection is already in progress";

/// How many differences of a resource are told.
const DIFFERENCES: usize = 4;

/// Look for drift, as the config wants it. Answers whether it is to be brought back.
pub(crate) fn look(config: &Config, stack: &Stack) -> Result<bool, Failure> {
    if config.drift == Drift::Ignore {
        return Ok(false);
    }
    let drifts = found(config, stack)?;
    let told: Vec<String> = drifts.iter().map(line).collect();
    match decide(config.name(), config.drift, &told) {
        Ok(is_reverted) => {
            told.into_iter().for_each(log::warn);
            Ok(is_reverted)
        }
        Err(failure) => Err(failure),
    }
}

fn found(config: &Config, stack: &Stack) -> Result<Vec<ResourceDrift>, Failure> {
    let what = || format!("looking for drift of {}", config.name());
    let request = DetectStackDriftRequest { stack: stack.id.clone(), resources: Vec::new() };
    // Somebody's search, or an earlier one of this stage whose answer was lost: AWS does not tell its id.
    let detection = poll(config.poll, &format!("another search for drift of {}", config.name()), || {
        Ok(match detect_stack_drift(&request) {
            Ok(begun) => Look::Done(begun.detection),
            Err(error) if error.message.contains(IN_PROGRESS) => Look::waiting("drift is being looked for already"),
            Err(error) => return Err(error).during(what()),
        })
    })?;
    let request = DescribeStackDriftDetectionStatusRequest { detection };
    let status = poll(config.poll, &format!("the search for drift of {}", config.name()), || {
        let status = describe_stack_drift_detection_status(&request).during(what())?;
        Ok(match status.status.as_str() {
            "DETECTION_IN_PROGRESS" => Look::waiting("drift is being looked for"),
            _ => Look::Done(status),
        })
    })?;
    if status.status != "DETECTION_COMPLETE" {
        let why = status.reason.unwrap_or_default();
        log::warn(format!("drift of {} is not known as a whole: {}: {why}", config.name(), status.status));
    }
    if status.drifted == 0 && status.drift.as_deref() != Some("DRIFTED") {
        return Ok(Vec::new());
    }
    let request = DescribeStackResourceDriftsRequest {
        stack: stack.id.clone(),
        statuses: vec!["MODIFIED".to_owned(), "DELETED".to_owned()],
    };
    Ok(describe_stack_resource_drifts(&request).during(what())?.drifts)
}

/// A resource that drifted, in a line.
fn line(drift: &ResourceDrift) -> String {
    if drift.status == "DELETED" {
        return format!("{} ({}) was deleted behind the stack's back", drift.logical, drift.type_);
    }
    let of = |difference: &kiln_plugin::aws::cloudformation::PropertyDifference| {
        let path = difference.path.trim_start_matches('/').replace('/', ".");
        format!("{path} is {} and was to be {}", shown(&difference.actual), shown(&difference.expected))
    };
    let mut told: Vec<String> = drift.differences.iter().take(DIFFERENCES).map(of).collect();
    let more = drift.differences.len().saturating_sub(DIFFERENCES);
    told.extend((more > 0).then(|| format!("and {more} more")));
    format!("{} ({}) was changed behind the stack's back: {}", drift.logical, drift.type_, told.join(", "))
}

/// What drift means: whether it is brought back, or a refusal.
fn decide(stack: &str, drift: Drift, told: &[String]) -> Result<bool, Failure> {
    let Some(first) = told.first() else { return Ok(false) };
    match drift {
        Drift::Ignore | Drift::Warn => Ok(false),
        Drift::Revert => Ok(true),
        Drift::Refuse => Err(Failure::rejected(format!("{stack} has drifted: {first}"))
            .help(
                "Bring the template to what is, or say `drift = \"revert\"` to bring back what was changed, or `drift = \"warn\"`. \
                 Nothing was changed.",
            )
            .details(told.to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_plugin::aws::cloudformation::PropertyDifference;

    fn drift(status: &str, differences: usize) -> ResourceDrift {
        let difference = |n: usize| PropertyDifference {
            path: format!("/A/{n}"),
            expected: "1".to_owned(),
            actual: "2".to_owned(),
            kind: "NOT_EQUAL".to_owned(),
        };
        ResourceDrift {
            logical: "Queue".to_owned(),
            physical: None,
            type_: "AWS::SQS::Queue".to_owned(),
            status: status.to_owned(),
            differences: (0..differences).map(difference).collect(),
        }
    }

    #[test]
    fn what_drifted_is_told_by_property() {
        let one = line(&drift("MODIFIED", 1));
        assert_eq!(one, "Queue (AWS::SQS::Queue) was changed behind the stack's back: A.0 is 2 and was to be 1");
        assert!(line(&drift("MODIFIED", 6)).ends_with("and 2 more"));
        assert_eq!(line(&drift("DELETED", 0)), "Queue (AWS::SQS::Queue) was deleted behind the stack's back");
    }

    #[test]
    fn drift_means_what_the_config_says() {
        let told = ["Queue drifted".to_owned()];
        for (drift, expected) in [(Drift::Warn, false), (Drift::Ignore, false), (Drift::Revert, true)] {
            assert_eq!(decide("web", drift, &told).ok(), Some(expected));
        }
        let refused = decide("web", Drift::Refuse, &told).unwrap_err();
        assert_eq!(refused.message, "web has drifted: Queue drifted");
        for drift in [Drift::Warn, Drift::Ignore, Drift::Revert, Drift::Refuse] {
            assert_eq!(decide("web", drift, &[]).ok(), Some(false), "nothing drifted");
        }
    }
}
