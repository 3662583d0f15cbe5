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

/// Members that stand in headers of a request that puts an object.
const PUT: &[(&str, &str)] = &[
    ("x-amz-acl", "ACL"),
    ("cache-control", "CacheControl"),
    ("content-disposition", "ContentDisposition"),
    ("content-language", "ContentLanguage"),
    ("content-md5", "ContentMD5"),
    ("content-type", "ContentType"),
    ("x-amz-sdk-checksum-algorithm", "ChecksumAlgorithm"),
    ("x-amz-checksum-crc32", "ChecksumCRC32"),
    ("x-amz-checksum-crc32c", "ChecksumCRC32C"),
    ("x-amz-checksum-crc64nvme", "ChecksumCRC64NVME"),
    ("x-amz-checksum-sha1", "ChecksumSHA1"),
    ("x-amz-checksum-sha256", "ChecksumSHA256"),
    ("x-amz-checksum-sha512", "ChecksumSHA512"),
    ("x-amz-checksum-md5", "ChecksumMD5"),
    ("x-amz-checksum-xxhash64", "ChecksumXXHASH64"),
    ("x-amz-checksum-xxhash3", "ChecksumXXHASH3"),
    ("x-amz-checksum-xxhash128", "ChecksumXXHASH128"),
    ("expires", "Expires"),
    ("x-amz-grant-full-control", "GrantFullControl"),
    ("x-amz-grant-read", "GrantRead"),
    ("x-amz-grant-read-acp", "GrantReadACP"),
    ("x-amz-grant-write-acp", "GrantWriteACP"),
    ("x-amz-write-offset-bytes", "WriteOffsetBytes"),
    ("x-amz-server-side-encryption", "ServerSideEncryption"),
    ("x-amz-storage-class", "StorageClass"),
    ("x-amz-website-redirect-location", "WebsiteRedirectLocation"),
    ("x-amz-server-side-encryption-aws-kms-key-id", "SSEKMSKeyId"),
    ("x-amz-server-side-encryption-context", "SSEKMSEncryptionContext"),
    ("x-amz-server-side-encryption-bucket-key-enabled", "BucketKeyEnabled"),
    ("x-amz-tagging", "Tagging"),
    ("x-amz-object-lock-mode", "ObjectLockMode"),
    ("x-amz-object-lock-retain-until-date", "ObjectLockRetainUntilDate"),
    ("x-amz-object-lock-legal-hold", "ObjectLockLegalHoldStatus"),
    ("x-amz-object-lock-event-hold", "ObjectLockEventHold"),
    ("x-amz-object-lock-event-hold-duration-days", "ObjectLockEventHoldDurationDays"),
    ("x-amz-object-lock-event-hold-duration-years", "ObjectLockEventHoldDurationYears"),
];

/// Members that stand in headers of a request that reads an object.
const GET: &[(&str, &str)] = &[
    ("if-modified-since", "IfModifiedSince"),
    ("if-unmodified-since", "IfUnmodifiedSince"),
    ("range", "Range"),
    ("x-amz-checksum-mode", "ChecksumMode"),
];

/// Members that stand in headers of both.
const BOTH: &[(&str, &str)] = &[
    ("if-match", "IfMatch"),
    ("if-none-match", "IfNoneMatch"),
    ("x-amz-server-side-encryption-customer-algorithm", "SSECustomerAlgorithm"),
    ("x-amz-server-side-encryption-customer-key", "SSECustomerKey"),
    ("x-amz-server-side-encryption-customer-key-md5", "SSECustomerKeyMD5"),
    ("x-amz-request-payer", "RequestPayer"),
    ("x-amz-expected-bucket-owner", "ExpectedBucketOwner"),
];

/// Members that stand in the query of an address.
const QUERY: &[(&str, &str)] = &[
    ("response-cache-control", "ResponseCacheControl"),
    ("response-content-disposition", "ResponseContentDisposition"),
    ("response-content-encoding", "ResponseContentEncoding"),
    ("response-content-language", "ResponseContentLanguage"),
    ("response-content-type", "ResponseContentType"),
    ("response-expires", "ResponseExpires"),
    ("versionId", "VersionId"),
    ("partNumber", "PartNumber"),
];

/// Members that stand in headers of answers.
const TOLD: &[(&str, &str)] = &[
    ("ETag", "etag"),
    ("VersionId", "x-amz-version-id"),
    ("ServerSideEncryption", "x-amz-server-side-encryption"),
    ("SSEKMSKeyId", "x-amz-server-side-encryption-aws-kms-key-id"),
    ("ContentType", "content-type"),
    ("ChecksumCRC32", "x-amz-checksum-crc32"),
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
    let in_headers = if operation == "PutObject" { PUT } else { GET };
    for (header, member) in in_headers.iter().chain(BOTH) {
        input.extend(text(header).map(|value| ((*member).to_owned(), json!(value))));
    }
    for (name, value) in form(request.uri().query().unwrap_or_default()) {
        let member = QUERY.iter().find(|(known, _)| *known == name).map(|(_, member)| (*member).to_owned());
        input.extend(member.map(|member| (member, json!(value))));
    }
    if operation == "PutObject" {
        put(headers, request.body(), &mut input);
    }
    Some((operation, Value::Object(input)))
}

/// The pairs of a query.
fn form(query: &str) -> Vec<(String, String)> {
    serde_urlencoded::from_str(query).unwrap_or_default()
}

/// The object that a request puts, and what headers tell of it.
fn put(headers: &HeaderMap, body: &Bytes, input: &mut Map<String, Value>) {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let metadata = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix("x-amz-meta-")?;
        Some((name.to_owned(), json!(value.to_str().ok()?)))
    });
    let metadata: Map<String, Value> = metadata.collect();
    if !metadata.is_empty() {
        input.insert("Metadata".to_owned(), Value::Object(metadata));
    }
    let encodings: Vec<&str> = text("content-encoding").unwrap_or_default().split(',').map(str::trim).collect();
    let framed = encodings.contains(&"aws-chunked");
    // The frames are the transport's, and no encoding of the object.
    let own: Vec<&str> = encodings.into_iter().filter(|encoding| !["", "aws-chunked"].contains(encoding)).collect();
    if !own.is_empty() {
        input.insert("ContentEncoding".to_owned(), json!(own.join(",")));
    }
    let content = if framed {
        let (content, checksum) = unframed(body);
        input.extend(checksum.map(|checksum| ("ChecksumCRC32".to_owned(), json!(checksum))));
        content
    } else {
        input.extend(text("content-length").map(|length| ("ContentLength".to_owned(), json!(length))));
        body.to_vec()
    };
    input.insert("Body".to_owned(), json!(STANDARD.encode(content)));
}

/// The content of a body that comes in frames, and the checksum that stands behind them.
fn unframed(body: &[u8]) -> (Vec<u8>, Option<String>) {
    let (mut whole, mut rest) = (Vec::new(), body);
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let (head, behind) = (rest.get(..end).unwrap_or_default(), rest.get(end + 2..).unwrap_or_default());
        let size = head.split(|byte| *byte == b';').next().and_then(|size| std::str::from_utf8(size).ok());
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok()).unwrap_or_default();
        if size == 0 {
            rest = behind;
            break;
        }
        whole.extend_from_slice(behind.get(..size).unwrap_or(behind));
        rest = size.checked_add(2).and_then(|next| behind.get(next..)).unwrap_or_default();
    }
    let trailers = String::from_utf8_lossy(rest);
    let checksum = trailers.lines().find_map(|line| line.strip_prefix("x-amz-checksum-crc32:"));
    (whole, checksum.map(|checksum| checksum.trim().to_owned()))
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
