//! EC2 Image Builder: pipelines and recipes, and the images that they make.

mod configurations;
mod images;
mod lifecycle;
mod starts;
mod workflows;

use super::names::ResourceKind;
use super::values::millis;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use std::collections::HashMap;

use crate::contract::bindings::kiln::aws::types::Pair;

const PIPELINE: ResourceKind = ResourceKind::new("imagebuilder", "an image pipeline", "image-pipeline/", "");
const RECIPE: ResourceKind = ResourceKind::new("imagebuilder", "an image recipe", "image-recipe/", "");
const IMAGE: ResourceKind = ResourceKind::new("imagebuilder", "an image", "image/", "");

/// An instant as Image Builder writes it, which is a text; none for what is none.
fn instant(text: Option<String>) -> Option<u64> {
    millis(DateTime::from_str(&text?, Format::DateTimeWithOffset).ok())
}

/// Tags in the order of their names: AWS keeps none.
fn pairs(tags: Option<HashMap<String, String>>) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = tags.unwrap_or_default().into_iter().map(|(name, value)| Pair { name, value }).collect();
    pairs.sort_by(|one, other| one.name.cmp(&other.name));
    pairs
}
