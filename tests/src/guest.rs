//! Guests in a few lines of WebAssembly text: the canonical ABI around a hostile body.
//!
//! The main type is [`Guest`]. A body is WebAssembly text with one notation more: `(str "…")` stands for the address and
//! the length of a text. Whatever it calls by the name of a host function (`$log`, `$now`, `$open`, …) is imported.

use crate::component::component;

/// Where data begins; below are the places that calls return to.
const DATA: u32 = 4096;

/// The functions of the host by the names that bodies call them by.
const IMPORTS: [(&str, &str, &str, &str); 26] = [
    ("log", "kiln:stage/log", "write", "(param i32 i32 i32)"),
    ("now", "kiln:stage/timer", "now", "(result i64)"),
    ("sleep", "kiln:stage/timer", "sleep", "(param i64)"),
    ("deadline", "kiln:stage/timer", "deadline", "(result i64)"),
    ("report", "kiln:stage/progress", "report", "(param i32 i32 i32 i32 i32 i32)"),
    ("remember", "kiln:stage/memory", "remember", "(param i32 i32 i32 i32)"),
    ("recall", "kiln:stage/memory", "recall", "(param i32 i32 i32)"),
    ("context", "kiln:stage/context", "get", "(param i32)"),
    ("unknown", "kiln:stage/context", "unknown", "(param i32)"),
    ("images", "kiln:stage/context", "images-of-this-run", "(param i32)"),
    ("open", "kiln:stage/secrets", "open", "(param i32 i32 i32)"),
    ("secret-name", "kiln:stage/secrets", "[method]secret.name", "(param i32 i32)"),
    ("reveal", "kiln:stage/secrets", "[method]secret.reveal", "(param i32 i32)"),
    ("drop-secret", "kiln:stage/secrets", "[resource-drop]secret", "(param i32)"),
    ("identity", "kiln:aws-sts/sts", "get-caller-identity", "(param i32 i32)"),
    ("describe-secret", "kiln:aws-secretsmanager/secretsmanager", "describe-secret", "(param i32 i32 i32)"),
    ("start-build", "kiln:aws-codebuild/codebuild", "start-build", "(param i32 i32)"),
    ("encrypt", "kiln:aws-kms/kms", "encrypt", "(param i32 i32 i32 i32 i32 i32 i32)"),
    ("decrypt", "kiln:aws-kms/kms", "decrypt", "(param i32 i32 i32 i32 i32 i32 i32)"),
    ("describe-repositories", "kiln:aws-ecr/ecr", "describe-repositories", "(param i32 i32 i32)"),
    ("describe-images", "kiln:aws-ecr/ecr", "describe-images", "(param i32 i32 i32 i32 i32 i32 i32 i32)"),
    ("delete-images", "kiln:aws-ecr/ecr", "batch-delete-image", "(param i32 i32 i32 i32 i32)"),
    ("put-image", "kiln:aws-ecr/ecr", "put-image", "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)"),
    ("start-scan", "kiln:aws-ecr/ecr", "start-image-scan", "(param i32 i32 i32 i32 i32 i32 i32 i32 i32)"),
    ("describe-services", "kiln:aws-ecs/ecs", "describe-services", "(param i32 i32 i32 i32 i32)"),
    ("describe-alarms", "kiln:aws-cloudwatch/cloudwatch", "describe-alarms", "(param i32 i32 i32)"),
];

/// The version of the package that an interface is in.
fn version(interface: &str) -> &'static str {
    match interface {
        "kiln:aws-ecs/ecs" | "kiln:aws-cloudwatch/cloudwatch" => "0.2.0",
        _ => "0.1.0",
    }
}

/// A schema that every config and all outputs satisfy.
pub const ANYTHING: &str = r#"{"type":"object"}"#;

/// A guest to be built. Each body is a function's: `run`, `plan` and `undo` have the locals `$config` and `$length` and
/// answer an address; `$ok` and `$fail` make one.
#[derive(Debug, Clone)]
pub struct Guest {
    /// What it calls itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its sentence about itself.
    pub summary: String,
    /// Its schema of `with`.
    pub config: String,
    /// Its schema of the outputs.
    pub outputs: String,
    /// Action, resources and reason of what it asks for.
    pub permissions: Vec<(String, Vec<String>, String)>,
    /// What `run` does.
    pub run: String,
    /// What `plan` does.
    pub plan: String,
    /// What `undo` does.
    pub undo: String,
    /// What `describe` does before it answers.
    pub describe: String,
    /// What `cabi_realloc` does, where it is not the ordinary one; its locals are `$old`, `$old-size`, `$align`, `$size`.
    pub realloc: Option<String>,
    /// More of the module: functions, tables, a start section.
    pub items: String,
}

