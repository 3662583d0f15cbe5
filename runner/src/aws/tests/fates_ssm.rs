//! What became of calls of Systems Manager whose answers never came.

use serde_json::{Value, json};

use super::canned::{Answer, before, fate, hermetic, in_words, refused};
use crate::contract::bindings::kiln::aws_ssm::ssm::PutParameterRequest;

fn request() -> PutParameterRequest {
    PutParameterRequest {
        name: "/web/ami".to_owned(),
        value: "ami-2".to_owned(),
        parameter_type: "String".to_owned(),
        overwrite: true,
        data_type: Some("aws:ec2:image".to_owned()),
        description: None,
    }
}

fn history(versions: &[(u64, &str)]) -> Answer {
    let version = |(version, value): &(u64, &str)| json!({ "Version": version, "Value": value, "Type": "String" });
    Answer::ok(json!({ "Parameters": versions.iter().map(version).collect::<Vec<Value>>() }))
}

#[test]
fn the_newest_version_is_kept_before_another_is_made() {
    hermetic(async {
        let seen = before(&request(), [history(&[(1, "ami-0"), (2, "ami-1")])]).await;
        assert_eq!(seen, json!({ "version": 2 }));
        let none = before(&request(), [Answer::error(400, "ParameterNotFound")]).await;
        assert_eq!(none, json!({ "version": 0 }));
    });
}

#[test]
fn a_version_is_made_once() {
    hermetic(async {
        let was = json!({ "version": 2 });
        let told =
            async |versions: &[(u64, &str)]| in_words(fate(&request(), Some(&was), 60, [history(versions)]).await);
        let old = [(1, "ami-2"), (2, "ami-1")];
        assert_eq!(told(&old).await.0, "not happened: no version behind 2 has the value");
        let other = [(2, "ami-1"), (3, "ami-9")];
        assert_eq!(told(&other).await.0, "not happened: no version behind 2 has the value");
        let (ours, output) = told(&[(2, "ami-1"), (3, "ami-2")]).await;
        assert_eq!(ours, "happened: version 3 has the value, and no other was made");
        assert_eq!(output.unwrap().version, 3);
        for versions in [[(3, "ami-2"), (4, "ami-9")], [(3, "ami-2"), (4, "ami-2")], [(3, "ami-9"), (4, "ami-2")]] {
            let (unknown, _) = told(&versions).await;
            assert!(unknown.starts_with("unknown: 2 versions were made since"), "{unknown}");
        }
        let (blind, _) = in_words(fate(&request(), None, 60, []).await);
        assert!(blind.starts_with("unknown: nobody knows which version"), "{blind}");
    });
}

#[test]
fn a_secret_is_no_parameter_to_be_written() {
    hermetic(async {
        let secret = PutParameterRequest { parameter_type: "SecureString".to_owned(), ..request() };
        assert_eq!(refused(&secret).await, "a SecureString is a secret, which a run would write down");
        let strange = PutParameterRequest { name: "/web/ami:3".to_owned(), ..request() };
        assert!(refused(&strange).await.contains("':' cannot be part of one"));
    });
}
