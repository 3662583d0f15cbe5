//! A simulated account on tokio's paused clock, for tests.
//!
//! The main type is [`Account`].

use std::time::Duration;

use http::Request;
use kiln_sim::{Bytes, Clock, Simulator, WorldFile};
use serde_json::Value;

pub(crate) type Checked = Result<(), Box<dyn std::error::Error>>;

const EPOCH: u64 = 1_767_603_600_000;

/// An account whose clock moves only when the test says so.
pub(crate) struct Account(Simulator);

impl Account {
    /// Its world has this in it.
    pub(crate) fn of(world: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let file = WorldFile::parse(&format!("account = '111111111111'\nregion = 'us-west-2'\n{world}"))?;
        Ok(Self(Simulator::new(file, Clock::new(EPOCH, 1.0))))
    }

    /// Call `service:Operation`: the answer, or the code and message of the error.
    pub(crate) async fn call(&self, action: &str, input: Value) -> Result<Value, (String, String)> {
        let (status, body) = self.bytes(action, input).await;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        if status == 200 { Ok(body) } else { Err((text("__type"), text("message"))) }
    }

    /// Call it, and give the answer as it is.
    pub(crate) async fn bytes(&self, action: &str, input: Value) -> (u16, Bytes) {
        let (service, operation) = action.split_once(':').unwrap_or_default();
        let (name, target) = match service {
            "codebuild" => (service, "CodeBuild_20161006"),
            "ecr" => (service, "AmazonEC2ContainerRegistry_V20150921"),
            "ecs" => (service, "AmazonEC2ContainerServiceV20141113"),
            "kms" => (service, "TrentService"),
            "logs" => (service, "Logs_20140328"),
            "cloudwatch" => ("monitoring", "GraniteServiceVersion20100801"),
            _ => (service, service),
        };
        let scope = format!("AWS4-HMAC-SHA256 Credential=anyone/20260105/us-west-2/{name}/aws4_request, Signature=0");
        let request = Request::post("/")
            .header("authorization", scope)
            .header("x-amz-target", format!("{target}.{operation}"))
            .body(Bytes::from(input.to_string()))
            .unwrap_or_default();
        let response = self.0.dispatch(request).await;
        (response.status().as_u16(), response.into_body())
    }

    /// Let time pass.
    pub(crate) async fn wait(&self, seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    /// How often an action had an effect.
    pub(crate) fn count(&self, action: &str) -> usize {
        self.0.effects().iter().filter(|effect| effect.action == action).count()
    }

    pub(crate) fn simulator(&self) -> &Simulator {
        &self.0
    }
}
