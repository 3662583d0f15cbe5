//! Whether the caller's policies let a call through.
//!
//! The main function is [`authorize`]. A caller without a policy may do everything: what a world file does not say is open.

use serde_json::Value;

use super::policy::Verdict;
use super::target::{Further, named};
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::service::{Operation, Service};
use crate::services::sts;
use crate::wire::query::Dialect;

/// Refuse the call where a policy of the caller's does not allow it on each of its resources.
pub(crate) fn authorize(
    ctx: &mut Ctx<'_>,
    service: &Service,
    operation: &Operation,
    input: &Value,
) -> Result<(), AwsError> {
    let policies = sts::policies(ctx.world, &ctx.access_key);
    if policies.is_empty() {
        return Ok(());
    }
    let given = |member: &str| match input.get(member) {
        Some(Value::Array(items)) => !items.is_empty(),
        Some(value) => !value.is_null(),
        None => false,
    };
    let mut asked: Vec<(&str, String, Option<&str>)> = Vec::new();
    // Every type of resource that AWS requires for the action has to be allowed.
    for target in &operation.targets {
        let resources = target.resources(&mut ctx.scope, service.name, input);
        asked.extend(resources.into_iter().map(|arn| (operation.action.as_str(), arn, None)));
    }
    for Further { member, action, template, passed_to } in
        operation.further.iter().filter(|further| given(further.member))
    {
        let of = action.split(':').next().unwrap_or_default();
        asked.extend(named(&ctx.at, of, template, input).into_iter().map(|arn| (*action, arn, *passed_to)));
        tracing::trace!(member, action, "a further permission is needed");
    }
    for (action, resource, passed_to) in asked {
        for (kind, policy) in &policies {
            let because = match policy.verdict(action, &resource, passed_to) {
                Verdict::Allowed => continue,
                Verdict::Denied => format!("with an explicit deny in {} {kind} policy", article(kind)),
                Verdict::Silent => format!("because no {kind} policy allows the {action} action"),
            };
            let message = format!(
                "User: {} is not authorized to perform: {action} on resource: {resource} {because}",
                ctx.caller.arn
            );
            return Err(match service.speaks_query() {
                true if service.dialect == Dialect::Ec2 => {
                    let message = format!("You are not authorized to perform this operation. {message}");
                    AwsError::new("UnauthorizedOperation", message).status(403)
                }
                true => AwsError::new("AccessDenied", message).status(403),
                false => AwsError::new("AccessDeniedException", message),
            });
        }
    }
    Ok(())
}

fn article(kind: &str) -> &'static str {
    if kind.starts_with('i') { "an" } else { "a" }
}
