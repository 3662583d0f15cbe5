//! Key Management Service: keys, aliases, and ciphertexts that only their key and context open.
//!
//! The main types are [`State`], what a place holds, and [`KeySeed`]. Ciphertexts are sealed with HMAC-SHA-256 in counter
//! mode and a tag over key, context and text: real enough to be reversible and to refuse what was altered, made of what
//! needs no further crate, and no protection for real data.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;

use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::page;
use crate::service::{Empty, Service};
use crate::services::ServiceId;
use crate::wire::value::Blob;
use crate::world::World;
use crate::worldfile::Problems;

const LONGEST_PLAINTEXT: usize = 4096;
const KEY_ID: usize = 36;
const NONCE: usize = 16;
const TAG: usize = 32;

/// Keys and aliases.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    keys: BTreeMap<String, Key>,
    /// By name, such as `alias/web`.
    aliases: BTreeMap<String, Alias>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Key {
    id: String,
    arn: String,
    created: Timestamp,
    description: String,
    enabled: bool,
    #[serde(skip)]
    material: [u8; 32],
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Alias {
    target: String,
    created: Timestamp,
    updated: Timestamp,
}

/// A key in a world file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct KeySeed {
    /// Without `alias/`.
    alias: String,
    #[serde(default)]
    description: String,
    #[serde(default = "yes")]
    enabled: bool,
    account: Option<String>,
    region: Option<String>,
}

fn yes() -> bool {
    true
}

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "TrentService")
        .write("CreateKey", create_key)
        .read("DescribeKey", describe_key)
        .on_found(target)
        .read("ListKeys", list_keys)
        .write("EnableKey", enable_key)
        .on_found(target)
        .write("DisableKey", disable_key)
        .on_found(target)
        .write("CreateAlias", create_alias)
        .on_found(target)
        .write("DeleteAlias", delete_alias)
        .on_found(target)
        .read("ListAliases", list_aliases)
        .read("Encrypt", encrypt)
        .on_found(target)
        .read("Decrypt", decrypt)
        .on_found(target)
        .read("GenerateDataKey", generate_data_key)
        .on_found(target)
}

