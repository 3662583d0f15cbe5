//! Parameters of Systems Manager, and who may use keys, on the simulator and on moto: what passes on one must on the other.

use kiln_runner::aws::clients::Clients;
use kiln_runner::aws::error::ErrorKind;
use kiln_runner::contract::bindings::kiln::aws_kms_access::kms_access::{GetKeyPolicyRequest, ListGrantsRequest};
use kiln_runner::contract::bindings::kiln::aws_ssm::ssm::{
    DescribeParametersRequest, GetParameterHistoryRequest, GetParameterRequest, GetParametersByPathRequest,
    PutParameterRequest,
};

use crate::emulators::{Checked, ask, on_both, refusal, write};

fn put(name: &str, value: &str, overwrite: bool) -> PutParameterRequest {
    PutParameterRequest {
        name: name.to_owned(),
        value: value.to_owned(),
        parameter_type: "String".to_owned(),
        overwrite,
        data_type: None,
        description: None,
    }
}

fn named(name: &str) -> GetParameterRequest {
    GetParameterRequest { name: name.to_owned() }
}

#[test]
fn a_parameter_is_written_in_versions_and_found() -> Checked {
    on_both(async |aws: &Clients| {
        assert_eq!(write(aws, put("/web/ami", "ami-1", false)).await?.version, 1);
        assert!(write(aws, put("/web/ami", "ami-2", false)).await.is_err(), "it is there already");
        assert_eq!(write(aws, put("/web/ami", "ami-2", true)).await?.version, 2);
        write(aws, put("/web/deep/er", "x", false)).await?;

        let newest = ask(aws, named("/web/ami")).await?.parameter;
        assert_eq!((newest.value.as_deref(), newest.version), (Some("ami-2"), 2));
        assert!(newest.arn.ends_with(":parameter/web/ami"), "{}", newest.arn);
        let first = ask(aws, named("/web/ami:1")).await?.parameter;
        assert_eq!((first.value.as_deref(), first.version), (Some("ami-1"), 1));
        assert_eq!(refusal(aws, named("/web/gone")).await?, ErrorKind::NotFound);

        let history = ask(aws, GetParameterHistoryRequest { name: "/web/ami".to_owned() }).await?.versions;
        let told: Vec<_> = history.iter().map(|version| (version.version, version.value.as_deref())).collect();
        assert_eq!(told, [(1, Some("ami-1")), (2, Some("ami-2"))]);

        let below = |recursive| GetParametersByPathRequest { path: "/web".to_owned(), recursive };
        let names = async |recursive| -> Result<Vec<String>, Box<dyn std::error::Error>> {
            let found = ask(aws, below(recursive)).await?.parameters;
            Ok(found.into_iter().map(|parameter| parameter.name).collect())
        };
        assert_eq!(names(false).await?, ["/web/ami"]);
        assert_eq!(names(true).await?, ["/web/ami", "/web/deep/er"]);
        let request = DescribeParametersRequest { prefix: Some("/web/".to_owned()), parameter_type: None };
        let described: Vec<_> =
            ask(aws, request).await?.parameters.into_iter().map(|it| (it.name, it.version)).collect();
        assert_eq!(described, [("/web/ami".to_owned(), 2), ("/web/deep/er".to_owned(), 1)]);
        Ok(())
    })
}

#[test]
fn the_value_of_a_secret_parameter_goes_no_further() -> Checked {
    on_both(async |aws: &Clients| {
        aws.ssm().put_parameter().name("/web/secret").value("hunter2").r#type("SecureString".into()).send().await?;
        let parameter = ask(aws, named("/web/secret")).await?.parameter;
        assert_eq!((parameter.parameter_type.as_str(), parameter.value), ("SecureString", None));
        Ok(())
    })
}

#[test]
fn a_key_tells_its_policy_and_grants() -> Checked {
    on_both(async |aws: &Clients| {
        let made = aws.kms().create_key().send().await?;
        let key_id = made.key_metadata.ok_or("a key has metadata")?.key_id;
        let policy = ask(aws, GetKeyPolicyRequest { key_id: key_id.clone() }).await?.policy;
        assert!(policy.contains(":root") && policy.contains("kms:*"), "{policy}");
        let role = "arn:aws:iam::111111111111:role/scaling";
        let grant = aws.kms().create_grant().key_id(&key_id).grantee_principal(role);
        grant.operations("Decrypt".into()).send().await?;
        let grants = ask(aws, ListGrantsRequest { key_id }).await?.grants;
        let told: Vec<_> = grants.iter().map(|grant| (grant.grantee.as_str(), grant.operations.clone())).collect();
        assert_eq!(told, [(role, vec!["Decrypt".to_owned()])]);
        Ok(())
    })
}