impl Guest {
    /// A guest that is hostile in `run` only.
    pub fn new(run: &str) -> Self {
        Self {
            name: "evil".to_owned(),
            version: "6.6.6".to_owned(),
            summary: "Does harm".to_owned(),
            config: ANYTHING.to_owned(),
            outputs: ANYTHING.to_owned(),
            permissions: Vec::new(),
            run: run.to_owned(),
            plan: r#"(i32.store (i32.const 512) (i32.const 0))
                (i32.store (i32.const 516) (i32.const 4096)) (i32.store (i32.const 520) (i32.const 0))
                (i32.store (i32.const 524) (i32.const 4096)) (i32.store (i32.const 528) (i32.const 0))
                (i32.store (i32.const 532) (i32.const 0)) (i32.const 512)"#
                .to_owned(),
            undo: r#"(call $ok (str "nothing was undone"))"#.to_owned(),
            describe: String::new(),
            realloc: None,
            items: String::new(),
        }
    }

    /// A guest that does no harm: it logs, looks at the clock, asks AWS who it is, and answers.
    pub fn harmless() -> Self {
        let run = r#"(call $log (i32.const 1) (str "I am at work"))
            (drop (call $now))
            (call $identity (i32.const 0) (i32.const 256))
            (if (result i32) (i32.load8_u (i32.const 256))
                (then (call $fail (i32.const 8) (str "AWS did not answer")))
                (else (call $ok (str "{\"state\":\"unharmed\"}"))))"#;
        let guest = Self { name: "kind".to_owned(), ..Self::new(run) };
        guest.asking("sts:GetCallerIdentity", &["*"])
    }

    /// With one permission more.
    pub fn asking(mut self, action: &str, resources: &[&str]) -> Self {
        let resources = resources.iter().map(|&resource| resource.to_owned()).collect();
        self.permissions.push((action.to_owned(), resources, "to do harm".to_owned()));
        self
    }

    /// With more items in its module.
    pub fn with(mut self, items: &str) -> Self {
        self.items.push_str(items);
        self
    }

    /// The component.
    pub fn build(&self) -> Vec<u8> {
        component(&self.module())
    }

    /// The core module's text.
    pub fn module(&self) -> String {
        let mut data = Data(Vec::new());
        let description = data.description(self);
        let bodies = [&self.describe, &self.run, &self.plan, &self.undo, &self.items].map(|body| data.expand(body));
        let realloc = self.realloc.as_ref().map(|body| data.expand(body));
        let [describe, run, plan, undo, items] = &bodies;
        let all = format!("{}{}", bodies.concat(), realloc.as_deref().unwrap_or_default());
        let mut imports = String::new();
        for (name, interface, function, signature) in IMPORTS {
            if calls(&all, name) {
                let version = version(interface);
                imports += &format!("(import \"{interface}@{version}\" \"{function}\" (func ${name} {signature}))\n");
            }
        }
        let heap = (DATA as usize + data.0.len()).next_multiple_of(16);
        let pages = heap / 65536 + 2;
        let bytes = data.text();
        let realloc = realloc.unwrap_or_else(|| ALLOCATE.to_owned());
        format!(
            r#"(module
{imports}
(memory (export "memory") {pages})
(global $heap (mut i32) (i32.const {heap}))
(data (i32.const {DATA}) "{bytes}")
(func $ok (param $at i32) (param $length i32) (result i32)
  (i32.store (i32.const 512) (i32.const 0))
  (i32.store (i32.const 516) (local.get $at)) (i32.store (i32.const 520) (local.get $length)) (i32.const 512))
(func $fail (param $kind i32) (param $at i32) (param $length i32) (result i32)
  (i32.store (i32.const 512) (i32.const 1)) (i32.store8 (i32.const 516) (local.get $kind))
  (i32.store (i32.const 520) (local.get $at)) (i32.store (i32.const 524) (local.get $length))
  (i32.store (i32.const 528) (i32.const 0))
  (i32.store (i32.const 540) (i32.const 4096)) (i32.store (i32.const 544) (i32.const 0)) (i32.const 512))
(func (export "cabi_realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
{realloc})
(func (export "kiln:stage/lifecycle@0.1.0#describe") (result i32)
{describe} (i32.const {description}))
(func (export "kiln:stage/lifecycle@0.1.0#run") (param $config i32) (param $length i32) (result i32)
{run})
(func (export "kiln:stage/lifecycle@0.1.0#plan") (param $config i32) (param $length i32) (result i32)
{plan})
(func (export "kiln:stage/lifecycle@0.1.0#undo") (param $config i32) (param $length i32) (result i32)
{undo})
{items}
)"#
        )
    }
}

