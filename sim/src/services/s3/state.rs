//! What S3 holds.
//!
//! The main types are [`State`] and [`Bucket`].

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::error::AwsError;

/// Buckets by name.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    pub(super) buckets: BTreeMap<String, StoredBucket>,
}

/// A bucket.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct StoredBucket {
    pub(super) versioned: bool,
    /// The versions of each object, by key, the oldest first.
    pub(super) objects: BTreeMap<String, Vec<StoredObject>>,
}

/// A version of an object.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct StoredObject {
    pub(super) version: String,
    #[serde(skip)]
    pub(super) body: Vec<u8>,
    pub(super) etag: String,
    pub(super) encryption: String,
    pub(super) key: Option<String>,
    pub(super) content_type: Option<String>,
    /// The checksum that came with it, in base64.
    pub(super) crc32: Option<String>,
    pub(super) modified: Timestamp,
}

/// The bucket of a name, or AWS's refusal.
pub(super) fn bucket<'s>(scope: &'s mut Scope<'_>, name: &str) -> Result<&'s mut StoredBucket, AwsError> {
    let found = scope.place().s3.buckets.get_mut(name);
    found.ok_or_else(|| AwsError::new("NoSuchBucket", "The specified bucket does not exist").status(404))
}

/// Make a bucket.
pub(crate) fn make(scope: &mut Scope<'_>, name: &str, versioned: bool) -> Result<(), String> {
    let buckets = &mut scope.place().s3.buckets;
    if buckets.contains_key(name) {
        return Err(format!("{name} already exists (Service: S3, Status Code: 409)"));
    }
    buckets.insert(name.to_owned(), StoredBucket { versioned, objects: BTreeMap::new() });
    Ok(())
}

/// Let a bucket keep the versions of its objects, or not.
pub(crate) fn set_versioned(scope: &mut Scope<'_>, name: &str, versioned: bool) {
    if let Some(bucket) = scope.place().s3.buckets.get_mut(name) {
        bucket.versioned = versioned;
    }
}

/// Whether a bucket keeps the versions of its objects; nothing where there is no such bucket.
pub(crate) fn is_versioned(scope: &mut Scope<'_>, name: &str) -> Option<bool> {
    scope.place().s3.buckets.get(name).map(|bucket| bucket.versioned)
}

/// Delete a bucket, which must be empty. What is gone already is as it is to be.
pub(crate) fn remove(scope: &mut Scope<'_>, name: &str) -> Result<(), String> {
    let buckets = &mut scope.place().s3.buckets;
    if buckets.get(name).is_some_and(|bucket| !bucket.objects.is_empty()) {
        return Err("The bucket you tried to delete is not empty. You must delete all versions in the bucket. (Service: S3, Status Code: 409)".to_owned());
    }
    buckets.remove(name);
    Ok(())
}

/// A version of an object: the newest where none is named.
pub(super) fn object(
    scope: &mut Scope<'_>,
    name: &str,
    key: &str,
    version: Option<&str>,
) -> Result<StoredObject, AwsError> {
    let versions = bucket(scope, name)?.objects.get(key).cloned().unwrap_or_default();
    let missing = AwsError::new("NoSuchKey", "The specified key does not exist.").status(404);
    let Some(version) = version else { return versions.last().cloned().ok_or(missing) };
    let found = versions.iter().find(|one| one.version == version).cloned();
    found.ok_or_else(|| AwsError::new("NoSuchVersion", "The specified version does not exist.").status(404))
}

/// The text behind an address: `https://BUCKET.s3.REGION.amazonaws.com/KEY`, or with the bucket in the path, perhaps with a version.
pub(crate) fn text_at(scope: &mut Scope<'_>, url: &str) -> Result<String, String> {
    let wrong = || format!("{url} is no address of an object");
    let uri: http::Uri = url.parse().map_err(|_| wrong())?;
    let path = uri.path().trim_start_matches('/');
    let host = uri.host().unwrap_or_default();
    let (name, key) = match host.split_once(".s3") {
        Some((name, _)) if !name.is_empty() && !host.starts_with("s3") => (name.to_owned(), path.to_owned()),
        _ => path.split_once('/').map(|(name, key)| (name.to_owned(), key.to_owned())).ok_or_else(wrong)?,
    };
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let version =
        uri.query().into_iter().flat_map(|query| query.split('&')).find_map(|pair| pair.strip_prefix("versionId="));
    let found = object(scope, &name, &decoded(&key), version.map(decoded).as_deref()).map_err(|error| error.message)?;
    String::from_utf8(found.body).map_err(|_| format!("{url} is no text"))
}
