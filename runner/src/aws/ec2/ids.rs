//! EC2's ids, and the ARNs that permissions are checked against.
//!
//! The main type is [`IdKind`], of which there is one constant for each kind of thing.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::wire::{ItemList, Tag};
use crate::aws::error::{AwsError, invalid};
use crate::aws::values::millis;
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::types::{Arn, Place};

/// A kind of thing that EC2 gives ids to.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdKind {
    /// What people call one: `an image`.
    noun: &'static str,
    /// What stands before the hyphen in its id.
    prefix: &'static str,
    /// What stands before the id in its ARN.
    before: &'static str,
    /// Whether its ARN names an account: who owns an image is not seen in its ARN.
    owned: bool,
}

pub(super) const IMAGE: IdKind = IdKind { noun: "an image", prefix: "ami", before: "image/", owned: false };
pub(super) const SNAPSHOT: IdKind = IdKind { noun: "a snapshot", prefix: "snap", before: "snapshot/", owned: false };
pub(super) const TEMPLATE: IdKind =
    IdKind { noun: "a launch template", prefix: "lt", before: "launch-template/", owned: true };
pub(super) const INSTANCE: IdKind = IdKind { noun: "an instance", prefix: "i", before: "instance/", owned: true };
pub(super) const REPORT: IdKind =
    IdKind { noun: "a report of an image's use", prefix: "amiur", before: "image-usage-report/", owned: true };
pub(super) const SUBNET: IdKind = IdKind { noun: "a subnet", prefix: "subnet", before: "subnet/", owned: true };
pub(super) const GROUP: IdKind =
    IdKind { noun: "a security group", prefix: "sg", before: "security-group/", owned: true };

/// Everything that tags are given to.
const TAGGED: [IdKind; 5] = [IMAGE, SNAPSHOT, TEMPLATE, INSTANCE, REPORT];

impl IdKind {
    /// The ARN of the one with this id, in the place where the stage acts.
    pub(super) fn arn(&self, at: &Place, id: &str) -> Arn {
        let account = if self.owned { at.account.as_str() } else { "" };
        Arn::new(&at.partition, "ec2", at.region.as_str(), account, &format!("{}{id}", self.before))
    }

    fn is(&self, id: &str) -> bool {
        let rest = id.strip_prefix(self.prefix).and_then(|rest| rest.strip_prefix('-'));
        rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    }

    /// Whether it is an image, or else a snapshot; none for anything else.
    pub(super) fn is_image(&self) -> Option<bool> {
        match self.prefix {
            "ami" => Some(true),
            "snap" => Some(false),
            _ => None,
        }
    }

    /// Refuse what is no id of this kind: it would be asked for under another permission than was checked.
    pub(super) fn check(&self, id: &str) -> Result<(), AwsError> {
        match self.is(id) {
            true => Ok(()),
            false => {
                Err(invalid(format_args!("{id:?} is not the id of {}, such as {}-0a1b2c3d", self.noun, self.prefix)))
            }
        }
    }

    /// Refuse a list in which one is no id of this kind, or that is longer than EC2 takes.
    pub(super) fn check_all(&self, ids: &[String]) -> Result<(), AwsError> {
        const MOST: usize = 1000;
        if ids.len() > MOST {
            return Err(invalid(format_args!("the list of ids has {} entries; it takes up to {MOST}", ids.len())));
        }
        ids.iter().try_for_each(|id| self.check(id))
    }
}

/// The kind of thing that has this id, among those that tags are given to.
pub(super) fn tagged(id: &str) -> Result<IdKind, AwsError> {
    let kind = TAGGED.into_iter().find(|kind| kind.is(id));
    kind.ok_or_else(|| invalid(format_args!("{id:?} is no id of a thing that kiln gives tags to")))
}

/// The ARN of a thing that gets tags; one that has no kind is of none, and no permission covers it.
pub(super) fn tagged_arn(at: &Place, id: &str) -> Arn {
    match tagged(id) {
        Ok(kind) => kind.arn(at, id),
        Err(_) => Arn::new(&at.partition, "ec2", at.region.as_str(), at.account.as_str(), id),
    }
}

/// How many items to ask for at a time: EC2 takes no such number beside ids.
pub(super) fn page(ids: &[String], size: u32) -> Option<u32> {
    ids.is_empty().then_some(size)
}

/// Milliseconds since the Unix epoch of an instant as EC2 writes it.
pub(super) fn when(instant: Option<String>) -> Option<u64> {
    millis(DateTime::from_str(&instant?, Format::DateTime).ok())
}

/// A text that says something.
pub(super) fn some(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

pub(super) fn pairs(tags: ItemList<Tag>) -> Vec<Pair> {
    tags.item.into_iter().map(|tag| Pair { name: tag.key, value: tag.value }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::tests::canned::here;

    #[test]
    fn arns_are_those_of_the_service_authorization_reference() {
        let arn = |kind: IdKind, id: &str| kind.arn(&here(), id).to_string();
        assert_eq!(arn(IMAGE, "ami-1"), "arn:aws:ec2:us-west-2::image/ami-1");
        assert_eq!(arn(SNAPSHOT, "snap-1"), "arn:aws:ec2:us-west-2::snapshot/snap-1");
        assert_eq!(arn(TEMPLATE, "lt-1"), "arn:aws:ec2:us-west-2:111111111111:launch-template/lt-1");
        assert_eq!(tagged_arn(&here(), "i-1").to_string(), "arn:aws:ec2:us-west-2:111111111111:instance/i-1");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        assert!(IMAGE.check("ami-0a1b").is_ok());
        for wrong in ["", "ami-", "ami-0a*", "snap-0a1b", "web-7", "arn:aws:ec2:us-west-2::image/ami-1", "i-0,i-1"] {
            assert!(IMAGE.check(wrong).is_err(), "{wrong}");
        }
        assert!(tagged("subnet-1").is_err() && tagged("snap-1").is_ok());
    }

    #[test]
    fn instants_are_read_as_ec2_writes_them() {
        assert_eq!(when(Some("2026-01-05T09:00:00.250Z".to_owned())), Some(1_767_603_600_250));
        assert_eq!(when(Some("2026-01-05T09:00:00Z".to_owned())), Some(1_767_603_600_000));
        assert_eq!((when(Some("soon".to_owned())), when(None)), (None, None));
    }
}
