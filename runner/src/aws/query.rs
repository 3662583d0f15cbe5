//! AWS's two protocols of forms and XML, for services that are asked without their SDK crates.
//!
//! The main type is [`Query`], what such a service adds to an [`Api`]. Requests and answers are plain structs with the service's names.

use std::borrow::Cow;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{AwsError, invalid};
use super::orchestrated::{Api, ApiClient, Sending};
use super::values::incomplete;

/// What need not be escaped in a form.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// EC2's: lists are flat, and an answer is its own result.
    Ec2,
    /// Query: `List.member.1`, and an answer holds its result, `<ThingResponse><ThingResult>…`.
    Query,
}

/// A service that speaks one of them.
pub trait Query: Api {
    /// The version of the API that requests and answers are of.
    const VERSION: &'static str;
    /// Which.
    const DIALECT: Dialect;
}

impl<A: Query> ApiClient<A> {
    /// Ask for `action`; also the answer as it came.
    pub(crate) async fn call<I: Serialize, O: DeserializeOwned>(
        &self,
        action: &'static str,
        input: &I,
    ) -> Result<(O, String), AwsError> {
        let sending = Sending {
            method: http::Method::POST,
            path: "/".to_owned(),
            headers: vec![("content-type", "application/x-www-form-urlencoded".to_owned())],
            body: form::<A, I>(action, input)?,
            label: None,
        };
        let xml = self.send(action, sending).await?.text;
        let output = read::<A, O>(action, &xml).map_err(|why| AwsError {
            code: "UnreadableAnswer".to_owned(),
            message: format!("AWS's answer to {action} cannot be read: {why}"),
            ..incomplete("what was asked for")
        })?;
        Ok((output, xml))
    }
}

/// What an answer to `action` says.
fn read<A: Query, O: DeserializeOwned>(action: &str, xml: &str) -> Result<O, String> {
    let within = match A::DIALECT {
        Dialect::Ec2 => xml,
        Dialect::Query => result(action, xml)?,
    };
    quick_xml::de::from_str(within).map_err(|error| error.to_string())
}

/// The result in an answer, `<ThingResult>…</ThingResult>`. What has none is answered by an empty one: it was done.
fn result<'x>(action: &str, xml: &'x str) -> Result<&'x str, String> {
    const NOTHING: &str = "<Nothing/>";
    let (begin, end) = (format!("<{action}Result>"), format!("</{action}Result>"));
    let found = xml.find(&begin).and_then(|from| Some((from, xml.rfind(&end)?.checked_add(end.len())?)));
    match found.and_then(|(from, to)| xml.get(from..to)) {
        Some(result) => Ok(result),
        None if xml.contains(&format!("<{action}Response")) => Ok(NOTHING),
        None => Err(format!("it is no {action}Response")),
    }
}

/// A request as a form: `Filter.1.Value.2=x`. Members that are not there are left out.
fn form<A: Query, I: Serialize>(action: &'static str, input: &I) -> Result<String, AwsError> {
    let input = serde_json::to_value(input)
        .map_err(|error| invalid(format_args!("the request {action} cannot be written: {error}")))?;
    let mut form = format!("Action={action}&Version={}", A::VERSION);
    write(&mut form, A::DIALECT, "", &input);
    Ok(form)
}

fn write(form: &mut String, dialect: Dialect, path: &str, value: &Value) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let text: Cow<'_, str> = match value {
        Value::Null => return,
        // That a list is empty is something else than that nothing is said of it; EC2 knows only the latter.
        Value::Array(items) if items.is_empty() && dialect == Dialect::Query => "".into(),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let number = (index + 1).to_string();
                let name = if dialect == Dialect::Query { format!("member.{number}") } else { number };
                write(form, dialect, &below(&name), item);
            }
            return;
        }
        Value::Object(members) => {
            for (name, member) in members {
                write(form, dialect, &below(name), member);
            }
            return;
        }
        Value::String(text) => text.into(),
        Value::Bool(_) | Value::Number(_) => value.to_string().into(),
    };
    // INVARIANT: writing to a String does not fail.
    let _ = write!(form, "&{}={}", utf8_percent_encode(path, PLAIN), utf8_percent_encode(&text, PLAIN));
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::aws::cloudformation_query::CloudFormation;
    use crate::aws::ec2_query::Ec2;

    fn fields<A: Query>(action: &'static str, input: &Value) -> Vec<String> {
        let written = form::<A, _>(action, input).unwrap_or_default();
        assert!(written.starts_with(&format!("Action={action}&Version={}", A::VERSION)), "{written}");
        let mut fields: Vec<String> = written.split('&').skip(2).map(str::to_owned).collect();
        fields.sort_unstable();
        fields
    }

    #[test]
    fn a_request_is_written_as_each_service_reads_it() {
        let input = json!({
            "ImageId": ["ami-1", "ami-2"], "Filter": [{ "Name": "tag:a b", "Value": ["x&y"] }], "Owner": [],
            "IncludeDisabled": true, "MaxResults": 5, "NextToken": null,
        });
        let expected = [
            "Filter.1.Name=tag%3Aa%20b",
            "Filter.1.Value.1=x%26y",
            "ImageId.1=ami-1",
            "ImageId.2=ami-2",
            "IncludeDisabled=true",
            "MaxResults=5",
        ];
        assert_eq!(fields::<Ec2>("DescribeImages", &input), expected);
        let input = json!({ "Parameters": [{ "ParameterKey": "A", "ParameterValue": "x=é" }], "NotificationARNs": [] });
        let expected = [
            "NotificationARNs=",
            "Parameters.member.1.ParameterKey=A",
            "Parameters.member.1.ParameterValue=x%3D%C3%A9",
        ];
        assert_eq!(fields::<CloudFormation>("CreateChangeSet", &input), expected);
    }

    #[derive(Debug, PartialEq, Default, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Got {
        template_body: String,
        is_on: bool,
        count: u32,
    }

    #[test]
    fn the_result_in_an_answer_is_read_and_its_texts_keep_their_space() {
        let of = |xml: &str| read::<CloudFormation, Got>("GetIt", xml);
        let body = "<TemplateBody>  A: 1\n  B: &lt;x&gt;\n</TemplateBody>";
        let xml = format!(
            "<GetItResponse xmlns=\"urn:x\"><GetItResult>{body}<IsOn>true</IsOn><Count>3</Count><New><member/></New></GetItResult>\
             <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetItResponse>"
        );
        let expected = Got { template_body: "  A: 1\n  B: <x>\n".to_owned(), is_on: true, count: 3 };
        assert_eq!(of(&xml), Ok(expected));
        assert_eq!(of("<GetItResponse><ResponseMetadata/></GetItResponse>"), Ok(Got::default()));
        assert_eq!(of("<GetItResponse><GetItResult/></GetItResponse>"), Ok(Got::default()));
        for odd in ["", "<html>Hello</html>", "<GetOtherResponse/>"] {
            assert!(of(odd).is_err(), "{odd}");
        }
        assert_eq!(read::<Ec2, Got>("GetIt", "<R><Count>4</Count></R>"), Ok(Got { count: 4, ..Got::default() }));
    }
}
