//! A simulated AWS account on loopback, for the life of a test.
//!
//! The main type is [`Account`].

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

use kiln_sim::{Clock, Effect, Server, Simulator, WorldFile};
use tokio::runtime::Runtime;

use crate::kiln::Kiln;
use crate::world::World;

/// How many times as fast as the world's clock those of tests go: half an hour takes three seconds.
const SCALE: f64 = 600.0;

/// A simulated account. It stops when it is dropped.
pub struct Account {
    simulator: Simulator,
    server: Option<Server>,
    runtime: Runtime,
    scale: f64,
}

impl Account {
    /// The account of a world.
    pub fn of(world: &World) -> Self {
        Self::at_scale(world, SCALE)
    }

    /// The account of a world, with a clock of another pace.
    pub fn at_scale(world: &World, scale: f64) -> Self {
        let file = WorldFile::parse(&world.text()).unwrap_or_else(|error| panic!("the test's world: {error}"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap_or_else(|error| panic!("a runtime: {error}"));
        let simulator = runtime.block_on(async { Simulator::new(file, Clock::new(now, scale)) });
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = runtime
            .block_on(kiln_sim::serve(simulator.clone(), address))
            .unwrap_or_else(|error| panic!("a server on loopback: {error}"));
        Self { simulator, server: Some(server), runtime, scale }
    }

    /// The address of the simulated AWS.
    pub fn url(&self) -> String {
        self.server.as_ref().map(Server::url).unwrap_or_default()
    }

    /// A `kiln` command line that reaches this account.
    pub fn kiln<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Kiln {
        Kiln::new(arguments).env("AWS_ENDPOINT_URL", &self.url()).scale(self.scale)
    }

    /// All that was changed, in order.
    pub fn effects(&self) -> Vec<Effect> {
        self.simulator.effects()
    }

    /// How often `action` had an effect.
    pub fn count(&self, action: &str) -> usize {
        self.effects().iter().filter(|effect| effect.action == action).count()
    }

    /// Ask the account as another tool would, by AWS's JSON protocol: `("ecs", "AmazonEC2ContainerServiceV20141113.DescribeServices")`.
    ///
    /// # Panics
    /// It answers with an error.
    pub fn ask(&self, service: &str, target: &str, input: &serde_json::Value) -> serde_json::Value {
        let headers = format!("content-type: application/x-amz-json-1.1\r\nx-amz-target: {target}\r\n");
        let answer = self.post(service, &headers, &input.to_string());
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{target}: {error} in {answer}"))
    }

    /// Tell the account something as another tool would, where the answer says nothing.
    ///
    /// # Panics
    /// It answers with an error.
    pub fn tell(&self, service: &str, target: &str, input: &serde_json::Value) {
        let headers = format!("content-type: application/x-amz-json-1.0\r\nx-amz-target: {target}\r\n");
        self.post(service, &headers, &input.to_string());
    }

    /// Credentials of a session of the role, as environment variables.
    ///
    /// # Panics
    /// It cannot be assumed.
    pub fn session_of(&self, role: &str) -> [(&'static str, String); 3] {
        let form = format!(
            "Action=AssumeRole&Version=2011-06-15&RoleSessionName=test&RoleArn=arn:aws:iam::111111111111:role/{role}"
        );
        let answer = self.post("sts", "content-type: application/x-www-form-urlencoded\r\n", &form);
        let member = |name: &str| {
            let value = answer.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once("</"));
            value.map(|(value, _)| value.to_owned()).unwrap_or_else(|| panic!("no {name} in {answer}"))
        };
        [
            ("AWS_ACCESS_KEY_ID", member("AccessKeyId")),
            ("AWS_SECRET_ACCESS_KEY", member("SecretAccessKey")),
            ("AWS_SESSION_TOKEN", member("SessionToken")),
        ]
    }

    fn post(&self, service: &str, headers: &str, body: &str) -> String {
        let url = self.url();
        let host = url.trim_start_matches("http://");
        let credential = format!("AKIDOTHERTOOL/20260101/us-west-2/{service}/aws4_request");
        let request = format!(
            "POST / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}x-amz-date: 20260101T000000Z\r\n\
             authorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let exchange = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(host)?;
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = exchange().unwrap_or_else(|error| panic!("{error}"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        assert!(head.starts_with("HTTP/1.1 200"), "{headers} {body}: {answer}");
        body.to_owned()
    }

    /// What the account holds now.
    pub fn state(&self) -> serde_json::Value {
        self.simulator.state()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shutdown());
        }
    }
}
