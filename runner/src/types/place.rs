//! Where a stage acts.
//!
//! The main type is [`Place`].

use super::{AccountId, Arn, Region};

/// Where a stage acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `aws`, `aws-cn`, `aws-us-gov`, `aws-eusc`, …
    pub partition: String,
    /// The region.
    pub region: Region,
    /// The account.
    pub account: AccountId,
}

impl Place {
    /// A place; its partition follows from the region.
    pub fn new(region: Region, account: AccountId) -> Self {
        Self { partition: region.partition().to_owned(), region, account }
    }

    /// The ARN of a resource in this place.
    pub fn arn(&self, service: &str, resource: &str) -> Arn {
        Arn::new(&self.partition, service, self.region.as_str(), self.account.as_str(), resource)
    }

    /// Why `arn` is outside of this place, as a clause. ARNs of global resources have no region or account.
    pub(crate) fn refuses(&self, arn: &Arn) -> Option<String> {
        let partition = arn.as_str().split(':').nth(1).unwrap_or_default();
        if partition != self.partition {
            return Some(format!("it is in the partition {partition}, and the stage acts in {}", self.partition));
        }
        if !arn.account().is_empty() && arn.account() != self.account.as_str() {
            return Some(format!(
                "it belongs to the account {}, and the stage acts in {}",
                arn.account(),
                self.account
            ));
        }
        if !arn.region().is_empty() && arn.region() != self.region.as_str() {
            return Some(format!("it is in the region {}, and the stage acts in {}", arn.region(), self.region));
        }
        None
    }
}
