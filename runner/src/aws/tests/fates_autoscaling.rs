//! What became of refreshes that were started, cancelled or rolled back, and whose answer never came.

use serde_json::{Value, json};

use super::canned::{Answer, SENT, before, denied_look, fate, hermetic, in_words};
use crate::contract::bindings::kiln::aws_autoscaling::autoscaling::{
    CancelInstanceRefreshRequest, RollbackInstanceRefreshRequest, StartInstanceRefreshRequest,
};

fn start(version: &str) -> StartInstanceRefreshRequest {
    let desired = json!({ "LaunchTemplate": { "LaunchTemplateId": "lt-1", "Version": version } });
    StartInstanceRefreshRequest {
        group: "web".to_owned(),
        strategy: None,
        desired_configuration: Some(desired.to_string()),
        preferences: None,
        roles: vec![],
    }
}

/// A refresh: its id, its state, when it began (in seconds from [`SENT`], if it has) and the version that it goes to.
fn refresh(id: &str, status: &str, started: Option<i64>, version: &str) -> String {
    let started = started.map(|offset| {
        let at = jiff::Timestamp::from_second(i64::try_from(SENT).unwrap() + offset).unwrap();
        format!("<StartTime>{at}</StartTime>")
    });
    format!(
        "<member><InstanceRefreshId>{id}</InstanceRefreshId><Status>{status}</Status>{}<DesiredConfiguration><LaunchTemplate>\
         <LaunchTemplateId>lt-1</LaunchTemplateId><LaunchTemplateName>web</LaunchTemplateName><Version>{version}</Version>\
         </LaunchTemplate></DesiredConfiguration></member>",
        started.unwrap_or_default()
    )
}

fn refreshes(all: &[String]) -> Answer {
    Answer::query("DescribeInstanceRefreshes", &format!("<InstanceRefreshes>{}</InstanceRefreshes>", all.concat()))
}

/// The group had one refresh, long ago, to the same version.
async fn seen() -> Value {
    before(&start("7"), [refreshes(&[refresh("old", "Successful", Some(-900), "7")])]).await
}

async fn told(request: &StartInstanceRefreshRequest, found: &[String]) -> (String, Option<String>) {
    let mut all = found.to_vec();
    all.push(refresh("old", "Successful", Some(-900), "7"));
    let (told, output) = in_words(fate(request, Some(&seen().await), 60, [refreshes(&all)]).await);
    (told, output.map(|output| output.id))
}

#[test]
fn a_new_refresh_to_what_was_asked_for_is_the_calls() {
    hermetic(async {
        let happened = "happened: the refresh new of web is new and goes to what was asked for".to_owned();
        for status in ["InProgress", "Baking", "Cancelled", "RollbackSuccessful", "Failed", "Musing"] {
            let found = told(&start("7"), &[refresh("new", status, Some(2), "7")]).await;
            assert_eq!(found, (happened.clone(), Some("new".to_owned())), "{status}");
        }
        // It has not begun yet, or somebody else's came after it.
        assert_eq!(told(&start("7"), &[refresh("new", "Pending", None, "7")]).await.0, happened);
        let with_another = [refresh("theirs", "InProgress", Some(9), "8"), refresh("new", "Cancelled", Some(1), "7")];
        assert_eq!(told(&start("7"), &with_another).await.0, happened);
    });
}

#[test]
fn refreshes_of_others_are_never_the_calls() {
    hermetic(async {
        let not = ("not happened: web has no new refresh to what was asked for".to_owned(), None);
        assert_eq!(told(&start("7"), &[]).await, not);
        assert_eq!(told(&start("7"), &[refresh("theirs", "InProgress", Some(2), "8")]).await, not);
        assert_eq!(told(&start("7"), &[refresh("earlier", "Failed", Some(-60), "7")]).await, not);
        let other_way = StartInstanceRefreshRequest { strategy: Some("ReplaceRootVolume".to_owned()), ..start("7") };
        assert_eq!(told(&other_way, &[refresh("theirs", "InProgress", Some(2), "7")]).await, not);
        let to_nothing = StartInstanceRefreshRequest { desired_configuration: None, ..start("7") };
        assert_eq!(told(&to_nothing, &[refresh("theirs", "InProgress", Some(2), "7")]).await, not);
    });
}

