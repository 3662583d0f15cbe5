//! AWS's partitions: which regions are in each, and how its services' hosts end.
//!
//! The main function is [`partition_of`].

/// The partition of a region, and what its hosts end with.
pub fn partition_of(region: &str) -> (&'static str, &'static str) {
    match region {
        region if region.starts_with("cn-") => ("aws-cn", "amazonaws.com.cn"),
        region if region.starts_with("us-gov-") => ("aws-us-gov", "amazonaws.com"),
        region if region.starts_with("us-iso-") => ("aws-iso", "c2s.ic.gov"),
        region if region.starts_with("us-isob-") => ("aws-iso-b", "sc2s.sgov.gov"),
        region if region.starts_with("eu-isoe-") => ("aws-iso-e", "cloud.adc-e.uk"),
        region if region.starts_with("us-isof-") => ("aws-iso-f", "csp.hci.ic.gov"),
        region if region.starts_with("eusc-") => ("aws-eusc", "amazonaws.eu"),
        _ => ("aws", "amazonaws.com"),
    }
}
