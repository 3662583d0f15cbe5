//! Identity and Access Management: what the policies of a user or a role would say.
//!
//! The main function is [`simulate_principal_policy`]. The policies are those of the world file, by which every call is judged; a user
//! or role without one may do everything.

use serde::{Deserialize, Serialize};

use crate::access::{Policy, Verdict};
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::page;
use crate::service::Service;
use crate::services::{ServiceId, sts};

/// The only key of a condition that the simulator's policies may have.
const PASSED_TO: &str = "iam:PassedToService";

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "")
        .xml("https://iam.amazonaws.com/doc/2010-05-08/")
        .invalid_input("ValidationError")
        .read("SimulatePrincipalPolicy", simulate_principal_policy)
        .on("{PolicySourceArn}")
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SimulatePrincipalPolicy {
    policy_source_arn: String,
    action_names: Vec<String>,
    #[serde(default)]
    resource_arns: Vec<String>,
    #[serde(default)]
    context_entries: Vec<ContextEntry>,
    max_items: Option<usize>,
    marker: Option<String>,
    #[serde(default)]
    policy_input_list: Vec<String>,
    #[serde(default)]
    permissions_boundary_policy_input_list: Vec<String>,
    resource_policy: Option<String>,
    resource_owner: Option<String>,
    caller_arn: Option<String>,
    resource_handling_option: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextEntry {
    context_key_name: String,
    #[serde(default)]
    context_key_values: Vec<String>,
    #[serde(default)]
    context_key_type: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Simulated {
    evaluation_results: Vec<EvaluationResult>,
    is_truncated: bool,
    marker: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EvaluationResult {
    eval_action_name: String,
    eval_resource_name: String,
    eval_decision: &'static str,
    matched_statements: Vec<MatchedStatement>,
    missing_context_values: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resource_specific_results: Vec<ResourceResult>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ResourceResult {
    eval_resource_name: String,
    eval_resource_decision: &'static str,
    matched_statements: Vec<MatchedStatement>,
    missing_context_values: Vec<&'static str>,
}

#[derive(Serialize, Clone)]
#[serde(rename_all = "PascalCase")]
struct MatchedStatement {
    source_policy_id: String,
    source_policy_type: &'static str,
}

/// Whose policy is asked.
struct SimulatedPrincipal {
    name: String,
    kind: &'static str,
    policy: Option<Policy>,
}

fn simulate_principal_policy(ctx: &mut Ctx<'_>, input: SimulatePrincipalPolicy) -> Result<Simulated, AwsError> {
    check(&input)?;
    let source = source_of(ctx, &input.policy_source_arn)?;
    let passed_to = input.context_entries.iter().find(|entry| entry.context_key_name.eq_ignore_ascii_case(PASSED_TO));
    let passed_to = passed_to.and_then(|entry| entry.context_key_values.first()).map(String::as_str);
    let everything = vec!["*".to_owned()];
    let resources = if input.resource_arns.is_empty() { &everything } else { &input.resource_arns };
    let results = input.action_names.iter().map(|action| source.evaluate(action, resources, passed_to)).collect();
    let size = input.max_items.unwrap_or(100).min(ctx.world.page_size);
    let list = format!("simulation of {}", input.policy_source_arn);
    let (evaluation_results, marker) =
        page::cut(&list, results, size, input.marker.as_deref(), |result: &EvaluationResult| &result.eval_action_name)
            .map_err(|_| invalid("Invalid Marker."))?;
    Ok(Simulated { evaluation_results, is_truncated: marker.is_some(), marker })
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidInput", message)
}

/// Refuse what AWS refuses, and what the simulator would have to pass over.
fn check(input: &SimulatePrincipalPolicy) -> Result<(), AwsError> {
    if input.action_names.is_empty() {
        return Err(invalid("ActionNames cannot be empty."));
    }
    let service_and_name = |action: &str| action.split_once(':').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
    if let Some(action) = input.action_names.iter().find(|action| !service_and_name(action)) {
        return Err(invalid(format!("Invalid Input Invalid action name: {action}")));
    }
    if let Some(resource) = input.resource_arns.iter().find(|arn| *arn != "*" && arn.splitn(6, ':').count() < 6) {
        return Err(invalid(format!("Invalid Input Invalid ARN: {resource}")));
    }
    if input.max_items.is_some_and(|most| !(1..=1000).contains(&most)) {
        return Err(AwsError::new("ValidationError", "MaxItems lies between 1 and 1000."));
    }
    if let Some(entry) = input.context_entries.iter().find(|entry| entry.context_key_name.len() < 5) {
        return Err(AwsError::new("ValidationError", format!("{} is no context key.", entry.context_key_name)));
    }
    if let Some(entry) = input.context_entries.iter().find(|entry| entry.context_key_type != "string") {
        return Err(invalid(format!("The simulator takes no context entry of the type {:?}.", entry.context_key_type)));
    }
    let beyond = [
        ("PolicyInputList", !input.policy_input_list.is_empty()),
        ("PermissionsBoundaryPolicyInputList", !input.permissions_boundary_policy_input_list.is_empty()),
        ("ResourcePolicy", input.resource_policy.is_some()),
        ("ResourceOwner", input.resource_owner.is_some()),
        ("CallerArn", input.caller_arn.is_some()),
        ("ResourceHandlingOption", input.resource_handling_option.is_some()),
    ];
    match beyond.into_iter().find(|(_, given)| *given) {
        Some((member, _)) => Err(invalid(format!("The simulator does not evaluate {member}."))),
        None => Ok(()),
    }
}

/// The user or role of an ARN, and its policy.
fn source_of(ctx: &Ctx<'_>, arn: &str) -> Result<SimulatedPrincipal, AwsError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "iam", "", account, resource] = parts.as_slice() else {
        return Err(invalid(format!("Invalid ARN: {arn}")));
    };
    let (kind, name) = resource.split_once('/').unwrap_or((resource, ""));
    let nobody = || AwsError::new("NoSuchEntity", format!("The {kind} {name} does not exist.")).status(404);
    let (kind, policy) = match kind {
        "role" => ("role", sts::policy_of_role(ctx.world, account, arn).ok_or_else(nobody)?),
        "user" => ("user", ctx.world.access.policy_of_user(arn).ok_or_else(nobody)?),
        "group" => return Err(nobody()),
        _ => return Err(invalid(format!("Invalid ARN: {arn}"))),
    };
    Ok(SimulatedPrincipal { name: name.to_owned(), kind, policy })
}

impl SimulatedPrincipal {
    fn evaluate(&self, action: &str, resources: &[String], passed_to: Option<&str>) -> EvaluationResult {
        let each: Vec<ResourceResult> = resources.iter().map(|one| self.on(action, one, passed_to)).collect();
        let worst = ["explicitDeny", "implicitDeny"]
            .into_iter()
            .find(|decision| each.iter().any(|one| one.eval_resource_decision == *decision));
        let first = each.first();
        let everything = resources.first().is_some_and(|resource| resource == "*");
        EvaluationResult {
            eval_action_name: action.to_owned(),
            eval_resource_name: first.map(|one| one.eval_resource_name.clone()).unwrap_or_default(),
            eval_decision: worst.unwrap_or("allowed"),
            matched_statements: first.map(|one| one.matched_statements.clone()).unwrap_or_default(),
            // AWS names the keys here only where no resource was asked about.
            missing_context_values: match first {
                Some(one) if everything => one.missing_context_values.clone(),
                Some(_) | None => Vec::new(),
            },
            resource_specific_results: if everything { Vec::new() } else { each },
        }
    }

    fn on(&self, action: &str, resource: &str, passed_to: Option<&str>) -> ResourceResult {
        let verdict =
            self.policy.as_ref().map_or(Verdict::Allowed, |policy| policy.verdict(action, resource, passed_to));
        let asks = self.policy.as_ref().is_some_and(|policy| policy.asks_whom(action, resource));
        let statement = MatchedStatement { source_policy_id: self.name.clone(), source_policy_type: self.kind };
        ResourceResult {
            eval_resource_name: resource.to_owned(),
            eval_resource_decision: match verdict {
                Verdict::Allowed => "allowed",
                Verdict::Denied => "explicitDeny",
                Verdict::Silent => "implicitDeny",
            },
            matched_statements: if verdict == Verdict::Silent { Vec::new() } else { vec![statement] },
            missing_context_values: if asks && passed_to.is_none() { vec![PASSED_TO] } else { Vec::new() },
        }
    }
}
