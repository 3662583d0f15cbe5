//! Why an operation on a stack failed: the first resource that did, and those that failed for it.
//! The main function is [`find`].

use kiln_plugin::Failure;
use kiln_plugin::aws::cloudformation::{OperationEvent, StackEvent};

/// How many followers are named.
const FOLLOWERS: usize = 10;
/// The type of stacks, nested ones among them.
const STACK: &str = "AWS::CloudFormation::Stack";

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The resource that failed first; none where the stack itself did.
    pub resource: Option<String>,
    /// Its type.
    pub kind: String,
    /// Its status.
    pub status: String,
    /// Its own reason.
    pub reason: String,
    /// Whether the resource is a nested stack: the reason lies in that.
    pub nested: Option<String>,
    /// Those that failed after it, each with its reason.
    pub followers: Vec<(String, String)>,
    /// Other resources that failed by themselves.
    pub others: Vec<(String, String)>,
}

impl Cause {
    /// In a sentence, without a full stop.
    pub fn sentence(&self) -> String {
        match &self.resource {
            Some(resource) => format!("{resource} ({}) is {}: {}", self.kind, self.status, trimmed(&self.reason)),
            None => trimmed(&self.reason).to_owned(),
        }
    }

    /// What else is known, a line each.
    pub fn details(&self) -> Vec<String> {
        let others = self.others.iter().map(|(name, reason)| format!("{name} failed as well: {}", trimmed(reason)));
        let named = self.followers.iter().take(FOLLOWERS).map(|(name, reason)| match reason.is_empty() {
            true => format!("{name} failed for it"),
            false => format!("{name} failed for it: {}", trimmed(reason)),
        });
        let more = self.followers.len().saturating_sub(FOLLOWERS);
        others.chain(named).chain((more > 0).then(|| format!("and {more} more that failed for it"))).collect()
    }
}

fn trimmed(reason: &str) -> &str {
    reason.trim().trim_end_matches('.')
}

/// Whether a reason says that a resource failed only because another did.
fn is_follower(reason: &str) -> bool {
    const WORDS: [&str; 5] = [
        "Resource creation cancelled",
        "Resource creation Initiated cancelled",
        "Resource update cancelled",
        "Resource deletion cancelled",
        "Operation cancelled",
    ];
    WORDS.iter().any(|words| reason.to_ascii_lowercase().contains(&words.to_ascii_lowercase()))
}

/// Find the cause in the events of an operation, the oldest first. `stack_id` is the stack's own. `None` where nothing failed.
pub fn find(stack_id: &str, events: &[StackEvent]) -> Option<Cause> {
    let failed = |event: &&StackEvent| event.status.ends_with("_FAILED") || failed_hook(event);
    let is_own = |event: &&StackEvent| event.physical.as_deref() == Some(stack_id);
    let reason = |event: &StackEvent| match &event.hook {
        Some(hook) if failed_hook(event) => {
            let why = hook.reason.as_deref().unwrap_or("it gives no reason");
            format!("the hook {} refused it: {why}", hook.type_)
        }
        _ => event.reason.clone().unwrap_or_default(),
    };
    let mut resources: Vec<&StackEvent> = events.iter().filter(failed).filter(|event| !is_own(event)).collect();
    let first = resources.iter().position(|event| !is_follower(&reason(event)));
    let Some(first) = first.map(|index| resources.remove(index)) else {
        return own(stack_id, events, &resources, &reason);
    };
    let named = |event: &&&StackEvent| event.logical != first.logical;
    let (followers, others): (Vec<&StackEvent>, Vec<&StackEvent>) =
        resources.iter().filter(named).copied().partition(|event| is_follower(&reason(event)) || is_back(event));
    let pair = |event: &StackEvent| (event.logical.clone(), reason(event));
    Some(Cause {
        resource: Some(first.logical.clone()),
        kind: first.type_.clone(),
        status: if first.status.is_empty() { "refused".to_owned() } else { first.status.clone() },
        reason: said(reason(first)),
        nested: (first.type_ == STACK).then(|| first.physical.clone()).flatten(),
        followers: followers.into_iter().map(pair).collect(),
        others: others.into_iter().map(pair).collect(),
    })
}

