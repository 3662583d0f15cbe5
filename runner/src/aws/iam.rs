//! Identity and Access Management: what the policies of a user or role allow. Only the host asks, while it plans.
//!
//! The main type is [`SimulatePrincipalPolicyRequest`], which has no function in the WIT. IAM is one service a partition: the SDK
//! finds its address and the region that its requests are signed for.

use aws_sdk_iam::types as sdk;
use serde::{Deserialize, Serialize};

use super::clients::Clients;
use super::error::{AwsError, from_sdk, invalid};
use super::operation::{Read, heads};
use super::values::word;
use crate::types::Arn;

/// Whether a user's or role's policies allow each of some actions on each of some resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulatePrincipalPolicyRequest {
    /// The ARN of the user or role.
    pub principal: Arn,
    /// Actions, as IAM names them.
    pub actions: Vec<String>,
    /// ARNs, or `*`.
    pub resources: Vec<String>,
    /// The service that a role is passed to.
    pub passed_to: Option<String>,
}

/// What IAM decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulatePrincipalPolicyResponse {
    /// One for each action and resource.
    pub decisions: Vec<PolicyDecision>,
}

/// What IAM decides about one action on one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyDecision {
    /// The action.
    pub action: String,
    /// The resource.
    pub resource: String,
    /// `allowed`, `explicitDeny` or `implicitDeny`.
    pub decision: String,
    /// Keys of conditions that were not given.
    pub missing: Vec<String>,
    /// Whether the policies of the organization allow it; none where there is no organization.
    pub by_organization: Option<bool>,
    /// Whether the permissions boundary allows it; none where there is none.
    pub by_boundary: Option<bool>,
}

/// The most combinations of actions and resources that one request asks about. One page of the answer holds as many.
pub(crate) const MOST: usize = 1000;

heads! {
    SimulatePrincipalPolicyRequest => SimulatePrincipalPolicyResponse:
        "iam:SimulatePrincipalPolicy" on |it, _| [it.principal.clone()];
}

impl Read for SimulatePrincipalPolicyRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let combinations = self.actions.len().saturating_mul(self.resources.len());
        if !(1..=MOST).contains(&combinations) {
            return Err(invalid(format_args!("IAM can be asked about 1 to {MOST} combinations, not {combinations}")));
        }
        let context = self.passed_to.iter().map(|service| {
            sdk::ContextEntry::builder()
                .context_key_name("iam:PassedToService")
                .context_key_values(service)
                .context_key_type(sdk::ContextKeyTypeEnum::String)
                .build()
        });
        let request = aws
            .iam()
            .simulate_principal_policy()
            .policy_source_arn(self.principal.as_str())
            .set_action_names(Some(self.actions.clone()))
            .set_resource_arns(Some(self.resources.clone()))
            .set_context_entries(Some(context.collect()))
            .max_items(i32::try_from(MOST).unwrap_or(i32::MAX));
        let mut decisions = Vec::new();
        let mut marker = None;
        // Each page has at least one result, so that there are no more pages than combinations.
        for _ in 0..=combinations {
            let output = request.clone().set_marker(marker).send().await.map_err(from_sdk)?;
            decisions.extend(output.evaluation_results.unwrap_or_default().into_iter().flat_map(decided));
            marker = output.marker.filter(|marker| output.is_truncated && !marker.is_empty());
            if marker.is_none() {
                break;
            }
        }
        Ok(SimulatePrincipalPolicyResponse { decisions })
    }
}

/// One result of IAM: of the action on each resource that it names, or on all.
fn decided(result: sdk::EvaluationResult) -> Vec<PolicyDecision> {
    let by_organization = result.organizations_decision_detail.map(|detail| detail.allowed_by_organizations);
    let by_boundary = result.permissions_boundary_decision_detail.map(|detail| detail.allowed_by_permissions_boundary);
    let whole = PolicyDecision {
        action: result.eval_action_name,
        resource: result.eval_resource_name.unwrap_or_else(|| "*".to_owned()),
        decision: word(Some(result.eval_decision)),
        missing: result.missing_context_values.unwrap_or_default(),
        by_organization,
        by_boundary,
    };
    let specific = result.resource_specific_results.unwrap_or_default();
    if specific.is_empty() {
        return vec![whole];
    }
    let one = |one: sdk::ResourceSpecificResult| PolicyDecision {
        action: whole.action.clone(),
        resource: one.eval_resource_name,
        decision: word(Some(one.eval_resource_decision)),
        missing: one.missing_context_values.unwrap_or_default(),
        by_organization,
        by_boundary: match one.permissions_boundary_decision_detail {
            Some(detail) => Some(detail.allowed_by_permissions_boundary),
            None => by_boundary,
        },
    };
    specific.into_iter().map(one).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn result(decision: &str) -> sdk::EvaluationResult {
        sdk::EvaluationResult::builder()
            .eval_action_name("ecr:PutImage")
            .eval_resource_name("arn:a")
            .eval_decision(decision.into())
            .build()
            .unwrap()
    }

    #[test]
    fn each_resource_has_a_decision_of_its_own() {
        let specific = sdk::ResourceSpecificResult::builder()
            .eval_resource_name("arn:b")
            .eval_resource_decision("explicitDeny".into())
            .missing_context_values("aws:SourceIp")
            .build()
            .unwrap();
        let mut both = result("implicitDeny");
        both.resource_specific_results = Some(vec![specific]);
        let decided = decided(both);
        assert_eq!(decided.len(), 1);
        assert_eq!((decided[0].resource.as_str(), decided[0].decision.as_str()), ("arn:b", "explicitDeny"));
        assert_eq!(decided[0].missing, ["aws:SourceIp"]);
    }

    #[test]
    fn a_decision_that_aws_adds_travels_as_it_is() {
        let decided = decided(result("perhaps"));
        assert_eq!((decided[0].resource.as_str(), decided[0].decision.as_str()), ("arn:a", "perhaps"));
        assert_eq!((decided[0].by_organization, decided[0].by_boundary), (None, None));
    }
}
