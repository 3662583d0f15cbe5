//! What an undo and a later attempt must know of the stack as it was before.
//! The main type is [`Remembered`].

use kiln_plugin::aws::cloudformation::{
    GetStackPolicyRequest, Parameter, RollbackTriggers, Stack, TemplateSource, get_stack_policy,
};
use kiln_plugin::{During, Failure, log, memory};
use kiln_stack::look;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::parameters::is_hidden;
use crate::source::{self, LARGEST_BODY};

/// What is remembered. Written before anything is changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// The stack's id; that of the new one where there was none.
    pub(crate) stack_id: String,
    /// The stack as it was; none where there was none.
    pub(crate) before: Option<Before>,
    /// The tokens of all operations that this stage has begun on it.
    pub(crate) operations: Vec<String>,
    /// The change set that is executed: by it an operation is known for this stage's own whose token never came.
    #[serde(default)]
    pub(crate) change_set: Option<String>,
    /// Whether the change set was executed, or is about to be.
    pub(crate) executed: bool,
    /// The stack policy of before, where this stage gives another: none where there was none.
    pub(crate) policy: Option<Option<String>>,
    /// The protection against deletion of before, where this stage changes it.
    pub(crate) protection: Option<bool>,
    /// The values of the parameters that this stage left; none where it did not come to that.
    #[serde(default)]
    pub(crate) left: Option<Vec<(String, String)>>,
}

/// A stack as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Before {
    /// Its template; none where it is too large to be kept and there is no bucket.
    template: Option<Kept>,
    /// Its parameters; the value is none where it is not shown.
    parameters: Vec<(String, Option<String>)>,
    tags: Vec<(String, String)>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) role: Option<String>,
    /// The alarms that it was watched by: metric ones, composite ones, and for how long.
    triggers: (Vec<String>, Vec<String>, u32),
}

/// A template that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Kept {
    Body(String),
    Url(String),
}

const MEMORY: &str = "stack";

impl Remembered {
    /// What an earlier attempt left.
    pub(crate) fn recall() -> Result<Option<Self>, Failure> {
        memory::recall(MEMORY)
    }

    /// Keep it.
    pub(crate) fn keep(&self) -> Result<(), Failure> {
        memory::remember(MEMORY, self)
    }

    /// An operation has begun, with this token.
    pub(crate) fn began(&mut self, token: &str) -> Result<(), Failure> {
        self.operations.push(token.to_owned());
        self.keep()
    }

    /// What is to be remembered of a stack that is about to be changed. What an earlier attempt found is what an undo goes back to.
    pub(crate) fn of(
        config: &Config,
        stack_id: &str,
        stack: Option<&Stack>,
        earlier: Option<Self>,
    ) -> Result<Self, Failure> {
        if let Some(earlier) = earlier.filter(|earlier| earlier.executed && earlier.is_of(stack_id, stack)) {
            return Ok(Self { stack_id: stack_id.to_owned(), ..earlier });
        }
        let before = stack.map(|stack| Before::of(config, stack)).transpose()?;
        Ok(Self {
            stack_id: stack_id.to_owned(),
            before,
            operations: Vec::new(),
            change_set: None,
            executed: false,
            policy: None,
            protection: None,
            left: None,
        })
    }

    /// Whether a stack is still what this stage left, but for the parameters that other stages set. `template` is the one that it has.
    pub(crate) fn is_as_left(&self, config: &Config, stack: &Stack, template: &str, deployed: &str) -> bool {
        let Some(left) = &self.left else { return false };
        let own = |name: &String| !config.keep.contains(name);
        let now: Vec<_> = values(stack).into_iter().filter(|(name, _)| own(name)).collect();
        let then: Vec<_> = left.iter().filter(|(name, _)| own(name)).cloned().collect();
        template == deployed && now == then
    }

    /// Whether what was found before is of this stack: one that was made anew since is another.
    fn is_of(&self, stack_id: &str, stack: Option<&Stack>) -> bool {
        self.stack_id == stack_id || (self.before.is_none() && stack.is_none())
    }
}

/// The values of a stack's parameters.
pub(crate) fn values(stack: &Stack) -> Vec<(String, String)> {
    stack.parameters.iter().map(|has| (has.name.clone(), has.value.clone())).collect()
}

/// The policy of a stack.
pub(crate) fn policy(stack: &str) -> Result<Option<String>, Failure> {
    let request = GetStackPolicyRequest { stack: stack.to_owned() };
    Ok(get_stack_policy(&request).during(format!("reading the stack policy of {stack}"))?.body)
}

impl Before {
    fn of(config: &Config, stack: &Stack) -> Result<Self, Failure> {
        let text = look::template(&stack.id)?;
        let template = match (text.len() <= LARGEST_BODY, &config.template_bucket) {
            (true, _) => Some(Kept::Body(text)),
            (false, Some(_)) => source::sent(config, &text)?.url.map(Kept::Url),
            (false, None) => {
                log::warn(format!(
                    "the template that {} has is too large to be kept without a `template-bucket`: an undo cannot go back to it",
                    stack.name
                ));
                None
            }
        };
        Ok(Self::with(stack, template))
    }

    fn with(stack: &Stack, template: Option<Kept>) -> Self {
        let parameter = |has: &kiln_plugin::aws::cloudformation::ParameterValue| {
            let value = (!is_hidden(&has.value)).then(|| has.value.clone());
            (has.name.clone(), value)
        };
        Self {
            template,
            parameters: stack.parameters.iter().map(parameter).collect(),
            tags: stack.tags.iter().map(|tag| (tag.name.clone(), tag.value.clone())).collect(),
            capabilities: stack.capabilities.clone(),
            role: stack.role.clone(),
            triggers: (stack.triggers.alarms.clone(), stack.triggers.composites.clone(), stack.triggers.minutes),
        }
    }

