//! Checks what stages use: the pipeline's own table, secrets, environments and plugins.
//!
//! The main type is [`Declarations`].

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use super::places::{Places, table_name};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::pipeline::catalog::PluginSource;
use crate::pipeline::file::{EnvironmentTable, PluginTable, RootTable, SecretTable, StoreTable};
use crate::pipeline::model::{Environment, SecretReference};
use crate::types::{
    AccountId, Arn, Digest, EnvironmentName, InvalidName, PipelineName, Region, StageName, StoreAddress, TableName,
};

/// What stages use. What was refused is left out; the names that stand in the file are all there.
#[derive(Default)]
pub(super) struct Declarations {
    pub(super) name: Option<PipelineName>,
    pub(super) region: Option<Region>,
    pub(super) secrets: BTreeMap<String, Option<SecretReference>>,
    pub(super) environments: BTreeMap<String, Option<(EnvironmentName, Environment)>>,
    pub(super) plugins: BTreeMap<String, Option<PluginSource>>,
    pub(super) store: Option<StoreAddress>,
}

/// Check them all, with `region` in the place of the file's.
pub(super) fn declarations(
    file: &RootTable,
    standard: &[String],
    region: Option<&Region>,
    places: &Places<'_>,
    diagnostics: &mut Diagnostics,
) -> Declarations {
    let mut check = DeclarationCheck { places, diagnostics };
    let mut out = Declarations::default();
    if let Some(pipeline) = &file.pipeline {
        out.name = check.parsed(pipeline.name.as_deref(), &["pipeline", "name"], "invalid-name");
        out.region = check.parsed(pipeline.region.as_deref(), &["pipeline", "region"], "invalid-region");
        out.region = region.cloned().or(out.region);
    }
    for (name, table) in &file.secrets {
        check.name(name, &["secrets", name], "a secret's name");
        out.secrets.insert(name.clone(), check.secret(name, table));
    }
    for (name, table) in &file.environments {
        let valid = check.name(name, &["environments", name], "an environment's name");
        let environment = check.environment(name, table, out.region.as_ref());
        let named = name.parse().ok().filter(|_| valid).zip(environment);
        out.environments.insert(name.clone(), named);
    }
    out.store = file.store.as_ref().and_then(|table| check.store(table, out.region.as_ref()));
    for (name, table) in &file.plugins {
        check.name(name, &["plugins", name], "a plugin's name");
        if standard.contains(name) {
            check.diagnostics.push(
                Diagnostic::error("shadowed-plugin", format!("kiln carries a plugin `{name}` itself"))
                    .at(places.key(&["plugins", name]), "this would hide it")
                    .help(format!("give yours another name, such as `our-{name}`")),
            );
        }
        out.plugins.insert(name.clone(), check.plugin(name, table));
    }
    out
}

struct DeclarationCheck<'a, 'd> {
    places: &'a Places<'a>,
    diagnostics: &'d mut Diagnostics,
}

/// The advice that goes with a refusal of a kind of value.
fn advice(code: &'static str) -> Option<String> {
    let advice = match code {
        "invalid-region" => "write the region of the pipeline, such as \"eu-central-1\"",
        "invalid-account" => "write the account's 12 digits in quotes, with its leading zeros",
        "invalid-arn" => "copy the role's ARN from IAM: \"arn:aws:iam::ACCOUNT:role/NAME\"",
        "invalid-table" => "write the table's name as DynamoDB shows it, without ARN or region: \"kiln\"",
        "invalid-digest" => "write `sha256:` and the 64 digits that `sha256sum FILE` shows, or leave `digest` out",
        _ => return None,
    };
    Some(advice.to_owned())
}

