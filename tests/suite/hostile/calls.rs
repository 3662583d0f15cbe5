//! Guests that reach for what they were not granted, and guests that wait.

use kiln_tests::Guest;

use super::{Attack, endlessly};

/// Fail with the host's own words about a call that was refused.
const AS_THE_HOST_SAYS: &str = "(call $fail (i32.const 1) (i32.load (i32.const 272)) (i32.load (i32.const 276)))";

/// Describe the images of `repository`.
fn images_of(repository: &str) -> Guest {
    Guest::new(&format!(
        r#"(call $describe-images (str "{repository}") (i32.const 4096) (i32.const 0)
             (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 256))
           {AS_THE_HOST_SAYS}"#
    ))
}

/// Describe a service of `cluster`.
fn services_of(cluster: &str) -> Guest {
    Guest::new(&format!(
        r#"(i64.store (i32.const 320) (i64.const 0x1_0000_1000))
           (call $describe-services (str "{cluster}") (i32.const 320) (i32.const 1) (i32.const 256))
           {AS_THE_HOST_SAYS}"#
    ))
    .asking("ecs:DescribeServices", &["arn:${partition}:ecs:${region}:${account}:service/web/*"])
}

const IMAGES_OF_WEB: &str = "arn:${partition}:ecr:${region}:${account}:repository/web";

#[test]
fn an_operation_that_was_not_granted() {
    let guest = images_of("web").asking("ecr:DescribeRepositories", &[IMAGES_OF_WEB]);
    Attack::by(&guest).json().failed("denied", "ecr:DescribeImages");
}

#[test]
fn a_repository_outside_the_grant() {
    let guest = images_of("payroll").asking("ecr:DescribeImages", &[IMAGES_OF_WEB]);
    Attack::by(&guest).json().failed("denied", "repository/payroll");
}

#[test]
fn a_repository_that_is_a_pattern() {
    for name in ["*", "we?", "web*", "web/../payroll", "web:repository/payroll", "WEB", ""] {
        let guest = images_of(name).asking("ecr:DescribeImages", &[IMAGES_OF_WEB]);
        let aftermath = Attack::by(&guest).json();
        let kind = aftermath.failure["kind"].clone();
        assert_eq!(kind, "denied", "{name:?}: {}", aftermath.failure);
    }
}

#[test]
fn a_cluster_of_another_account() {
    let guest = services_of("arn:aws:ecs:us-west-2:999999999999:cluster/web");
    Attack::by(&guest).json().failed("denied", "999999999999");
}

#[test]
fn a_cluster_of_another_region() {
    let guest = services_of("arn:aws:ecs:eu-central-1:111111111111:cluster/web");
    Attack::by(&guest).json().failed("denied", "eu-central-1");
}

#[test]
fn a_key_that_decrypts_without_reveal() {
    let body = format!(
        r#"(call $decrypt (str "alias/web") (str "ciphertext") (i32.const 4096) (i32.const 0) (i32.const 256))
           {AS_THE_HOST_SAYS}"#
    );
    let guest = Guest::new(&body).asking("kms:Decrypt", &["arn:${partition}:kms:${region}:${account}:alias/web"]);
    Attack::by(&guest).json().failed("denied", "");
}

#[test]
fn a_name_of_eight_mebibytes() {
    let guest = Guest::new(&format!(
        "(drop (memory.grow (i32.const 200)))
         (memory.fill (i32.const 131072) (i32.const 0x61) (i32.const 8388608))
         (call $describe-images (i32.const 131072) (i32.const 8388608) (i32.const 4096) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 256))
         {AS_THE_HOST_SAYS}"
    ))
    .asking("ecr:DescribeImages", &[IMAGES_OF_WEB]);
    Attack::by(&guest).json().failed("sandbox", "too large for the journal");
}

#[test]
fn a_name_of_a_hundred_kibibytes_is_shown_cut() {
    let guest = Guest::new(&format!(
        "(drop (memory.grow (i32.const 20)))
         (memory.fill (i32.const 131072) (i32.const 0x61) (i32.const 102400))
         (call $describe-images (i32.const 131072) (i32.const 102400) (i32.const 4096) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 256))
         {AS_THE_HOST_SAYS}"
    ))
    .asking("ecr:DescribeImages", &[IMAGES_OF_WEB]);
    Attack::by(&guest).writing(64 << 10).json().failed("denied", "aaaa");
}

#[test]
fn a_wait_past_the_deadline() {
    let aftermath = Attack::running(&endlessly("(call $sleep (i64.const 600000))")).stage("timeout = \"1s\"").json();
    aftermath.failed("timed-out", "not done within its timeout of 1.0s");
    assert!(aftermath.took.as_secs() < 8, "{:?}", aftermath.took);
}

#[test]
fn a_wait_for_ever() {
    Attack::running(&endlessly("(call $sleep (i64.const -1))"))
        .stage("timeout = \"1s\"")
        .json()
        .failed("timed-out", "not done within its timeout of 1.0s");
}
