//! Signature Version 4: what a request says of its signer, and whether the signature is right.
//!
//! The main type is [`Signature`]. The canonical form is made of the request as it came, by AWS's description, and not by
//! the code that signs in any SDK.

use hmac::{Hmac, KeyInit, Mac};
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, Request};
use hyper::body::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::Sha256;

use crate::clock::Timestamp;
use crate::error::AwsError;
use crate::ids::{hex, sha256};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Whose signature a request bears, and for where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) access_key: String,
    /// The day of the scope, as `20260105`.
    pub(super) day: String,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(super) signed_headers: Vec<String>,
    pub(super) signature: String,
}

impl Signature {
    /// `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=HEX`
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, AwsError> {
        let Some(authorization) = header(headers, AUTHORIZATION.as_str()) else {
            let message = "Missing Authentication Token";
            return Err(AwsError::new("MissingAuthenticationTokenException", message).status(403));
        };
        let part = |name: &str| {
            let (_, rest) = authorization.split_once(name)?;
            rest.split([',', ' ']).next()
        };
        let scope: Vec<&str> = part("Credential=").unwrap_or_default().split('/').collect();
        match scope.as_slice() {
            [access_key, day, region, service, "aws4_request"] => Ok(Self {
                access_key: (*access_key).to_owned(),
                day: (*day).to_owned(),
                region: (*region).to_owned(),
                service: (*service).to_owned(),
                signed_headers: part("SignedHeaders=").unwrap_or_default().split(';').map(str::to_owned).collect(),
                signature: part("Signature=").unwrap_or_default().to_owned(),
            }),
            _ => Err(AwsError::new(
                "IncompleteSignatureException",
                format!("Authorization header requires 'Credential' parameter. Authorization={authorization}"),
            )),
        }
    }

    /// Whether whoever has this secret signed exactly this request.
    pub(super) fn is_right(&self, request: &Request<Bytes>, secret: &str) -> bool {
        let headers = request.headers();
        let Some(date) = header(headers, "x-amz-date") else { return false };
        // The host, and whatever AWS itself gives a meaning, must be under the signature.
        let signed = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        let bare = headers.keys().any(|name| name.as_str().starts_with("x-amz-") && !signed(name.as_str()));
        if !signed("host") || bare || !date.starts_with(&self.day) {
            return false;
        }
        let Some(canonical) = self.canonical(request) else { return false };
        let scope = format!("{}/{}/{}/aws4_request", self.day, self.region, self.service);
        let to_sign = format!("{ALGORITHM}\n{date}\n{scope}\n{}", sha256(canonical.as_bytes()));
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in [self.day.as_str(), &self.region, &self.service, "aws4_request"] {
            key = mac(&key, part);
        }
        hex(&mac(&key, &to_sign)) == self.signature
    }

    /// The request in the form that is signed; none where a signed header is not there or the body is not what it says.
    fn canonical(&self, request: &Request<Bytes>) -> Option<String> {
        let headers = request.headers();
        let body = sha256(request.body());
        let payload = match header(headers, "x-amz-content-sha256") {
            Some("UNSIGNED-PAYLOAD") => "UNSIGNED-PAYLOAD".to_owned(),
            Some(said) if said != body => return None,
            Some(_) | None => body,
        };
        let uri = request.uri();
        // S3 signs a path as it is sent.
        let encoded = |part: &str| if self.service == "s3" { part.to_owned() } else { encode(part) };
        let path: Vec<String> = uri.path().split('/').map(encoded).collect();
        let mut query: Vec<(String, String)> = Vec::new();
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            query.push((encode(&decode(name)), encode(&decode(value))));
        }
        query.sort();
        let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut lines = String::new();
        for name in &self.signed_headers {
            let values: Vec<String> = headers.get_all(name).iter().map(|value| trimmed(value.as_bytes())).collect();
            let value = match (values.is_empty(), name == HOST.as_str()) {
                (false, _) => values.join(","),
                // Within a process nobody writes the header: the address says it.
                (true, true) => host(uri)?,
                (true, false) => return None,
            };
            lines.push_str(&format!("{name}:{value}\n"));
        }
        let signed = self.signed_headers.join(";");
        let (path, query) = (path.join("/"), query.join("&"));
        Some(format!("{}\n{path}\n{query}\n{lines}\n{signed}\n{payload}", request.method()))
    }
}

/// When a request says that it was signed.
pub(super) fn signed_at(headers: &HeaderMap) -> Option<(String, Timestamp)> {
    let date = header(headers, "x-amz-date")?;
    let read = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
    let instant = jiff::tz::TimeZone::UTC.to_timestamp(read).ok()?;
    Some((date.to_owned(), Timestamp(u64::try_from(instant.as_millisecond()).ok()?)))
}

/// An instant as signatures write it.
pub(super) fn compact(instant: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(i64::try_from(instant.0).unwrap_or(i64::MAX)) {
        Ok(instant) => instant.strftime("%Y%m%dT%H%M%SZ").to_string(),
        Err(_) => format!("{}ms", instant.0),
    }
}

pub(super) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // INVARIANT: HMAC takes keys of any length.
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn host(uri: &http::Uri) -> Option<String> {
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    match uri.port_u16() {
        Some(port) if port != usual => Some(format!("{}:{port}", uri.host()?)),
        Some(_) | None => Some(uri.host()?.to_owned()),
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Without blanks around it, and single ones within.
fn trimmed(value: &[u8]) -> String {
    String::from_utf8_lossy(value).split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of AWS's own description of Signature Version 4.
    fn example() -> Result<Request<Bytes>, http::Error> {
        Request::get("https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("x-amz-date", "20150830T123600Z")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date, \
                 Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            )
            .body(Bytes::new())
    }

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    #[test]
    fn the_example_of_awss_description_is_right() -> Result<(), Box<dyn std::error::Error>> {
        let request = example()?;
        let signature = Signature::read(request.headers()).map_err(|error| error.message)?;
        assert!(signature.is_right(&request, SECRET));
        assert!(!signature.is_right(&request, "another"));
        Ok(())
    }

    #[test]
    fn whatever_is_altered_breaks_the_signature() -> Result<(), Box<dyn std::error::Error>> {
        type Alter = fn(&mut Request<Bytes>);
        let alterations: [Alter; 6] = [
            |request| *request.body_mut() = Bytes::from_static(b"x"),
            |request| *request.uri_mut() = http::Uri::from_static("https://iam.amazonaws.com/?Action=ListUsers"),
            |request| {
                *request.uri_mut() =
                    http::Uri::from_static("https://other.example/?Action=ListUsers&Version=2010-05-08")
            },
            |request| *request.method_mut() = http::Method::POST,
            |request| {
                drop(request.headers_mut().insert("x-amz-date", http::HeaderValue::from_static("20150830T123601Z")))
            },
            |request| drop(request.headers_mut().insert("x-amz-target", http::HeaderValue::from_static("unsigned"))),
        ];
        for (index, alter) in alterations.into_iter().enumerate() {
            let mut request = example()?;
            alter(&mut request);
            let signature = Signature::read(request.headers()).map_err(|error| error.message)?;
            assert!(!signature.is_right(&request, SECRET), "alteration {index}");
        }
        Ok(())
    }

    #[test]
    fn instants_are_read_as_they_are_written() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-date", http::HeaderValue::from_static("20260105T090000Z"));
        let (_, read) = signed_at(&headers).unwrap_or_default();
        assert_eq!(read, Timestamp(1_767_603_600_000));
        assert_eq!(compact(read), "20260105T090000Z");
    }
}
