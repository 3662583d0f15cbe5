//! Key Management Service: descriptions of keys, encryption of small texts.
//!
//! Every request record of the interface `kms` is an [`Operation`]; [`DecryptRequest`] is the one whose answer is secret.

use std::collections::HashMap;

use aws_sdk_kms::primitives::Blob;

use super::clients::Clients;
use super::error::{AwsError, from_sdk, invalid};
use super::names::{Given, ResourceKind};
use super::operation::{Operation, Read, heads};
use super::values::{incomplete, word};
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_kms::kms::{
    DecryptRequest, DecryptResponse, DescribeKeyRequest, DescribeKeyResponse, EncryptRequest, EncryptResponse,
};
use crate::types::Arn;
use crate::types::Place;

pub(crate) const KEY: ResourceKind = ResourceKind::new("kms", "a key", "key/", "-");

/// Its name begins with `alias/`, as its resource does.
const ALIAS: ResourceKind = ResourceKind::new("kms", "a key", "", "-_/");

/// Which kind `given` is of: a key can be named by an alias, too.
fn kind(given: &str) -> &'static ResourceKind {
    let is_alias = match Given::from(given) {
        Given::Name(name) => name.starts_with("alias/"),
        Given::Arn(arn) => arn.resource().starts_with("alias/"),
    };
    if is_alias { &ALIAS } else { &KEY }
}

fn context(pairs: &[Pair]) -> Result<Option<HashMap<String, String>>, AwsError> {
    let mut context = HashMap::new();
    for pair in pairs {
        if context.insert(pair.name.clone(), pair.value.clone()).is_some() {
            return Err(invalid(format_args!("the encryption context has {:?} twice", pair.name)));
        }
    }
    Ok((!context.is_empty()).then_some(context))
}

heads! {
    DescribeKeyRequest => DescribeKeyResponse:
        "kms:DescribeKey" on |it, at| [kind(&it.key_id).arn(at, &it.key_id)];
}

impl Read for DescribeKeyRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        kind(&self.key_id).check(&self.key_id)?;
        let output = aws.kms().describe_key().key_id(&self.key_id).send().await.map_err(from_sdk)?;
        let key = output.key_metadata.ok_or_else(|| incomplete("the key"))?;
        Ok(DescribeKeyResponse {
            key_id: key.key_id,
            arn: key.arn.unwrap_or_default(),
            key_state: word(key.key_state),
            key_manager: word(key.key_manager),
            key_usage: word(key.key_usage),
            key_spec: word(key.key_spec),
            enabled: key.enabled,
        })
    }
}

impl Operation for EncryptRequest {
    type Output = EncryptResponse;
    const ACTION: &'static str = "kms:Encrypt";
    const SENSITIVE_REQUEST: &'static [&'static str] = &["plaintext"];

    fn resources(&self, at: &Place) -> Vec<Arn> {
        vec![kind(&self.key_id).arn(at, &self.key_id)]
    }
}

impl Read for EncryptRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        kind(&self.key_id).check(&self.key_id)?;
        if !(1..=4096).contains(&self.plaintext.len()) {
            return Err(invalid(format_args!("KMS encrypts 1 to 4096 bytes, not {}", self.plaintext.len())));
        }
        let output = aws
            .kms()
            .encrypt()
            .key_id(&self.key_id)
            .plaintext(Blob::new(self.plaintext.clone()))
            .set_encryption_context(context(&self.encryption_context)?)
            .send()
            .await
            .map_err(from_sdk)?;
        Ok(EncryptResponse {
            ciphertext: output.ciphertext_blob.ok_or_else(|| incomplete("the ciphertext"))?.into_inner(),
            key_id: output.key_id.unwrap_or_default(),
        })
    }
}

impl Operation for DecryptRequest {
    type Output = DecryptResponse;
    const ACTION: &'static str = "kms:Decrypt";
    const REVEALS: bool = true;

    fn resources(&self, at: &Place) -> Vec<Arn> {
        vec![kind(&self.key_id).arn(at, &self.key_id)]
    }
}

impl Read for DecryptRequest {
    const SENSITIVE: &'static [&'static str] = &["plaintext"];

    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        kind(&self.key_id).check(&self.key_id)?;
        let output = aws
            .kms()
            .decrypt()
            .key_id(&self.key_id)
            .ciphertext_blob(Blob::new(self.ciphertext.clone()))
            .set_encryption_context(context(&self.encryption_context)?)
            .send()
            .await
            .map_err(from_sdk)?;
        Ok(DecryptResponse {
            plaintext: output.plaintext.ok_or_else(|| incomplete("the plaintext"))?.into_inner(),
            key_id: output.key_id.unwrap_or_default(),
        })
    }
}
