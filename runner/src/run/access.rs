//! Asks IAM, while planning, about what the run will need: a plan tries its reads, and can try no write.
//!
//! The main function is [`ask`]. What is asked is what [`permissions`](super::permissions()) computes; each principal asks about
//! itself, because that is the least that it must be allowed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::error::RunError;
use super::permissions::{RunnerIs, permissions};
use super::setup::Prepared;
use crate::aws::clients::{AssumedRole, Clients};
use crate::aws::error::{AwsError, ErrorKind, NO_CREDENTIALS};
use crate::aws::iam::{MOST, PolicyDecision, SimulatePrincipalPolicyRequest};
use crate::pipeline::{Environment, EvaluationPhase};
use crate::report::access::{DeniedAccess, RoleAccess};
use crate::report::permissions::{Need, RoleNeeds};
use crate::types::{Arn, EnvironmentName};

/// IAM's action.
const ACTION: &str = "iam:SimulatePrincipalPolicy";
/// What the plan does itself, so that nobody need be asked whether it may.
const TRIED: [&str; 2] = ["secretsmanager:GetSecretValue", "sts:AssumeRole"];
/// So many requests are made about a principal. The needs of a pipeline fall into a few dozen.
const REQUESTS: usize = 100;
/// So long a plan waits for IAM, all principals together.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest reason that is told, in bytes.
const REASON: usize = 500;

/// Who is asked about.
#[derive(Debug, PartialEq, Eq)]
enum Principal {
    /// A user or a role, by its ARN.
    Known(Arn),
    /// Nobody whom IAM has policies of: why.
    None(&'static str),
}

/// Ask about each principal that the run will act as.
pub(super) async fn ask(prepared: &Prepared) -> Result<Vec<RoleAccess>, RunError> {
    let store = prepared.pipeline.store.as_ref();
    let runner = RunnerIs { account: &prepared.account, role: None, store, phase: EvaluationPhase::Plan };
    // What is wrong with a stage its own plan has told.
    let Ok(view) = permissions(&prepared.pipeline, &prepared.plugins, &runner) else { return Ok(Vec::new()) };
    // Of the world's time: a scaled clock of a run makes no network faster.
    let until = tokio::time::Instant::now() + PATIENCE;
    let mut all = Vec::new();
    for RoleNeeds { environment, needs, .. } in view.roles {
        let needs: Vec<Need> = needs.into_iter().filter(|need| !TRIED.contains(&need.action.as_str())).collect();
        if needs.is_empty() {
            continue;
        }
        let mut access = RoleAccess::of(environment.clone());
        match principal_of(prepared, environment.as_ref()) {
            Principal::None(why) => access.unasked = Some(why.to_owned()),
            Principal::Known(principal) => {
                access.principal = Some(principal.clone());
                let clients = clients_of(prepared, environment.as_ref(), &principal).await;
                let asking = about(prepared, &clients, &principal, &needs, &mut access);
                let asked = tokio::time::timeout_at(until, asking).await;
                match asked {
                    Ok(asked) => asked?,
                    Err(_) => access.unasked = Some("IAM did not answer in time".to_owned()),
                }
            }
        }
        all.push(access);
    }
    Ok(all)
}

/// Whom the stages of an environment act as; without one, the runner itself.
fn principal_of(prepared: &Prepared, environment: Option<&EnvironmentName>) -> Principal {
    match role_of(prepared, environment) {
        Some((_, role)) => Principal::Known(role),
        None => principal(prepared.caller.as_deref().unwrap_or_default()),
    }
}

fn role_of<'p>(prepared: &'p Prepared, environment: Option<&EnvironmentName>) -> Option<(&'p Environment, Arn)> {
    let environment = prepared.pipeline.environments.get(environment?)?;
    Some((environment, environment.role.clone()?))
}

