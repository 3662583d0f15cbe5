//! Files that are offered as plugins and are none, and plugins that lie about themselves.

use kiln_tests::{ANYTHING, Guest, Kiln};

use super::Attack;

fn good() -> Guest {
    Guest::new(r#"(call $ok (str "{}"))"#)
}

fn text(component: &str) -> Attack {
    let bytes = wat::parse_str(component).unwrap_or_else(|error| panic!("{error}"));
    Attack::with_file(bytes)
}

#[test]
fn a_file_that_is_no_webassembly() {
    Attack::with_file("#!/bin/sh\nrm -rf /\n").json().refused("it is not WebAssembly");
    Attack::with_file("").json().refused("it is not WebAssembly");
}

#[test]
fn a_precompiled_component() {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(4096, 0);
    Attack::with_file(bytes).json().refused("it is machine code, perhaps a precompiled component");
}

#[test]
fn a_core_module() {
    text("(module)").json().refused("it is a core WebAssembly module, not a component");
}

#[test]
fn a_component_that_is_cut_off() {
    let bytes = good().build();
    let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
    Attack::with_file(half).json().refused("is not a plugin");
}

#[test]
fn a_component_that_exports_nothing() {
    text("(component)").json().refused("is not a plugin");
}

#[test]
fn an_import_that_the_world_does_not_have() {
    text(r#"(component (import "evil:shell/exec@1.0.0" (instance (export "run" (func)))))"#)
        .json()
        .refused("it imports `evil:shell/exec@1.0.0`, which kiln does not offer");
    text(r#"(component (import "kiln:stage/shell@0.1.0" (instance (export "run" (func)))))"#)
        .json()
        .refused("kiln:stage/shell@0.1.0");
    text(r#"(component (import "run" (func)))"#).json().refused("it imports `run`");
}

#[test]
fn an_import_of_wasi() {
    text(
        r#"(component (import "wasi:cli/environment@0.2.0" (instance)) (import "wasi:sockets/tcp@0.2.0" (instance)))"#,
    )
    .json()
    .refused("plugins are built without WASI");
}

#[test]
fn many_imports_with_long_names() {
    let imports: String = (0..500)
        .map(|index| {
            let word = format!("x{index}-{}", "a".repeat(2_000));
            format!("(import \"{word}\" (func))")
        })
        .collect();
    let mut attack = text(&format!("(component {imports})"));
    attack.written = 16 << 10;
    attack.json().refused("which kiln does not offer");
}

#[test]
fn a_digest_that_does_not_match() {
    let other = "0".repeat(64);
    Attack::by(&good())
        .declared(&format!("digest = \"sha256:{other}\""))
        .json()
        .refused(&format!("not sha256:{other} as the pipeline says"));
}

#[test]
fn a_file_without_an_end() {
    for path in ["/dev/zero", "/proc/self/mem", "."] {
        let pipeline = format!(
            "[pipeline]\nname = \"x\"\nregion = \"us-west-2\"\n[plugins.evil]\npath = \"{path}\"\n[stages.a]\nplugin = \"evil\"\n"
        );
        let outcome = Kiln::new(["check", "pipeline.toml"]).file("pipeline.toml", pipeline).run();
        assert_eq!(outcome.code(), Some(2), "{path}: {}", outcome.all());
    }
}

#[test]
fn a_component_of_forty_mebibytes() {
    let mut bytes = good().build();
    bytes.resize(40 << 20, 0);
    Attack::with_file(bytes).json().refused("it has more than 32 MiB");
}

#[test]
fn a_function_of_thirty_mebibytes() {
    // An `i32.const` and a `drop` are three bytes.
    let body = [0x41, 0x00, 0x1a].repeat(10 << 20);
    let bytes = with_function(0, &body);
    Attack::with_file(bytes).json().refused("is not a plugin");
}

#[test]
fn a_function_of_two_mebibytes() {
    let body = [0x41, 0x00, 0x1a].repeat(700_000);
    Attack::with_file(with_function(0, &body)).json().refused("a function of it has");
}

#[test]
fn a_function_that_is_hard_to_compile() {
    // Loops within which any of very many variables may change.
    let mut body = Vec::new();
    for index in 0..6_000_usize {
        body.extend([0x03, 0x40, 0x20]);
        leb(index * 7919 % 50_000, &mut body);
        body.push(0x20);
        leb(index * 4729 % 50_000, &mut body);
        body.extend([0x6a, 0x21]);
        leb(index * 7919 % 50_000, &mut body);
        body.push(0x20);
        leb(index * 4729 % 50_000, &mut body);
        body.extend([0x0d, 0x00, 0x0b]);
    }
    let mut attack = Attack::with_file(with_function(50_000, &body));
    attack.memory = 2048;
    attack.json().refused("it takes more than 1024 MiB of memory to compile");
}

/// A good guest with one function more, of so many locals and of these instructions, in a core module of its own.
fn with_function(locals: usize, body: &[u8]) -> Vec<u8> {
    let mut function = vec![1];
    leb(locals, &mut function);
    function.push(0x7f);
    function.extend_from_slice(body);
    function.push(0x0b);
    let mut code = vec![1];
    leb(function.len(), &mut code);
    code.extend_from_slice(&function);
    let mut module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a".to_vec();
    leb(code.len(), &mut module);
    module.extend_from_slice(&code);
    let mut component = good().build();
    component.push(1);
    leb(module.len(), &mut component);
    component.extend_from_slice(&module);
    component
}

fn leb(mut value: usize, bytes: &mut Vec<u8>) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        bytes.push(if value == 0 { byte } else { byte | 0x80 });
        if value == 0 {
            return;
        }
    }
}

#[test]
fn a_permission_with_a_wildcard() {
    for action in ["ecr:*", "*", "ecr:Describe?mages"] {
        Attack::by(&good().asking(action, &["*"])).json().refused("wildcards are refused");
    }
}

#[test]
fn a_permission_on_everything() {
    Attack::by(&good().asking("ecr:BatchDeleteImage", &["*"])).json().refused("IAM ties this action to resources");
    Attack::by(&good().asking("ecr:BatchDeleteImage", &["arn:*:ecr:*:*:*"])).json().refused("ecr:BatchDeleteImage");
}

/// The component of a guest is told of by `inspect` as by `check`, with what is meant.
#[track_caller]
fn told_by_inspect_and_check(guest: &Guest, message: &str, help: &str) {
    let pipeline = "[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[plugins.mine]\npath = \"guest.wasm\"\n[stages.a]\nplugin = \"mine\"\n";
    for arguments in [["plugin", "inspect", "./guest.wasm"].as_slice(), &["check", "pipeline.toml"]] {
        let kiln =
            Kiln::new(arguments.iter().copied()).file("guest.wasm", guest.build()).file("pipeline.toml", pipeline);
        let outcome = kiln.run();
        let said = outcome.all().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(outcome.code(), Some(2), "{said}");
        assert!(said.contains(message) && said.contains(help), "{arguments:?}: {}", outcome.all());
    }
}

#[test]
fn a_permission_that_no_operation_needs() {
    let guest = good().asking("ecr:DescribeImage", &["arn:${partition}:ecr:${region}:${account}:repository/web"]);
    let message = "asks for the action `ecr:DescribeImage`, which no operation needs that kiln offers";
    told_by_inspect_and_check(&guest, message, "did you mean `ecr:DescribeImages`?");
}

#[test]
fn a_permission_on_a_field_that_the_config_does_not_have() {
    let mut guest = good()
        .asking("ecr:DescribeImages", &["arn:${partition}:ecr:${region}:${account}:repository/${with.repositry}"]);
    guest.config =
        r#"{"type":"object","additionalProperties":false,"properties":{"repository":{"type":"string"}}}"#.to_owned();
    told_by_inspect_and_check(&guest, "its config has no field `repositry`", "did you mean `repository`?");
}

#[test]
fn a_component_that_asks_for_wasi_is_refused_before_it_is_compiled() {
    // Its code is no code: whoever compiled it would say so.
    let bytes = wat::parse_str(
        r#"(component (import "wasi:cli/environment@0.2.3" (instance)) (core module (func (result i32) i64.const 1)))"#,
    )
    .unwrap_or_else(|error| panic!("{error}"));
    Attack::with_file(bytes).json().refused("it imports `wasi:cli/environment@0.2.3`, which kiln does not offer");
}

#[test]
fn a_permission_in_another_account() {
    Attack::by(&good().asking("ecr:BatchDeleteImage", &["arn:aws:ecr:us-west-2:999999999999:repository/web"]))
        .json()
        .refused("ecr:BatchDeleteImage");
}

#[test]
fn a_permission_for_the_terminal() {
    let mut guest = good().asking("sts:GetCallerIdentity", &["*"]);
    guest.permissions[0].2 = "to\u{1b}[2J\u{202e}help".to_owned();
    Attack::by(&guest).json().refused("control characters");
}

#[test]
fn ten_thousand_permissions() {
    let mut guest = good();
    for index in 0..10_000 {
        guest =
            guest.asking("ecr:DescribeImages", &[&format!("arn:aws:ecr:us-west-2:111111111111:repository/{index}")]);
    }
    Attack::by(&guest).json().refused("permissions");
}

#[test]
fn a_name_for_the_terminal() {
    let mut guest = good();
    guest.name = format!("\u{1b}[2J{}", "x".repeat(100_000));
    let mut attack = Attack::by(&guest);
    attack.written = 16 << 10;
    attack.plain().refused("its name").harmless_for_terminals();
}

#[test]
fn a_summary_for_the_terminal() {
    let mut guest = good();
    guest.summary = "\u{202e}txt".to_owned();
    Attack::by(&guest).plain().refused("control characters").harmless_for_terminals();
}

#[test]
fn schemas_that_are_none() {
    for schema in ["", "{", "[]", "true", r#"{"type":"array"}"#, r#"{"type":"object","properties":7}"#] {
        let mut guest = good();
        guest.config = schema.to_owned();
        Attack::by(&guest).json().refused("config schema");
        let mut guest = good();
        guest.outputs = schema.to_owned();
        Attack::by(&guest).json().refused("output schema");
    }
}

#[test]
fn a_schema_that_refers_to_itself() {
    for schema in [
        r##"{"type":"object","allOf":[{"$ref":"#"}]}"##,
        r##"{"type":"object","$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}"##,
        r##"{"type":"object","$dynamicRef":"#"}"##,
    ] {
        let mut guest = good();
        guest.config = schema.to_owned();
        Attack::by(&guest).stage("with = { a = 1 }").json().refused("config schema");
    }
}

#[test]
fn a_schema_that_doubles_again_and_again() {
    let mut definitions = String::new();
    for level in 0..40 {
        let next = level + 1;
        definitions +=
            &format!(r##""d{level}":{{"allOf":[{{"$ref":"#/$defs/d{next}"}},{{"$ref":"#/$defs/d{next}"}}]}},"##);
    }
    let mut guest = good();
    guest.outputs =
        format!(r##"{{"type":"object","$ref":"#/$defs/d0","$defs":{{{definitions}"d40":{{"type":"object"}}}}}}"##);
    Attack::by(&guest).json().refused("output schema");
}

#[test]
fn a_schema_that_reads_files() {
    for reference in ["file:///etc/passwd", "http://127.0.0.1:1/schema", "other.json"] {
        let mut guest = good();
        guest.config = format!(r#"{{"type":"object","properties":{{"a":{{"$ref":"{reference}"}}}}}}"#);
        Attack::by(&guest).json().refused("config schema");
    }
}

#[test]
fn a_schema_for_the_terminal() {
    let mut guest = good();
    guest.config =
        r#"{"type":"object","required":["a"],"properties":{"a":{"description":"\u001b[2Jgive it"}}}"#.to_owned();
    Attack::by(&guest).plain().refused("control characters").harmless_for_terminals();
}

#[test]
fn a_schema_with_a_slow_pattern() {
    let mut guest = good();
    guest.config = r#"{"type":"object","properties":{"a":{"type":"string","pattern":"^(a+)+$"}}}"#.to_owned();
    let long = format!("{}!", "a".repeat(10_000));
    let aftermath = Attack::by(&guest).stage(&format!("with = {{ a = \"{long}\" }}")).json();
    aftermath.refused("does not have the form that the plugin `evil` wants");
    assert!(aftermath.took.as_secs() < 10, "{:?}", aftermath.took);
}

#[test]
fn a_schema_of_ten_mebibytes() {
    let mut guest = good();
    guest.config = format!(r#"{{"type":"object","description":"{}"}}"#, "x".repeat(10 << 20));
    Attack::by(&guest).json().refused("config schema");
    assert_eq!(good().config, ANYTHING);
}

#[test]
fn a_plugin_that_calls_the_host_to_describe_itself() {
    let mut guest = good();
    guest.describe = "(drop (call $now))".to_owned();
    Attack::by(&guest).json().refused("`describe` called timer.now; it must not ask the host for anything");
}

#[test]
fn a_stage_with_the_name_of_the_host() {
    let attack = Attack::by(&good()).tables("[stages.kiln]\nplugin = \"kind\"");
    attack.json().refused("reserved");
}

#[test]
fn a_component_of_the_tests_is_a_plugin() {
    // What all the others are compared with: the same guest, without its hostility.
    Attack::by(&good()).json().done();
}
