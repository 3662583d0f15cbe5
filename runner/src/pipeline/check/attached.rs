//! Reads the files that a stage's config names, and asks its plugin what it thinks of the config.
//!
//! The main function is [`attached`]. It sees only what the file says without an expression, so that it comes to the same whatever the
//! run is given.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::places::Places;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::pipeline::attachments::{self, ALL};
use crate::pipeline::catalog::{CatalogError, Checked, ConfigProblem, Contract, Contracts, PluginSource};
use crate::pipeline::document::segments;

/// The files that stages name, by their paths.
pub type Files = BTreeMap<String, Arc<[u8]>>;

/// A stage's plugin, as it is for this stage: where the plugin says which outputs a stage with this config has, those. What it reads is
/// added to `files`.
pub(super) fn attached(
    stage: &str,
    with: Option<&Map<String, Value>>,
    (source, contract): (PluginSource, Arc<Contract>),
    contracts: &Contracts<'_>,
    files: &mut Files,
    places: &Places<'_>,
    diagnostics: &mut Diagnostics,
) -> (PluginSource, Arc<Contract>) {
    let (config, unknown) = attachments::literal(with);
    let before = diagnostics.len();
    let mut own = Files::new();
    for (pointer, path) in attachments::named(contract.config.text(), &config) {
        let at = place(stage, &pointer, places);
        if unknown.contains(&pointer) {
            let message = format!("stage `{stage}` names a file by an expression");
            let help = "write the path itself: the file is read before the run, when nothing else is known";
            diagnostics.push(Diagnostic::error("file-not-known", message).at(at, "").help(help));
            continue;
        }
        match read(&path, contracts, files, places) {
            Ok(bytes) => {
                own.insert(path, bytes);
            }
            Err(error) => {
                let message = format!("the file {path} of stage `{stage}` cannot be read: {}", error.message);
                diagnostics.push(Diagnostic::error("unreadable-file", message).at(at, "").maybe_help(error.help));
            }
        }
    }
    files.extend(own.iter().map(|(path, bytes)| (path.clone(), Arc::clone(bytes))));
    if !contract.checks || diagnostics.len() > before {
        return (source, contract);
    }
    let contract = match contracts.catalog().check_config(&source, &config, &unknown, &own) {
        Ok(checked) => refined(stage, checked, contract, places, diagnostics),
        Err(error) => {
            let message =
                format!("the plugin `{}` cannot check the config of stage `{stage}`: {}", contract.name, error.message);
            let at = places.key(&["stages", stage]);
            diagnostics.push(Diagnostic::error("unusable-plugin", message).at(at, "").maybe_help(error.help));
            contract
        }
    };
    (source, contract)
}

/// Those of `files` that a config names.
pub(super) fn named_by(with: Option<&Map<String, Value>>, contract: &Contract, files: &Files) -> Files {
    let (config, _) = attachments::literal(with);
    let named = attachments::named(contract.config.text(), &config).into_iter();
    named
        .filter_map(|(_, path)| files.get_key_value(&path))
        .map(|(path, bytes)| (path.clone(), Arc::clone(bytes)))
        .collect()
}

/// The files that a config names and for which its plugin names a linter.
pub(super) fn linted_by(with: Option<&Map<String, Value>>, contract: &Contract) -> BTreeSet<(String, String)> {
    let (config, _) = attachments::literal(with);
    attachments::linted(contract.config.text(), &config).into_iter().collect()
}

fn read(path: &str, contracts: &Contracts<'_>, files: &Files, places: &Places<'_>) -> Result<Arc<[u8]>, CatalogError> {
    if let Some(known) = files.get(path) {
        return Ok(Arc::clone(known));
    }
    let directory = Path::new(&places.source.name).parent().unwrap_or(Path::new(""));
    let bytes = contracts.catalog().file(directory, path)?;
    let all: usize = files.values().map(|bytes| bytes.len()).sum();
    match all.saturating_add(bytes.len()) > ALL {
        true => Err(CatalogError {
            message: format!("the files of the pipeline have more than {} MiB together", ALL >> 20),
            help: None,
        }),
        false => Ok(bytes),
    }
}

/// A contract with what a plugin says of one config.
fn refined(
    stage: &str,
    checked: Checked,
    contract: Arc<Contract>,
    places: &Places<'_>,
    diagnostics: &mut Diagnostics,
) -> Arc<Contract> {
    for problem in checked.problems {
        let ConfigProblem { pointer, place: within, message, help } = problem;
        let message = match &within {
            Some(within) => format!("{within}: {message}"),
            None => format!("stage `{stage}`: {message}"),
        };
        let at = place(stage, &pointer, places);
        diagnostics.push(Diagnostic::error("unworkable-config", message).at(at, "").maybe_help(help));
    }
    let Some(outputs) = checked.outputs else { return contract };
    match contract.with_outputs(outputs) {
        Ok(refined) => Arc::new(refined),
        Err(error) => {
            let at = places.key(&["stages", stage]);
            diagnostics.push(Diagnostic::error("unusable-plugin", error.message).at(at, "").maybe_help(error.help));
            contract
        }
    }
}

fn place(stage: &str, pointer: &str, places: &Places<'_>) -> std::ops::Range<usize> {
    let within = segments(pointer);
    let path: Vec<&str> = ["stages", stage, "with"].into_iter().chain(within.iter().map(AsRef::as_ref)).collect();
    // What a plugin says is about something that the config may not have.
    match places.document.at(&path) {
        Some(_) => places.value(&path),
        None => places.key(&["stages", stage]),
    }
}
