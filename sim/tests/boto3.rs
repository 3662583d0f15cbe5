//! Drives every operation that the simulator offers through boto3, so that botocore parses each answer, and each is held
//! against AWS's own model.
//!
//! It wants a Python with boto3: `KILN_PYTHON`, or `python3`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Output};

use kiln_sim::{Clock, Simulator, WorldFile, serve};

#[tokio::test(flavor = "multi_thread")]
async fn boto3_drives_every_operation() -> Result<(), Box<dyn std::error::Error>> {
    let file = WorldFile::parse(include_str!("coverage.world.toml"))?;
    let epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
    let simulator = Simulator::new(file, Clock::new(u64::try_from(epoch)?, 600.0));
    let server = serve(simulator.clone(), SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let url = server.url();
    let said = tokio::task::spawn_blocking(move || passes("coverage.py", &[&url])).await??;
    assert!(said.contains("answers held against AWS's model"), "{said}");
    assert!(!simulator.effects().is_empty(), "writes are counted");
    server.shutdown().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_deploys_stacks() -> Result<(), Box<dyn std::error::Error>> {
    let file = WorldFile::parse(include_str!("coverage.world.toml"))?;
    let epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
    // So fast that what is waited for is there when it is first asked for.
    let simulator = Simulator::new(file, Clock::new(u64::try_from(epoch)?, 50_000.0));
    let server = serve(simulator.clone(), SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let url = server.url();
    let said = tokio::task::spawn_blocking(move || passes("cli.py", &[&url])).await??;
    assert!(said.contains("deployed 4 times"), "{said}");
    server.shutdown().await;
    Ok(())
}

#[test]
fn what_is_planted_in_an_answer_is_found_by_the_comparison() -> Result<(), Box<dyn std::error::Error>> {
    let said = passes("model_test.py", &[])?;
    assert!(said.contains("OK") && !said.contains("Ran 0 tests"), "{said}");
    Ok(())
}

/// What a script says that succeeds.
fn passes(script: &str, arguments: &[&str]) -> std::io::Result<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python").join(script);
    let python = std::env::var("KILN_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let Output { status, stdout, stderr } = Command::new(python).arg(script).args(arguments).output()?;
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{said}");
    Ok(said)
}
