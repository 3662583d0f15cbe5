//! A simulated account in which stacks are made, and how a test talks to it.
//!
//! The main type is [`StackAccount`].

use std::path::Path;
use std::time::Duration;

use http::Request;
use kiln_sim::{Bytes, Clock, Simulator, WorldFile};
use serde_json::{Value, json};

use crate::signer::Signer;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// An account on a clock that stands until a test moves it.
pub(crate) struct StackAccount(Simulator);

/// What custom resources answer, and who signals, in the account of the templates.
const SCRIPTED: &str = r#"
[[resource-behaviours]]
resource = "Record"
answers  = { Address = "192.0.2.1" }

[[resource-behaviours]]
resource = "Token"
answers  = { Secret = "shown", Token = "shown" }

[[resource-behaviours]]
resource = "Ready"
on       = "create"
signals  = ["success"]
"#;

const PLACE: &str = "111111111111/us-west-2";

/// What templates take as given: an image, a network, an image of containers, a template of a child.
const GIVEN: &str = r#"
account = "111111111111"
region  = "us-west-2"

[[images]]
name = "web-1"
id   = "ami-0000000000000001"

[[subnets]]
id   = "subnet-1"
vpc  = "vpc-1"
zone = "us-west-2a"
cidr = "10.0.1.0/24"

[[subnets]]
id   = "subnet-2"
vpc  = "vpc-1"
zone = "us-west-2b"
cidr = "10.0.2.0/24"

[[security-groups]]
id   = "sg-1"
name = "web"
vpc  = "vpc-1"

[[parameters]]
name   = "/images/web"
values = ["ami-0000000000000001"]

[[parameters]]
name   = "/network/subnets"
values = ["subnet-1,subnet-2"]

[[parameters]]
name   = "/platform/greeting"
values = ["hello", "welcome"]

[[secrets]]
name  = "prod/database"
value = '{ "username": "shop", "password": "not so secret" }'

[[parameters]]
name   = "/platform/instance-type"
values = ["t3.small"]

[[repositories]]
name   = "web"
images = [{ tags = ["v1"] }]

[[resource-behaviours]]
resource = "Record"
answers  = { Address = "192.0.2.1" }

[[resource-behaviours]]
resource = "Token"
answers  = { Secret = "shown", Token = "shown" }
"#;

impl StackAccount {
    /// With this beside what templates take as given.
    pub(crate) fn with(more: &str) -> Outcome<Self> {
        let child = std::fs::read_to_string(folder("tests/templates/child.yaml"))?;
        let text = format!(
            "{GIVEN}\n{more}\n[[buckets]]\nname = \"templates\"\n[buckets.objects]\n\"child.yaml\" = '''{child}'''\n"
        );
        Ok(Self(Simulator::new(WorldFile::parse(&text)?, Clock::manual(1_767_603_600_000))))
    }

    /// The account in which the templates of `tests/templates` are tried, with this beside it.
    pub(crate) fn of_templates(more: &str) -> Outcome<Self> {
        let [world, child] = ["world.toml", "child.yaml"].map(|file| folder("tests/templates").join(file));
        let (world, child) = (std::fs::read_to_string(world)?, std::fs::read_to_string(child)?);
        let text = format!(
            "{world}\n{SCRIPTED}\n{more}\n[[buckets]]\nname = \"templates\"\n[buckets.objects]\n\"child.yaml\" = '''{child}'''\n"
        );
        Ok(Self(Simulator::new(WorldFile::parse(&text)?, Clock::manual(1_767_603_600_000))))
    }

    /// Call an operation of CloudFormation.
    pub(crate) async fn call(&self, operation: &str, input: Value) -> Outcome<Value> {
        self.ask(("cloudformation", ""), operation, input).await
    }

    /// Call an operation of a service: what signatures and targets name it.
    pub(crate) async fn ask(&self, (service, target): (&str, &str), operation: &str, input: Value) -> Outcome<Value> {
        let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260105/us-west-2/{service}/aws4_request, Signature=0");
        let request = Request::post("/")
            .header("authorization", scope)
            .header("x-amz-target", format!("{target}.{operation}"))
            .body(Bytes::from(input.to_string()))?;
        let response = self.0.dispatch(request).await;
        let answer: Value = serde_json::from_slice(response.body())?;
        if response.status().is_success() { Ok(answer) } else { Err(format!("{operation}: {answer}").into()) }
    }

