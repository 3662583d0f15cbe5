//! Ciphertexts.
//!
//! The main functions are [`encrypt`] and [`decrypt`]. Ciphertexts are sealed with HMAC-SHA-256 in counter mode and a tag
//! over key, context and text: real enough to be reversible and to refuse what was altered, made of what needs no further
//! crate, and no protection for real data.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::state::{Key, find, usable};
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::wire::value::Blob;

const LONGEST_PLAINTEXT: usize = 4096;
/// How long a key's id is, which stands at the beginning of a ciphertext.
pub(super) const KEY_ID: usize = 36;
const NONCE: usize = 16;
const TAG: usize = 32;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Encrypt {
    key_id: String,
    plaintext: Blob,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EncryptOutput {
    ciphertext_blob: Blob,
    key_id: String,
    encryption_algorithm: &'static str,
}

pub(super) fn encrypt(ctx: &mut Ctx<'_>, input: Encrypt) -> Result<EncryptOutput, AwsError> {
    if !(1..=LONGEST_PLAINTEXT).contains(&input.plaintext.0.len()) {
        let (word, limit) = if input.plaintext.0.is_empty() { ("greater", 1) } else { ("less", LONGEST_PLAINTEXT) };
        let message = format!(
            "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: \
             Member must have length {word} than or equal to {limit}"
        );
        return Err(AwsError::new("ValidationException", message));
    }
    let key = usable(ctx, &input.key_id)?;
    let sealed = seal(ctx, &key, &input.plaintext.0, &input.encryption_context);
    Ok(EncryptOutput { ciphertext_blob: Blob(sealed), key_id: key.arn, encryption_algorithm: "SYMMETRIC_DEFAULT" })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Decrypt {
    ciphertext_blob: Blob,
    key_id: Option<String>,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DecryptOutput {
    key_id: String,
    plaintext: Blob,
    encryption_algorithm: &'static str,
}

pub(super) fn decrypt(ctx: &mut Ctx<'_>, input: Decrypt) -> Result<DecryptOutput, AwsError> {
    let invalid = || AwsError::new("InvalidCiphertextException", "");
    let sealed = Sealed::read(&input.ciphertext_blob.0).ok_or_else(invalid)?;
    let key = ctx.place().kms.keys.get(sealed.key_id).cloned().ok_or_else(invalid)?;
    if let Some(which) = &input.key_id
        && find(ctx, which)?.id != key.id
    {
        let message = "The key ID in the request does not identify a CMK that can perform this operation.";
        return Err(AwsError::new("IncorrectKeyException", message));
    }
    let key = usable(ctx, &key.arn)?;
    let plaintext = open(&key, &sealed, &input.encryption_context).ok_or_else(invalid)?;
    Ok(DecryptOutput { key_id: key.arn, plaintext: Blob(plaintext), encryption_algorithm: "SYMMETRIC_DEFAULT" })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GenerateDataKey {
    key_id: String,
    key_spec: Option<String>,
    number_of_bytes: Option<usize>,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GenerateDataKeyOutput {
    ciphertext_blob: Blob,
    plaintext: Blob,
    key_id: String,
}

pub(super) fn generate_data_key(ctx: &mut Ctx<'_>, input: GenerateDataKey) -> Result<GenerateDataKeyOutput, AwsError> {
    let length = match (input.key_spec.as_deref(), input.number_of_bytes) {
        (Some("AES_256"), None) => 32,
        (Some("AES_128"), None) => 16,
        (None, Some(length)) if (1..=1024).contains(&length) => length,
        _ => {
            let message = "Please specify either number of bytes or key spec.";
            return Err(AwsError::new("ValidationException", message));
        }
    };
    let key = usable(ctx, &input.key_id)?;
    let seed = ctx.world.ids.bytes(&format!("kms/data-key/{}", key.id));
    let mut plaintext = vec![0; length];
    apply_stream(&seed, b"data key", &mut plaintext);
    let sealed = seal(ctx, &key, &plaintext, &input.encryption_context);
    Ok(GenerateDataKeyOutput { ciphertext_blob: Blob(sealed), plaintext: Blob(plaintext), key_id: key.arn })
}

/// A ciphertext's parts: key id, nonce, text, tag.
struct Sealed<'a> {
    key_id: &'a str,
    nonce: &'a [u8],
    text: &'a [u8],
    tag: &'a [u8],
}

impl<'a> Sealed<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (key_id, rest) = bytes.split_at_checked(KEY_ID)?;
        let (nonce, rest) = rest.split_at_checked(NONCE)?;
        let (text, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
        Some(Self { key_id: std::str::from_utf8(key_id).ok()?, nonce, text, tag })
    }
}

fn seal(scope: &mut Scope<'_>, key: &Key, plaintext: &[u8], context: &BTreeMap<String, String>) -> Vec<u8> {
    let fresh = scope.world.ids.bytes(&format!("kms/nonce/{}", key.id));
    let nonce: Vec<u8> = fresh.into_iter().take(NONCE).collect();
    let mut text = plaintext.to_vec();
    apply_stream(&key.material, &nonce, &mut text);
    let tag = tag(key, &nonce, &text, context).finalize().into_bytes();
    [key.id.as_bytes(), &nonce, &text, &tag].concat()
}

fn open(key: &Key, sealed: &Sealed<'_>, context: &BTreeMap<String, String>) -> Option<Vec<u8>> {
    tag(key, sealed.nonce, sealed.text, context).verify_slice(sealed.tag).ok()?;
    let mut text = sealed.text.to_vec();
    apply_stream(&key.material, sealed.nonce, &mut text);
    Some(text)
}

fn mac(key: &[u8; 32]) -> Hmac<Sha256> {
    // HMAC itself pads a shorter key with zeros to its block.
    let mut block = [0; 64];
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    <Hmac<Sha256> as KeyInit>::new(&block.into())
}

fn apply_stream(key: &[u8; 32], nonce: &[u8], text: &mut [u8]) {
    for (block, chunk) in text.chunks_mut(32).enumerate() {
        let mut stream = mac(key);
        stream.update(nonce);
        stream.update(&(block as u64).to_be_bytes());
        for (byte, mask) in chunk.iter_mut().zip(stream.finalize().into_bytes()) {
            *byte ^= mask;
        }
    }
}

fn tag(key: &Key, nonce: &[u8], text: &[u8], context: &BTreeMap<String, String>) -> Hmac<Sha256> {
    let mut tag = mac(&key.material);
    tag.update(b"tag");
    for part in context.iter().flat_map(|(name, value)| [name, value]) {
        tag.update(&(part.len() as u64).to_be_bytes());
        tag.update(part.as_bytes());
    }
    tag.update(b"text");
    tag.update(nonce);
    tag.update(text);
    tag
}
