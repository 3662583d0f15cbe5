//! A client of EC2 without its SDK crate, which is larger than all others together.
//!
//! The main type is [`Ec2Client`].

use std::borrow::Cow;

use super::orchestrated::{self, Api, Params};
use super::query::{Dialect, Query};

pub(crate) use super::orchestrated::config;

/// EC2.
#[derive(Debug, Clone)]
pub struct Ec2;

/// A client of EC2.
pub(crate) type Ec2Client = orchestrated::ApiClient<Ec2>;

// As the SDK's crates call theirs.
pub(crate) use Ec2Client as Client;

impl Api for Ec2 {
    const ID: &'static str = "EC2";
    const HOST: &'static str = "ec2";
    const SIGNED_AS: &'static str = "ec2";

    fn host<'h>(usual: &'h str, params: &Params) -> Cow<'h, str> {
        orchestrated::fips_as_usual(usual, params)
    }
}

impl Query for Ec2 {
    const VERSION: &'static str = "2016-11-15";
    const DIALECT: Dialect = Dialect::Ec2;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::orchestrated::tests::address;

    #[tokio::test]
    async fn addresses_are_those_of_ec2s_own_rules() {
        let of = |region: &'static str, fips, dual| async move { address::<Ec2>(region, fips, dual, None, None).await };
        let ok = |url: &str| Ok(url.to_owned());
        // botocore's data/ec2/2016-11-15/endpoint-rule-set-1.json.gz has them.
        assert_eq!(of("us-west-2", false, false).await, ok("https://ec2.us-west-2.amazonaws.com"));
        assert_eq!(of("us-west-2", true, false).await, ok("https://ec2-fips.us-west-2.amazonaws.com"));
        assert_eq!(of("us-west-2", false, true).await, ok("https://ec2.us-west-2.api.aws"));
        assert_eq!(of("us-west-2", true, true).await, ok("https://ec2-fips.us-west-2.api.aws"));
        assert_eq!(of("cn-north-1", false, false).await, ok("https://ec2.cn-north-1.amazonaws.com.cn"));
        assert_eq!(of("us-gov-west-1", false, false).await, ok("https://ec2.us-gov-west-1.amazonaws.com"));
        assert_eq!(of("us-gov-west-1", true, false).await, ok("https://ec2.us-gov-west-1.amazonaws.com"));
        assert_eq!(of("us-iso-east-1", false, false).await, ok("https://ec2.us-iso-east-1.c2s.ic.gov"));
        assert_eq!(of("eusc-de-east-1", false, false).await, ok("https://ec2.eusc-de-east-1.amazonaws.eu"));
        let given = address::<Ec2>("us-west-2", false, false, Some("http://127.0.0.1:4566"), Some("x")).await;
        assert_eq!(given, ok("http://127.0.0.1:4566"));
        let both = address::<Ec2>("us-west-2", true, false, Some("http://127.0.0.1:4566"), None).await;
        assert!(both.is_err_and(|told| told.contains("FIPS")), "the other clients refuse it, too");
    }
}
