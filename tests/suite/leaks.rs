//! A secret's value in a log line, in an error of AWS and in an output: it appears nowhere that anything is written.

use std::process::Command;

use kiln_tests::{Account, Guest, Outcome, World, repository};

/// The value that must not be seen.
const VALUE: &str = "prod-9f27c4-registry-token";

const PIPELINE: &str = r#"
[pipeline]
name   = "leaks"
region = "us-west-2"

[secrets.token]
id = "prod/registry"

[plugins.leaky]
path = "leaky.wasm"

[stages.leak]
plugin = "leaky"
reveal = true
with   = { token = "${secrets.token}" }
"#;

/// Opens and reveals the secret: its address and length are at 264 and 268 then.
const REVEAL: &str = r#"(call $open (str "kiln-secret:token") (i32.const 256))
    (call $reveal (i32.load (i32.const 260)) (i32.const 260))"#;

/// A run of a stage that has the value and does this with it.
fn run(body: &str, output: &str) -> Outcome {
    run_traced(body, output, None)
}

/// The same with a trace.
fn run_traced(body: &str, output: &str, trace: Option<&str>) -> Outcome {
    let world = World::of(&format!("[[secrets]]\nname = \"prod/registry\"\nvalue = \"{VALUE}\"\n"));
    let account = Account::at_scale(&world, 1.0);
    let repository = "arn:${partition}:ecr:${region}:${account}:repository/*";
    let guest = Guest::new(&format!("{REVEAL} {body}")).asking("ecr:DescribeRepositories", &[repository]);
    let kiln = account.kiln(["run", "pipeline.toml", "--verbose", "--output", output]);
    let kiln = trace.into_iter().fold(kiln, |kiln, trace| kiln.env("KILN_LOG", trace));
    kiln.file("pipeline.toml", PIPELINE).file("leaky.wasm", guest.build()).run()
}

fn never_says(outcome: &Outcome) {
    let written = [outcome.stdout().into_bytes(), outcome.stderr().into_bytes(), outcome.left_behind()].concat();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, VALUE);
    let list: Vec<String> = VALUE.bytes().map(|byte| byte.to_string()).collect();
    // A hash of what holds it would be as good to whoever can guess.
    let hashes = [
        kiln_runner::types::Digest::of(VALUE.as_bytes()),
        kiln_runner::journal::request_hash(&serde_json::json!({ "repository_names": [VALUE] })),
        kiln_runner::journal::request_hash(&serde_json::json!({ "names": [VALUE] })),
    ];
    let hashes = hashes.iter().map(|hash| hash.as_str().trim_start_matches("sha256:").to_owned());
    let hex = VALUE.bytes().map(|byte| format!("{byte:02x}")).collect();
    for form in [VALUE.to_owned(), encoded, hex, list.join(",")].into_iter().chain(hashes) {
        let found = written.windows(form.len()).any(|window| window == form.as_bytes());
        assert!(!found, "{form} was written\n{}", outcome.all());
    }
}

#[test]
fn in_a_log_line_and_an_error_of_aws() {
    // The value is the name of a repository that does not exist: AWS repeats it in its message, which the stage passes
    // on. The error lies at 512, its message's address and length at 528 and 532.
    let body = r#"
        (call $log (i32.const 1) (i32.load (i32.const 264)) (i32.load (i32.const 268)))
        (call $describe-repositories (i32.const 264) (i32.const 1) (i32.const 512))
        (call $fail (i32.const 5) (i32.load (i32.const 528)) (i32.load (i32.const 532)))"#;
    for output in ["json", "plain"] {
        let outcome = run(body, output);
        assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
        never_says(&outcome);
        let masked = outcome.stdout().matches("[secret token]").count();
        assert!(masked >= 3, "in the log line, the call's error and the failure: {masked}\n{}", outcome.all());
        let journal = String::from_utf8_lossy(&outcome.left_behind()).into_owned();
        assert!(journal.contains("[secret token]"), "the journal holds the call, masked");
    }
}

#[test]
fn in_a_trace_whatever_its_directives() {
    let answer = r#"(call $ok (str "{}"))"#;
    for directives in [
        "trace",
        "trace,aws_smithy_runtime=trace,aws_smithy_runtime::client=trace,aws_smithy_runtime::client::orchestrator=trace",
        "aws_sdk_secretsmanager=trace,aws_smithy_schema=trace,aws_credential_types=trace,hyper::proto::h1=trace",
        "[invoke]=trace,[try_op]=trace,[try_attempt]=trace,[{service}]=trace",
    ] {
        let outcome = run_traced(answer, "json", Some(directives));
        assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
        never_says(&outcome);
        let foreign = outcome.stderr().lines().find(|line| !line.contains(" kiln_")).map(str::to_owned);
        assert_eq!(foreign, None, "{directives}");
    }
    let own = run_traced(answer, "json", Some("kiln_runner=debug"));
    assert!(own.stderr().contains("DEBUG kiln_runner::"), "{}", own.all());
}