/// Whose policies decide what a caller may do, by the ARN that STS calls it by.
fn principal(caller: &str) -> Principal {
    let Ok(arn) = caller.parse::<Arn>() else {
        return Principal::None("AWS did not tell whose the credentials are");
    };
    let partition = caller.split(':').nth(1).unwrap_or_default();
    let (kind, name) = arn.resource().split_once('/').unwrap_or((arn.resource(), ""));
    match (arn.service(), kind, name.split('/').next()) {
        ("sts", "assumed-role", Some(role)) if !role.is_empty() => {
            Principal::Known(Arn::new(partition, "iam", "", arn.account(), &format!("role/{role}")))
        }
        ("iam", "user", _) => Principal::Known(arn),
        ("iam", "root", _) => {
            Principal::None("these are the credentials of the account's root user, who has no policies")
        }
        ("sts", "federated-user", _) => {
            Principal::None("these are the credentials of a federated user, of whom IAM knows no policies")
        }
        _ => Principal::None("the credentials are of nobody whom IAM has policies of"),
    }
}

/// Clients with which a principal asks about itself, and can do nothing else.
async fn clients_of(prepared: &Prepared, environment: Option<&EnvironmentName>, principal: &Arn) -> Arc<Clients> {
    let Some((environment, role)) = role_of(prepared, environment) else {
        return Arc::clone(&prepared.run.own_clients);
    };
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": ACTION, "Resource": principal.as_str() }],
    });
    let assumed = AssumedRole {
        role,
        session: format!("kiln-plan-{}", prepared.run.id).chars().take(64).collect(),
        external_id: environment.external_id.clone(),
        policy: Some(policy.to_string()),
    };
    let region = environment.region.as_ref().unwrap_or(&prepared.pipeline.region);
    Arc::new(prepared.connection.clients(region, Some(assumed)).await)
}

