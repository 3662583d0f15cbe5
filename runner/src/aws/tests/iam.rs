//! IAM: where it is asked in each partition, and pages that are followed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use super::canned::hermetic;
use crate::aws::clients::Connection;
use crate::aws::error::AwsError;
use crate::aws::iam::{SimulatePrincipalPolicyRequest, SimulatePrincipalPolicyResponse};
use crate::aws::operation::Read;
use crate::clock::Clock;

/// What it was asked: the address, for which region that is signed, and the form.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SentForm {
    host: String,
    region: String,
    form: String,
}

/// Answers what it is told to, at AWS's own addresses.
#[derive(Debug, Clone, Default)]
struct Anywhere {
    sent: Arc<Mutex<Vec<SentForm>>>,
    pages: Arc<Mutex<VecDeque<String>>>,
}

impl HttpClient for Anywhere {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Anywhere {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let authorization = request.headers().get("authorization").unwrap_or_default();
        let scope = authorization.split("Credential=").nth(1).unwrap_or_default();
        let form = request.body().bytes().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        let host = request.uri().split('/').nth(2).unwrap_or_default().to_owned();
        let region = scope.split('/').nth(2).unwrap_or_default().to_owned();
        self.sent.lock().unwrap().push(SentForm { host, region, form });
        let page = self.pages.lock().unwrap().pop_front().unwrap_or_default();
        let answer = format!(
            "<SimulatePrincipalPolicyResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
             <SimulatePrincipalPolicyResult>{page}</SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
        );
        HttpConnectorFuture::ready(Ok(HttpResponse::try_from(http::Response::new(SdkBody::from(answer))).unwrap()))
    }
}

fn page(action: &str, decision: &str, marker: Option<&str>) -> String {
    let more = match marker {
        Some(marker) => format!("<IsTruncated>true</IsTruncated><Marker>{marker}</Marker>"),
        None => "<IsTruncated>false</IsTruncated>".to_owned(),
    };
    format!(
        "<EvaluationResults><member><EvalActionName>{action}</EvalActionName><EvalResourceName>*</EvalResourceName>\
         <EvalDecision>{decision}</EvalDecision></member></EvaluationResults>{more}"
    )
}

async fn ask(region: &str, aws: &Anywhere, actions: &[&str]) -> Result<SimulatePrincipalPolicyResponse, AwsError> {
    let region = region.parse().unwrap();
    let connection = Connection::in_process(&region, aws.clone(), Clock::starting_at(0, 1.0));
    let request = SimulatePrincipalPolicyRequest {
        principal: "arn:aws:iam::111111111111:role/d".parse().unwrap(),
        actions: actions.iter().map(ToString::to_string).collect(),
        resources: vec!["*".to_owned()],
        passed_to: None,
    };
    request.send(&connection.clients(&region, None).await).await
}

#[test]
fn each_partition_has_one_iam_and_a_region_for_which_it_is_signed() {
    hermetic(async {
        for (region, host, signed) in [
            ("us-west-2", "iam.amazonaws.com", "us-east-1"),
            ("cn-northwest-1", "iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("us-gov-east-1", "iam.us-gov.amazonaws.com", "us-gov-west-1"),
        ] {
            let aws = Anywhere::default();
            aws.pages.lock().unwrap().push_back(page("ecs:ListClusters", "allowed", None));
            ask(region, &aws, &["ecs:ListClusters"]).await.unwrap();
            let sent = aws.sent.lock().unwrap().first().cloned().unwrap();
            assert_eq!((sent.host.as_str(), sent.region.as_str()), (host, signed), "{region}");
        }
    });
}

#[test]
fn pages_are_followed_and_come_to_an_end() {
    hermetic(async {
        let aws = Anywhere::default();
        let pages = [page("a:B", "allowed", Some("next")), page("c:D", "implicitDeny", None)];
        aws.pages.lock().unwrap().extend(pages);
        let answer = ask("us-west-2", &aws, &["a:B", "c:D"]).await.unwrap();
        let decided: Vec<(&str, &str)> =
            answer.decisions.iter().map(|one| (one.action.as_str(), one.decision.as_str())).collect();
        assert_eq!(decided, [("a:B", "allowed"), ("c:D", "implicitDeny")]);
        assert!(aws.sent.lock().unwrap()[1].form.contains("Marker=next"));
        // One that never says that it is over.
        let aws = Anywhere::default();
        aws.pages.lock().unwrap().extend((0..50).map(|_| page("a:B", "allowed", Some("again"))));
        ask("us-west-2", &aws, &["a:B", "c:D"]).await.unwrap();
        assert_eq!(aws.sent.lock().unwrap().len(), 3);
    });
}

#[test]
fn nothing_and_too_much_are_not_asked() {
    hermetic(async {
        let aws = Anywhere::default();
        assert!(ask("us-west-2", &aws, &[]).await.is_err());
        assert!(ask("us-west-2", &aws, &["a:B"; 1001]).await.is_err());
        assert!(aws.sent.lock().unwrap().is_empty());
    });
}