#[test]
fn in_an_output() {
    let body = r#"
        (i32.store8 (i32.const 65536) (i32.const 0x7b)) (i32.store8 (i32.const 65537) (i32.const 0x22))
        (i32.store8 (i32.const 65538) (i32.const 0x61)) (i32.store8 (i32.const 65539) (i32.const 0x22))
        (i32.store8 (i32.const 65540) (i32.const 0x3a)) (i32.store8 (i32.const 65541) (i32.const 0x22))
        (memory.copy (i32.const 65542) (i32.load (i32.const 264)) (i32.load (i32.const 268)))
        (i32.store16 (i32.add (i32.const 65542) (i32.load (i32.const 268))) (i32.const 0x7d22))
        (call $ok (i32.const 65536) (i32.add (i32.const 8) (i32.load (i32.const 268))))"#;
    let outcome = run(body, "json");
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    never_says(&outcome);
    let failure = outcome.failure("leak").to_string();
    assert!(failure.contains("a secret among its outputs"), "{failure}");
}

/// What KMS encrypts and decrypts for a guest, which holds it with each byte one too large.
fn decrypted() -> String {
    let shifted: String = VALUE.bytes().map(|byte| char::from(byte + 1)).collect();
    let length = VALUE.len();
    format!(
        r#"(memory.copy (i32.const 1024) (str "{shifted}"))
        (local.set $length (i32.const 0))
        (loop $next
            (i32.store8 (i32.add (i32.const 1024) (local.get $length))
                (i32.sub (i32.load8_u (i32.add (i32.const 1024) (local.get $length))) (i32.const 1)))
            (local.set $length (i32.add (local.get $length) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $length) (i32.const {length}))))
        (call $encrypt (str "alias/web") (i32.const 1024) (i32.const {length}) (i32.const 0) (i32.const 0) (i32.const 256))
        (call $decrypt (str "alias/web") (i32.load (i32.const 260)) (i32.load (i32.const 264))
            (i32.const 0) (i32.const 0) (i32.const 320))"#
    )
}

fn decrypting(body: &str) -> (Account, kiln_tests::Kiln) {
    let account = Account::at_scale(&World::of("[[keys]]\nalias = \"web\"\n"), 60.0);
    let key = "arn:${partition}:kms:${region}:${account}:alias/web";
    let repositories = "arn:${partition}:ecr:${region}:${account}:repository/*";
    let guest = Guest::new(&format!("{} {body}", decrypted()))
        .asking("kms:Encrypt", &[key])
        .asking("kms:Decrypt", &[key])
        .asking("ecr:DescribeRepositories", &[repositories]);
    let pipeline = "[pipeline]\nname = \"leaks\"\nregion = \"us-west-2\"\n[plugins.leaky]\npath = \"leaky.wasm\"\n\
                    [stages.leak]\nplugin = \"leaky\"\nreveal = true\ntimeout = \"2h\"\n";
    let kiln = account
        .kiln(["run", "pipeline.toml", "--verbose", "--output", "json", "--report", "page.html"])
        .file("pipeline.toml", pipeline)
        .file("leaky.wasm", guest.build());
    (account, kiln)
}

#[test]
fn what_kms_decrypts_is_masked_from_the_moment_in_which_it_arrives() {
    let (_account, kiln) = decrypting(
        r#"(call $log (i32.const 1) (i32.load (i32.const 324)) (i32.load (i32.const 328)))
        (call $describe-repositories (i32.const 324) (i32.const 1) (i32.const 512))
        (call $fail (i32.const 5) (i32.load (i32.const 324)) (i32.load (i32.const 328)))"#,
    );
    let outcome = kiln.run();
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    never_says(&outcome);
    assert!(outcome.stdout().matches("[secret kms:Decrypt]").count() >= 3, "{}", outcome.all());
}

#[test]
fn a_run_that_goes_on_is_asked_the_same_by_a_guest_that_decrypts() {
    // The name of what it describes is the plaintext: the journal holds a reference to what KMS answered.
    let (account, kiln) = decrypting(
        r#"(call $describe-repositories (i32.const 324) (i32.const 1) (i32.const 512))
        (call $sleep (i64.const 200000)) (call $ok (str "{}"))"#,
    );
    let running = kiln.start();
    let journal = |running: &kiln_tests::Running| {
        let runs = std::fs::read_dir(running.directory().join(".kiln/runs")).into_iter().flatten().flatten();
        let read = |run: std::fs::DirEntry| std::fs::read(run.path().join("journal")).unwrap_or_default();
        runs.flat_map(read).collect::<Vec<u8>>()
    };
    let timer = b"\"record\":\"timer\"";
    while !journal(&running).windows(timer.len()).any(|window| window == timer) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let process = rustix::process::Pid::from_raw(running.id() as i32).unwrap_or_else(|| panic!("it is no process"));
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap_or_else(|error| panic!("{error}"));
    let outcome = running.end();
    never_says(&outcome);
    let outcome = outcome.then(["resume", "--output", "json"]).env("AWS_ENDPOINT_URL", &account.url()).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    never_says(&outcome);
}

#[test]
fn what_awss_own_model_calls_sensitive_is_declared_so() {
    let tests = repository().join("tests/python");
    let script = [tests.join("sensitive.py"), tests.join("sensitive.json")];
    let compared = Command::new(super::emulators::python())
        .args(script)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap_or_else(|error| panic!("python: {error}"));
    let said = String::from_utf8_lossy(&compared.stdout).into_owned() + &String::from_utf8_lossy(&compared.stderr);
    assert!(compared.status.success(), "{said}");
}
