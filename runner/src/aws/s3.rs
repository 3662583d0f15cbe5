//! S3, as far as templates need it that are too large for a request.
//!
//! The main type is [`PutTextRequest`], an [`Operation`](crate::aws::operation::Operation). An object's key is made of its own digest, so
//! that to put it again changes nothing.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::clients::Clients;
use super::error::{AwsError, invalid};
use super::operation::{Operation, RetryClass, Token, Write};
use super::orchestrated::Sending;
use crate::contract::bindings::kiln::aws_s3::s3::{PutTextRequest, PutTextResponse};
use crate::types::{AccountId, Arn, Digest, Place};

/// A template has at most so many bytes.
const LARGEST: usize = 1 << 20;

/// What a path keeps as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

impl PutTextRequest {
    /// The object's key.
    fn object(&self) -> String {
        let digest = Digest::of(self.text.as_bytes());
        format!("{}{}{}", self.prefix, digest.as_str().trim_start_matches("sha256:"), self.suffix)
    }

    /// Refuse what S3 could read differently than the permission was checked.
    fn check(&self) -> Result<(), AwsError> {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_bucket = (3..=63).contains(&self.bucket.len())
            && self.bucket.bytes().all(|byte| is_letter(byte) || matches!(byte, b'-' | b'.'))
            && self.bucket.bytes().next().is_some_and(is_letter)
            && self.bucket.bytes().next_back().is_some_and(is_letter)
            && !self.bucket.contains("..");
        if !is_bucket {
            return Err(invalid(format_args!("{:?} is no name of a bucket", self.bucket)));
        }
        let is_plain = |text: &str| {
            text.len() <= 512
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'))
                && !text.split('/').any(|part| matches!(part, "." | ".."))
        };
        if let Some(odd) = [&self.prefix, &self.suffix].into_iter().find(|text| !is_plain(text)) {
            return Err(invalid(format_args!("{odd:?} is no part of a key: letters, digits, `-`, `_`, `.` and `/`")));
        }
        if self.text.is_empty() || self.text.len() > LARGEST {
            let told = format_args!("the text has {} bytes; it takes 1 to {LARGEST}", self.text.len());
            return Err(invalid(told));
        }
        let is_key = |key: &String| {
            key.parse::<Arn>().is_ok_and(|arn| arn.service() == "kms" && arn.resource().starts_with("key/"))
        };
        match &self.key {
            Some(key) if !is_key(key) => Err(invalid(format_args!("{key:?} is not the ARN of a KMS key"))),
            Some(_) | None => self.owner.as_ref().map_or(Ok(()), |owner| match owner.parse::<AccountId>() {
                Ok(_) => Ok(()),
                Err(_) => Err(invalid(format_args!("{owner:?} is no account"))),
            }),
        }
    }
}

impl Operation for PutTextRequest {
    type Output = PutTextResponse;
    const ACTION: &'static str = "s3:PutObject";
    const REQUIRES: &'static [&'static str] = &["kms:GenerateDataKey"];

    fn resources(&self, at: &Place) -> Vec<Arn> {
        vec![Arn::new(&at.partition, "s3", "", "", &format!("{}/{}", self.bucket, self.object()))]
    }

    fn requires(&self, _: &Place) -> Vec<(&'static str, Vec<Arn>)> {
        let key = self.key.as_ref().and_then(|key| key.parse().ok());
        key.map(|key| ("kms:GenerateDataKey", vec![key])).into_iter().collect()
    }
}

impl Write for PutTextRequest {
    const RETRY: RetryClass = RetryClass::Natural;

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        self.check()?;
        let (client, key) = (aws.s3(), self.object());
        // A bucket is a part of the host's name, but where its own name has labels, for which there is no certificate.
        let by_host = !client.is_redirected() && !self.bucket.contains('.');
        let escaped = utf8_percent_encode(&key, PATH);
        let path = if by_host { format!("/{escaped}") } else { format!("/{}/{escaped}", self.bucket) };
        let mut headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
        match &self.key {
            Some(key) => headers.extend([
                ("x-amz-server-side-encryption", "aws:kms".to_owned()),
                ("x-amz-server-side-encryption-aws-kms-key-id", key.clone()),
            ]),
            None => headers.push(("x-amz-server-side-encryption", "AES256".to_owned())),
        }
        headers.extend(self.owner.iter().map(|owner| ("x-amz-expected-bucket-owner", owner.clone())));
        let sending = Sending {
            method: http::Method::PUT,
            path,
            headers,
            body: self.text.clone(),
            label: by_host.then(|| self.bucket.clone()),
        };
        let reply = client.send("PutObject", sending).await?;
        let version = reply.header("x-amz-version-id").filter(|id| *id != "null").map(str::to_owned);
        let region = aws.region().unwrap_or_default();
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let which =
            version.as_ref().map(|id| format!("?versionId={}", utf8_percent_encode(id, PATH))).unwrap_or_default();
        let url = match self.bucket.contains('.') {
            true => format!("https://s3.{region}.{domain}/{}/{escaped}{which}", self.bucket),
            false => format!("https://{}.s3.{region}.{domain}/{escaped}{which}", self.bucket),
        };
        Ok(PutTextResponse { key, url, version })
    }
}
