//! (in work)

/// Where a stage acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Such as `aws`.
    pub partition: String,
    /// The region.
    pub region: crate::types::Region,
    /// The account.
    pub account: crate::types::AccountId,
}