/// Ask about all needs of a principal, and note in `access` what is denied, and why the rest could not be asked.
async fn about(
    prepared: &Prepared,
    clients: &Arc<Clients>,
    principal: &Arn,
    needs: &[Need],
    access: &mut RoleAccess,
) -> Result<(), RunError> {
    let mut caller = prepared.host_caller_by(clients)?;
    for (number, (request, of)) in requests(principal, needs).into_iter().enumerate() {
        if number >= REQUESTS {
            access.unasked = Some(format!("only the first {REQUESTS} groups of permissions were asked about"));
            return Ok(());
        }
        let passed_to = request.passed_to.clone();
        match caller.read_as_host(request).await.map_err(RunError::GivenUp)? {
            Ok(response) => {
                access.asked += response.decisions.len() as u64;
                let denied = response.decisions.into_iter().filter(|one| one.decision != "allowed");
                access.denied.extend(denied.map(|one| denial(one, &of, passed_to.as_deref())));
            }
            Err(error) => {
                access.unasked = Some(refusal(&error, principal));
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The requests about `needs`: one for all actions on the same resources, as long as it is not too large; and the needs of each.
fn requests<'n>(principal: &Arn, needs: &'n [Need]) -> Vec<(SimulatePrincipalPolicyRequest, Vec<&'n Need>)> {
    let mut alike: BTreeMap<_, Vec<&Need>> = BTreeMap::new();
    for need in needs {
        alike.entry((&need.resources, &need.passed_to)).or_default().push(need);
    }
    let mut requests = Vec::new();
    for ((resources, passed_to), needs) in alike {
        // A literal `*` in a name is escaped as in a policy; here it is a name.
        let plain = |resource: &String| resource.replace("${*}", "*").replace("${?}", "?").replace("${$}", "$");
        let resources: Vec<String> = resources.iter().map(plain).collect();
        let mut services: Vec<Option<String>> = passed_to.iter().cloned().map(Some).collect();
        if services.is_empty() {
            services.push(None);
        }
        for some in resources.chunks(RESOURCES) {
            for needs in needs.chunks(MOST / RESOURCES) {
                for service in &services {
                    let request = SimulatePrincipalPolicyRequest {
                        principal: principal.clone(),
                        actions: needs.iter().map(|need| need.action.clone()).collect(),
                        resources: some.to_vec(),
                        passed_to: service.clone(),
                    };
                    requests.push((request, needs.to_vec()));
                }
            }
        }
    }
    requests
}

/// So many resources are asked about at once.
const RESOURCES: usize = 25;

/// What is not allowed, who needs it, and what would allow it.
fn denial(decision: PolicyDecision, needs: &[&Need], passed_to: Option<&str>) -> DeniedAccess {
    let need = needs.iter().find(|need| need.action.eq_ignore_ascii_case(&decision.action));
    let mut statement = json!({ "Effect": "Allow", "Action": decision.action, "Resource": decision.resource });
    if let (Some(service), Some(statement)) = (passed_to, statement.as_object_mut()) {
        let condition = json!({ "StringEquals": { "iam:PassedToService": service } });
        statement.insert("Condition".to_owned(), condition);
    }
    DeniedAccess {
        explicit: decision.decision == "explicitDeny",
        stages: need.map(|need| need.stages.iter().cloned().collect()).unwrap_or_default(),
        by_organization: decision.by_organization == Some(false),
        by_boundary: decision.by_boundary == Some(false),
        action: decision.action,
        resource: decision.resource,
        missing_context: decision.missing,
        statement,
    }
}

/// Why IAM does not answer, as a clause.
fn refusal(error: &AwsError, principal: &Arn) -> String {
    let mut said = error.message.clone();
    said.truncate(said.floor_char_boundary(REASON));
    match error.kind {
        ErrorKind::AccessDenied if error.code == NO_CREDENTIALS => said,
        ErrorKind::AccessDenied => format!("it may not ask: allow {ACTION} on {principal}, which no run needs"),
        ErrorKind::NotFound => format!("IAM knows no {principal}: of a role that has a path, STS does not tell it"),
        _ => format!("IAM cannot be asked: {}: {said}", error.code),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn known(caller: &str) -> String {
        match principal(caller) {
            Principal::Known(arn) => arn.to_string(),
            Principal::None(why) => why.to_owned(),
        }
    }

    #[test]
    fn a_session_has_the_policies_of_its_role() {
        let role = "arn:aws-cn:iam::111111111111:role/deployer";
        assert_eq!(known("arn:aws-cn:sts::111111111111:assumed-role/deployer/kiln-1"), role);
        let user = "arn:aws:iam::111111111111:user/teams/kiln";
        assert_eq!(known(user), user);
        assert!(known("arn:aws:iam::111111111111:root").contains("root user"));
        assert!(known("arn:aws:sts::111111111111:federated-user/kiln").contains("federated user"));
        assert!(known("").contains("did not tell"));
        assert!(known("arn:aws:sts::111111111111:assumed-role/").contains("nobody"));
    }

    #[test]
    fn what_is_needed_on_the_same_is_asked_at_once_and_never_too_much() {
        let need = |action: String, resources: usize| Need {
            action,
            resources: (0..resources).map(|number| format!("arn:aws:ecr:::repository/{number}")).collect(),
            ..Need::default()
        };
        let principal: Arn = "arn:aws:iam::111111111111:role/d".parse().unwrap();
        let mut needs: Vec<Need> = (0..90).map(|number| need(format!("ecr:Do{number}"), 60)).collect();
        needs.push(Need { passed_to: ["a.amazonaws.com".to_owned()].into(), ..need("iam:PassRole".to_owned(), 1) });
        let requests = requests(&principal, &needs);
        assert!(requests.iter().all(|(request, _)| request.actions.len() * request.resources.len() <= MOST));
        let asked: usize = requests.iter().map(|(request, _)| request.actions.len() * request.resources.len()).sum();
        assert_eq!(asked, 90 * 60 + 1);
        assert!(requests.iter().any(|(request, _)| request.passed_to.as_deref() == Some("a.amazonaws.com")));
    }

    #[test]
    fn why_iam_does_not_answer_is_said_in_a_line() {
        let role: Arn = "arn:aws:iam::111111111111:role/d".parse().unwrap();
        let said = |kind, code: &str, message: &str| {
            let error = AwsError {
                kind,
                code: code.to_owned(),
                message: message.to_owned(),
                operation: ACTION.to_owned(),
                request_id: None,
            };
            refusal(&error, &role)
        };
        assert!(said(ErrorKind::AccessDenied, "AccessDenied", "no").starts_with("it may not ask: allow iam:Simulate"));
        assert_eq!(said(ErrorKind::AccessDenied, NO_CREDENTIALS, "none"), "none");
        assert!(said(ErrorKind::NotFound, "NoSuchEntity", "no").contains("has a path"));
        let long = said(ErrorKind::Unavailable, "Unreachable", &"é".repeat(5000));
        assert!(long.len() < 2 * REASON, "{}", long.len());
    }
}
