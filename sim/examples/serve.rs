//! Serves the world of a file until its standard input ends, and prints its URL: `serve WORLD.toml [SCALE] [PORT]`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use kiln_sim::{Clock, Simulator, WorldFile, serve};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which world file?")?;
    let file = WorldFile::parse(&std::fs::read_to_string(path)?)?;
    let scale = arguments.next().map_or(Ok(file.scale()), |scale| scale.parse())?;
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let epoch = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let simulator = Simulator::new(file, Clock::new(epoch, scale));
    let server = serve(simulator, SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    writeln!(std::io::stdout(), "{}", server.url())?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    server.shutdown().await;
    Ok(())
}
