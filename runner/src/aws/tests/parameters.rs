//! Parameters of Systems Manager, and who may use keys.

use serde_json::json;

use super::canned::{Answer, failed, hermetic, refused, sent};
use crate::aws::error::ErrorKind;
use crate::contract::bindings::kiln::aws_kms_access::kms_access::{GetKeyPolicyRequest, ListGrantsRequest};
use crate::contract::bindings::kiln::aws_ssm::ssm::{
    DescribeParametersRequest, GetParameterHistoryRequest, GetParameterRequest, GetParametersByPathRequest,
};

fn named(name: &str) -> GetParameterRequest {
    GetParameterRequest { name: name.to_owned() }
}

#[test]
fn the_value_of_a_secret_is_told_nowhere() {
    hermetic(async {
        let of_type = |kind: &str| json!({ "Name": "/web/x", "Type": kind, "Value": "AQICAH", "Version": 2 });
        for (kind, expected) in [("String", Some("AQICAH")), ("SecureString", None), ("SealedString", None)] {
            let answer = Answer::ok(json!({ "Parameter": of_type(kind) }));
            let (output, asked) = sent(&named("/web/x"), [answer]).await;
            assert_eq!(output.parameter.value.as_deref(), expected, "{kind}");
            assert_eq!(asked[0].json(), json!({ "Name": "/web/x", "WithDecryption": false }));
            let by_path = GetParametersByPathRequest { path: "/web".to_owned(), recursive: true };
            let (output, _) = sent(&by_path, [Answer::ok(json!({ "Parameters": [of_type(kind)] }))]).await;
            assert_eq!(output.parameters[0].value.as_deref(), expected, "{kind}");
            let history = GetParameterHistoryRequest { name: "/web/x".to_owned() };
            let (output, _) = sent(&history, [Answer::ok(json!({ "Parameters": [of_type(kind)] }))]).await;
            assert_eq!(output.versions[0].value.as_deref(), expected, "{kind}");
        }
    });
}

#[test]
fn a_history_is_told_oldest_first_and_followed_to_its_last_page() {
    hermetic(async {
        let version = |version: u64| json!({ "Version": version, "Value": "x", "Type": "String", "Labels": ["l"] });
        let pages = [
            json!({ "Parameters": [version(3), version(2)], "NextToken": "two" }),
            json!({ "Parameters": [version(1)] }),
        ];
        let request = GetParameterHistoryRequest { name: "x".to_owned() };
        let (output, asked) = sent(&request, pages.map(Answer::ok)).await;
        let versions: Vec<u64> = output.versions.iter().map(|version| version.version).collect();
        assert_eq!((versions, output.versions[0].labels.clone()), (vec![1, 2, 3], vec!["l".to_owned()]));
        assert_eq!(asked[1].json()["NextToken"], "two");
    });
}

#[test]
fn parameters_are_chosen_by_their_beginning_and_type() {
    hermetic(async {
        let request =
            DescribeParametersRequest { prefix: Some("/web/".to_owned()), parameter_type: Some("String".to_owned()) };
        let (_, asked) = sent(&request, [Answer::ok(json!({ "Parameters": [] }))]).await;
        let filters = json!([
            { "Key": "Name", "Option": "BeginsWith", "Values": ["/web/"] },
            { "Key": "Type", "Option": "Equals", "Values": ["String"] },
        ]);
        assert_eq!(asked[0].json(), json!({ "ParameterFilters": filters, "MaxResults": 50 }));
    });
}

#[test]
fn what_is_no_parameter_is_refused_before_it_is_sent() {
    hermetic(async {
        for name in ["", "/web/*", "a:b:c", "arn:aws:ssm:us-west-2:111111111111:document/x"] {
            refused(&named(name)).await;
        }
        refused(&GetParametersByPathRequest { path: "web".to_owned(), recursive: false }).await;
        let missing = failed(&named("/web/x"), Answer::error(400, "ParameterNotFound")).await;
        assert_eq!(missing, Some((ErrorKind::NotFound, "ParameterNotFound".to_owned())));
        let version = failed(&named("/web/x:9"), Answer::error(400, "ParameterVersionNotFound")).await;
        assert_eq!(version.map(|(kind, _)| kind), Some(ErrorKind::NotFound));
    });
}

#[test]
fn a_key_tells_who_may_use_it() {
    hermetic(async {
        let key = || "0a-1b".to_owned();
        let (output, _) = sent(&GetKeyPolicyRequest { key_id: key() }, [Answer::ok(json!({ "Policy": "{}" }))]).await;
        assert_eq!(output.policy, "{}");
        let grant = |id: &str| json!({ "GrantId": id, "GranteePrincipal": "arn", "Operations": ["Decrypt", "Dance"], "Constraints": {} });
        let pages = [
            json!({ "Grants": [grant("one")], "Truncated": true, "NextMarker": "two" }),
            json!({ "Grants": [{ "GrantId": "two" }], "Truncated": false }),
        ];
        let (output, asked) = sent(&ListGrantsRequest { key_id: key() }, pages.map(Answer::ok)).await;
        let grants: Vec<_> =
            output.grants.iter().map(|grant| (grant.id.as_str(), grant.operations.len(), grant.constrained)).collect();
        assert_eq!(grants, [("one", 2, true), ("two", 0, false)]);
        assert_eq!(asked[1].json()["Marker"], "two");
        refused(&GetKeyPolicyRequest { key_id: "alias/web".to_owned() }).await;
    });
}
