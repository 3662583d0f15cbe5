//! What a component imports, read before anything is compiled: what asks for something that kiln does not offer is refused at once, and
//! by name.
//!
//! The main function is [`check`].

use std::collections::BTreeMap;

use wasmparser::{ComponentTypeRef, Parser, Payload};

use super::error::PluginError;
use super::quote::quoted;
use crate::host;

/// So many of the imports that are not offered are named.
const TOLD: usize = 5;

/// The imports of the component `bytes`, sorted, each of which kiln offers. `name` is for messages.
pub(super) fn check(name: &str, bytes: &[u8]) -> Result<Vec<String>, PluginError> {
    let refused =
        |reason: String, help: String| PluginError::NotAPlugin { name: name.to_owned(), reason, help: Some(help) };
    let read = read(bytes)
        .map_err(|error| refused(quoted(&error.to_string()), "build it again; the file may be damaged".to_owned()))?;
    let offered = host::offered();
    let known: BTreeMap<String, &str> = offered.iter().map(|name| (track(name), name.as_str())).collect();
    let (mut imports, unknown): (Vec<Import>, Vec<Import>) =
        read.into_iter().partition(|import| import.is_instance && known.contains_key(&track(&import.name)));
    if unknown.is_empty() {
        imports.sort_by(|a, b| a.name.cmp(&b.name));
        return Ok(imports.into_iter().map(|import| import.name).collect());
    }
    let shown: Vec<String> = unknown.iter().take(TOLD).map(|import| quoted(&format!("`{}`", import.name))).collect();
    let more = match unknown.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(refused(format!("it imports {}{more}, which kiln does not offer", shown.join(", ")), help(&unknown, &offered)))
}

/// An import of the component itself.
struct Import {
    name: String,
    is_instance: bool,
}

/// What stands in the component's own import sections; what components within it import is theirs to be given.
fn read(bytes: &[u8]) -> Result<Vec<Import>, wasmparser::BinaryReaderError> {
    let (mut imports, mut depth) = (Vec::new(), 0_usize);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import = import?;
                    let is_instance = matches!(import.ty, ComponentTypeRef::Instance(_));
                    imports.push(Import { name: import.name.name.to_owned(), is_instance });
                }
            }
            _ => {}
        }
    }
    Ok(imports)
}

/// What of a name must be the same: versions that differ only in what is compatible are one.
fn track(name: &str) -> String {
    let Some((interface, version)) = name.split_once('@') else { return name.to_owned() };
    let mut numbers = version.split('.');
    let track = match (numbers.next(), numbers.next(), numbers.next()) {
        (Some("0"), Some("0"), _) | (None, ..) | (_, None, _) => version.to_owned(),
        (Some("0"), Some(minor), Some(_)) => format!("0.{minor}"),
        (Some(major), ..) => major.to_owned(),
    };
    format!("{interface}@{track}")
}

/// What to do about them.
fn help(unknown: &[Import], offered: &[String]) -> String {
    if unknown.iter().any(|import| import.name.starts_with("wasi:")) {
        return "plugins are built without WASI: a stage has no files, network, clock, environment or random numbers but through \
                kiln; build it for wasm32-unknown-unknown"
            .to_owned();
    }
    let interface = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
    let other: Vec<String> = unknown
        .iter()
        .flat_map(|import| offered.iter().filter(|name| interface(name) == interface(&import.name)))
        .map(|name| format!("`{name}`"))
        .collect();
    match other.as_slice() {
        [] => {
            "a stage can import only the interfaces of kiln's contract, in the versions that this kiln has".to_owned()
        }
        other => format!("this kiln offers {}: build it against that, or use a kiln of its time", other.join(", ")),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test ends where it fails")]
mod tests {
    use super::*;

    fn component(text: &str) -> Vec<u8> {
        wat::parse_str(format!("(component {text})")).unwrap()
    }

    #[test]
    fn versions_that_are_compatible_are_one() {
        assert_eq!(track("kiln:aws-ecr/ecr@0.1.7"), track("kiln:aws-ecr/ecr@0.1.0"));
        assert_ne!(track("kiln:aws-ecr/ecr@0.2.0"), track("kiln:aws-ecr/ecr@0.1.0"));
        assert_eq!(track("wasi:cli/stdin@1.2.3"), "wasi:cli/stdin@1");
        assert_eq!(track("x"), "x");
    }

    #[test]
    fn what_is_not_offered_is_named_before_anything_is_compiled() {
        // Its module cannot be compiled, nor is it even valid: nobody looks.
        let bytes = component(
            r#"(import "wasi:cli/environment@0.2.3" (instance))
               (import "kiln:stage/timer@0.1.0" (instance))
               (import "kiln:aws-ecr/ecr@0.9.0" (instance))
               (core module (func (result i32) i64.const 1))"#,
        );
        let refused = check("mine", &bytes).unwrap_err();
        let message = refused.to_string();
        assert!(
            message.contains("`wasi:cli/environment@0.2.3`, `kiln:aws-ecr/ecr@0.9.0`, which kiln does not offer"),
            "{message}"
        );
        assert!(refused.help().unwrap().contains("without WASI"));
        let newer = check("mine", &component(r#"(import "kiln:aws-ecr/ecr@0.9.0" (instance))"#)).unwrap_err();
        assert!(newer.help().unwrap().contains("offers `kiln:aws-ecr/ecr@0.1.0`"), "{:?}", newer.help());
    }

    #[test]
    fn what_is_offered_is_listed_and_what_lies_within_is_not() {
        let bytes = component(
            r#"(import "kiln:stage/timer@0.1.0" (instance))
               (import "kiln:aws/ecs@0.1.0" (instance))
               (component (import "wasi:cli/stdin@0.2.0" (instance)))
               (core module (import "env" "x" (func)))"#,
        );
        assert_eq!(check("mine", &bytes).unwrap(), ["kiln:aws/ecs@0.1.0", "kiln:stage/timer@0.1.0"]);
        let function = component(r#"(import "kiln:stage/timer@0.1.0" (func))"#);
        assert!(check("mine", &function).is_err(), "a function is no interface");
    }
}
