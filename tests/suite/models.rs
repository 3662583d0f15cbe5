//! What kiln sends and reads without the SDK's own types is as AWS's models have it.

use std::process::Command;

use kiln_tests::repository;

/// The list of a service's members, as a test of the runner wrote it, is held against the service's model.
fn compare(service: &str) {
    let members = format!("runner/src/aws/tests/snapshots/kiln_runner__aws__tests__members__{service}_members.snap");
    let compared = Command::new(super::emulators::python())
        .arg(repository().join("tests/python/members.py"))
        .arg(service)
        .arg(repository().join(members))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap_or_else(|error| panic!("python: {error}"));
    let said = String::from_utf8_lossy(&compared.stdout).into_owned() + &String::from_utf8_lossy(&compared.stderr);
    assert!(compared.status.success(), "{said}");
    let compared = format!("members of {service} compared, 0 problems");
    assert!(said.contains(&compared) && !said.contains("\n0 members"), "{said}");
}

#[test]
fn what_is_sent_to_ec2_and_read_of_it_is_in_ec2s_model() {
    compare("ec2");
}

#[test]
fn what_is_sent_to_cloudformation_and_read_of_it_is_in_cloudformations_model() {
    compare("cloudformation");
}
