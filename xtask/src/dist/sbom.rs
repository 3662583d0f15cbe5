//! What is built into the binary, as a CycloneDX document: the crates of the host, and those of the plugins that it carries.
//! The main function is [`of`]. It holds no time and no random number: the same binary has the same document.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::VERSION;
use crate::error::TaskError;
use crate::layout::Layout;
use crate::plugins::{self, hex};
use crate::step::cargo;

/// The document of a binary for `target`.
pub(super) fn of(layout: &Layout, target: &str, binary: &[u8]) -> Result<Vec<u8>, TaskError> {
    let mut bill = Bill::default();
    let host = bill.add(&layout.root, target, |package| package.name == "kiln")?;
    let guests = bill.add(&layout.guests(), plugins::TARGET, |package| package.source.is_none())?;
    let digest = hex(&Sha256::digest(binary));
    bill.depends.entry("kiln-binary".to_owned()).or_default().extend(host.into_iter().chain(guests));
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", uuid_of(&digest)),
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "kiln-binary",
                "name": "kiln",
                "version": VERSION,
                "hashes": [{ "alg": "SHA-256", "content": digest }],
                "licenses": [{ "expression": "Apache-2.0" }],
                "properties": [{ "name": "kiln:target", "value": target }],
            },
        },
        "components": bill.components.into_values().collect::<Vec<_>>(),
        "dependencies": bill
            .depends
            .into_iter()
            .map(|(from, on)| json!({ "ref": from, "dependsOn": on }))
            .collect::<Vec<_>>(),
    });
    let mut text = serde_json::to_vec_pretty(&document).map_err(|error| odd(error.to_string()))?;
    text.push(b'\n');
    Ok(text)
}

/// What is built in, and what of it needs what.
#[derive(Default)]
struct Bill {
    components: BTreeMap<String, Value>,
    depends: BTreeMap<String, BTreeSet<String>>,
}

impl Bill {
    /// Add what the packages `roots` of a workspace are built of. Answers how they are referred to.
    fn add(
        &mut self,
        workspace: &Path,
        target: &str,
        roots: impl Fn(&Package) -> bool,
    ) -> Result<Vec<String>, TaskError> {
        let metadata = Metadata::read(workspace, target)?;
        let packages: BTreeMap<&str, &Package> =
            metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
        let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let checksums = checksums(workspace)?;
        let members: Vec<&Package> = metadata.packages.iter().filter(|package| roots(package)).collect();
        let mut queue: Vec<&str> = members.iter().map(|package| package.id.as_str()).collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = queue.pop() {
            let (Some(package), Some(node)) = (packages.get(id), nodes.get(id)) else { continue };
            if !seen.insert(id) {
                continue;
            }
            let needs: Vec<&str> = node.deps.iter().filter(|dep| dep.is_linked()).map(|dep| dep.pkg.as_str()).collect();
            self.components.entry(package.reference()).or_insert_with(|| package.component(&checksums));
            let known = needs.iter().filter_map(|id| packages.get(id).map(|package| package.reference()));
            self.depends.entry(package.reference()).or_default().extend(known);
            queue.extend(needs);
        }
        Ok(members.into_iter().map(Package::reference).collect())
    }
}

/// What `cargo metadata` says, as far as it matters here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

impl Metadata {
    fn read(workspace: &Path, target: &str) -> Result<Self, TaskError> {
        let mut command = cargo();
        command.current_dir(workspace).args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            target,
        ]);
        let answered = command.output().map_err(|error| odd(error.to_string()))?;
        if !answered.status.success() {
            return Err(odd(String::from_utf8_lossy(&answered.stderr).trim().to_owned()));
        }
        serde_json::from_slice(&answered.stdout).map_err(|error| odd(error.to_string()))
    }
}

impl Dependency {
    /// Whether it is linked, and does not only build or test.
    fn is_linked(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.is_none())
    }
}

impl Package {
    /// Its URL, by which all tools know it.
    fn reference(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version)
    }

    fn component(&self, checksums: &BTreeMap<String, String>) -> Value {
        let builds = self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"));
        let mut component = json!({
            "type": "library",
            "bom-ref": self.reference(),
            "name": self.name,
            "version": self.version,
            "purl": self.reference(),
            // What runs when it is built, and is not in the binary itself.
            "scope": if builds { "excluded" } else { "required" },
        });
        let Some(fields) = component.as_object_mut() else { return component };
        // Cargo still takes the slash that SPDX dropped.
        if let Some(licence) = &self.license {
            fields.insert("licenses".to_owned(), json!([{ "expression": licence.replace('/', " OR ") }]));
        }
        if let Some(checksum) = checksums.get(&self.reference()) {
            fields.insert("hashes".to_owned(), json!([{ "alg": "SHA-256", "content": checksum }]));
        }
        component
    }
}

/// The digests of the packages that a registry gave, by reference.
fn checksums(workspace: &Path) -> Result<BTreeMap<String, String>, TaskError> {
    let path = workspace.join("Cargo.lock");
    let text = std::fs::read_to_string(&path).map_err(TaskError::file("read", &path))?;
    let lock: toml::Table = toml::from_str(&text).map_err(|error| odd(format!("{}: {error}", path.display())))?;
    let packages = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let field = |package: &toml::Value, name: &str| Some(package.get(name)?.as_str()?.to_owned());
    Ok(packages
        .filter_map(|package| {
            let (name, version) = (field(package, "name")?, field(package, "version")?);
            Some((format!("pkg:cargo/{name}@{version}"), field(package, "checksum")?))
        })
        .collect())
}

/// A UUID of a digest (RFC 9562, version 8: of one's own making).
fn uuid_of(digest: &str) -> String {
    let at = |range: std::ops::Range<usize>| digest.get(range).unwrap_or_default();
    format!("{}-{}-8{}-8{}-{}", at(0..8), at(8..12), at(13..16), at(17..20), at(20..32))
}

fn odd(reason: String) -> TaskError {
    TaskError::other(format!("what is built into the binary cannot be told: {reason}"), "see what cargo says")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_named_once_with_its_digest_and_what_it_needs() {
        let layout = Layout::find().unwrap();
        let made = of(&layout, "x86_64-unknown-linux-gnu", b"a binary").unwrap();
        assert_eq!(made, of(&layout, "x86_64-unknown-linux-gnu", b"a binary").unwrap(), "the same each time");
        let document: Value = serde_json::from_slice(&made).unwrap();
        let list = |name: &str| document.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let components = list("components");
        let names: Vec<String> = components.iter().map(|component| text(component, "name")).collect();
        for built_in in ["kiln", "kiln-runner", "kiln-sim", "wasmtime", "aws-sdk-ecs", "deploy-ecs", "wit-bindgen"] {
            assert!(names.iter().any(|name| name == built_in), "{built_in}");
        }
        for not in ["insta", "proptest", "kiln-tests", "xtask", "tempfile"] {
            assert!(!names.iter().any(|name| name == not), "{not}");
        }
        let references: BTreeSet<String> = components.iter().map(|component| text(component, "bom-ref")).collect();
        assert_eq!(references.len(), components.len());
        for edge in list("dependencies") {
            for on in edge.get("dependsOn").and_then(Value::as_array).into_iter().flatten() {
                assert!(references.contains(on.as_str().unwrap_or_default()), "{on}");
            }
        }
        for component in &components {
            let from_a_registry = component.get("hashes").is_some();
            let own = text(component, "licenses").is_empty() && text(component, "version") == VERSION;
            assert!(from_a_registry || own, "{component}");
        }
    }
}
