//! `kiln sim`: a simulated AWS on loopback.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use kiln_sim::{Clock, Simulator, WorldFile};
use tokio::signal::unix::{SignalKind, signal};

use super::dispatch::Global;
use super::document::write;
use super::exit::Exit;
use super::load;
use super::page;
use super::say::complain;
use crate::files::{Kept, WriteError};
use crate::pipeline::Span;

const AFTER_HELP: &str = "\
Point any AWS client at the address that is printed, with any credentials:

  export AWS_ENDPOINT_URL=http://127.0.0.1:PORT AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
  aws ecr describe-repositories
  kiln run pipeline.toml --clock-scale 60

What is inside: GET /_kiln/operations, /_kiln/effects, /_kiln/state, /_kiln/clock.";

/// Serve a simulated AWS.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Sim {
    /// What there is at the start: a world file [default: an empty account]
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// How many times as fast as the world's the simulated clock goes [default: as the world file says, or 1]
    #[arg(long, value_name = "FACTOR")]
    scale: Option<f64>,
    /// How much longer each request takes, as over a network: `20ms`
    #[arg(long, value_name = "DURATION")]
    latency: Option<Span>,
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 4567)]
    port: u16,
    /// Write the address to this file once requests are answered
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// An account in which there is nothing.
const EMPTY: &str = "account = \"000000000000\"\nregion = \"us-east-1\"\n";

impl Sim {
    pub(super) async fn execute(self, _: &Global) -> Exit {
        match self.serve().await {
            Ok(()) => Exit::Done,
            Err(exit) => exit,
        }
    }

    async fn serve(self) -> Result<(), Exit> {
        let world = self.world()?;
        let kept = self.world.iter().fold(Kept::default(), |kept, world| kept.file("the world file", world));
        let ready = self.ready_file.as_deref().map(|path| page::destination("the address", path, kept)).transpose()?;
        let scale = self.scale.unwrap_or_else(|| world.scale());
        if !(scale.is_finite() && scale > 0.0) {
            return Err(complain("--scale must be a positive number", None, Exit::Input));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let start = world.start().unwrap_or(now as u64);
        let simulator = Simulator::new(world, Clock::new(start, scale));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let server = kiln_sim::serve_from_afar(simulator, address, self.latency.map(Span::get).unwrap_or_default())
            .await
            .map_err(|error| complain(&format!("cannot listen on {address}: {error}"), None, Exit::Environment))?;
        let url = server.url();
        write(Exit::Done, |out| writeln!(out, "a simulated AWS answers at {url} (Ctrl-C ends it)"));
        // Whoever waits for the file must not see a part of it.
        if let Some(ready) = ready {
            let exit = |error: WriteError| {
                let message = format!("cannot write the address to {}: {error}", ready.path().display());
                complain(&message, Some(error.help()), Exit::Environment)
            };
            ready.write(url.as_bytes()).map_err(exit)?;
        }
        ended()
            .await
            .map_err(|error| complain(&format!("cannot watch for signals: {error}"), None, Exit::Environment))?;
        server.shutdown().await;
        Ok(())
    }

    fn world(&self) -> Result<WorldFile, Exit> {
        match &self.world {
            Some(path) => load::world(path, None),
            None => WorldFile::parse(EMPTY)
                .map_err(|error| complain(&format!("the empty world: {error}"), None, Exit::Environment)),
        }
    }
}

async fn ended() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
