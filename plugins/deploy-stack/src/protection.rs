//! What protects the stack: its policy, and the protection against deletion.
//! The main functions are [`set_policy`] and [`set_termination`].

use kiln_plugin::aws::cloudformation::{
    SetStackPolicyRequest, Stack, UpdateTerminationProtectionRequest, set_stack_policy, update_termination_protection,
};
use kiln_plugin::{During, Failure, log};
use serde_json::Value;

use crate::config::Config;
use crate::remembered::{Remembered, policy};

/// Give the stack the policy of the config, where it has another.
pub(crate) fn set_policy(config: &Config, stack_id: &str, remembered: &mut Remembered) -> Result<(), Failure> {
    let Some(file) = &config.stack_policy else { return Ok(()) };
    let wanted = file.text()?;
    let has = policy(stack_id)?;
    if is_same(has.as_deref(), Some(&wanted)) {
        return Ok(());
    }
    if remembered.policy.is_none() {
        remembered.policy = Some(has);
        remembered.keep()?;
    }
    let request = SetStackPolicyRequest { stack: stack_id.to_owned(), body: wanted };
    set_stack_policy(&request).during(format!("giving {} its stack policy", config.name()))?;
    log::info(format!("{} has the stack policy {}", config.name(), file.0));
    Ok(())
}

/// Whether two policies are the same, whatever their spaces.
fn is_same(one: Option<&str>, other: Option<&str>) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    match (one, other) {
        (Some(one), Some(other)) => one == other || read(one).is_some_and(|one| read(other) == Some(one)),
        (None, None) => true,
        _ => false,
    }
}

/// Protect the stack from deletion, or not, as the config says.
pub(crate) fn set_termination(config: &Config, stack: &Stack, remembered: &mut Remembered) -> Result<(), Failure> {
    let Some(enabled) = config.termination_protection else { return Ok(()) };
    if stack.termination_protection == enabled {
        return Ok(());
    }
    if remembered.protection.is_none() {
        remembered.protection = Some(stack.termination_protection);
        remembered.keep()?;
    }
    protect(&stack.id, enabled).during(format!("changing the protection of {}", config.name()))?;
    log::info(format!("{} is {} from deletion", config.name(), if enabled { "protected" } else { "not protected" }));
    Ok(())
}

fn protect(stack: &str, enabled: bool) -> Result<(), kiln_plugin::aws::Error> {
    let request = UpdateTerminationProtectionRequest { stack: stack.to_owned(), enabled };
    update_termination_protection(&request).map(|_| ())
}

/// Bring both back to what they were.
pub(crate) fn back(config: &Config, stack: &Stack, remembered: &Remembered) -> Result<Vec<String>, Failure> {
    let mut told = Vec::new();
    match &remembered.policy {
        Some(Some(before)) if !is_same(policy(&stack.id)?.as_deref(), Some(before)) => {
            let request = SetStackPolicyRequest { stack: stack.id.clone(), body: before.clone() };
            set_stack_policy(&request).during(format!("giving {} its stack policy of before", config.name()))?;
        }
        Some(None) => told.push("it keeps its stack policy, because AWS takes none away".to_owned()),
        Some(Some(_)) | None => {}
    }
    if let Some(before) = remembered.protection.filter(|before| *before != stack.termination_protection) {
        protect(&stack.id, before).during(format!("changing the protection of {} back", config.name()))?;
    }
    Ok(told)
}

/// Let a stack be deleted that this stage protected.
pub(crate) fn let_go(config: &Config, stack: &Stack, remembered: &Remembered) -> Result<(), Failure> {
    // It is this stage that protected it: nobody else would have its first creation kept.
    if stack.termination_protection && remembered.protection == Some(false) {
        protect(&stack.id, false).during(format!("letting {} be deleted", config.name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_compared_as_json() {
        assert!(is_same(Some("{\"a\": 1}"), Some("{ \"a\":1 }")) && is_same(None, None));
        assert!(!is_same(Some("{}"), None) && !is_same(Some("{\"a\":1}"), Some("{\"a\":2}")));
        assert!(!is_same(Some("no json"), Some("neither")) && is_same(Some("x"), Some("x")));
    }
}
