//! Tags, which all services keep alike and spell in two ways.
//!
//! The main types are [`Tags`], as a resource keeps them, and [`Tagged`], what a service says of its own. Whoever has the
//! operations of `resourceArn` takes them all at once: [`Service::tags`](crate::service::Service::tags).

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::service::{Access, Empty};

/// Tags in the order of their keys.
pub(crate) type Tags = BTreeMap<String, String>;

/// The most tags that a resource may have.
pub(crate) const MOST: usize = 50;

/// A tag that is spelled `Key` and `Value`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

/// The same, where the service model requires both.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WholeTag {
    key: String,
    value: String,
}

/// A tag that is spelled `key` and `value`, neither of which the service model requires.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct SmallTag {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
}

macro_rules! pairs {
    ($($Tag:ident)*) => {$(
        impl From<$Tag> for (String, String) {
            fn from(tag: $Tag) -> Self {
                (tag.key, tag.value)
            }
        }

        impl From<(String, String)> for $Tag {
            fn from((key, value): (String, String)) -> Self {
                Self { key, value }
            }
        }
    )*};
}

pairs!(Tag WholeTag SmallTag);

/// Tags as a caller gave them; of two with one key the later counts.
pub(crate) fn kept<T: Into<(String, String)>>(given: Vec<T>) -> Tags {
    given.into_iter().map(Into::into).collect()
}

/// Tags as an answer gives them.
pub(crate) fn listed<T: From<(String, String)>>(tags: &Tags) -> Vec<T> {
    tags.iter().map(|(key, value)| T::from((key.clone(), value.clone()))).collect()
}

/// What is wrong with tags that a caller gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// These are more than a resource may have.
    Many,
    /// A key or a value is too long, or a key is empty.
    Text,
    /// With those that it has the resource would have too many.
    Full,
}

/// Refuse tags that no resource may have.
fn check(tags: &[(String, String)]) -> Result<(), Wrong> {
    if tags.len() > MOST {
        return Err(Wrong::Many);
    }
    let fits = |(key, value): &(String, String)| !key.is_empty() && key.len() <= 128 && value.len() <= 256;
    if tags.iter().all(fits) { Ok(()) } else { Err(Wrong::Text) }
}

/// What a service says of its tags.
pub(crate) trait Tagged {
    /// A tag, as the service spells it.
    type Tag: DeserializeOwned + Serialize + Into<(String, String)> + From<(String, String)> + 'static;

    /// The ARN of the resource that a call names, and its tags. Reads and writes may refuse a stranger otherwise.
    fn find<'s>(scope: &'s mut Scope<'_>, given: &str, access: Access) -> Result<(String, &'s mut Tags), AwsError>;

    /// How the service refuses tags, if it looks at them.
    fn refuse(wrong: Wrong) -> Option<AwsError> {
        let (Wrong::Many | Wrong::Text | Wrong::Full) = wrong;
        None
    }

    /// Tags that were given, unless the service refuses them.
    fn checked(given: Vec<Self::Tag>) -> Result<Tags, AwsError> {
        let given: Vec<(String, String)> = given.into_iter().map(Into::into).collect();
        match check(&given).err().and_then(Self::refuse) {
            Some(error) => Err(error),
            None => Ok(given.into_iter().collect()),
        }
    }
}

/// `TagResource`: add tags to what a call names.
pub(crate) fn add<S: Tagged>(ctx: &mut Ctx<'_>, given: &str, tags: Vec<S::Tag>) -> Result<Empty, AwsError> {
    let added = S::checked(tags)?;
    let (arn, tags) = S::find(ctx, given, Access::Write)?;
    let fresh = added.keys().filter(|key| !tags.contains_key(*key)).count();
    if tags.len() + fresh > MOST
        && let Some(error) = S::refuse(Wrong::Full)
    {
        return Err(error);
    }
    tags.extend(added);
    ctx.touch(arn);
    Ok(Empty {})
}

/// `UntagResource`: take tags away from what a call names.
pub(crate) fn remove<S: Tagged>(ctx: &mut Ctx<'_>, given: &str, keys: &[String]) -> Result<Empty, AwsError> {
    let (arn, tags) = S::find(ctx, given, Access::Write)?;
    tags.retain(|key, _| !keys.contains(key));
    ctx.touch(arn);
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: DeserializeOwned")]
pub(crate) struct TagResource<T> {
    resource_arn: String,
    tags: Vec<T>,
}

pub(crate) fn tag_resource<S: Tagged>(ctx: &mut Ctx<'_>, input: TagResource<S::Tag>) -> Result<Empty, AwsError> {
    add::<S>(ctx, &input.resource_arn, input.tags)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UntagResource {
    resource_arn: String,
    tag_keys: Vec<String>,
}

pub(crate) fn untag_resource<S: Tagged>(ctx: &mut Ctx<'_>, input: UntagResource) -> Result<Empty, AwsError> {
    remove::<S>(ctx, &input.resource_arn, &input.tag_keys)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListTagsForResource {
    resource_arn: String,
}

#[derive(Serialize)]
pub(crate) struct TagList<T> {
    tags: Vec<T>,
}

pub(crate) fn list_tags_for_resource<S: Tagged>(
    ctx: &mut Ctx<'_>,
    input: ListTagsForResource,
) -> Result<TagList<S::Tag>, AwsError> {
    let (_, tags) = S::find(ctx, &input.resource_arn, Access::Read)?;
    Ok(TagList { tags: listed(tags) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(count: usize) -> Vec<(String, String)> {
        (0..count).map(|number| (format!("key-{number}"), "value".to_owned())).collect()
    }

    #[test]
    fn tags_are_refused_where_aws_has_no_room_for_them() {
        assert_eq!(check(&pairs(MOST)), Ok(()));
        assert_eq!(check(&pairs(MOST + 1)), Err(Wrong::Many));
        let one = |key: usize, value: usize| check(&[("k".repeat(key), "v".repeat(value))]);
        assert_eq!((one(128, 256), one(1, 0)), (Ok(()), Ok(())));
        assert_eq!((one(129, 0), one(0, 0), one(1, 257)), (Err(Wrong::Text), Err(Wrong::Text), Err(Wrong::Text)));
        let twice = [("k".to_owned(), "v".repeat(257)), ("k".to_owned(), "v".to_owned())];
        assert_eq!(check(&twice), Err(Wrong::Text), "each is looked at, though the later one counts");
    }
}