    /// The template, as a request takes it.
    pub(crate) fn template(&self) -> Option<TemplateSource> {
        Some(match self.template.as_ref()? {
            Kept::Body(body) => TemplateSource { body: Some(body.clone()), url: None },
            Kept::Url(url) => TemplateSource { body: None, url: Some(url.clone()) },
        })
    }

    /// The parameters, as they are sent. One whose value is not shown keeps the one that the stack has, and so does one that is `kept`:
    /// what it was is the business of whoever set it.
    pub(crate) fn parameters(&self, kept: &[String]) -> Vec<Parameter> {
        let value = |name: &String, value: &Option<String>| value.clone().filter(|_| !kept.contains(name));
        self.parameters.iter().map(|(name, had)| Parameter { name: name.clone(), value: value(name, had) }).collect()
    }

    /// The parameters whose values are not shown.
    pub(crate) fn hidden(&self) -> Vec<&str> {
        self.parameters.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.as_str()).collect()
    }

    /// The alarms of before, where the stack has others now.
    pub(crate) fn triggers(&self, now: &Stack) -> Option<RollbackTriggers> {
        let (alarms, composites, minutes) = self.triggers.clone();
        let before = RollbackTriggers { alarms, composites, minutes };
        (before != now.triggers).then_some(before)
    }

    /// The tags.
    pub(crate) fn tags(&self) -> &[(String, String)] {
        &self.tags
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kiln_plugin::aws::Pair;
    use kiln_plugin::aws::cloudformation::ParameterValue;

    pub(crate) fn stack(status: &str) -> Stack {
        Stack {
            name: "web".to_owned(),
            id: "arn:aws:cloudformation:us-west-2:111111111111:stack/web/1".to_owned(),
            description: None,
            status: status.to_owned(),
            reason: None,
            detailed_status: None,
            parameters: vec![
                ParameterValue { name: "Size".to_owned(), value: "2".to_owned(), resolved: None },
                ParameterValue { name: "Password".to_owned(), value: "****".to_owned(), resolved: None },
            ],
            outputs: Vec::new(),
            tags: vec![Pair { name: "team".to_owned(), value: "web".to_owned() }],
            capabilities: vec!["CAPABILITY_IAM".to_owned()],
            role: None,
            notifications: Vec::new(),
            triggers: RollbackTriggers { alarms: Vec::new(), composites: Vec::new(), minutes: 0 },
            termination_protection: false,
            disable_rollback: false,
            created: Some(0),
            updated: None,
            deleted: None,
            change_set: None,
            parent: None,
            root: None,
            drift: "NOT_CHECKED".to_owned(),
            drift_checked: None,
            mode: None,
            operations: Vec::new(),
        }
    }

    #[test]
    fn a_value_that_is_not_shown_is_kept_by_the_stack() {
        let before = Before::with(&stack("UPDATE_COMPLETE"), Some(Kept::Body("x".to_owned())));
        let sent = before.parameters(&[]);
        assert_eq!(sent.first().and_then(|one| one.value.as_deref()), Some("2"));
        let kept = before.parameters(&["Size".to_owned()]);
        assert_eq!(kept.first().map(|one| one.value.clone()), Some(None), "another stage set it");
        assert_eq!(sent.get(1).map(|one| one.value.clone()), Some(None));
        assert_eq!(before.hidden(), ["Password"]);
        assert_eq!(before.tags(), [("team".to_owned(), "web".to_owned())]);
        assert_eq!(before.triggers(&stack("UPDATE_COMPLETE")), None, "it has these still");
        assert_eq!(before.template(), Some(TemplateSource { body: Some("x".to_owned()), url: None }));
    }

    #[test]
    fn what_another_stage_set_is_no_change_of_somebody_else_s() {
        let config: Config =
            serde_json::from_value(serde_json::json!({ "stack": "web", "template": "web.yaml", "keep": ["Size"] }))
                .unwrap();
        let remembered = Remembered {
            stack_id: "web".to_owned(),
            before: None,
            operations: Vec::new(),
            change_set: None,
            executed: true,
            policy: None,
            protection: None,
            left: Some(values(&stack("UPDATE_COMPLETE"))),
        };
        let with = |name: &str, value: &str| {
            let mut now = stack("UPDATE_COMPLETE");
            now.parameters.iter_mut().filter(|has| has.name == name).for_each(|has| has.value = value.to_owned());
            now
        };
        assert!(remembered.is_as_left(&config, &with("Size", "9"), "x", "x"));
        assert!(!remembered.is_as_left(&config, &with("Password", "other"), "x", "x"));
        assert!(!remembered.is_as_left(&config, &stack("UPDATE_COMPLETE"), "y", "x"), "another template");
        let unfinished = Remembered { left: None, ..remembered };
        assert!(!unfinished.is_as_left(&config, &stack("UPDATE_COMPLETE"), "x", "x"));
    }

    #[test]
    fn a_stack_that_was_made_anew_is_not_what_an_earlier_attempt_found() {
        let found = |before: Option<Before>| Remembered {
            stack_id: "old".to_owned(),
            before,
            operations: Vec::new(),
            change_set: None,
            executed: true,
            policy: None,
            protection: None,
            left: None,
        };
        let before = Before::with(&stack("UPDATE_COMPLETE"), None);
        assert!(found(Some(before.clone())).is_of("old", Some(&stack("UPDATE_COMPLETE"))));
        assert!(!found(Some(before)).is_of("new", None));
        assert!(found(None).is_of("new", None), "there was none before either");
    }
}
