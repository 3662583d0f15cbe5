//! S3's own REST: the bucket in the host or the path, the key in the path, an object as the body, all else in headers.
//!
//! The main functions are [`read`] and [`write`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use hyper::body::Bytes;
use percent_encoding::percent_decode_str;
use quick_xml::escape::escape;
use serde_json::{Map, Value, json};

use super::value::{Marked, look};
use crate::error::AwsError;

/// Members that stand in headers of requests.
const ASKED: &[(&str, &str)] = &[
    ("content-type", "ContentType"),
    ("x-amz-server-side-encryption", "ServerSideEncryption"),
    ("x-amz-server-side-encryption-aws-kms-key-id", "SSEKMSKeyId"),
    ("x-amz-expected-bucket-owner", "ExpectedBucketOwner"),
];

/// Members that stand in headers of answers.
const TOLD: &[(&str, &str)] = &[
    ("ETag", "etag"),
    ("VersionId", "x-amz-version-id"),
    ("ServerSideEncryption", "x-amz-server-side-encryption"),
    ("SSEKMSKeyId", "x-amz-server-side-encryption-aws-kms-key-id"),
    ("ContentType", "content-type"),
    ("LastModified", "last-modified"),
];

/// The operation of a request, and its input.
pub(super) fn read(request: &http::Request<Bytes>) -> Option<(&'static str, Value)> {
    let operation = match *request.method() {
        Method::PUT => "PutObject",
        Method::GET => "GetObject",
        Method::HEAD => "HeadObject",
        _ => return None,
    };
    let headers = request.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = request.uri().host().or_else(|| text("host")).unwrap_or_default();
    let path = request.uri().path().trim_start_matches('/');
    let (bucket, key) = match host.split_once(".s3") {
        Some((bucket, _)) if !bucket.is_empty() => (bucket, path),
        _ => path.split_once('/')?,
    };
    if key.is_empty() {
        return None;
    }
    let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
    let mut input = Map::from_iter([("Bucket".to_owned(), json!(bucket)), ("Key".to_owned(), json!(key))]);
    if operation == "PutObject" {
        for (header, member) in ASKED {
            input.extend(text(header).map(|value| ((*member).to_owned(), json!(value))));
        }
        input.insert("Body".to_owned(), json!(STANDARD.encode(content(headers, request.body()))));
    } else {
        input.extend(text("x-amz-expected-bucket-owner").map(|value| ("ExpectedBucketOwner".to_owned(), json!(value))));
        for pair in request.uri().query().unwrap_or_default().split('&') {
            if let Some(version) = pair.strip_prefix("versionId=") {
                let version = percent_decode_str(version).decode_utf8_lossy().into_owned();
                input.insert("VersionId".to_owned(), json!(version));
            }
        }
    }
    Some((operation, Value::Object(input)))
}

/// The body of a request, without the frames that some clients send it in.
fn content(headers: &HeaderMap, body: &Bytes) -> Vec<u8> {
    let framed = headers.get("content-encoding").is_some_and(|value| value.as_bytes().starts_with(b"aws-chunked"));
    if !framed {
        return body.to_vec();
    }
    let (mut whole, mut rest) = (Vec::new(), body.as_ref());
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let (head, behind) = (rest.get(..end).unwrap_or_default(), rest.get(end + 2..).unwrap_or_default());
        let size = head.split(|byte| *byte == b';').next().and_then(|size| std::str::from_utf8(size).ok());
        let Some(size) = size.and_then(|size| usize::from_str_radix(size, 16).ok()).filter(|size| *size > 0) else {
            break;
        };
        whole.extend_from_slice(behind.get(..size).unwrap_or(behind));
        rest = behind.get(size + 2..).unwrap_or_default();
    }
    whole
}

/// The headers and the body of an answer.
pub(super) fn write(output: &Value, headers: &mut HeaderMap) -> Vec<u8> {
    for (member, header) in TOLD {
        let told = match output.get(*member).map(look) {
            Some(Marked::Plain(Value::String(text))) => text.clone(),
            Some(Marked::Timestamp(instant)) => dated(instant.0),
            _ => continue,
        };
        if let Ok(value) = HeaderValue::from_str(&told) {
            headers.insert(HeaderName::from_static(header), value);
        }
    }
    match output.get("Body").map(look) {
        Some(Marked::Blob(base64)) => STANDARD.decode(base64).unwrap_or_default(),
        _ => {
            // How long an object is stands there where it does not follow, too.
            if let Some(length) = output.get("ContentLength").and_then(Value::as_u64) {
                headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(length));
            }
            Vec::new()
        }
    }
}

/// An instant as headers write it.
fn dated(millis: u64) -> String {
    let instant = jiff::Timestamp::from_millisecond(i64::try_from(millis).unwrap_or_default()).unwrap_or_default();
    instant.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// An error's body.
pub(super) fn write_error(request_id: &str, error: &AwsError) -> Vec<u8> {
    // The answer to a `HEAD` has none.
    if error.code.bytes().all(|byte| byte.is_ascii_digit()) {
        return Vec::new();
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message><RequestId>{request_id}</RequestId></Error>",
        escape(error.code.as_ref()),
        escape(error.message.as_str())
    )
    .into_bytes()
}
