//! A client of CloudFormation without its SDK crate.
//!
//! The main type is [`CloudFormationClient`].

use std::borrow::Cow;

use super::orchestrated::{self, Api, Params};
use super::query::{Dialect, Query};

pub(crate) use super::orchestrated::config;

/// CloudFormation.
#[derive(Debug, Clone)]
pub struct CloudFormation;

/// A client of CloudFormation.
pub(crate) type CloudFormationClient = orchestrated::ApiClient<CloudFormation>;

// As the SDK's crates call theirs.
pub(crate) use CloudFormationClient as Client;

impl Api for CloudFormation {
    const ID: &'static str = "CloudFormation";
    const HOST: &'static str = "cloudformation";
    const SIGNED_AS: &'static str = "cloudformation";

    fn host<'h>(usual: &'h str, params: &Params) -> Cow<'h, str> {
        orchestrated::fips_as_usual(usual, params)
    }
}

impl Query for CloudFormation {
    const VERSION: &'static str = "2010-05-15";
    const DIALECT: Dialect = Dialect::Query;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::orchestrated::tests::address;

    #[tokio::test]
    async fn addresses_are_those_of_cloudformations_own_rules() {
        let of = |region: &'static str, fips, dual| async move {
            address::<CloudFormation>(region, fips, dual, None, None).await
        };
        let ok = |host: &str| Ok(format!("https://cloudformation{host}"));
        // botocore's data/cloudformation/2010-05-15/endpoint-rule-set-1.json.gz has them.
        assert_eq!(of("us-west-2", false, false).await, ok(".us-west-2.amazonaws.com"));
        assert_eq!(of("us-west-2", true, false).await, ok("-fips.us-west-2.amazonaws.com"));
        assert_eq!(of("us-west-2", false, true).await, ok(".us-west-2.api.aws"));
        assert_eq!(of("us-gov-west-1", true, false).await, ok(".us-gov-west-1.amazonaws.com"));
        assert_eq!(of("cn-north-1", false, false).await, ok(".cn-north-1.amazonaws.com.cn"));
    }
}
