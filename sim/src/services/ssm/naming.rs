//! Parameters that name an image.
//!
//! The main function is [`naming`].

use super::state::ParameterKind;
use crate::ctx::Scope;

/// The names of the parameters of the type of images whose newest value is this one.
pub(crate) fn naming(scope: &mut Scope<'_>, image: &str) -> Vec<String> {
    let parameters = scope.place().ssm.parameters.values();
    let of_images = parameters.filter(|held| held.data_type == "aws:ec2:image" && held.kind == ParameterKind::String);
    let named = of_images.filter(|held| held.newest().is_some_and(|version| version.plain == image));
    named.map(|held| held.name.clone()).collect()
}