impl DeclarationCheck<'_, '_> {
    /// A text as what it should be.
    fn parsed<T: FromStr<Err = InvalidName>>(
        &mut self,
        text: Option<&str>,
        path: &[&str],
        code: &'static str,
    ) -> Option<T> {
        match text?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let help = match code {
                    "invalid-name" => valid_name(&error.text).map(|name| format!("write \"{name}\"")),
                    code => advice(code),
                };
                let help = help.or_else(|| error.text.contains('*').then(|| WILDCARD.to_owned()));
                let diagnostic = Diagnostic::error(code, error.to_string()).at(self.places.value(path), "");
                self.diagnostics.push(diagnostic.maybe_help(help));
                None
            }
        }
    }

    /// Whether a key is a fine name.
    fn name(&mut self, name: &str, path: &[&str], what: &str) -> bool {
        match invalid_name(name, what) {
            None => true,
            Some(diagnostic) => {
                self.diagnostics.push(diagnostic.at(self.places.key(path), ""));
                false
            }
        }
    }

    fn secret(&mut self, name: &str, table: &SecretTable) -> Option<SecretReference> {
        let path = ["secrets", name, "id"];
        let id = table.id.as_deref()?;
        if id.is_empty() || id.contains('*') {
            let message = format!("{id:?} is not the name or ARN of one secret");
            self.diagnostics.push(
                Diagnostic::error("invalid-secret", message)
                    .at(self.places.value(&path), "")
                    .help("write the name or the ARN that AWS Secrets Manager shows; wildcards are not allowed"),
            );
            return None;
        }
        if id.starts_with("arn:") {
            let arn: Arn = self.parsed(Some(id), &path, "invalid-secret")?;
            if arn.service() != "secretsmanager" || !arn.resource().starts_with("secret:") {
                self.diagnostics.push(
                    Diagnostic::error("invalid-secret", format!("`{arn}` is not the ARN of a secret"))
                        .at(self.places.value(&path), "")
                        .help("the ARN of a secret looks like arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME"),
                );
                return None;
            }
        }
        if table.version_stage.is_some() && table.version_id.is_some() {
            self.diagnostics.push(
                Diagnostic::error(
                    "conflicting-fields",
                    format!("{} says its version twice", table_name(&["secrets", name])),
                )
                .at(self.places.key(&["secrets", name, "version-id"]), "by its id")
                .note_at(self.places.key(&["secrets", name, "version-stage"]), "and by its staging label")
                .help("keep one of them"),
            );
        }
        Some(SecretReference {
            id: id.to_owned(),
            key: table.key.clone(),
            version_stage: table.version_stage.clone(),
            version_id: table.version_id.clone(),
        })
    }

    fn environment(&mut self, name: &str, table: &EnvironmentTable, region: Option<&Region>) -> Option<Environment> {
        let path = |field| ["environments", name, field];
        let account: Option<AccountId> = self.parsed(table.account.as_deref(), &path("account"), "invalid-account");
        let own_region: Option<Region> = self.parsed(table.region.as_deref(), &path("region"), "invalid-region");
        let role: Option<Arn> = self.parsed(table.role.as_deref(), &path("role"), "invalid-arn");
        if let Some(role) = &role {
            self.role(role, account.as_ref(), own_region.as_ref().or(region), &path("role"), &path("account"));
        }
        Some(Environment { account: account?, role, region: own_region, external_id: table.external_id.clone() })
    }

    fn role(
        &mut self,
        role: &Arn,
        account: Option<&AccountId>,
        region: Option<&Region>,
        at: &[&str],
        account_at: &[&str],
    ) {
        let place = self.places.value(at);
        let partition = role.as_str().split(':').nth(1).unwrap_or_default();
        let named = role.resource().strip_prefix("role/").is_some_and(|name| !name.is_empty());
        if role.service() != "iam" || !named || role.as_str().contains(['*', '?']) {
            let wildcard = role.as_str().contains(['*', '?']);
            let help = if wildcard { Some(WILDCARD.to_owned()) } else { advice("invalid-arn") };
            self.diagnostics.push(
                Diagnostic::error("invalid-arn", format!("`{role}` is not the ARN of one role"))
                    .at(
                        place,
                        if wildcard {
                            "a wildcard names no role"
                        } else {
                            "a role's ARN has the service `iam` and the resource `role/NAME`"
                        },
                    )
                    .maybe_help(help),
            );
            return;
        }
        if let Some(account) = account
            && role.account() != account.as_str()
        {
            self.diagnostics.push(
                Diagnostic::error(
                    "account-mismatch",
                    format!("the role belongs to the account {}, the environment to {account}", role.account()),
                )
                .at(place.clone(), format!("a role of {}", role.account()))
                .note_at(self.places.value(account_at), "the environment's account")
                .help(
                    "stages of an environment act in its account: name a role of that account, or correct the account",
                ),
            );
        }
        if let Some(region) = region
            && partition != region.partition()
        {
            self.diagnostics.push(
                Diagnostic::error(
                    "partition-mismatch",
                    format!(
                        "the role is of the partition `{partition}`, the region {region} of `{}`",
                        region.partition()
                    ),
                )
                .at(place, "no role of one partition reaches the other")
                .help("name a role of the region's partition, or another region"),
            );
        }
    }

    fn store(&mut self, table: &StoreTable, region: Option<&Region>) -> Option<StoreAddress> {
        let name: Option<TableName> = self.parsed(table.dynamodb.as_deref(), &["store", "dynamodb"], "invalid-table");
        let own: Option<Region> = self.parsed(table.region.as_deref(), &["store", "region"], "invalid-region");
        Some(StoreAddress::dynamodb(own.as_ref().or(region), &name?))
    }

    fn plugin(&mut self, name: &str, table: &PluginTable) -> Option<PluginSource> {
        let digest: Option<Digest> =
            self.parsed(table.digest.as_deref(), &["plugins", name, "digest"], "invalid-digest");
        let path = table.path.as_deref()?;
        if path.is_empty() {
            self.diagnostics.push(
                Diagnostic::error("invalid-value", format!("the path of the plugin `{name}` is empty"))
                    .at(self.places.value(&["plugins", name, "path"]), "")
                    .help("write the component's file, seen from this file's directory: \"plugins/ours.wasm\""),
            );
            return None;
        }
        let directory = Path::new(&self.places.source.name).parent().unwrap_or(Path::new(""));
        Some(PluginSource::File { name: name.to_owned(), path: directory.join(path), digest })
    }
}

const WILDCARD: &str = "kiln wants every name written out: what a wildcard means changes behind a pipeline's back";

/// What is wrong with a name, if anything is.
pub(super) fn invalid_name(name: &str, what: &str) -> Option<Diagnostic> {
    // An empty key was reported when the file was read.
    let error = name.parse::<StageName>().err().filter(|_| !name.is_empty())?;
    let help = match valid_name(name) {
        Some(valid) => format!("call it `{valid}`"),
        None => "use lower-case ASCII letters, digits, `-` and `_`, beginning with a letter".to_owned(),
    };
    Some(Diagnostic::error("invalid-name", format!("{name:?} cannot be {what}: {}", error.reason)).help(help))
}

/// The nearest name that is allowed, where ASCII text only needs tidying.
fn valid_name(name: &str) -> Option<String> {
    if !name.is_ascii() {
        return None;
    }
    let tidy = name.trim().to_ascii_lowercase().replace([' ', '.', '/', ':'], "-");
    (tidy.parse::<StageName>().is_ok() && tidy != name).then_some(tidy)
}
