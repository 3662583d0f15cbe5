//! Objects are put and read.
//!
//! The main functions are [`put_object`] and [`get_object`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::state::{StoredObject, bucket, object};
use crate::clock::Timestamp;
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::ids::sha256;
use crate::wire::value::Blob;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutObject {
    bucket: String,
    key: String,
    #[serde(default)]
    body: Blob,
    content_length: Option<String>,
    content_type: Option<String>,
    checksum_algorithm: Option<String>,
    #[serde(rename = "ChecksumCRC32")]
    checksum_crc32: Option<String>,
    server_side_encryption: Option<String>,
    #[serde(rename = "SSEKMSKeyId")]
    sse_kms_key_id: Option<String>,
    expected_bucket_owner: Option<String>,
}

impl PutObject {
    /// AWS's refusal of a body that is not what its headers tell of it.
    fn check(&self) -> Result<(), AwsError> {
        if self.content_length.as_deref().is_some_and(|length| length.parse() != Ok(self.body.0.len())) {
            let message = "You did not provide the number of bytes specified by the Content-Length HTTP header";
            return Err(AwsError::new("IncompleteBody", message));
        }
        if let Some(other) = self.checksum_algorithm.as_deref().filter(|algorithm| *algorithm != "CRC32") {
            return Err(AwsError::new("InvalidRequest", format!("the simulator does not do checksums by {other} yet")));
        }
        let mut crc = flate2::Crc::new();
        crc.update(&self.body.0);
        let computed = STANDARD.encode(crc.sum().to_be_bytes());
        match &self.checksum_crc32 {
            Some(told) if *told != computed => {
                let message = "The CRC32 you specified did not match the calculated checksum.";
                Err(AwsError::new("BadDigest", message))
            }
            _ => Ok(()),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ObjectPut {
    #[serde(rename = "ETag")]
    etag: String,
    version_id: Option<String>,
    server_side_encryption: String,
    #[serde(rename = "SSEKMSKeyId")]
    sse_kms_key_id: Option<String>,
    #[serde(rename = "ChecksumCRC32")]
    checksum_crc32: Option<String>,
}

fn owned(ctx: &Ctx<'_>, owner: Option<&str>) -> Result<(), AwsError> {
    match owner {
        Some(owner) if owner != ctx.at.account => Err(AwsError::new("AccessDenied", "Access Denied").status(403)),
        _ => Ok(()),
    }
}

pub(super) fn put_object(ctx: &mut Ctx<'_>, input: PutObject) -> Result<ObjectPut, AwsError> {
    owned(ctx, input.expected_bucket_owner.as_deref())?;
    input.check()?;
    let kind = format!("s3/version/{}/{}", ctx.at, input.bucket);
    let drawn = ctx.world.ids.hex(&kind, 32);
    let (now, digest) = (ctx.now(), sha256(&input.body.0));
    let held = bucket(ctx, &input.bucket)?;
    let version = if held.versioned { drawn } else { "null".to_owned() };
    let stored = StoredObject {
        version: version.clone(),
        etag: format!("\"{}\"", digest.get(..32).unwrap_or_default()),
        body: input.body.0,
        encryption: input.server_side_encryption.unwrap_or_else(|| "AES256".to_owned()),
        key: input.sse_kms_key_id,
        content_type: input.content_type,
        crc32: input.checksum_crc32,
        modified: now,
    };
    let answer = ObjectPut {
        etag: stored.etag.clone(),
        version_id: held.versioned.then_some(version),
        server_side_encryption: stored.encryption.clone(),
        sse_kms_key_id: stored.key.clone(),
        checksum_crc32: stored.crc32.clone(),
    };
    let versions = held.objects.entry(input.key.clone()).or_default();
    if !held.versioned {
        versions.clear();
    }
    versions.push(stored);
    let resource = format!("arn:{}:s3:::{}/{}", ctx.at.partition(), input.bucket, input.key);
    ctx.touch(resource);
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetObject {
    bucket: String,
    key: String,
    version_id: Option<String>,
    checksum_mode: Option<String>,
    expected_bucket_owner: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ObjectFound {
    body: Option<Blob>,
    content_length: usize,
    content_type: String,
    #[serde(rename = "ETag")]
    etag: String,
    last_modified: Timestamp,
    version_id: Option<String>,
    server_side_encryption: String,
    #[serde(rename = "SSEKMSKeyId")]
    sse_kms_key_id: Option<String>,
    #[serde(rename = "ChecksumCRC32")]
    checksum_crc32: Option<String>,
}

pub(super) fn get_object(ctx: &mut Ctx<'_>, input: GetObject) -> Result<ObjectFound, AwsError> {
    owned(ctx, input.expected_bucket_owner.as_deref())?;
    let found = object(ctx, &input.bucket, &input.key, input.version_id.as_deref())?;
    Ok(ObjectFound {
        content_length: found.body.len(),
        body: Some(Blob(found.body)),
        content_type: found.content_type.unwrap_or_else(|| "binary/octet-stream".to_owned()),
        etag: found.etag,
        last_modified: found.modified,
        version_id: Some(found.version).filter(|version| version != "null"),
        server_side_encryption: found.encryption,
        sse_kms_key_id: found.key,
        checksum_crc32: found.crc32.filter(|_| input.checksum_mode.as_deref() == Some("ENABLED")),
    })
}

pub(super) fn head_object(ctx: &mut Ctx<'_>, input: GetObject) -> Result<ObjectFound, AwsError> {
    // An answer without a body has no code: the status says it.
    let found = get_object(ctx, input)
        .map_err(|error| AwsError::new(error.status.to_string(), error.message).status(error.status));
    Ok(ObjectFound { body: None, ..found? })
}
