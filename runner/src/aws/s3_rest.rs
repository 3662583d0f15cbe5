//! A client of S3 without its SDK crate, for one operation.
//!
//! The main type is [`S3Client`].

use std::borrow::Cow;

use aws_runtime::auth::SigningOptions;

use super::orchestrated::{self, Api, Params};

pub(crate) use super::orchestrated::config;

/// S3.
#[derive(Debug, Clone)]
pub struct S3;

/// A client of S3.
pub(crate) type S3Client = orchestrated::ApiClient<S3>;

// As the SDK's crates call theirs.
pub(crate) use S3Client as Client;

impl Api for S3 {
    const ID: &'static str = "S3";
    const HOST: &'static str = "s3";
    const SIGNED_AS: &'static str = "s3";

    /// `s3.dualstack.REGION.amazonaws.com`, where others have `SERVICE.REGION.api.aws`.
    fn host<'h>(usual: &'h str, params: &Params) -> Cow<'h, str> {
        if params.use_dual_stack() != Some(true) {
            return Cow::Borrowed(usual);
        }
        let (fips, rest) = match usual.strip_prefix("-fips.") {
            Some(rest) => ("-fips", rest),
            None => ("", usual.trim_start_matches('.')),
        };
        let domain = |rest: &str| match rest.strip_suffix(".api.aws") {
            Some(region) => format!("{region}.amazonaws.com"),
            None => rest.replace(".api.amazonwebservices.com.cn", ".amazonaws.com.cn"),
        };
        Cow::Owned(format!("{fips}.dualstack.{}", domain(rest)))
    }

    /// A path is signed as it is sent, and the body's digest stands in a header.
    fn signing() -> SigningOptions {
        let mut options = SigningOptions::default();
        options.double_uri_encode = false;
        options.content_sha256_header = true;
        options.normalize_uri_path = false;
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::orchestrated::tests::address;

    #[tokio::test]
    async fn addresses_are_those_of_s3s_own_rules() {
        let of = |region: &'static str, fips, dual| async move {
            address::<S3>(region, fips, dual, None, Some("bucket")).await
        };
        let ok = |host: &str| Ok(format!("https://bucket.s3{host}"));
        // botocore's data/s3/2006-03-01/endpoint-rule-set-1.json.gz has them.
        assert_eq!(of("us-west-2", false, false).await, ok(".us-west-2.amazonaws.com"));
        assert_eq!(of("us-west-2", true, false).await, ok("-fips.us-west-2.amazonaws.com"));
        assert_eq!(of("us-west-2", false, true).await, ok(".dualstack.us-west-2.amazonaws.com"));
        assert_eq!(of("us-west-2", true, true).await, ok("-fips.dualstack.us-west-2.amazonaws.com"));
        assert_eq!(of("cn-north-1", false, false).await, ok(".cn-north-1.amazonaws.com.cn"));
        assert_eq!(of("cn-north-1", false, true).await, ok(".dualstack.cn-north-1.amazonaws.com.cn"));
        assert_eq!(of("us-gov-west-1", false, true).await, ok(".dualstack.us-gov-west-1.amazonaws.com"));
    }
}
