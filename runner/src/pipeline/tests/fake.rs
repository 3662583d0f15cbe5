//! A catalog with the contracts of the plugins that kiln carries, without the plugins.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, SourceFile};
use crate::pipeline::{
    Catalog, CatalogError, Checked, Files, Pipeline, PluginContract, PluginSource, SchemaOrigin, Values, check, load,
};

pub(super) struct FakeCatalog;

impl Catalog for FakeCatalog {
    fn contract(&self, source: &PluginSource) -> Result<PluginContract, CatalogError> {
        let (config_schema, output_schema) = match source {
            PluginSource::Standard(name) => schemas(name),
            PluginSource::File { path, .. } if path.ends_with("old.wasm") => {
                return Err(CatalogError {
                    message: "it is built against kiln:stage@0.0.9, and this kiln speaks 0.1.0".to_owned(),
                    help: Some("build it again with kiln-plugin 0.1".to_owned()),
                });
            }
            PluginSource::File { path, .. } if path.ends_with("broken.wasm") => (json!({"type": 7}), json!({})),
            PluginSource::File { .. } => {
                (json!({"type": "object"}), json!({"type": "object", "additionalProperties": true}))
            }
        };
        let (name, version) = (source.name().to_owned(), "0.1.0".to_owned());
        let elsewhere = name == "cleanup-images";
        let origin = SchemaOrigin::Foreign;
        let checks = false;
        Ok(PluginContract { name, version, config_schema, output_schema, elsewhere, checks, origin })
    }

    fn file(&self, _: &Path, path: &str) -> Result<Arc<[u8]>, CatalogError> {
        Err(CatalogError { message: format!("there is no file {path} in tests"), help: None })
    }

    fn check_config(&self, _: &PluginSource, _: &Value, _: &[String], _: &Files) -> Result<Checked, CatalogError> {
        Ok(Checked::default())
    }

    fn standard_names(&self) -> Vec<String> {
        ["build-image", "cleanup-images", "deploy-ecs", "scan-image", "verify-alarms"].map(str::to_owned).to_vec()
    }
}

fn schemas(name: &str) -> (Value, Value) {
    let digest = json!({"type": "string", "pattern": "@sha256:[0-9a-f]{64}$", "description": "The image by digest."});
    let duration = json!({"type": "string", "description": "How long, such as \"10m\"."});
    match name {
        "build-image" => (
            object(
                &["project", "repository", "tag"],
                json!({
                    "project": {"type": "string", "description": "The CodeBuild project."},
                    "repository": {"type": "string", "description": "The ECR repository."},
                    "tag": {"type": "string", "minLength": 1, "description": "The tag to build."},
                    "source-version": {"type": "string"},
                    "environment": {"type": "object", "additionalProperties": {"type": "string"}},
                    "cache": object(&["type"], json!({
                        "type": {"enum": ["s3", "local", "none"]}, "location": {"type": "string"},
                        "modes": {"type": "array", "items": {"type": "string"}},
                    })),
                    "timeout-minutes": {"type": "integer", "minimum": 5, "maximum": 2160, "description": "CodeBuild's own limit."},
                    "poll": duration,
                    "on-existing-tag": {"enum": ["fail", "reuse"], "description": "What to do when the tag exists."},
                }),
            ),
            object(
                &["image", "repository", "digest", "tag", "build-id"],
                json!({
                    "image": {"type": "string"}, "repository": {"type": "string"}, "digest": {"type": "string"},
                    "tag": {"type": "string"}, "build-id": {"type": "string"}, "source-version": {"type": "string"},
                }),
            ),
        ),
        "scan-image" => (
            object(
                &["image"],
                json!({
                    "image": digest,
                    "fail-on": {"enum": ["critical", "high", "medium", "low"], "description": "The lowest severity that fails the stage."},
                    "accept": {"type": "array", "items": object(&["id", "reason", "until"], json!({
                        "id": {"type": "string", "description": "The finding, such as CVE-2026-1234."},
                        "reason": {"type": "string"},
                        "until": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "description": "The day on which it stops being accepted."},
                    }))},
                }),
            ),
            object(
                &["status"],
                json!({
                    "status": {"type": "string"}, "critical": {"type": "integer"}, "high": {"type": "integer"},
                    "findings": {"type": "array", "items": {"type": "object"}},
                }),
            ),
        ),
        "deploy-ecs" => (
            object(
                &["cluster", "service", "image"],
                json!({
                    "cluster": {"type": "string"}, "service": {"type": "string"}, "image": digest,
                    "container": {"type": "string"}, "strategy": {"enum": ["rolling"]},
                    "minimum-healthy-percent": {"type": "integer", "minimum": 0, "maximum": 100},
                    "alarms": {"type": "array", "items": {"type": "string"}},
                }),
            ),
            object(&["task-definition"], json!({"task-definition": {"type": "string"}, "service": {"type": "string"}})),
        ),
        "verify-alarms" => (
            object(
                &["alarms", "bake"],
                json!({
                    "alarms": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "The alarms to watch."},
                    "bake": duration,
                }),
            ),
            object(&[], json!({"baked-seconds": {"type": "integer"}})),
        ),
        _ => (
            object(
                &["repository", "keep"],
                json!({
                    "repository": {"type": "string"}, "keep": {"type": "integer", "minimum": 1, "description": "How many to keep."},
                    "older-than": duration, "delete-untagged": {"type": "boolean"},
                }),
            ),
            object(
                &[],
                json!({"deleted": {"type": "array", "items": {"type": "string"}}, "kept": {"type": "integer"}}),
            ),
        ),
    }
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties})
}

pub(super) fn source(text: &str) -> SourceFile {
    SourceFile::new("pipelines/web.toml", text)
}

/// Values of a run, from pairs.
pub(super) fn values(inputs: &[(&str, &str)], env: &[(&str, &str)]) -> Values {
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    Values { inputs: map(inputs), env: map(env), region: None }
}

pub(super) fn loaded(text: &str, values: &Values) -> Result<Pipeline, Vec<Diagnostic>> {
    load(&source(text), &FakeCatalog, values)
}

pub(super) fn checked(text: &str) -> Result<Pipeline, Vec<Diagnostic>> {
    check(&source(text), &FakeCatalog)
}

/// The codes of all problems of a text, in order.
pub(super) fn codes(text: &str) -> Vec<&'static str> {
    checked(text).err().unwrap_or_default().iter().map(|diagnostic| diagnostic.code).collect()
}

/// A file whose only stage is `stage`, in a pipeline where all else is well.
pub(super) fn with_stage(stage: &str) -> String {
    format!("[pipeline]\nname = \"web\"\nregion = \"us-west-2\"\n{stage}\n")
}
