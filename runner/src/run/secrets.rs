//! Reads the pipeline's secrets, once a run, and pins their versions.
//!
//! The main function is [`open`]; what it reads the run's [`Vault`] keeps.

use std::collections::{BTreeMap, BTreeSet};

use zeroize::Zeroizing;

use crate::aws::error::{AwsError, ErrorKind};
use crate::aws::secretsmanager::{GetSecretValueRequest, GetSecretValueResponse};
use crate::call::{Caller, HostStop};
use crate::contract::bindings::kiln::aws_secretsmanager::secretsmanager::DescribeSecretRequest;
use crate::event::EventKind;
use crate::pipeline::SecretReference;
use crate::secrets::redact::{NewSecret, Redactor, SecretId, Unmasked};
use crate::secrets::{Resolved, SecretHandle, Vault};

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// AWS has no such secret or version, or the pipeline declares none.
    #[error("{0}")]
    NotFound(String),
    /// AWS could not be asked.
    #[error("{}: {}", _0.code, _0.message)]
    Aws(AwsError),
    /// It is not what the pipeline says that it is.
    #[error("{0}")]
    Unusable(String),
    /// The run must end.
    #[error(transparent)]
    Stop(#[from] HostStop),
}

/// Ask for all secrets in `names`, before any stage runs: masking holds from the first line on, and all stages see the same
/// versions. `redactor` learns each value that is read. Answers the secrets in the order of their names.
///
/// # Errors
/// One cannot be had, or is not what the pipeline says that it is.
pub(super) async fn open(
    vault: &Vault,
    redactor: &Redactor,
    names: &BTreeSet<String>,
    caller: &mut Caller,
) -> Result<Vec<SecretHandle>, ResolveError> {
    let mut resolved = BTreeMap::new();
    for name in names {
        let reference = vault
            .reference(name)
            .ok_or_else(|| ResolveError::NotFound(format!("the pipeline declares no secret `{name}`")))?;
        resolved.insert(name.clone(), SecretHandle::from(resolve(redactor, name, reference, caller).await?));
    }
    let handles = resolved.values().cloned().collect();
    vault.keep(resolved).map_err(|error| HostStop::Defect(error.to_string()))?;
    Ok(handles)
}

async fn resolve(
    redactor: &Redactor,
    name: &str,
    reference: &SecretReference,
    caller: &mut Caller,
) -> Result<Resolved, ResolveError> {
    let request = GetSecretValueRequest {
        secret_id: reference.id.clone(),
        version_id: reference.version_id.clone(),
        version_stage: reference.version_stage.clone(),
    };
    let answer = match caller.read_as_host(request).await? {
        Ok(answer) => answer,
        Err(error) if error.kind == ErrorKind::AccessDenied => {
            return by_reference_only(name, reference, caller).await;
        }
        Err(error) if error.kind == ErrorKind::NotFound => {
            return Err(ResolveError::NotFound(format!("secret `{name}` ({}): {}", reference.id, error.message)));
        }
        Err(error) => return Err(ResolveError::Aws(error)),
    };
    let text = text_of(&answer).ok_or_else(|| {
        ResolveError::Unusable(format!("secret `{name}` ({}) is binary and not UTF-8 text", reference.id))
    })?;
    let id = SecretId { name: name.to_owned(), version: Some(answer.version_id.clone()) };
    // The whole document is masked, not only the key that is used: an error may show any of it.
    let new = NewSecret { id, value: Zeroizing::new(text.as_bytes().to_vec()), key: reference.key.as_deref() };
    let unmasked = redactor.learn(new).map_err(|error| ResolveError::Unusable(error.to_string()))?;
    unmasked_warnings(name, &unmasked).into_iter().for_each(|warning| caller.emit(warning));
    let value = match &reference.key {
        Some(key) => json_key(name, &text, key)?,
        None => text,
    };
    Ok(Resolved {
        name: name.to_owned(),
        id: reference.id.clone(),
        key: reference.key.clone(),
        arn: answer.arn.clone(),
        version: Some(answer.version_id.clone()),
        value: Some(value),
    })
}

/// The runner may not read the value. A reference is enough for CodeBuild and ECS, but kiln cannot mask what it
/// does not know.
async fn by_reference_only(
    name: &str,
    reference: &SecretReference,
    caller: &mut Caller,
) -> Result<Resolved, ResolveError> {
    let request = DescribeSecretRequest { secret_id: reference.id.clone() };
    let answer = caller.read_as_host(request).await?.map_err(ResolveError::Aws)?;
    caller.emit(EventKind::Warning {
        message: format!("the runner may not read the secret `{name}`: it is passed by reference and cannot be masked"),
        help: Some(format!("to have it masked, allow secretsmanager:GetSecretValue on {}", answer.arn)),
    });
    Ok(Resolved {
        name: name.to_owned(),
        id: reference.id.clone(),
        key: reference.key.clone(),
        arn: answer.arn,
        version: reference.version_id.clone().or(answer.current_version),
        value: None,
    })
}

/// What should be known of the parts of a secret that are not masked by themselves.
fn unmasked_warnings(name: &str, unmasked: &Unmasked) -> Vec<EventKind> {
    let warning = |leaves: &[String], why: &str, help: &str| {
        let message = format!("parts of the secret `{name}` {why}: {}", leaves.join(", "));
        (!leaves.is_empty()).then(|| EventKind::Warning { message, help: Some(help.to_owned()) })
    };
    let short =
        warning(&unmasked.short, "are too short to be masked by themselves", "use values of at least 8 characters");
    let common = warning(
        &unmasked.common,
        "are words that everybody knows, and are not masked",
        "keep in a secret what is secret; where one of them is, name it by `key`",
    );
    short.into_iter().chain(common).collect()
}

/// The value as text, in memory that is erased.
fn text_of(answer: &GetSecretValueResponse) -> Option<Zeroizing<String>> {
    match (&answer.secret_string, &answer.secret_binary) {
        (Some(text), _) => Some(Zeroizing::new(text.clone())),
        (None, Some(bytes)) => std::str::from_utf8(bytes).ok().map(|text| Zeroizing::new(text.to_owned())),
        (None, None) => None,
    }
}

fn json_key(name: &str, text: &str, key: &str) -> Result<Zeroizing<String>, ResolveError> {
    // The parser's own message would quote the text.
    let document: serde_json::Value = serde_json::from_str(text).map_err(|_| {
        ResolveError::Unusable(format!("secret `{name}` is not JSON, so it has no key `{key}`; remove `key`"))
    })?;
    match document.get(key) {
        Some(serde_json::Value::String(value)) => Ok(Zeroizing::new(value.clone())),
        Some(value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => {
            Ok(Zeroizing::new(value.to_string()))
        }
        Some(_) => Err(ResolveError::Unusable(format!("key `{key}` of secret `{name}` is not a single value"))),
        None => Err(ResolveError::NotFound(format!("secret `{name}` has no key `{key}`"))),
    }
}
