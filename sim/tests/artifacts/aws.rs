//! A simulated account whose clock moves only when it is told to.
//!
//! The main type is [`Aws`].

use std::time::Duration;

use http::{Request, Response};
use kiln_sim::{Bytes, Clock, Simulator, WorldFile};
use serde_json::Value;

/// 2026-01-05T09:00:00Z, in seconds since the Unix epoch.
pub(crate) const EPOCH: u64 = 1_767_603_600;

pub(crate) struct Aws(Simulator);

impl Aws {
    /// The account 111111111111, in which there is what a world file says further.
    pub(crate) fn of(world: &str) -> Self {
        Self::whole(&format!("account = '111111111111'\nregion = 'us-west-2'\n{world}"))
    }

    /// The account of a whole world file.
    pub(crate) fn whole(world: &str) -> Self {
        let file = WorldFile::parse(world).unwrap_or_else(|error| panic!("{error}"));
        Self(Simulator::new(file, Clock::manual(EPOCH * 1000)))
    }

    /// Let simulated time pass.
    pub(crate) fn pass(&self, seconds: u64) {
        self.0.clock().advance(Duration::from_secs(seconds));
    }

    /// The answer of an operation, such as `ecr:DescribeImages`.
    pub(crate) async fn ask(&self, action: &str, input: Value) -> Value {
        let (status, body) = self.send(action, &input).await;
        assert_eq!(status, 200, "{action} {input}: {body}");
        body
    }

    /// The message with which an operation is refused, by this code.
    pub(crate) async fn refused(&self, code: &str, action: &str, input: Value) -> String {
        let (status, body) = self.send(action, &input).await;
        assert_eq!((status, &body["__type"]), (400, &Value::from(code)), "{action} {input}: {body}");
        body["message"].as_str().unwrap_or_default().to_owned()
    }

    async fn send(&self, action: &str, input: &Value) -> (u16, Value) {
        let (service, operation) = action.split_once(':').unwrap();
        let target = match service {
            "ecr" => "AmazonEC2ContainerRegistry_V20150921",
            "codebuild" => "CodeBuild_20161006",
            "logs" => "Logs_20140328",
            other => panic!("no test speaks to {other}"),
        };
        let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260105/us-west-2/{service}/aws4_request, Signature=0");
        let request = Request::post("/")
            .header("authorization", scope)
            .header("x-amz-target", format!("{target}.{operation}"))
            .body(Bytes::from(input.to_string()))
            .unwrap();
        let response: Response<Bytes> = self.0.dispatch(request).await;
        (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
    }

    /// How often an action had an effect.
    pub(crate) fn count(&self, action: &str) -> usize {
        self.0.effects().iter().filter(|effect| effect.action == action).count()
    }
}

/// The texts under a member of each item of a list.
pub(crate) fn texts<'v>(list: &'v Value, member: &str) -> Vec<&'v str> {
    let items = list.as_array().unwrap_or_else(|| panic!("{list} is no list"));
    items.iter().map(|item| item[member].as_str().unwrap_or_else(|| panic!("no {member} in {item}"))).collect()
}