    /// Call an operation of CloudFormation as somebody.
    pub(crate) async fn ask_as(&self, signer: &Signer, operation: &str, input: Value) -> Outcome<Value> {
        let response = self.0.dispatch(signer.json("cloudformation", &format!(".{operation}"), &input)?).await;
        let answer: Value = serde_json::from_slice(response.body())?;
        if response.status().is_success() { Ok(answer) } else { Err(format!("{operation}: {answer}").into()) }
    }

    /// The names of the queues that are there.
    pub(crate) fn queues(&self) -> Vec<String> {
        let holds = self.holds();
        let things = holds["cloudformation"]["things"]["AWS::SQS::Queue"].as_object().cloned().unwrap_or_default();
        things.keys().map(|url| url.rsplit('/').next().unwrap_or_default().to_owned()).collect()
    }

    /// The names of the stacks that are there.
    pub(crate) fn there(&self) -> Vec<String> {
        let names = self.0.state()["places"][PLACE]["cloudformation"]["names"].clone();
        names.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    }

    /// Let time pass.
    pub(crate) fn pass(&self, seconds: u64) {
        self.0.clock().advance(Duration::from_secs(seconds));
        self.0.advance();
    }

    /// Wait until no operation on the stack is under way: its status and the reason of it.
    pub(crate) async fn settled(&self, name: &str) -> Outcome<(String, String)> {
        for _ in 0..1000 {
            self.pass(60);
            let found = self.call("DescribeStacks", json!({ "StackName": name })).await?;
            let stack = &found["Stacks"][0];
            let status = stack["StackStatus"].as_str().unwrap_or_default();
            if !status.ends_with("_IN_PROGRESS") || status == "REVIEW_IN_PROGRESS" {
                return Ok((status.to_owned(), stack["StackStatusReason"].as_str().unwrap_or_default().to_owned()));
            }
        }
        let last: Vec<_> = self.happened().into_iter().rev().take(6).collect();
        Err(format!("{name} does not come to an end: {:#?}, {last:?}", self.failures(name).await?).into())
    }

    /// What failed, the first one first.
    pub(crate) async fn failures(&self, name: &str) -> Outcome<Vec<String>> {
        let events = self.call("DescribeStackEvents", json!({ "StackName": name })).await?;
        let mut told: Vec<String> = Vec::new();
        for event in events["StackEvents"].as_array().into_iter().flatten().rev() {
            if event["ResourceStatus"].as_str().is_some_and(|status| status.ends_with("_FAILED")) {
                let text = |member: &str| event[member].as_str().unwrap_or_default().to_owned();
                told.push(format!(
                    "{} {}: {}",
                    text("LogicalResourceId"),
                    text("ResourceStatus"),
                    text("ResourceStatusReason")
                ));
            }
        }
        Ok(told)
    }

    /// The logical and physical ids of a stack's resources.
    pub(crate) async fn resources(&self, name: &str) -> Outcome<Vec<(String, String, String)>> {
        let mut all = Vec::new();
        let mut token = Value::Null;
        loop {
            let page = self.call("ListStackResources", json!({ "StackName": name, "NextToken": token })).await?;
            for one in page["StackResourceSummaries"].as_array().into_iter().flatten() {
                let text = |member: &str| one[member].as_str().unwrap_or_default().to_owned();
                all.push((text("LogicalResourceId"), text("PhysicalResourceId"), text("ResourceStatus")));
            }
            token = page["NextToken"].clone();
            if token.is_null() {
                return Ok(all);
            }
        }
    }

    /// All that the account holds, but for what AWS keeps for a time or for good: the stacks themselves, instances that have ended, and
    /// clusters, services and definitions of tasks that are inactive.
    pub(crate) fn holds(&self) -> Value {
        let mut place = self.0.state()["places"][PLACE].clone();
        for part in ["stacks", "names", "detections"] {
            place["cloudformation"].as_object_mut().map(|state| state.remove(part));
        }
        if let Some(instances) = place["ec2"]["instances"].as_object_mut() {
            instances.retain(|_, instance| instance["state"] != "terminated");
        }
        // When an image was launched is remembered.
        for (_, image) in place["ec2"]["images"].as_object_mut().into_iter().flatten() {
            image.as_object_mut().map(|image| image.remove("launches"));
        }
        place.as_object_mut().map(|place| place.remove("ecs"));
        place
    }

