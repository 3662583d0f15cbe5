//! A simulated AWS account on loopback, for the life of a test.
//!
//! The main type is [`Account`].

use std::net::{Ipv4Addr, SocketAddr};
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