#[test]
fn among_several_the_calls_is_not_guessed() {
    hermetic(async {
        let two = [refresh("b", "InProgress", Some(9), "7"), refresh("a", "Cancelled", Some(1), "7")];
        let check = "see in CloudTrail who started the refreshes of web";
        assert_eq!(
            told(&start("7"), &two).await,
            (format!("unknown: web has 2 new refreshes to what was asked for; {check}"), Some("b".to_owned()))
        );
        let answer = refreshes(&[refresh("a", "InProgress", Some(1), "7")]);
        let (told, likely) = in_words(fate(&start("7"), None, 60, [answer]).await);
        assert_eq!(told, format!("unknown: web has the refresh a; what it had before is not known; {check}"));
        assert!(likely.is_some());
    });
}

#[test]
fn a_mixed_policy_is_known_by_the_versions_that_it_names() {
    hermetic(async {
        let policy = |first: &str, second: &str| {
            json!({ "MixedInstancesPolicy": { "LaunchTemplate": {
                "LaunchTemplateSpecification": { "LaunchTemplateName": "web", "Version": first },
                "Overrides": [{ "LaunchTemplateSpecification": { "LaunchTemplateId": "lt-2", "Version": second } }],
            } } })
        };
        let answer = "<InstanceRefreshes><member><InstanceRefreshId>new</InstanceRefreshId><Status>Pending</Status>\
            <DesiredConfiguration><MixedInstancesPolicy><LaunchTemplate><LaunchTemplateSpecification><LaunchTemplateName>web\
            </LaunchTemplateName><Version>3</Version></LaunchTemplateSpecification><Overrides><member>\
            <LaunchTemplateSpecification><LaunchTemplateId>lt-2</LaunchTemplateId><Version>5</Version>\
            </LaunchTemplateSpecification></member></Overrides></LaunchTemplate></MixedInstancesPolicy></DesiredConfiguration>\
            </member></InstanceRefreshes>";
        for (second, happened) in [("5", true), ("4", false)] {
            let request = StartInstanceRefreshRequest {
                desired_configuration: Some(policy("3", second).to_string()),
                ..start("3")
            };
            let found =
                fate(&request, Some(&seen().await), 60, [Answer::query("DescribeInstanceRefreshes", answer)]).await;
            assert_eq!(in_words(found).1.is_some(), happened, "{second}");
        }
    });
}

#[test]
fn a_refresh_that_is_being_cancelled_or_goes_back_is_what_was_asked_for() {
    hermetic(async {
        let cancel =
            CancelInstanceRefreshRequest { group: "web".to_owned(), id: "0a".to_owned(), wait_for_transitions: None };
        let back = RollbackInstanceRefreshRequest { group: "web".to_owned(), id: "0a".to_owned() };
        let is = |how: &str, status: &str| format!("{how}: the refresh 0a is {status}");
        let (happened, not, again) = ("happened", "not happened", "send again");
        let cases = [
            ("Pending", not, not),
            ("InProgress", not, not),
            ("Baking", not, not),
            ("Cancelling", happened, again),
            ("Cancelled", happened, again),
            ("RollbackInProgress", not, happened),
            ("RollbackSuccessful", again, happened),
            ("RollbackFailed", again, happened),
            ("Successful", again, again),
            ("Failed", again, again),
        ];
        for (status, cancelling, going_back) in cases {
            let answer = || refreshes(&[refresh("0a", status, Some(-60), "7")]);
            let expected = |how: &str| if how == again { again.to_owned() } else { is(how, status) };
            assert_eq!(in_words(fate(&cancel, None, 1, [answer()]).await).0, expected(cancelling), "{status}");
            assert_eq!(in_words(fate(&back, None, 1, [answer()]).await).0, expected(going_back), "{status}");
        }
        let musing = || refreshes(&[refresh("0a", "Musing", None, "7")]);
        let (told, likely) = in_words(fate(&cancel, None, 1, [musing()]).await);
        assert!(told.starts_with("unknown: the refresh 0a is Musing; look whether") && likely.is_some(), "{told}");
        assert!(in_words(fate(&back, None, 1, [musing()]).await).0.starts_with("unknown: "));
        assert_eq!(in_words(fate(&back, None, 1, [refreshes(&[])]).await).0, again, "it is refused then");
    });
}

#[test]
fn a_stage_that_may_not_look_asks_aws_nothing() {
    hermetic(async {
        let action = Some("autoscaling:DescribeInstanceRefreshes");
        assert_eq!(denied_look(&start("7")).await.as_deref(), action);
        let back = RollbackInstanceRefreshRequest { group: "web".to_owned(), id: "0a".to_owned() };
        assert_eq!(denied_look(&back).await.as_deref(), action);
    });
}
