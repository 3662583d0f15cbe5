//! AWS's partitions: which regions are in each, and how its services' hosts end.
//!
//! The main table is [`PARTITIONS`].

use super::Region;

/// A partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Partition {
    /// As ARNs have it.
    pub(super) name: &'static str,
    /// What its regions begin with.
    regions: &'static str,
    /// What the hosts of its services end with.
    domain: &'static str,
}

const fn partition(name: &'static str, regions: &'static str, domain: &'static str) -> Partition {
    Partition { name, regions, domain }
}

/// All of them, as AWS's own endpoint rules list them. The first is where every other region is.
pub(super) const PARTITIONS: [Partition; 8] = [
    partition("aws", "", "amazonaws.com"),
    partition("aws-cn", "cn-", "amazonaws.com.cn"),
    partition("aws-us-gov", "us-gov-", "amazonaws.com"),
    partition("aws-iso", "us-iso-", "c2s.ic.gov"),
    partition("aws-iso-b", "us-isob-", "sc2s.sgov.gov"),
    partition("aws-iso-e", "eu-isoe-", "cloud.adc-e.uk"),
    partition("aws-iso-f", "us-isof-", "csp.hci.ic.gov"),
    partition("aws-eusc", "eusc-", "amazonaws.eu"),
];

impl Region {
    /// The partition that the region belongs to.
    pub fn partition(&self) -> &'static str {
        self.is_in().name
    }

    /// What the hosts of its services end with, such as `amazonaws.com`.
    pub fn domain(&self) -> &'static str {
        self.is_in().domain
    }

    fn is_in(&self) -> Partition {
        let [usual, others @ ..] = PARTITIONS;
        others.into_iter().find(|partition| self.as_str().starts_with(partition.regions)).unwrap_or(usual)
    }
}

/// Whether hosts of AWS's services end so.
pub(crate) fn is_domain_of_aws(host: &str) -> bool {
    PARTITIONS
        .iter()
        .any(|partition| host.strip_suffix(partition.domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test ends where it fails")]
mod tests {
    use super::*;
    use crate::types::Arn;

    #[test]
    fn regions_of_every_partition_have_arns_and_hosts_of_their_own() {
        let expected = [
            ("us-west-2", "aws", "amazonaws.com"),
            ("mx-central-1", "aws", "amazonaws.com"),
            ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
            ("us-gov-east-1", "aws-us-gov", "amazonaws.com"),
            ("us-iso-east-1", "aws-iso", "c2s.ic.gov"),
            ("us-isob-west-1", "aws-iso-b", "sc2s.sgov.gov"),
            ("eu-isoe-west-1", "aws-iso-e", "cloud.adc-e.uk"),
            ("us-isof-south-1", "aws-iso-f", "csp.hci.ic.gov"),
            ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
        ];
        for (name, partition, domain) in expected {
            let region: Region = name.parse().unwrap();
            assert_eq!((region.partition(), region.domain()), (partition, domain), "{name}");
            assert_eq!(kiln_sim::partition_of(name), (partition, domain), "the simulator says the same of {name}");
            let arn = Arn::new(region.partition(), "ecs", name, "111111111111", "cluster/web");
            assert!(arn.as_str().parse::<Arn>().is_ok(), "{arn}");
            assert!(is_domain_of_aws(&format!("111111111111.dkr.ecr.{name}.{domain}")));
        }
        assert!(!is_domain_of_aws("amazonaws.com") && !is_domain_of_aws("notamazonaws.eu"));
    }
}