/// Nothing failed by itself: the stack's own reason is all there is. An alarm that rang speaks in it.
fn own(
    stack_id: &str,
    events: &[StackEvent],
    resources: &[&StackEvent],
    reason: &dyn Fn(&StackEvent) -> String,
) -> Option<Cause> {
    let turned = |event: &&StackEvent| {
        let is_own = event.physical.as_deref() == Some(stack_id);
        is_own && event.reason.is_some() && (event.status.contains("ROLLBACK") || event.status.ends_with("_FAILED"))
    };
    let event = events.iter().find(turned)?;
    Some(Cause {
        resource: None,
        kind: event.type_.clone(),
        status: event.status.clone(),
        reason: said(reason(event)),
        nested: None,
        followers: resources.iter().map(|event| (event.logical.clone(), reason(event))).collect(),
        others: Vec::new(),
    })
}

/// What failed while the stack went back is a matter of the way back.
fn is_back(event: &StackEvent) -> bool {
    event.status.starts_with("DELETE_") || event.status.contains("ROLLBACK")
}

fn failed_hook(event: &StackEvent) -> bool {
    event.hook.as_ref().is_some_and(|hook| {
        matches!(hook.status.as_str(), "HOOK_COMPLETE_FAILED" | "HOOK_FAILED") && hook.mode != "WARN"
    })
}

fn said(reason: String) -> String {
    if reason.trim().is_empty() { "CloudFormation gives no reason".to_owned() } else { reason }
}

/// What AWS tells of an operation by itself: checks that failed, and hooks that refused, a line each.
pub fn told(events: &[OperationEvent]) -> Vec<String> {
    let line = |event: &OperationEvent| {
        let of = event.logical.clone().unwrap_or_else(|| "the stack".to_owned());
        if let Some(check) = &event.validation {
            let path = check.path.as_ref().map(|path| format!(" at {path}")).unwrap_or_default();
            let why = check.reason.as_deref().or(event.reason.as_deref()).unwrap_or("no reason is given");
            let mode = if check.mode == "WARN" { " (a warning)" } else { "" };
            return Some(format!("{of}{path}: the check {} says: {}{mode}", check.name, trimmed(why)));
        }
        if let Some(hook) = &event.hook {
            let why = hook.reason.as_deref().unwrap_or("no reason is given");
            return Some(format!("{of}: the hook {} is {}: {}", hook.type_, hook.status, trimmed(why)));
        }
        let why = event.reason.as_deref()?;
        Some(format!("{of}: {}", trimmed(why)))
    };
    events.iter().filter_map(line).collect()
}

