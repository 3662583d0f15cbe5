//! Who gets in: signatures, session tokens, expiry, skew, and what policies let through.

mod signer;

use std::time::Duration;

use kiln_sim::{Bytes, Clock, Simulator, WorldFile};
use serde_json::{Value, json};
use signer::Signer;

type Checked = Result<(), Box<dyn std::error::Error>>;

const HEAD: &str = "account = '111111111111'\nregion = 'us-west-2'\n";
const EPOCH: u64 = 1_767_603_600_000; // 2026-01-05T09:00:00Z
const KEY: &str = "[[access-keys]]\nid = 'AKIAONE'\nsecret = 'one'\nuser = 'ada'\n";

fn simulator(world: &str) -> Result<Simulator, Box<dyn std::error::Error>> {
    Ok(Simulator::new(WorldFile::parse(&format!("{HEAD}{world}"))?, Clock::manual(EPOCH)))
}

fn told(response: &http::Response<Bytes>) -> (u16, String) {
    (response.status().as_u16(), String::from_utf8_lossy(response.body()).into_owned())
}

async fn list_keys(simulator: &Simulator, signer: &Signer) -> Result<(u16, String), Box<dyn std::error::Error>> {
    Ok(told(&simulator.dispatch(signer.json("kms", "TrentService.ListKeys", &json!({}))?).await))
}

