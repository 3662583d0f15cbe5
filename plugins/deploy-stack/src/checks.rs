//! What can be said of a config before a run: the template is read, and its parameters and outputs are compared.
//! The main function is [`check`].

use kiln_plugin::{Checked, FilePath, Problem};
use kiln_template::{Finding, Template};
use serde_json::Value;

use crate::config::Outputs;
use crate::parameters::{is_reference, text};
use crate::source::LARGEST_BODY;

/// What the literal part of a config says.
pub(crate) fn check(config: &Value, unknown: &[String]) -> Checked {
    let mut checked = Checked::default();
    if let Some(path) = config.get("stack-policy").and_then(Value::as_str) {
        checked.problems.extend(policy(path));
    }
    let Some(path) = config.get("template").and_then(Value::as_str) else { return checked };
    let text = match FilePath(path.to_owned()).text() {
        Ok(text) => text,
        Err(failure) => {
            checked.problems.push(Problem::new("/template", failure.message));
            return checked;
        }
    };
    of_template(path, &text, config, unknown, &mut checked);
    checked
}

fn policy(path: &str) -> Option<Problem> {
    let text = match FilePath(path.to_owned()).text() {
        Ok(text) => text,
        Err(failure) => return Some(Problem::new("/stack-policy", failure.message)),
    };
    let problem = |message: String| Problem::new("/stack-policy", message);
    match serde_json::from_str::<Value>(&text) {
        Ok(policy) if policy.get("Statement").is_some_and(Value::is_array) => None,
        Ok(_) => Some(problem(format!("{path} has no list `Statement`, as a stack policy has"))),
        Err(error) => Some(problem(format!("it is no JSON: {error}")).at(path, error.line(), error.column())),
    }
}

/// A template and the rest of the config, whatever the template was read from.
fn of_template(path: &str, text: &str, config: &Value, unknown: &[String], checked: &mut Checked) {
    let template = match kiln_template::check(text) {
        Ok(template) => template,
        Err(findings) => {
            checked.problems.extend(findings.iter().map(|finding| of_finding(path, finding)));
            return;
        }
    };
    if text.len() > LARGEST_BODY && config.get("template-bucket").is_none() {
        let message =
            format!("the template has {} bytes, and CloudFormation takes {LARGEST_BODY} in a request", text.len());
        checked
            .problems
            .push(Problem::new("/template", message).help("name a bucket for it: `template-bucket = \"…\"`"));
    }
    checked.problems.extend(parameters(path, &template, config, unknown));
    checked.problems.extend(capabilities(path, &template, config));
    let (declared, problems) = outputs(&template, config);
    checked.problems.extend(problems);
    checked.outputs = Some(Outputs::schema(&declared));
}

fn of_finding(path: &str, finding: &Finding) -> Problem {
    let message = match finding.path.is_empty() {
        true => finding.message.clone(),
        false => format!("{}: {}", finding.path, finding.message),
    };
    let problem = Problem::new("/template", message).at(path, finding.at.line, finding.at.column);
    Problem { help: finding.help.clone(), ..problem }
}

