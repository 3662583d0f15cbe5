//! A simulated account with a table that runs are shared in, on loopback, for the life of a test. The table can be cut off.
//!
//! The main type is [`SharedAccount`].

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kiln_sim::{Clock, Simulator, WorldFile};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::kiln::Kiln;
use crate::world::World;

/// A simulated account with a table. It stops when it is dropped.
pub struct SharedAccount {
    simulator: Simulator,
    address: SocketAddr,
    scale: f64,
    refusing: Arc<Mutex<bool>>,
    _runtime: Runtime,
}

impl SharedAccount {
    /// The account of a world, with a clock that goes `scale` times as fast as the world's.
    pub fn at_scale(world: &World, scale: f64) -> Self {
        let table = "name = \"kiln\"\npartition-key = \"pk\"\nsort-key = \"sk\"\n";
        let file = WorldFile::parse(&world.clone().add("tables", table).text())
            .unwrap_or_else(|error| panic!("the test's world: {error}"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap_or_else(|error| panic!("a runtime: {error}"));
        let simulator = runtime.block_on(async { Simulator::new(file, Clock::new(now, scale)) });
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.unwrap_or_else(|error| panic!("loopback: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("loopback: {error}"));
        let refusing = Arc::new(Mutex::new(false));
        runtime.spawn(accept(listener, simulator.clone(), Arc::clone(&refusing)));
        Self { simulator, address, scale, refusing, _runtime: runtime }
    }

    /// A `kiln` command line that reaches this account and shares its runs in the table.
    pub fn kiln<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Kiln {
        Kiln::new(arguments)
            .env("AWS_ENDPOINT_URL", &self.url())
            .env("KILN_STORE", "dynamodb://us-west-2/kiln")
            .scale(self.scale)
    }

    /// The address of the simulated AWS.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often `action` had an effect.
    pub fn count(&self, action: &str) -> usize {
        self.simulator.effects().iter().filter(|effect| effect.action == action).count()
    }

    /// From now on the table does not answer, or does again.
    pub fn refuse(&self, refusing: bool) {
        *self.refusing.lock().unwrap_or_else(PoisonError::into_inner) = refusing;
    }
}

async fn accept(listener: TcpListener, simulator: Simulator, refusing: Arc<Mutex<bool>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let (simulator, refusing) = (simulator.clone(), Arc::clone(&refusing));
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let (simulator, refusing) = (simulator.clone(), Arc::clone(&refusing));
                async move { answer(&simulator, &refusing, request).await }
            });
            // Whoever hangs up early is dead, or was answered.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    simulator: &Simulator,
    refusing: &Mutex<bool>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    if target.starts_with("DynamoDB_") && *refusing.lock().unwrap_or_else(PoisonError::into_inner) {
        return Err(std::io::Error::other("the table does not answer"));
    }
    Ok(simulator.dispatch(Request::from_parts(parts, body)).await.map(Full::new))
}