    /// All that the account holds, without what moves on though nothing is another.
    pub(crate) fn rests(&self) -> Value {
        let mut place = self.holds();
        place["ecs"] = self.0.state()["places"][PLACE]["ecs"].clone();
        at_rest(&mut place);
        place
    }

    /// What has happened to stacks, in its order: stack, logical id and status.
    pub(crate) fn happened(&self) -> Vec<(String, String, String)> {
        let state = self.0.state();
        let stacks = state["places"][PLACE]["cloudformation"]["stacks"].as_object().cloned().unwrap_or_default();
        let mut all = Vec::new();
        for stack in stacks.values() {
            for event in stack["happened"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                all.push((
                    event["at"].to_string(),
                    text(&stack["name"]),
                    text(&event["logical"]),
                    text(&event["status"]),
                ));
            }
        }
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all.into_iter().map(|(_, stack, logical, status)| (stack, logical, status)).collect()
    }

    /// The logical id of what failed first, in any stack.
    pub(crate) fn first_failure(&self) -> Option<String> {
        self.happened().into_iter().find(|(_, _, status)| status.ends_with("_FAILED")).map(|(_, logical, _)| logical)
    }

    /// What all stacks say of themselves: template, parameters, outputs, tags, resources.
    pub(crate) async fn described(&self) -> Outcome<Value> {
        let mut all = serde_json::Map::new();
        let found = self.call("DescribeStacks", json!({})).await?;
        for stack in found["Stacks"].as_array().into_iter().flatten() {
            let id = stack["StackId"].as_str().unwrap_or_default();
            let mut told = stack.clone();
            for moving in ["StackStatus", "StackStatusReason", "LastUpdatedTime", "LastOperations"] {
                told.as_object_mut().map(|told| told.remove(moving));
            }
            told["Template"] = self.call("GetTemplate", json!({ "StackName": id })).await?["TemplateBody"].clone();
            let resources = self.resources(id).await?;
            told["Resources"] =
                resources.into_iter().map(|(logical, physical, _)| json!([logical, physical])).collect();
            all.insert(id.to_owned(), told);
        }
        Ok(Value::Object(all))
    }

    /// A parameter of a data file, filled in.
    pub(crate) async fn filled(&self, text: &str) -> Outcome<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${") {
            let (words, after) = behind.split_once('}').ok_or("no end")?;
            out.push_str(before);
            out.push_str(&self.value(&words.split(' ').collect::<Vec<_>>()).await?);
            rest = after;
        }
        Ok(out + rest)
    }

    async fn value(&self, words: &[&str]) -> Outcome<String> {
        match words {
            ["stack", name, output] => {
                let found = self.call("DescribeStacks", json!({ "StackName": name })).await?;
                let outputs = found["Stacks"][0]["Outputs"].as_array().cloned().unwrap_or_default();
                let found = outputs.iter().find(|one| one["OutputKey"] == *output).ok_or("no such output")?;
                Ok(found["OutputValue"].as_str().unwrap_or_default().to_owned())
            }
            ["digest", image] => {
                let (repository, tag) = image.split_once(':').ok_or("no tag")?;
                let input = json!({ "repositoryName": repository, "imageIds": [{ "imageTag": tag }] });
                let ecr = ("ecr", "AmazonEC2ContainerRegistry_V20150921");
                let found = self.ask(ecr, "DescribeImages", input).await?;
                Ok(found["imageDetails"][0]["imageDigest"].as_str().ok_or("no digest")?.to_owned())
            }
            ["url", file] => Ok(format!("https://templates.s3.us-west-2.amazonaws.com/{file}")),
            other => Err(format!("{other:?} is not known").into()),
        }
    }

    /// The clusters, services and definitions of tasks that are active.
    pub(crate) fn active(&self) -> Vec<String> {
        let state = &self.0.state()["places"][PLACE]["ecs"];
        let mut found = Vec::new();
        named(state, "", &mut found);
        found
    }
}

