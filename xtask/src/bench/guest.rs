//! Plugins that do one thing and nothing else, made of WebAssembly text.
//! The main type is [`Guest`].

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::workbench::Workbench;
use crate::error::TaskError;

/// What a guest does when it is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guest {
    /// Nothing.
    Idle,
    /// Wait for this many milliseconds.
    Sleep(u64),
    /// Ask this often for what it never remembered: a host call of which nothing is written down.
    Recall(u32),
    /// Ask this often for the time: a host call that the journal records.
    Now(u32),
    /// The same, and then wait for this many milliseconds.
    NowAndSleep(u32, u64),
    /// Remember something this often: a record that is made durable before the stage goes on.
    Remember(u32),
    /// Ask AWS this often who it is: a call over the network, with its record made durable.
    Identity(u32),
}

impl Guest {
    /// Imports, and the body of `run` before its answer.
    fn body(self) -> (&'static str, String) {
        let again = |times: u32, body: &str| {
            format!(
                "(local.set $n (i32.const {times})) (block $over (br_if $over (i32.eqz (local.get $n))) (loop $again {body}
                 (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))"
            )
        };
        match self {
            Self::Idle => ("", String::new()),
            Self::Sleep(milliseconds) => (
                r#"(import "kiln:stage/timer@0.1.0" "sleep" (func $sleep (param i64)))"#,
                format!("(call $sleep (i64.const {milliseconds}))"),
            ),
            Self::Recall(times) => (
                r#"(import "kiln:stage/memory@0.1.0" "recall" (func $recall (param i32 i32 i32)))"#,
                again(times, "(call $recall (i32.const 1024) (i32.const 5) (i32.const 256))"),
            ),
            Self::Now(times) => (
                r#"(import "kiln:stage/timer@0.1.0" "now" (func $now (result i64)))"#,
                again(times, "(drop (call $now))"),
            ),
            Self::NowAndSleep(times, milliseconds) => (
                r#"(import "kiln:stage/timer@0.1.0" "now" (func $now (result i64)))
                   (import "kiln:stage/timer@0.1.0" "sleep" (func $sleep (param i64)))"#,
                again(times, "(drop (call $now))") + &format!("(call $sleep (i64.const {milliseconds}))"),
            ),
            Self::Remember(times) => (
                r#"(import "kiln:stage/memory@0.1.0" "remember" (func $remember (param i32 i32 i32 i32)))"#,
                again(times, "(call $remember (i32.const 1024) (i32.const 5) (i32.const 1024) (i32.const 5))"),
            ),
            Self::Identity(times) => (
                r#"(import "kiln:aws-sts/sts@0.1.0" "get-caller-identity" (func $identity (param i32 i32)))"#,
                again(
                    times,
                    // What the answer took of the heap is given back.
                    "(global.set $heap (i32.const 8192)) (call $identity (i32.const 0) (i32.const 256))
                     (if (i32.load8_u (i32.const 256)) (then unreachable))",
                ),
            ),
        }
    }

    /// The component.
    pub(super) fn component(self, bench: &Workbench) -> Result<Vec<u8>, TaskError> {
        let wit = bench.root.join("wit");
        let failed = |reason: String| TaskError::Component { path: wit.clone(), reason };
        let mut module = wat::parse_str(self.module()).map_err(|error| failed(error.to_string()))?;
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(&wit).map_err(|error| failed(format!("{error:#}")))?;
        let world = resolve.select_world(&[package], Some("stage")).map_err(|error| failed(format!("{error:#}")))?;
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
            .and_then(|()| ComponentEncoder::default().module(&module)?.validate(true).encode())
            .map_err(|error| failed(format!("{error:#}")))
    }

    /// A core module with the canonical ABI around the body. Data begins at 1024 with the texts, the heap at 8192.
    fn module(self) -> String {
        const TEXTS: [&str; 8] =
            ["probe", "1.0.0", "Measures", r#"{"type":"object"}"#, "{}", "sts:GetCallerIdentity", "*", "to measure"];
        let mut data = String::new();
        let mut places = Vec::new();
        for text in TEXTS {
            places.push((1024 + data.len(), text.len()));
            data.push_str(text);
        }
        let place = |index: usize| places.get(index).copied().unwrap_or_default();
        let words = |pairs: &[(usize, usize)]| {
            let bytes = pairs.iter().flat_map(|(at, length)| [*at as u32, *length as u32]).flat_map(u32::to_le_bytes);
            bytes.map(|byte| format!("\\{byte:02x}")).collect::<String>()
        };
        let [name, version, summary, anything, nothing, action, all, reason] = std::array::from_fn(place);
        // A permission is its action, the list of its resources and its reason; a description ends with the list of
        // permissions and whether there is an undo.
        let (resources, permissions, description) = (2048, 2064, 2112);
        let (resource_words, permission_words) = (words(&[all]), words(&[action, (resources, 1), reason]));
        let description_words = words(&[name, version, summary, anything, anything, (permissions, 1), (0, 0)]);
        let (imports, body) = self.body();
        let escaped = data.replace('"', "\\22");
        let (answer, length) = nothing;
        format!(
            r#"(module
{imports}
(memory (export "memory") 2)
(global $heap (mut i32) (i32.const 8192))
(data (i32.const 1024) "{escaped}")
(data (i32.const {resources}) "{resource_words}")
(data (i32.const {permissions}) "{permission_words}")
(data (i32.const {description}) "{description_words}")
(func $ok (result i32)
  (i32.store (i32.const 512) (i32.const 0))
  (i32.store (i32.const 516) (i32.const {answer})) (i32.store (i32.const 520) (i32.const {length})) (i32.const 512))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
  (global.set $heap (i32.add (local.get $at) (local.get 3)))
  (local.get $at))
(func (export "kiln:stage/lifecycle@0.1.0#describe") (result i32) (i32.const {description}))
(func (export "kiln:stage/lifecycle@0.1.0#run") (param i32 i32) (result i32) (local $n i32)
  {body} (call $ok))
(func (export "kiln:stage/lifecycle@0.1.0#plan") (param i32 i32) (result i32) unreachable)
(func (export "kiln:stage/lifecycle@0.1.0#undo") (param i32 i32) (result i32) (call $ok))
)"#
        )
    }
}
