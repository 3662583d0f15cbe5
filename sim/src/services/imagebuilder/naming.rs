//! Recipes that build on an image.
//!
//! The main function is [`naming`].

use crate::ctx::Scope;

/// The ARNs of the recipes whose parent is this machine image.
pub(crate) fn naming(scope: &mut Scope<'_>, image: &str) -> Vec<String> {
    let recipes = scope.place().imagebuilder.recipes.values();
    recipes.filter(|recipe| recipe.parent == image).map(|recipe| recipe.arn.clone()).collect()
}
