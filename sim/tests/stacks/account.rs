//! A simulated account in which stacks are made, and how a test talks to it.
//!
//! The main type is [`StackAccount`].

use std::path::Path;
use std::time::Duration;

use http::Request;
use kiln_sim::{Bytes, Clock, Simulator, WorldFile};
use serde_json::{Value, json};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// An account on a clock that stands until a test moves it.
pub(crate) struct StackAccount(Simulator);

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

    /// Call an operation of CloudFormation.
    pub(crate) async fn call(&self, operation: &str, input: Value) -> Outcome<Value> {
        let scope = "AWS4-HMAC-SHA256 Credential=test/20260105/us-west-2/cloudformation/aws4_request, Signature=0";
        let request = Request::post("/")
            .header("authorization", scope)
            .header("x-amz-target", format!(".{operation}"))
            .body(Bytes::from(input.to_string()))?;
        let response = self.0.dispatch(request).await;
        let answer: Value = serde_json::from_slice(response.body())?;
        if response.status().is_success() { Ok(answer) } else { Err(format!("{operation}: {answer}").into()) }
    }

    /// Let time pass.
    pub(crate) fn pass(&self, seconds: u64) {
        self.0.clock().advance(Duration::from_secs(seconds));
        self.0.advance();
    }

    /// Wait until no operation on the stack is under way: its status and the reason of it.
    pub(crate) async fn settled(&self, name: &str) -> Outcome<(String, String)> {
        for _ in 0..4000 {
            self.pass(10);
            let found = self.call("DescribeStacks", json!({ "StackName": name })).await?;
            let stack = &found["Stacks"][0];
            let status = stack["StackStatus"].as_str().unwrap_or_default();
            if !status.ends_with("_IN_PROGRESS") || status == "REVIEW_IN_PROGRESS" {
                return Ok((status.to_owned(), stack["StackStatusReason"].as_str().unwrap_or_default().to_owned()));
            }
        }
        Err(format!("{name} does not come to an end: {:#?}", self.failures(name).await?).into())
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

    /// The clusters, services and definitions of tasks that are active.
    pub(crate) fn active(&self) -> Vec<String> {
        let state = &self.0.state()["places"][PLACE]["ecs"];
        let mut found = Vec::new();
        named(state, "", &mut found);
        found
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
