//! What holds the items of a table behind an [`Unsteady`](crate::Unsteady) way: memory, or a server.
//!
//! The main types are [`Backend`] and [`Served`].

use std::net::SocketAddr;
use std::sync::mpsc;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::dynamo::Dynamo;

/// Moto finds service and region in a signature, and does not check it.
const SIGNED: &str =
    "AWS4-HMAC-SHA256 Credential=test/20260105/us-west-2/dynamodb/aws4_request, SignedHeaders=host, Signature=0";

/// Answers requests of DynamoDB's JSON protocol while virtual time stands still.
pub trait Backend: Send + Sync {
    /// Answer a request: `operation` is the last part of `X-Amz-Target`.
    fn answer(&self, operation: &str, body: &[u8]) -> Response<Vec<u8>>;
}

impl Backend for Dynamo {
    fn answer(&self, operation: &str, body: &[u8]) -> Response<Vec<u8>> {
        self.answer(operation, body)
    }
}

/// A server of DynamoDB on loopback. It is asked by threads of its own, because a runtime whose clock jumps when it waits would
/// let every time-out pass before the answer is there.
pub struct Served {
    server: SocketAddr,
    runtime: Runtime,
}

impl Served {
    /// The server at an address.
    pub fn at(server: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self { server, runtime: runtime.unwrap_or_else(|error| panic!("a runtime: {error}")) }
    }
}

impl Backend for Served {
    fn answer(&self, operation: &str, body: &[u8]) -> Response<Vec<u8>> {
        let request = Request::post("/")
            .header("host", self.server.to_string())
            .header("authorization", SIGNED)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .body(Full::new(Bytes::copy_from_slice(body)))
            .unwrap_or_else(|error| panic!("{operation}: {error}"));
        let (sender, answered) = mpsc::channel();
        let server = self.server;
        self.runtime.spawn(async move {
            // Whoever asked waits for it.
            let _ = sender.send(exchange(server, request).await);
        });
        let answer = answered.recv().unwrap_or_else(|error| panic!("{operation}: {error}"));
        answer.unwrap_or_else(|error| panic!("{operation} on {server}: {error}"))
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(server: SocketAddr, request: Request<Full<Bytes>>) -> Result<Response<Vec<u8>>, Error> {
    let stream = TcpStream::connect(server).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (parts, body) = sender.send_request(request).await?.into_parts();
    Ok(Response::from_parts(parts, body.collect().await?.to_bytes().to_vec()))
}