async fn who(simulator: &Simulator, signer: &Signer) -> Result<(u16, String), Box<dyn std::error::Error>> {
    let form = [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")];
    Ok(told(&simulator.dispatch(signer.query("sts", &form)?).await))
}

/// The credentials of a session.
async fn assume(
    simulator: &Simulator,
    by: &Signer,
    policy: Option<&Value>,
) -> Result<Signer, Box<dyn std::error::Error>> {
    let policy = policy.map(Value::to_string);
    let mut form = vec![
        ("Action", "AssumeRole"),
        ("Version", "2011-06-15"),
        ("RoleArn", "arn:aws:iam::111111111111:role/deployer"),
        ("RoleSessionName", "kiln"),
        ("DurationSeconds", "900"),
    ];
    form.extend(policy.as_deref().map(|policy| ("Policy", policy)));
    let (status, xml) = told(&simulator.dispatch(by.query("sts", &form)?).await);
    assert_eq!(status, 200, "{xml}");
    let field = |name: &str| {
        let rest = xml.split_once(&format!("<{name}>"))?.1;
        Some(rest.split_once('<')?.0.to_owned())
    };
    let mut session = Signer::new(&field("AccessKeyId").ok_or("a key")?, &field("SecretAccessKey").ok_or("a secret")?);
    session.token = Some(field("SessionToken").ok_or("a token")?);
    session.date = by.date.clone();
    Ok(session)
}

#[tokio::test]
async fn a_known_key_must_sign_with_its_secret_and_strangers_are_let_in() -> Checked {
    let simulator = simulator(KEY)?;
    let (status, xml) = who(&simulator, &Signer::new("AKIAONE", "one")).await?;
    assert!(status == 200 && xml.contains("arn:aws:iam::111111111111:user/ada"), "{xml}");
    let (status, xml) = who(&simulator, &Signer::new("AKIAONE", "two")).await?;
    assert!(status == 403 && xml.contains("<Code>SignatureDoesNotMatch</Code>"), "{xml}");
    assert!(xml.contains("The request signature we calculated does not match the signature you provided."), "{xml}");
    let (status, json) = list_keys(&simulator, &Signer::new("AKIAONE", "two")).await?;
    assert!(status == 403 && json.contains("\"InvalidSignatureException\""), "{json}");
    assert_eq!(list_keys(&simulator, &Signer::new("AKIATWO", "two")).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn a_strict_world_knows_its_callers() -> Checked {
    let simulator = simulator(&format!("verify-signatures = 'strict'\n{KEY}"))?;
    assert_eq!(list_keys(&simulator, &Signer::new("AKIAONE", "one")).await?.0, 200);
    let (status, json) = list_keys(&simulator, &Signer::new("AKIATWO", "two")).await?;
    assert!(status == 403 && json.contains("UnrecognizedClientException"), "{json}");
    let (status, xml) = who(&simulator, &Signer::new("AKIATWO", "two")).await?;
    assert!(status == 403 && xml.contains("<Code>InvalidClientTokenId</Code>"), "{xml}");
    Ok(())
}

#[tokio::test]
async fn a_session_is_its_key_its_secret_and_its_token() -> Checked {
    let simulator = simulator("")?;
    let session = assume(&simulator, &Signer::new("test", "test"), None).await?;
    assert_eq!(list_keys(&simulator, &session).await?.0, 200);
    let without = Signer { token: None, ..session.clone() };
    let (status, json) = list_keys(&simulator, &without).await?;
    assert!(status == 403 && json.contains("The security token included in the request is invalid."), "{json}");
    let forged = Signer { secret: "forged".to_owned(), ..session.clone() };
    assert!(list_keys(&simulator, &forged).await?.1.contains("InvalidSignatureException"));
    // Without `expire-credentials` the clock of the world is no matter.
    simulator.clock().advance(Duration::from_secs(100_000));
    assert_eq!(list_keys(&simulator, &session).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn in_process_credentials_and_signatures_grow_old() -> Checked {
    let file = WorldFile::parse(HEAD)?.in_process();
    let simulator = Simulator::new(file, Clock::manual(EPOCH));
    let anyone = Signer::new("test", "test");
    let session = assume(&simulator, &anyone, None).await?;
    assert_eq!(list_keys(&simulator, &Signer::new("other", "other")).await?.0, 403);
    simulator.clock().advance(Duration::from_secs(300));
    assert_eq!(list_keys(&simulator, &session).await?.0, 200);
    simulator.clock().advance(Duration::from_secs(1));
    let (status, json) = list_keys(&simulator, &session).await?;
    let old = "Signature expired: 20260105T090000Z is now earlier than 20260105T090001Z (20260105T090501Z - 5 min.)";
    assert!(status == 403 && json.contains(old), "{json}");
    let tomorrow = Signer { date: "20260106T090000Z".to_owned(), ..anyone.clone() };
    assert!(list_keys(&simulator, &tomorrow).await?.1.contains("Signature not yet current: 20260106T090000Z"));
    // The last millisecond of the session, and the first without it.
    simulator.clock().advance(Duration::from_millis(598_999));
    let late = Signer { date: "20260105T091459Z".to_owned(), ..session };
    assert_eq!(list_keys(&simulator, &late).await?.0, 200);
    simulator.clock().advance(Duration::from_millis(1));
    let (status, json) = list_keys(&simulator, &late).await?;
    assert!(status == 403 && json.contains("ExpiredTokenException"), "{json}");
    Ok(())
}

#[tokio::test]
async fn a_session_policy_lets_through_what_it_names() -> Checked {
    let simulator =
        simulator("[[roles]]\nname = 'deployer'\n[[repositories]]\nname = 'web'\n[[repositories]]\nname = 'other'\n")?;
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "ecr:Describe*", "Resource": "arn:aws:ecr:us-west-2:111111111111:repository/web" },
        { "Effect": "Allow", "Action": "ecs:*", "Resource": "*" },
        { "Effect": "Deny", "Action": "ecs:DeleteCluster", "Resource": "*" },
    ]});
    let session = assume(&simulator, &Signer::new("test", "test"), Some(&policy)).await?;
    let ecr = async |operation: &str, repository: &str| -> Result<_, Box<dyn std::error::Error>> {
        let target = format!("AmazonEC2ContainerRegistry_V20150921.{operation}");
        let request = session.json("ecr", &target, &json!({ "repositoryName": repository }))?;
        Ok(told(&simulator.dispatch(request).await))
    };
    assert_eq!(ecr("DescribeImages", "web").await?.0, 200);
    let (status, json) = ecr("DescribeImages", "other").await?;
    let refused = "User: arn:aws:sts::111111111111:assumed-role/deployer/kiln is not authorized to perform: ecr:DescribeImages on \
                   resource: arn:aws:ecr:us-west-2:111111111111:repository/other because no session policy allows the \
                   ecr:DescribeImages action";
    assert!(status == 400 && json.contains("AccessDeniedException") && json.contains(refused), "{json}");
    assert!(ecr("ListImages", "web").await?.1.contains("no session policy allows the ecr:ListImages action"));

    let ecs = async |operation: &str, input: Value| -> Result<_, Box<dyn std::error::Error>> {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        Ok(told(&simulator.dispatch(session.json("ecs", &target, &input)?).await))
    };
    assert_eq!(ecs("CreateCluster", json!({ "clusterName": "web" })).await?.0, 200);
    assert!(
        ecs("DeleteCluster", json!({ "cluster": "web" }))
            .await?
            .1
            .contains("with an explicit deny in a session policy")
    );
    let definition = json!({ "family": "web", "executionRoleArn": "web-execution",
        "containerDefinitions": [{ "name": "app", "image": "web:1", "memory": 256 }] });
    let (_, json) = ecs("RegisterTaskDefinition", definition).await?;
    let passed = "not authorized to perform: iam:PassRole on resource: arn:aws:iam::111111111111:role/web-execution because no session policy allows the iam:PassRole action";
    assert!(json.contains(passed), "{json}");
    assert_eq!(simulator.effects().len(), 1, "a refused call has no effect: {:?}", simulator.effects());
    // Everybody may ask who they are.
    assert_eq!(who(&simulator, &session).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn a_roles_own_policy_bounds_its_sessions_and_a_users_the_user() -> Checked {
    let policy =
        r#"policy = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:*","Resource":"*"}}'"#;
    let simulator = simulator(&format!("[[roles]]\nname = 'deployer'\n{policy}\n{KEY}{policy}\n"))?;
    let session = assume(&simulator, &Signer::new("test", "test"), None).await?;
    let refusal = "because no identity-based policy allows the kms:ListKeys action";
    assert!(list_keys(&simulator, &session).await?.1.contains(refusal));
    assert!(list_keys(&simulator, &Signer::new("AKIAONE", "one")).await?.1.contains(refusal));
    assert_eq!(list_keys(&simulator, &Signer::new("test", "test")).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn a_policy_that_cannot_be_evaluated_is_refused() -> Checked {
    assert!(simulator("[[roles]]\nname = 'deployer'\npolicy = '{}'\n").is_err());
    let simulator = simulator("")?;
    let policy = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{}}}"#;
    let form = [
        ("Action", "AssumeRole"),
        ("RoleArn", "arn:aws:iam::111111111111:role/deployer"),
        ("RoleSessionName", "kiln"),
        ("Policy", policy),
    ];
    let (status, xml) = told(&simulator.dispatch(Signer::new("test", "test").query("sts", &form)?).await);
    assert!(status == 400 && xml.contains("MalformedPolicyDocument"), "{xml}");
    Ok(())
}