fn parameters(path: &str, template: &Template, config: &Value, unknown: &[String]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let pointer = |name: &str| format!("/parameters/{name}");
    let given = config.get("parameters").and_then(Value::as_object);
    let kept: Vec<&str> =
        config.get("keep").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, value) in given.into_iter().flatten() {
        let Some(declared) = template.parameters.get(name) else {
            let there: Vec<&str> = template.parameters.keys().map(String::as_str).collect();
            let help = if there.is_empty() { "it has none".to_owned() } else { format!("it has {}", there.join(", ")) };
            problems.push(Problem::new(pointer(name), format!("{path} has no parameter {name}")).help(help));
            continue;
        };
        if unknown.contains(&pointer(name)) {
            continue;
        }
        if declared.no_echo && value.as_str().is_none_or(|text| !is_reference(text)) {
            let message = format!("the parameter {name} is not shown (`NoEcho`), and its value stands in the pipeline");
            let help = "declare a secret and refer to it by `${secrets.NAME}`: CloudFormation gets a dynamic reference";
            problems.push(Problem::new(pointer(name), message).help(help));
            continue;
        }
        if let Err(why) = text(name, value, declared) {
            problems.push(Problem::new(pointer(name), why).at(path, declared.at.line, declared.at.column));
        }
    }
    for (name, declared) in &template.parameters {
        let is_given = given.is_some_and(|given| given.contains_key(name));
        if !is_given && declared.default.is_none() && !kept.contains(&name.as_str()) {
            let message = format!("the parameter {name} ({}) has no default, and is not given", declared.kind);
            let problem = Problem::new("/parameters", message).at(path, declared.at.line, declared.at.column);
            problems.push(problem.help(format!("give it: `{name} = …` under `parameters`")));
        }
    }
    for (index, name) in kept.iter().enumerate().filter(|(_, name)| !template.parameters.contains_key(**name)) {
        problems.push(Problem::new(format!("/keep/{index}"), format!("{path} has no parameter {name}")));
    }
    problems
}

/// Types whose making has to be acknowledged, and the property by which one has a name of its own.
const IAM: [(&str, Option<&str>); 8] = [
    ("AWS::IAM::AccessKey", None),
    ("AWS::IAM::Group", Some("GroupName")),
    ("AWS::IAM::InstanceProfile", Some("InstanceProfileName")),
    ("AWS::IAM::ManagedPolicy", Some("ManagedPolicyName")),
    ("AWS::IAM::Policy", None),
    ("AWS::IAM::Role", Some("RoleName")),
    ("AWS::IAM::User", Some("UserName")),
    ("AWS::IAM::UserToGroupAddition", None),
];

fn capabilities(path: &str, template: &Template, config: &Value) -> Vec<Problem> {
    let given = config.get("capabilities").and_then(Value::as_array);
    let has = |word: &str| given.into_iter().flatten().any(|given| given.as_str() == Some(word));
    let mut problems = Vec::new();
    for (name, resource) in &template.resources {
        let Some((_, named_by)) = IAM.iter().find(|(kind, _)| *kind == resource.kind) else { continue };
        let is_named = named_by.is_some_and(|property| resource.properties.get(property).is_some());
        let word = match is_named {
            true if !has("named-iam") => "named-iam",
            false if !has("iam") && !has("named-iam") => "iam",
            _ => continue,
        };
        let what = if is_named { "with a name of its own" } else { "of IAM" };
        let message = format!("{name} ({}) is a resource {what}, which has to be acknowledged", resource.kind);
        let problem = Problem::new("/capabilities", message).at(path, resource.at.line, resource.at.column);
        problems.push(problem.help(format!("say `capabilities = [\"{word}\"]`")));
    }
    problems
}

