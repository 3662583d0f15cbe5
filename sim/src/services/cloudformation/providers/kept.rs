//! Things of services that the simulator does not have: kept as their properties say.
//!
//! The main functions are [`create`], [`update`] and [`delete`].

use serde_json::{Map, Value};

use super::{Provided, ProviderOrder, forms};
use crate::ctx::Scope;
use crate::services::cloudformation::stack::StackResource;

pub(super) fn create(scope: &mut Scope<'_>, order: &ProviderOrder<'_>) -> Result<Provided, String> {
    let made = forms::made(scope, order);
    let things = scope.place().cloudformation.things.entry(order.kind.to_owned()).or_default();
    if things.contains_key(&made.physical) {
        return Err(format!(
            "Resource of type '{}' with identifier '{}' already exists. (HandlerErrorCode: AlreadyExists)",
            order.kind, made.physical
        ));
    }
    things.insert(made.physical.clone(), order.properties.clone());
    Ok(made)
}

pub(super) fn update(
    scope: &mut Scope<'_>,
    order: &ProviderOrder<'_>,
    old: &StackResource,
) -> Result<Provided, String> {
    let physical = old.physical.clone().unwrap_or_default();
    let things = scope.place().cloudformation.things.entry(order.kind.to_owned()).or_default();
    if things.insert(physical.clone(), order.properties.clone()).is_none() {
        things.remove(&physical);
        return Err(format!(
            "Resource of type '{}' with identifier '{physical}' was not found. (HandlerErrorCode: NotFound)",
            order.kind
        ));
    }
    let mut attributes: Map<String, Value> = old.attributes.clone();
    if let Some(version) = attributes.get("Version").and_then(Value::as_u64) {
        attributes.insert("Version".to_owned(), Value::from(version + 1));
    }
    Ok(Provided { physical, attributes })
}

pub(super) fn delete(scope: &mut Scope<'_>, resource: &StackResource) -> Result<(), String> {
    let state = &mut scope.place().cloudformation;
    if let (Some(things), Some(physical)) = (state.things.get_mut(&resource.kind), &resource.physical) {
        things.remove(physical);
        if things.is_empty() {
            state.things.remove(&resource.kind);
        }
    }
    Ok(())
}

pub(super) fn live(scope: &mut Scope<'_>, resource: &StackResource) -> Option<Value> {
    let things = scope.place().cloudformation.things.get(&resource.kind)?;
    things.get(resource.physical.as_ref()?).cloned()
}