/// Times, and what is told of what happened: it moves on though nothing is another.
const MOVING: [&str; 23] = [
    "accessed",
    "activities",
    "changed",
    "completed",
    "configured",
    "created",
    "deployments",
    "deregistered",
    "events",
    "history",
    "held-until",
    "lastModified",
    "launched",
    "modified",
    "put",
    "record",
    "refreshes",
    "registered",
    "revisions",
    "service-deployments",
    "steady",
    "transitioned",
    "updated",
];

/// Without what moves on though nothing is another. AWS keeps the versions of parameters and launch templates, and the revisions of task
/// definitions: of these the newest and what is active count. Machines and tasks count by what they are made of.
fn at_rest(place: &mut Value) {
    still(place);
    newest(&mut place["ssm"]["parameters"]);
    newest(&mut place["ec2"]["templates"]);
    for (_, alarm) in place["cloudwatch"]["alarms"].as_object_mut().into_iter().flatten() {
        for moving in ["state", "reason", "reason-data", "evaluation"] {
            alarm.as_object_mut().map(|alarm| alarm.remove(moving));
        }
    }
    let instances = place["ec2"]["instances"].as_object().cloned().unwrap_or_default();
    let mut made: Vec<String> = instances.values().map(|one| one["image"].to_string()).collect();
    made.sort();
    place["ec2"]["instances"] = json!(made);
    for (_, group) in place["autoscaling"]["groups"].as_object_mut().into_iter().flatten() {
        group["members"] = json!(group["members"].as_object().map(serde_json::Map::len));
    }
    for (_, family) in place["ecs"]["families"].as_object_mut().into_iter().flatten() {
        for (_, member) in family.as_object_mut().into_iter().flatten() {
            match member {
                Value::Array(all) => all.retain(|one| one["active"] == true),
                Value::Object(all) => all.retain(|_, one| one["active"] == true),
                other => *other = Value::Null,
            }
        }
    }
    for (_, cluster) in place["ecs"]["clusters"].as_object_mut().into_iter().flatten() {
        if let Some(tasks) = cluster.get("tasks").and_then(Value::as_object) {
            let made = tasks.values().filter(|one| one["last-status"] != "STOPPED").count();
            cluster["tasks"] = json!(made);
        }
    }
    // Load balancers know machines and tasks by ids and addresses of their own.
    for (_, group) in place["elasticloadbalancing"]["groups"].as_object_mut().into_iter().flatten() {
        group["targets"] = json!(group["targets"].as_object().map(serde_json::Map::len));
    }
}

fn still(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(still),
        Value::Object(members) => {
            members.retain(|name, _| !MOVING.contains(&name.as_str()));
            members.values_mut().for_each(still);
        }
        _ => {}
    }
}

/// Of things with versions, what the newest says.
fn newest(things: &mut Value) {
    for (_, thing) in things.as_object_mut().into_iter().flatten() {
        let versions = thing["versions"].clone();
        let last = match &versions {
            Value::Array(all) => all.last().cloned(),
            Value::Object(all) => {
                all.iter().max_by_key(|(number, _)| number.parse::<u64>().ok()).map(|(_, one)| one.clone())
            }
            _ => None,
        };
        let mut last = last.unwrap_or_default();
        for number in ["number", "version", "labels"] {
            last.as_object_mut().map(|last| last.remove(number));
        }
        thing["versions"] = last;
        for number in ["latest", "next"] {
            thing.as_object_mut().map(|thing| thing.remove(number));
        }
    }
}

/// The paths of everything that says that it is active.
fn named(value: &Value, path: &str, found: &mut Vec<String>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        if name == "status" && member.as_str().is_some_and(|status| status.eq_ignore_ascii_case("active")) {
            found.push(path.to_owned());
        }
        named(member, &format!("{path}/{name}"), found);
    }
}

/// A path of this repository.
pub(crate) fn folder(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Where two values differ, by their paths.
pub(crate) fn differences(path: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(one), Value::Object(other)) => {
            for key in one.keys().chain(other.keys().filter(|key| !one.contains_key(*key))) {
                let (one, other) = (one.get(key).unwrap_or(&Value::Null), other.get(key).unwrap_or(&Value::Null));
                differences(&format!("{path}/{key}"), one, other, found);
            }
        }
        (one, other) if one == other => {}
        (one, other) => found.push(format!("{path}: {one:.80} became {other:.200}")),
    }
}
