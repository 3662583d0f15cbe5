//! What kiln sends and reads without the SDK's own types is as AWS's models have it.

use std::process::Command;

use kiln_tests::repository;

#[test]
fn what_is_sent_to_ec2_and_read_of_it_is_in_ec2s_model() {
    let members = "runner/src/aws/tests/snapshots/kiln_runner__aws__tests__ec2_members__ec2_members.snap";
    let compared = Command::new(super::emulators::python())
        .args([repository().join("tests/python/ec2_members.py"), repository().join(members)])
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap_or_else(|error| panic!("python: {error}"));
    let said = String::from_utf8_lossy(&compared.stdout).into_owned() + &String::from_utf8_lossy(&compared.stderr);
    assert!(compared.status.success(), "{said}");
    assert!(said.contains("members of EC2 compared, 0 problems") && !said.contains("\n0 members"), "{said}");
}