/// A heap that only grows.
const ALLOCATE: &str = r#"(local $at i32)
  (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
  (global.set $heap (i32.add (local.get $at) (local.get $size)))
  (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
    (then (drop (memory.grow (i32.add (i32.div_u (local.get $size) (i32.const 65536)) (i32.const 1))))))
  (local.get $at)"#;

/// Whether `text` calls `$name`.
fn calls(text: &str, name: &str) -> bool {
    let call = format!("(call ${name}");
    text.match_indices(&call).any(|(at, _)| {
        let behind = text.get(at + call.len()..).and_then(|rest| rest.chars().next());
        !behind.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-')
    })
}

/// A module's data.
struct Data(Vec<u8>);

impl Data {
    fn put(&mut self, bytes: &[u8]) -> u32 {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        let at = DATA + self.0.len() as u32;
        self.0.extend_from_slice(bytes);
        at
    }

    fn string(&mut self, text: &str) -> [u32; 2] {
        [self.put(text.as_bytes()), text.len() as u32]
    }

    fn words(&mut self, words: &[u32]) -> u32 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.put(&bytes)
    }

    /// The record that `describe` answers.
    fn description(&mut self, guest: &Guest) -> u32 {
        let mut permissions = Vec::new();
        for (action, resources, reason) in &guest.permissions {
            let list: Vec<u32> = resources.iter().flat_map(|resource| self.string(resource)).collect();
            permissions.extend(self.string(action));
            permissions.extend([self.words(&list), resources.len() as u32]);
            permissions.extend(self.string(reason));
        }
        let mut record = Vec::new();
        for text in [&guest.name, &guest.version, &guest.summary, &guest.config, &guest.outputs] {
            record.extend(self.string(text));
        }
        record.extend([self.words(&permissions), guest.permissions.len() as u32, 1]);
        self.words(&record)
    }

    /// `body` with each `(str "…")` as address and length.
    fn expand(&mut self, body: &str) -> String {
        let mut expanded = String::new();
        let mut rest = body;
        while let Some((before, literal)) = rest.split_once("(str \"") {
            expanded += before;
            let (bytes, behind) = unescape(literal);
            let at = self.put(&bytes);
            expanded += &format!("(i32.const {at}) (i32.const {})", bytes.len());
            rest = behind.strip_prefix(')').unwrap_or_else(|| panic!("`(str \"` is not closed: {literal}"));
        }
        expanded + rest
    }

    fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(self.0.len() * 3);
        for byte in &self.0 {
            write!(text, "\\{byte:02x}").unwrap_or_else(|error| panic!("{error}"));
        }
        text
    }
}

/// The bytes of a literal up to its closing quote, and what is behind it: `\n`, `\"`, `\\` and `\1b` mean a byte.
fn unescape(literal: &str) -> (Vec<u8>, &str) {
    let mut bytes = Vec::new();
    let mut rest = literal.bytes().enumerate();
    while let Some((at, byte)) = rest.next() {
        match byte {
            b'"' => return (bytes, literal.get(at + 1..).unwrap_or_default()),
            b'\\' => match rest.next() {
                Some((_, b'n')) => bytes.push(b'\n'),
                Some((_, quoted @ (b'"' | b'\\'))) => bytes.push(quoted),
                Some((at, _)) => {
                    let digits = literal.get(at..at + 2).unwrap_or_default();
                    bytes.push(u8::from_str_radix(digits, 16).unwrap_or_else(|error| panic!("\\{digits}: {error}")));
                    rest.next();
                }
                None => break,
            },
            byte => bytes.push(byte),
        }
    }
    panic!("no quote closes {literal}")
}
