//! A simulated world with a cluster and a service, and how a test talks to it.
//!
//! The main type is [`World`].

use std::time::Duration;

use http::Request;
use kiln_sim::{Bytes, Clock, Simulator, WorldFile};
use serde_json::{Value, json};

/// A simulated world on a clock that stands until a test moves it.
pub(crate) struct World(Simulator);

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const PLACE: &str = "111111111111/us-west-2";

/// A cluster `web` with a service `web`; `service` and `more` are TOML that belongs to the service and behind it.
pub(crate) fn web(service: &str, more: &str) -> Outcome<World> {
    World::new(&format!(
        "[[clusters]]\nname = 'web'\n\
         timings = {{ schedule = '2s', provision = '10s', pull = '20s', start = '10s', health = '20s', drain = '20s', \
         deprovision = '10s' }}\n\
         [[services]]\ncluster = 'web'\nname = 'web'\n\
         containers = [{{ name = 'app', image = 'example.com/web:1', health-check = 'true' }}, \
         {{ name = 'proxy', image = 'example.com/proxy:1' }}]\n\
         {service}\n{more}"
    ))
}

impl World {
    pub(crate) fn new(text: &str) -> Outcome<Self> {
        let file = WorldFile::parse(&format!("account = '111111111111'\nregion = 'us-west-2'\n{text}"))?;
        Ok(Self(Simulator::new(file, Clock::manual(1_767_603_600_000))))
    }

    /// Call an operation of ECS.
    pub(crate) async fn ecs(&self, operation: &str, input: Value) -> Outcome<Value> {
        self.call("ecs", "AmazonEC2ContainerServiceV20141113", operation, input).await
    }

    /// Call an operation of CloudWatch.
    pub(crate) async fn cloudwatch(&self, operation: &str, input: Value) -> Outcome<Value> {
        self.call("monitoring", "GraniteServiceVersion20100801", operation, input).await
    }

    async fn call(&self, service: &str, target: &str, operation: &str, input: Value) -> Outcome<Value> {
        let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260105/us-west-2/{service}/aws4_request, Signature=0");
        let request = Request::post("/")
            .header("authorization", scope)
            .header("x-amz-target", format!("{target}.{operation}"))
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

    /// Go to the next instant at which something happens, and tell how many milliseconds it was away.
    pub(crate) fn next(&self) -> Option<u64> {
        let due = self.0.advance()?;
        let away = due.since(self.0.clock().now());
        self.0.clock().advance(away);
        self.0.advance();
        u64::try_from(away.as_millis()).ok()
    }

    /// Register the family `web` with this image, and tell the ARN.
    pub(crate) async fn register(&self, image: &str) -> Outcome<String> {
        let app = json!({ "name": "app", "image": image, "memory": 64, "healthCheck": { "command": ["CMD", "true"] } });
        let proxy = json!({ "name": "proxy", "image": "example.com/proxy:1", "memory": 64 });
        let input = json!({
            "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512",
            "containerDefinitions": [app, proxy],
        });
        let answer = self.ecs("RegisterTaskDefinition", input).await?;
        Ok(answer["taskDefinition"]["taskDefinitionArn"].as_str().ok_or("an ARN")?.to_owned())
    }

    /// Deploy this image to the service `web`, and tell the ARN of the service deployment.
    pub(crate) async fn deploy(&self, image: &str, configuration: Value) -> Outcome<String> {
        let definition = self.register(image).await?;
        let input = json!({
            "cluster": "web", "service": "web", "taskDefinition": definition, "deploymentConfiguration": configuration,
        });
        let answer = self.ecs("UpdateService", input).await?;
        let arn = &answer["service"]["currentServiceDeployment"];
        Ok(arn.as_str().ok_or("a service deployment")?.to_owned())
    }

    pub(crate) async fn service(&self) -> Outcome<Value> {
        let mut answer = self.ecs("DescribeServices", json!({ "cluster": "web", "services": ["web"] })).await?;
        Ok(answer["services"][0].take())
    }

    pub(crate) async fn deployment(&self, arn: &str) -> Outcome<Value> {
        let input = json!({ "serviceDeploymentArns": [arn] });
        let mut answer = self.ecs("DescribeServiceDeployments", input).await?;
        Ok(answer["serviceDeployments"][0].take())
    }

    /// What the service said since, oldest first; ids become `#1`, `#2`, … in the order in which they come.
    pub(crate) async fn said(&self) -> Outcome<Vec<String>> {
        let service = self.service().await?;
        let ids = regex::Regex::new("[0-9a-f]{32}|ecs-svc/[0-9]+")?;
        let mut seen: Vec<String> = Vec::new();
        let mut said: Vec<&str> =
            service["events"].as_array().into_iter().flatten().filter_map(|event| event["message"].as_str()).collect();
        said.reverse();
        let named = |message: &str| {
            let number = |found: &regex::Captures<'_>| {
                let id = found[0].to_owned();
                let place = seen.iter().position(|before| *before == id).unwrap_or_else(|| {
                    seen.push(id);
                    seen.len() - 1
                });
                format!("#{}", place + 1)
            };
            ids.replace_all(message, number).into_owned()
        };
        Ok(said.into_iter().map(named).collect())
    }

    /// The tasks of the cluster `web`, stopped ones too, as they are.
    pub(crate) fn tasks(&self) -> Vec<Value> {
        let state = self.0.state();
        let tasks = state["places"][PLACE]["ecs"]["clusters"]["web"]["tasks"].as_object().cloned();
        tasks.into_iter().flat_map(|tasks| tasks.into_iter().map(|(_, task)| task)).collect()
    }

    /// How many tasks are neither stopped nor told to stop, and how many of them are healthy.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let tasks = self.tasks();
        let staying: Vec<&Value> = tasks.iter().filter(|task| task["stopping"] == false).collect();
        (staying.len(), staying.iter().filter(|task| task["ready"] == true).count())
    }
}
