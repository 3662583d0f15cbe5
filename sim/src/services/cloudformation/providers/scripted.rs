//! Custom resources, whose answers the world file tells, and wait conditions.
//!
//! The main function is [`create`].

use serde_json::{Map, Value, json};

use super::{Provided, ProviderOrder};
use crate::ctx::Scope;
use crate::services::cloudformation::stack::StackResource;

/// What answers for a custom resource says: the world file's answers of its logical id.
fn answers(scope: &mut Scope<'_>, logical: &str) -> Map<String, Value> {
    let told = &scope.place().cloudformation.answers;
    told.get(logical).into_iter().flatten().map(|(name, value)| (name.clone(), json!(value))).collect()
}

pub(super) fn create(scope: &mut Scope<'_>, order: &ProviderOrder<'_>) -> Result<Provided, String> {
    let id = scope.world.ids.uuid(&format!("cloudformation/custom/{}/{}", order.stack, order.logical));
    let mut made = super::kept::create(scope, order)?;
    let things = scope.place().cloudformation.things.entry(order.kind.to_owned()).or_default();
    if let Some(properties) = things.remove(&made.physical) {
        things.insert(id.clone(), properties);
    }
    made.physical = id;
    made.attributes = answers(scope, order.logical);
    Ok(made)
}

pub(super) fn update(
    scope: &mut Scope<'_>,
    order: &ProviderOrder<'_>,
    old: &StackResource,
) -> Result<Provided, String> {
    let mut made = super::kept::update(scope, order, old)?;
    made.attributes = answers(scope, order.logical);
    Ok(made)
}
