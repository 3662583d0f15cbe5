//! AWS's other partitions, whose ARNs and hosts have other names.

use std::fs;

use kiln_tests::{Kiln, World, repository};

#[test]
fn a_pipeline_runs_in_each_partition() {
    let read = |path: &str| {
        let path = repository().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let (pipeline, world) = (read("pipelines/web-service.toml"), World::web_service().text());
    for (region, partition, domain) in [
        ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
        ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
        ("us-isob-east-1", "aws-iso-b", "sc2s.sgov.gov"),
    ] {
        let there = |text: &str| text.replace("us-west-2", region).replace("arn:aws:", &format!("arn:{partition}:"));
        let outcome = Kiln::new([
            "rehearse",
            "web.toml",
            "--world",
            "world.toml",
            "--output",
            "json",
            "--input",
            "commit=4f2a9c1",
        ])
        .file("web.toml", there(&pipeline))
        .file("world.toml", there(&world))
        .run();
        assert_eq!(outcome.code(), Some(0), "{region}: {}", outcome.all());
        assert_eq!(
            outcome.stages(),
            ["build done", "scan done", "deploy done", "verify done", "cleanup done"],
            "{region}"
        );
        let said = outcome.stdout();
        assert!(said.contains(&format!("111111111111.dkr.ecr.{region}.{domain}/web@sha256:")), "{region}: {said}");
        assert!(said.contains(&format!("arn:{partition}:ecs:{region}:")), "{region}: {said}");
        assert!(!said.contains("arn:aws:"), "{region}: {said}");
    }
}