/// Put the keys of a world file into the world.
pub(crate) fn plant(world: &mut World, seeds: &[KeySeed], problems: &mut Problems) {
    for seed in seeds {
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        let key = make_key(&mut scope, seed.description.clone(), seed.enabled);
        let now = scope.now();
        let alias = Alias { target: key.id, created: now, updated: now };
        let name = format!("alias/{}", seed.alias);
        if scope.place().kms.aliases.insert(name, alias).is_some() {
            problems.add(&format!("keys: {}", seed.alias), "the alias is there twice");
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateKey {
    #[serde(default)]
    description: String,
    key_usage: Option<String>,
    key_spec: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyOutput {
    key_metadata: KeyMetadata,
}

#[derive(Serialize)]
struct KeyMetadata {
    #[serde(rename = "AWSAccountId")]
    account: String,
    #[serde(rename = "KeyId")]
    id: String,
    #[serde(rename = "Arn")]
    arn: String,
    #[serde(rename = "CreationDate")]
    created: Timestamp,
    #[serde(rename = "Enabled")]
    enabled: bool,
    #[serde(rename = "Description")]
    description: String,
    #[serde(rename = "KeyUsage")]
    usage: &'static str,
    #[serde(rename = "KeyState")]
    state: &'static str,
    #[serde(rename = "Origin")]
    origin: &'static str,
    #[serde(rename = "KeyManager")]
    manager: &'static str,
    #[serde(rename = "CustomerMasterKeySpec")]
    master_key_spec: &'static str,
    #[serde(rename = "KeySpec")]
    spec: &'static str,
    #[serde(rename = "EncryptionAlgorithms")]
    algorithms: [&'static str; 1],
    #[serde(rename = "MultiRegion")]
    multi_region: bool,
}

impl KeyMetadata {
    fn of(key: Key, account: &str) -> Self {
        Self {
            account: account.to_owned(),
            id: key.id,
            arn: key.arn,
            created: key.created,
            enabled: key.enabled,
            description: key.description,
            usage: "ENCRYPT_DECRYPT",
            state: if key.enabled { "Enabled" } else { "Disabled" },
            origin: "AWS_KMS",
            manager: "CUSTOMER",
            master_key_spec: "SYMMETRIC_DEFAULT",
            spec: "SYMMETRIC_DEFAULT",
            algorithms: ["SYMMETRIC_DEFAULT"],
            multi_region: false,
        }
    }
}

fn make_key(scope: &mut Scope<'_>, description: String, enabled: bool) -> Key {
    let kind = format!("kms/key/{}", scope.at);
    let id = scope.world.ids.uuid(&kind);
    let material = scope.world.ids.bytes(&format!("kms/material/{id}"));
    let arn = scope.arn("kms", &format!("key/{id}"));
    let key = Key { id: id.clone(), arn, created: scope.now(), description, enabled, material };
    scope.place().kms.keys.insert(id, key.clone());
    key
}

fn create_key(ctx: &mut Ctx<'_>, input: CreateKey) -> Result<KeyOutput, AwsError> {
    let usage = input.key_usage.as_deref().unwrap_or("ENCRYPT_DECRYPT");
    let spec = input.key_spec.as_deref().unwrap_or("SYMMETRIC_DEFAULT");
    if usage != "ENCRYPT_DECRYPT" || spec != "SYMMETRIC_DEFAULT" {
        let message = format!("the simulator has symmetric encryption keys only, not {usage} with {spec}");
        return Err(AwsError::new("UnsupportedOperationException", message));
    }
    let key = make_key(ctx, input.description, true);
    ctx.touch(key.arn.clone());
    Ok(KeyOutput { key_metadata: KeyMetadata::of(key, &ctx.at.account) })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WhichKey {
    key_id: String,
}

/// The key of an id, an ARN, an alias name or an alias ARN.
fn find(scope: &mut Scope<'_>, which: &str) -> Result<Key, AwsError> {
    let missing = |what: String| AwsError::new("NotFoundException", what);
    let prefix = scope.arn("kms", "");
    let name = match which.strip_prefix(&prefix) {
        Some(name) => name,
        None if which.starts_with("arn:") => return Err(missing(format!("Invalid arn {which}"))),
        None => which,
    };
    let kms = &scope.place().kms;
    let id = if name.starts_with("alias/") {
        let alias = kms.aliases.get(name);
        alias
            .map(|alias| alias.target.as_str())
            .ok_or_else(|| missing(format!("Alias {prefix}{name} is not found.")))?
    } else {
        name.strip_prefix("key/").unwrap_or(name)
    };
    kms.keys.get(id).cloned().ok_or_else(|| missing(format!("Key '{prefix}key/{id}' does not exist")))
}

/// The ARN that IAM checks a call against: the key behind whatever names it.
fn target(scope: &mut Scope<'_>, input: &Value) -> String {
    let given = ["KeyId", "TargetKeyId", "AliasName"].iter().find_map(|member| input.get(member)?.as_str());
    let sealed = || {
        // Whoever gives no key means the one that the text is sealed with.
        let blob = STANDARD.decode(input.get("CiphertextBlob")?.as_str()?).ok()?;
        String::from_utf8(blob.get(..KEY_ID)?.to_vec()).ok()
    };
    let Some(which) = given.map(str::to_owned).or_else(sealed) else { return "*".to_owned() };
    match (find(scope, &which), which.as_str()) {
        (Ok(key), _) => key.arn,
        (Err(_), arn) if arn.starts_with("arn:") => arn.to_owned(),
        (Err(_), alias) if alias.starts_with("alias/") => scope.arn("kms", alias),
        (Err(_), id) => scope.arn("kms", &format!("key/{id}")),
    }
}

/// Whether this names a key that is disabled.
pub(crate) fn is_disabled(scope: &mut Scope<'_>, which: &str) -> bool {
    find(scope, which).is_ok_and(|key| !key.enabled)
}

fn usable(scope: &mut Scope<'_>, which: &str) -> Result<Key, AwsError> {
    let key = find(scope, which)?;
    if key.enabled { Ok(key) } else { Err(AwsError::new("DisabledException", format!("{} is disabled.", key.arn))) }
}

fn describe_key(ctx: &mut Ctx<'_>, input: WhichKey) -> Result<KeyOutput, AwsError> {
    let key = find(ctx, &input.key_id)?;
    Ok(KeyOutput { key_metadata: KeyMetadata::of(key, &ctx.at.account) })
}

fn enable_key(ctx: &mut Ctx<'_>, input: WhichKey) -> Result<Empty, AwsError> {
    set_enabled(ctx, &input.key_id, true)
}

fn disable_key(ctx: &mut Ctx<'_>, input: WhichKey) -> Result<Empty, AwsError> {
    set_enabled(ctx, &input.key_id, false)
}

fn set_enabled(ctx: &mut Ctx<'_>, which: &str, enabled: bool) -> Result<Empty, AwsError> {
    let key = find(ctx, which)?;
    if key.enabled == enabled {
        ctx.unchanged();
    }
    ctx.touch(key.arn);
    if let Some(key) = ctx.place().kms.keys.get_mut(&key.id) {
        key.enabled = enabled;
    }
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListInput {
    limit: Option<usize>,
    marker: Option<String>,
    key_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListKeysOutput {
    keys: Vec<KeyEntry>,
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyEntry {
    key_id: String,
    key_arn: String,
}

fn invalid_marker(_: page::InvalidToken) -> AwsError {
    AwsError::new("InvalidMarkerException", "Could not deserialize marker")
}

fn list_keys(ctx: &mut Ctx<'_>, input: ListInput) -> Result<ListKeysOutput, AwsError> {
    let most = ctx.world.page_size;
    let keys = ctx.place().kms.keys.values();
    let keys = keys.map(|key| KeyEntry { key_id: key.id.clone(), key_arn: key.arn.clone() }).collect();
    let (keys, next_marker) =
        page::cut("kms:keys", keys, input.limit.unwrap_or(100).min(most), input.marker.as_deref(), |key: &KeyEntry| {
            &key.key_id
        })
        .map_err(invalid_marker)?;
    Ok(ListKeysOutput { keys, truncated: next_marker.is_some(), next_marker })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateAlias {
    alias_name: String,
    target_key_id: String,
}

fn create_alias(ctx: &mut Ctx<'_>, input: CreateAlias) -> Result<Empty, AwsError> {
    let name = input.alias_name;
    if !name.starts_with("alias/") || name.len() == "alias/".len() {
        let message = "Alias must start with the prefix \"alias/\". Please see \
            https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html";
        return Err(AwsError::new("ValidationException", message));
    }
    if name.starts_with("alias/aws/") {
        return Err(AwsError::new("NotAuthorizedException", ""));
    }
    let key = find(ctx, &input.target_key_id)?;
    let arn = ctx.arn("kms", &name);
    if ctx.place().kms.aliases.contains_key(&name) {
        let message = format!("An alias with the name {arn} already exists");
        return Err(AwsError::new("AlreadyExistsException", message));
    }
    let alias = Alias { target: key.id, created: ctx.now(), updated: ctx.now() };
    ctx.place().kms.aliases.insert(name, alias);
    ctx.touch(arn);
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteAlias {
    alias_name: String,
}

fn delete_alias(ctx: &mut Ctx<'_>, input: DeleteAlias) -> Result<Empty, AwsError> {
    let arn = ctx.arn("kms", &input.alias_name);
    match ctx.place().kms.aliases.remove(&input.alias_name) {
        Some(_) => {
            ctx.touch(arn);
            Ok(Empty {})
        }
        None => Err(AwsError::new("NotFoundException", format!("Alias {arn} is not found."))),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListAliasesOutput {
    aliases: Vec<AliasEntry>,
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AliasEntry {
    alias_name: String,
    alias_arn: String,
    target_key_id: String,
    creation_date: Timestamp,
    last_updated_date: Timestamp,
}

fn list_aliases(ctx: &mut Ctx<'_>, input: ListInput) -> Result<ListAliasesOutput, AwsError> {
    let most = ctx.world.page_size;
    let target = match &input.key_id {
        Some(which) => Some(find(ctx, which)?.id),
        None => None,
    };
    let prefix = ctx.arn("kms", "");
    let aliases = ctx.place().kms.aliases.iter();
    let aliases = aliases.filter(|(_, alias)| target.as_ref().is_none_or(|target| *target == alias.target));
    let entry = |(name, alias): (&String, &Alias)| AliasEntry {
        alias_name: name.clone(),
        alias_arn: format!("{prefix}{name}"),
        target_key_id: alias.target.clone(),
        creation_date: alias.created,
        last_updated_date: alias.updated,
    };
    let entries = aliases.map(entry).collect();
    let size = input.limit.unwrap_or(50);
    let (aliases, next_marker) =
        page::cut("kms:aliases", entries, size.min(most), input.marker.as_deref(), |alias: &AliasEntry| {
            &alias.alias_name
        })
        .map_err(invalid_marker)?;
    Ok(ListAliasesOutput { aliases, truncated: next_marker.is_some(), next_marker })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypt {
    key_id: String,
    plaintext: Blob,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EncryptOutput {
    ciphertext_blob: Blob,
    key_id: String,
    encryption_algorithm: &'static str,
}

fn encrypt(ctx: &mut Ctx<'_>, input: Encrypt) -> Result<EncryptOutput, AwsError> {
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
struct Decrypt {
    ciphertext_blob: Blob,
    key_id: Option<String>,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DecryptOutput {
    key_id: String,
    plaintext: Blob,
    encryption_algorithm: &'static str,
}

fn decrypt(ctx: &mut Ctx<'_>, input: Decrypt) -> Result<DecryptOutput, AwsError> {
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
struct GenerateDataKey {
    key_id: String,
    key_spec: Option<String>,
    number_of_bytes: Option<usize>,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GenerateDataKeyOutput {
    ciphertext_blob: Blob,
    plaintext: Blob,
    key_id: String,
}

fn generate_data_key(ctx: &mut Ctx<'_>, input: GenerateDataKey) -> Result<GenerateDataKeyOutput, AwsError> {
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
