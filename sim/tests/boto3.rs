//! Drives every operation that the simulator offers through boto3, so that botocore parses each answer, and each is held
//! against AWS's own model; and those of machines through the AWS CLI, too.
//!
//! It wants a Python with boto3 and the AWS CLI: `KILN_PYTHON`, or `python3`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Output};

use kiln_sim::{Clock, Simulator, WorldFile, serve};

#[tokio::test(flavor = "multi_thread")]
async fn boto3_drives_every_operation() -> Result<(), Box<dyn std::error::Error>> {
    driven("coverage.py", &[], 600.0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_drives_machines() -> Result<(), Box<dyn std::error::Error>> {
    let services = ["autoscaling", "ec2", "elasticloadbalancing", "imagebuilder", "inspector2", "kms", "ssm"];
    // A command takes so much longer than a call.
    driven("cli.py", &services, 60.0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_deploys_stacks() -> Result<(), Box<dyn std::error::Error>> {
    // So fast that what is waited for is there when it is first asked for.
    driven("cli_stacks.py", &[], 50_000.0).await
}

/// A script drives a simulator whose clock goes so much faster than the world's.
async fn driven(script: &'static str, services: &[&str], scale: f64) -> Result<(), Box<dyn std::error::Error>> {
    let file = WorldFile::parse(include_str!("coverage.world.toml"))?;
    let epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
    let simulator = Simulator::new(file, Clock::new(u64::try_from(epoch)?, scale));
    let server = serve(simulator.clone(), SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let arguments: Vec<String> =
        [server.url()].into_iter().chain(services.iter().map(|&name| name.to_owned())).collect();
    let said = tokio::task::spawn_blocking(move || passes(script, &arguments)).await??;
    assert!(said.contains("answers held against AWS's model") || said.contains("deployed 4 times"), "{said}");
    assert!(!simulator.effects().is_empty(), "writes are counted");
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
fn passes(script: &str, arguments: &[String]) -> std::io::Result<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python").join(script);
    let python = std::env::var("KILN_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let Output { status, stdout, stderr } = Command::new(python).arg(script).args(arguments).output()?;
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{said}");
    Ok(said)
}
