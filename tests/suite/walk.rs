//! The pipeline of the demo, walked by hand with other clients against `kiln sim`: the AWS CLI and boto3 must come to the
//! same end as `kiln run`. What kiln takes the simulator for is then what AWS's own tools take it for.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use kiln_tests::{Account, Kiln, World, repository};
use serde_json::{Value, json};

const COMMIT: &str = "4f2a9c1";
/// A call of the AWS CLI takes about a second: four minutes of the world.
const SCALE: &str = "240";

/// A `kiln sim` of its own, ended when it is dropped.
struct Sim {
    process: Option<kiln_tests::Running>,
    url: String,
}

impl Sim {
    fn start() -> Self {
        let kiln =
            Kiln::new(["sim", "--world", "world.toml", "--scale", SCALE, "--port", "0", "--ready-file", "ready"]);
        let process = kiln.file("world.toml", World::web_service().text()).start();
        let (ready, end) = (process.directory().join("ready"), Instant::now() + Duration::from_secs(60));
        let url = loop {
            match std::fs::read_to_string(&ready) {
                Ok(url) => break url,
                Err(error) => assert!(Instant::now() < end, "kiln sim does not answer: {error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        Self { process: Some(process), url }
    }

    /// A page of the simulator about itself.
    fn page(&self, name: &str) -> Value {
        let read = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(self.url.trim_start_matches("http://"))?;
            write!(stream, "GET /_kiln/{name} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = read().unwrap_or_else(|error| panic!("{name}: {error}"));
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{name}: {error}: {answer}"))
    }

    fn walk(&self, program: PathBuf, script: &str) -> End {
        let script = repository().join("tests/walk").join(script);
        let output = Command::new(program)
            .args([script.as_os_str(), self.url.as_ref(), COMMIT.as_ref()])
            .env("KILN_PYTHON", super::emulators::python())
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}: {said}", script.display());
        let effects = self.page("effects");
        let effects = effects.get("effects").and_then(Value::as_array).cloned().unwrap_or_default();
        let action = |effect: &Value| effect.get("action").and_then(Value::as_str).unwrap_or_default().to_owned();
        End::of(effects.iter().map(action).collect(), &self.page("state"))
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let Some(process) = self.process.take() else { return };
        if let Some(pid) = i32::try_from(process.id()).ok().and_then(rustix::process::Pid::from_raw) {
            // Where it has ended already there is nothing to end.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        process.end();
    }
}

/// What is left when all is done: everything that does not depend on who did it, and when.
#[derive(Debug, PartialEq)]
struct End {
    effects: Vec<String>,
    images: Vec<Value>,
    service: Value,
    definitions: Vec<Value>,
    tasks: Vec<Value>,
}

impl End {
    fn of(effects: Vec<String>, state: &Value) -> Self {
        let place = at(state, &["places", "111111111111/us-west-2"]);
        let images = values(&at(&place, &["ecr", "repositories", "web", "images"]));
        let service = at(&place, &["ecs", "clusters", "web", "services", "web"]);
        let image = |image: &Value| json!([at(image, &["digest"]), at(image, &["tags"])]);
        let task = |task: &Value| json!([at(task, &["definition"]), at(task, &["phase"])]);
        let definitions = values(&at(&place, &["ecs", "families", "web", "revisions"]));
        let mut tasks = values(&at(&place, &["ecs", "clusters", "web", "tasks"]));
        tasks.retain(|task| at(task, &["phase"]) != "STOPPED");
        Self {
            effects,
            images: images.iter().map(image).collect(),
            service: json!([at(&service, &["task-definition"]), at(&service, &["desired"]), at(&service, &["status"])]),
            definitions: definitions.iter().map(|definition| at(definition, &["document"])).collect(),
            tasks: tasks.iter().map(task).collect(),
        }
    }
}

fn at(value: &Value, path: &[&str]) -> Value {
    let step = |value: Option<Value>, name: &&str| value?.get(*name).cloned();
    path.iter().fold(Some(value.clone()), step).unwrap_or_else(|| panic!("{path:?} is not in the state: {value}"))
}

fn values(value: &Value) -> Vec<Value> {
    value.as_object().map(|members| members.values().cloned().collect()).unwrap_or_default()
}

/// Where `kiln run` comes to.
fn by_kiln() -> End {
    let account = Account::of(&World::web_service());
    let pipeline = repository().join("pipelines/web-service.toml");
    let input = format!("commit={COMMIT}");
    let outcome = account.kiln(["run", &pipeline.to_string_lossy(), "--input", &input]).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    End::of(account.effects().into_iter().map(|effect| effect.action).collect(), &account.state())
}

#[test]
fn boto3_walks_to_the_same_end() {
    let end = Sim::start().walk(super::emulators::python(), "walk.py");
    assert_eq!(end.effects.len(), 4, "{:?}", end.effects);
    assert_eq!((end.images.len(), end.tasks.len(), end.definitions.len()), (13, 4, 2));
    assert_eq!(end, by_kiln());
}

#[test]
fn the_aws_cli_walks_to_the_same_end() {
    let end = Sim::start().walk(PathBuf::from("bash"), "walk.sh");
    assert_eq!(end, by_kiln());
}