/// The failure of an operation: the cause first, its followers behind it.
pub fn failure(subject: &str, cause: Option<&Cause>, reason: Option<&str>) -> Failure {
    match cause {
        Some(cause) => Failure::failed(format!("{subject}: {}", cause.sentence())).details(cause.details()),
        None => {
            let reason = reason.map(trimmed).filter(|reason| !reason.is_empty());
            Failure::failed(format!("{subject}: {}", reason.unwrap_or("CloudFormation gives no reason")))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kiln_plugin::aws::cloudformation::{HookEvent, ValidationEvent};

    pub(crate) const ID: &str = "arn:aws:cloudformation:us-west-2:111111111111:stack/web/1";

    pub(crate) fn event(logical: &str, status: &str, reason: &str) -> StackEvent {
        let own = logical == "web";
        StackEvent {
            id: format!("{logical}-{status}"),
            operation: None,
            stack_id: ID.to_owned(),
            logical: logical.to_owned(),
            physical: Some(if own { ID.to_owned() } else { format!("{logical}-1") }),
            type_: if own { STACK.to_owned() } else { "AWS::ECS::Service".to_owned() },
            at: 0,
            status: status.to_owned(),
            reason: (!reason.is_empty()).then(|| reason.to_owned()),
            detailed_status: None,
            token: None,
            hook: None,
        }
    }

    #[test]
    fn the_first_resource_that_failed_is_the_cause_and_the_cancelled_are_its_followers() {
        let events = [
            event("web", "CREATE_IN_PROGRESS", "User Initiated"),
            event("Role", "CREATE_COMPLETE", ""),
            event("Queue", "CREATE_FAILED", "Resource creation cancelled"),
            event("Service", "CREATE_FAILED", "The image is not there."),
            event("Alarm", "CREATE_FAILED", "Resource creation cancelled"),
            event("Topic", "CREATE_FAILED", "Access denied"),
            event("web", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Service]."),
            event("Role", "DELETE_FAILED", "It is in use"),
        ];
        let cause = find(ID, &events).unwrap();
        assert_eq!(cause.sentence(), "Service (AWS::ECS::Service) is CREATE_FAILED: The image is not there");
        let expected = [
            "Topic failed as well: Access denied",
            "Queue failed for it: Resource creation cancelled",
            "Alarm failed for it: Resource creation cancelled",
            "Role failed for it: It is in use",
        ];
        assert_eq!(cause.details(), expected);
        let failure = failure("web was not created", Some(&cause), None);
        assert!(failure.message.starts_with("web was not created: Service (AWS::ECS::Service)"), "{}", failure.message);
    }

    #[test]
    fn an_alarm_that_rang_is_the_stack_s_own_reason() {
        let rang = "Rollback triggered by alarm arn:aws:cloudwatch:us-west-2:111111111111:alarm:web-5xx.";
        let events = [
            event("Service", "UPDATE_COMPLETE", ""),
            event("web", "UPDATE_ROLLBACK_IN_PROGRESS", rang),
            event("Service", "UPDATE_COMPLETE", ""),
        ];
        let cause = find(ID, &events).unwrap();
        assert_eq!((cause.resource.clone(), cause.sentence()), (None, rang.trim_end_matches('.').to_owned()));
        assert_eq!(find(ID, &events[..1]), None);
        let silent = failure("web was not updated", None, Some(""));
        assert_eq!(silent.message, "web was not updated: CloudFormation gives no reason");
    }

    #[test]
    fn many_followers_are_counted() {
        let mut events = vec![event("First", "CREATE_FAILED", "no")];
        events.extend((0..15).map(|n| event(&format!("R{n:02}"), "CREATE_FAILED", "Resource creation cancelled")));
        let details = find(ID, &events).unwrap().details();
        assert_eq!((details.len(), details.last().map(String::as_str)), (11, Some("and 5 more that failed for it")));
    }

    #[test]
    fn a_hook_that_refuses_is_a_cause_and_one_that_warns_is_none() {
        let hook = |mode: &str| HookEvent {
            type_: "My::Hook".to_owned(),
            status: "HOOK_COMPLETE_FAILED".to_owned(),
            reason: Some("not tagged".to_owned()),
            mode: mode.to_owned(),
        };
        let of = |mode: &str| find(ID, &[StackEvent { hook: Some(hook(mode)), ..event("Service", "", "") }]);
        let told = of("FAIL").map(|cause| cause.sentence());
        assert_eq!(
            told.as_deref(),
            Some("Service (AWS::ECS::Service) is refused: the hook My::Hook refused it: not tagged")
        );
        assert_eq!(of("WARN"), None);
    }

    #[test]
    fn checks_of_aws_are_told_with_their_places() {
        let event = OperationEvent {
            id: "1".to_owned(),
            operation: "o".to_owned(),
            kind: "VALIDATION_ERROR".to_owned(),
            logical: Some("Service".to_owned()),
            type_: None,
            at: None,
            status: None,
            reason: None,
            token: None,
            hook: None,
            validation: Some(ValidationEvent {
                name: "NAME_CONFLICT".to_owned(),
                status: "FAILED".to_owned(),
                reason: Some("It is there already.".to_owned()),
                path: Some("/Resources/Service".to_owned()),
                mode: "FAIL".to_owned(),
            }),
        };
        assert_eq!(
            told(&[event]),
            ["Service at /Resources/Service: the check NAME_CONFLICT says: It is there already"]
        );
    }
}
