//! Keys and secrets: what is told, and what is never written down.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::canned::{Answer, Canned, hermetic, refused, sent};
use crate::aws::error::ErrorKind;
use crate::aws::operation::Operation;
use crate::aws::secretsmanager::GetSecretValueRequest;
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_kms::kms::{DecryptRequest, DescribeKeyRequest, EncryptRequest};
use crate::contract::bindings::kiln::aws_secretsmanager::secretsmanager::DescribeSecretRequest;

const PLAINTEXT: &[u8] = b"hunter2-hunter2";

fn pair(name: &str, value: &str) -> Pair {
    Pair { name: name.to_owned(), value: value.to_owned() }
}

fn encrypt() -> EncryptRequest {
    EncryptRequest {
        key_id: "alias/web".to_owned(),
        plaintext: PLAINTEXT.to_owned(),
        encryption_context: vec![pair("stage", "deploy")],
    }
}

#[test]
fn nothing_of_what_is_encrypted_is_journaled() -> serde_json::Result<()> {
    let expected = json!({
        "key_id": "alias/web",
        "plaintext": null,
        "encryption_context": [{ "name": "stage", "value": "deploy" }],
    });
    assert_eq!(encrypt().journaled()?, expected);
    Ok(())
}

#[test]
fn text_is_encrypted_and_decrypted() {
    hermetic(async {
        let answer = json!({ "CiphertextBlob": STANDARD.encode(b"sealed"), "KeyId": "arn:key" });
        let (output, asked) = sent(&encrypt(), [Answer::ok(answer)]).await;
        assert_eq!((output.ciphertext.as_slice(), output.key_id.as_str()), (b"sealed".as_slice(), "arn:key"));
        let context = json!({ "stage": "deploy" });
        let plaintext = STANDARD.encode(PLAINTEXT);
        let expected = json!({ "KeyId": "alias/web", "Plaintext": plaintext, "EncryptionContext": context });
        assert_eq!(asked[0].json(), expected);

        let request = DecryptRequest {
            key_id: "alias/web".to_owned(),
            ciphertext: b"sealed".to_vec(),
            encryption_context: encrypt().encryption_context,
        };
        let (output, asked) = sent(&request, [Answer::ok(json!({ "Plaintext": plaintext }))]).await;
        assert_eq!((output.plaintext.as_slice(), output.key_id.as_str()), (PLAINTEXT, ""));
        let sealed = STANDARD.encode(b"sealed");
        let expected = json!({ "KeyId": "alias/web", "CiphertextBlob": sealed, "EncryptionContext": context });
        assert_eq!(asked[0].json(), expected);

        let twice = EncryptRequest { encryption_context: vec![pair("a", "1"), pair("a", "2")], ..encrypt() };
        assert_eq!(refused(&twice).await, "the encryption context has \"a\" twice");
    });
}

#[test]
fn a_key_tells_states_that_aws_adds() {
    hermetic(async {
        let key = json!({ "KeyMetadata": { "KeyId": "0a", "Arn": "arn", "KeyState": "Frozen", "Enabled": true } });
        let request = DescribeKeyRequest { key_id: "alias/web".to_owned() };
        let (output, _) = sent(&request, [Answer::ok(key)]).await;
        assert_eq!((output.key_state.as_str(), output.key_spec.as_str(), output.enabled), ("Frozen", "", true));
        for odd in ["", "key/0a", "alias/a:b"] {
            refused(&DescribeKeyRequest { key_id: odd.to_owned() }).await;
        }
    });
}

#[test]
fn a_secret_tells_its_current_version_and_when_it_turns() {
    hermetic(async {
        let answer = json!({
            "ARN": "arn", "Name": "prod/registry", "RotationEnabled": true, "LastRotatedDate": 1, "LastChangedDate": 2,
            "NextRotationDate": 3, "DeletedDate": 4, "KmsKeyId": "key", "Tags": [{ "Key": "team", "Value": "web" }],
            "VersionIdsToStages": { "v1": ["AWSPREVIOUS"], "v2": ["blue", "AWSCURRENT"] },
        });
        let request = DescribeSecretRequest { secret_id: "prod/registry".to_owned() };
        let (output, _) = sent(&request, [Answer::ok(answer)]).await;
        assert_eq!(output.current_version.as_deref(), Some("v2"));
        let instants = [output.last_rotated, output.last_changed, output.next_rotation, output.deleted];
        assert_eq!(instants, [Some(1000), Some(2000), Some(3000), Some(4000)]);
        assert_eq!((output.tags, output.rotation_enabled), (vec![pair("team", "web")], true));
        let (output, _) = sent(&request, [Answer::ok(json!({}))]).await;
        assert_eq!((output.current_version, output.rotation_enabled), (None, false));
    });
}

#[test]
fn a_secrets_value_is_read_by_version_and_never_shown() {
    hermetic(async {
        let request = GetSecretValueRequest {
            secret_id: "prod/registry".to_owned(),
            version_id: Some("v2".to_owned()),
            version_stage: None,
        };
        let answer = json!({ "ARN": "arn", "Name": "prod/registry", "VersionId": "v2", "SecretString": "hunter2" });
        let (output, asked) = sent(&request, [Answer::ok(answer)]).await;
        assert_eq!(asked[0].json(), json!({ "SecretId": "prod/registry", "VersionId": "v2" }));
        assert_eq!(output.secret_string.as_deref(), Some("hunter2"));
        let shown = format!("{output:?}");
        assert!(shown.contains("v2") && !shown.contains("hunter2"), "{shown}");

        let bytes = json!({ "SecretBinary": STANDARD.encode([1, 2]) });
        let (output, _) = sent(&request, [Answer::ok(bytes)]).await;
        assert_eq!((output.secret_binary.as_deref(), output.secret_string.as_deref()), (Some([1, 2].as_slice()), None));

        let aws = Canned::with([Answer::ok(json!({ "Name": "prod/registry" }))]).await;
        let error = aws.send(&request).await.map_err(|error| error.kind);
        assert_eq!(error, Err(ErrorKind::Unavailable), "no value is not an empty one");
    });
}