fn outputs(template: &Template, config: &Value) -> (Vec<(String, Option<String>)>, Vec<Problem>) {
    let named = config.get("outputs").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let (mut declared, mut problems) = (Vec::new(), Vec::new());
    for (index, name) in named.enumerate() {
        let pointer = format!("/outputs/{index}");
        match template.outputs.get(name) {
            _ if Outputs::taken().contains(&name) => {
                let message = format!("every stage has an output {name} already");
                problems.push(Problem::new(pointer, message).help("give the stack's output another name"));
            }
            Some(output) => declared.push((name.to_owned(), output.description.clone())),
            None => {
                let there: Vec<&str> = template.outputs.keys().map(String::as_str).collect();
                let help =
                    if there.is_empty() { "it has none".to_owned() } else { format!("it has {}", there.join(", ")) };
                problems.push(Problem::new(pointer, format!("the template has no output {name}")).help(help));
            }
        }
    }
    (declared, problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEMPLATE: &str = "Parameters:\n  Size:\n    Type: Number\n  Secret:\n    Type: String\n    NoEcho: true\n    Default: x\n\
                            Resources:\n  Role:\n    Type: AWS::IAM::Role\n    Properties:\n      RoleName: web\n      \
                            AssumeRolePolicyDocument: {}\n  Topic:\n    Type: AWS::SNS::Topic\n\
                            Outputs:\n  Url:\n    Description: Where\n    Value: !Ref Topic\n";

    fn checked(text: &str, config: Value, unknown: &[&str]) -> Checked {
        let mut checked = Checked::default();
        let unknown: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        of_template("web.yaml", text, &config, &unknown, &mut checked);
        checked
    }

    /// Each problem: where in the config, where in the template, and the beginning of what is wrong.
    fn told(checked: &Checked) -> Vec<String> {
        let place = |problem: &Problem| {
            problem.place.as_ref().map(|at| format!(" {}:{}", at.line, at.column)).unwrap_or_default()
        };
        checked
            .problems
            .iter()
            .map(|problem| format!("{}{} {}", problem.config, place(problem), problem.message))
            .collect()
    }

    fn fine() -> Value {
        json!({ "parameters": { "Size": 2 }, "capabilities": ["named-iam"], "outputs": ["Url"] })
    }

    #[test]
    fn a_config_that_fits_its_template_has_no_problems_and_closed_outputs() {
        let good = checked(TEMPLATE, fine(), &[]);
        assert_eq!(told(&good), Vec::<String>::new());
        let schema = good.outputs.unwrap();
        assert_eq!(schema.pointer("/properties/Url/description"), Some(&json!("Where")));
        assert_eq!(schema.get("additionalProperties"), Some(&json!(false)));
    }

    #[test]
    fn everything_that_does_not_fit_is_told_at_once_with_its_place() {
        let config = json!({
            "parameters": { "Sise": 1, "Secret": "plain" }, "keep": ["None"], "outputs": ["Uri", "status"],
        });
        let expected = [
            "/parameters/Secret the parameter Secret is not shown (`NoEcho`), and its value stands in the pipeline",
            "/parameters/Sise web.yaml has no parameter Sise",
            "/parameters 2:3 the parameter Size (Number) has no default, and is not given",
            "/keep/0 web.yaml has no parameter None",
            "/capabilities 9:3 Role (AWS::IAM::Role) is a resource with a name of its own, which has to be acknowledged",
            "/outputs/0 the template has no output Uri",
            "/outputs/1 every stage has an output status already",
        ];
        let mut found = told(&checked(TEMPLATE, config, &[]));
        let mut expected = expected.map(str::to_owned).to_vec();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_known_only_in_the_run_is_left_alone() {
        let mut config = fine();
        config["parameters"] =
            json!({ "Size": "(known when the run starts)", "Secret": "(known when the run starts)" });
        let unknown = ["/parameters/Size", "/parameters/Secret"];
        assert_eq!(told(&checked(TEMPLATE, config, &unknown)), Vec::<String>::new());
    }

    #[test]
    fn a_value_that_its_parameter_does_not_take_is_told_with_the_parameter() {
        let mut config = fine();
        config["parameters"]["Size"] = json!("many");
        let found = told(&checked(TEMPLATE, config, &[]));
        assert_eq!(found.len(), 1);
        assert!(found.concat().starts_with("/parameters/Size 2:3 Parameter 'Size' must be a number"), "{found:?}");
    }

    #[test]
    fn a_broken_template_is_told_by_line_and_column_and_nothing_else_is_said() {
        let found = checked(
            "Resources:\n  A:\n    Type: AWS::SNS::Topic\n    Properties: { TopicName: !Ref Nobody }\n",
            json!({}),
            &[],
        );
        let lines = told(&found);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines.concat().starts_with("/template 4:"), "{lines:?}");
        assert!(found.outputs.is_none());
        let long = format!("# {}\n{TEMPLATE}", "x".repeat(LARGEST_BODY));
        assert!(told(&checked(&long, fine(), &[])).concat().contains("takes 51200 in a request"));
    }
}
