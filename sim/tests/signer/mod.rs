//! Signs requests as an SDK does, for tests.
//!
//! The main type is [`Signer`].

use hmac::{Hmac, KeyInit, Mac};
use http::Request;
use kiln_sim::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Credentials, and when the signer believes to live.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
    /// As `20260105T090000Z`.
    pub(crate) date: String,
}

type Failure = Box<dyn std::error::Error>;

impl Signer {
    pub(crate) fn new(key: &str, secret: &str) -> Self {
        Self { key: key.to_owned(), secret: secret.to_owned(), token: None, date: "20260105T090000Z".to_owned() }
    }

    /// A call in JSON.
    pub(crate) fn json(&self, service: &str, target: &str, input: &Value) -> Result<Request<Bytes>, Failure> {
        self.sign(service, &[("x-amz-target", target)], input.to_string())
    }

    /// A call in Query.
    pub(crate) fn query(&self, service: &str, form: &[(&str, &str)]) -> Result<Request<Bytes>, Failure> {
        self.sign(service, &[], serde_urlencoded::to_string(form)?)
    }

    fn sign(&self, service: &str, headers: &[(&str, &str)], body: String) -> Result<Request<Bytes>, Failure> {
        let mut headers: Vec<(&str, &str)> = headers.to_vec();
        headers.extend([("host", "simulator:4567"), ("x-amz-date", &self.date)]);
        headers.extend(self.token.as_deref().map(|token| ("x-amz-security-token", token)));
        headers.sort_unstable();
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let canonical = format!("POST\n/\n\n{lines}\n{names}\n{}", hex(&Sha256::digest(&body)));
        let day = self.date.get(..8).unwrap_or_default();
        let scope = format!("{day}/us-west-2/{service}/aws4_request");
        let to_sign =
            format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", self.date, hex(&Sha256::digest(canonical.as_bytes())));
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in [day, "us-west-2", service, "aws4_request", &to_sign] {
            let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key)?;
            mac.update(part.as_bytes());
            key = mac.finalize().into_bytes().to_vec();
        }
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}", self.key, hex(&key));
        let mut request = Request::post("/").header("authorization", authorization);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        Ok(request.body(Bytes::from(body))?)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
