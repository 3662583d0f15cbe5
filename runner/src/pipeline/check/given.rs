//! What a value is that somebody else gave: an input, an environment variable, whatever an expression makes of them. The file does not
//! show it, so a message that refuses it must.
//!
//! The main type is [`GivenText`].

use serde_json::Value;

use super::places::Places;
use crate::diagnostic::literal_secrets;
use crate::pipeline::config::StageScope;
use crate::pipeline::pattern::Pattern;
use crate::pipeline::schema::shortened;
use crate::pipeline::template::Template;

/// A message shows so many characters of a value.
const MOST_SHOWN: usize = 100;

/// A value that was given under `name`, as messages show it.
pub(super) fn quoted(value: &str, name: &str) -> String {
    match kept_back(value, Some(name)) {
        Some(reason) => format!("which {reason} and is not shown"),
        None => format!("{:?}", shortened(value, MOST_SHOWN)),
    }
}

/// Why a value is not shown: it looks like a secret, or its name says that it is one.
fn kept_back(value: &str, name: Option<&str>) -> Option<String> {
    const NAMES: [&str; 9] =
        ["apikey", "credential", "credentials", "key", "passphrase", "passwd", "password", "secret", "token"];
    if let Some(secret) = literal_secrets(value).first() {
        return Some(format!("looks like {}", secret.looks_like));
    }
    let name = name?.to_ascii_lowercase();
    name.split(['_', '-']).any(|part| NAMES.contains(&part)).then(|| "may be a secret".to_owned())
}

/// A text that is not what the file has in its place.
pub(super) struct GivenText<'a> {
    value: &'a str,
    template: Template,
}

impl<'a> GivenText<'a> {
    /// `value`, which `text` in the file stands for; none where it is what stands there.
    pub(super) fn of(value: Option<&'a Value>, text: &str, places: &Places<'_>) -> Option<Self> {
        let value = value.and_then(Value::as_str).filter(|value| *value != text)?;
        let template = Template::parse(text, &places.steps).ok()?;
        let has_expression = template.slots().next().is_some();
        has_expression.then_some(Self { value, template })
    }

    /// `this is "abc\r" (from GITHUB_REF_NAME)`, unless it looks like a secret.
    pub(super) fn said(&self, view: &StageScope<'_>, places: &Places<'_>) -> String {
        let variable = self.variable(view, places);
        let from = variable.as_ref().map(|name| format!(" (from {name})")).unwrap_or_default();
        match kept_back(self.value, variable.as_deref().or_else(|| self.input())) {
            Some(reason) => format!("this {reason}{from}, and is not shown"),
            None => format!("this is {:?}{from}", shortened(self.value, MOST_SHOWN)),
        }
    }

    /// The environment variable that it comes from as it is, by way of an input's default or not.
    fn variable(&self, view: &StageScope<'_>, places: &Places<'_>) -> Option<String> {
        let expression = &self.template.lone()?.expression;
        let of_default = || {
            let default = places.document.at(&["inputs", expression.nothing_but("inputs")?, "default"])?.to_json();
            let template = Template::parse(default.as_str()?, &places.steps).ok()?;
            template.lone()?.expression.nothing_but("env").map(str::to_owned)
        };
        let name = expression.nothing_but("env").map(str::to_owned).or_else(of_default)?;
        (view.scope.env.get(&name).map(String::as_str) == Some(self.value)).then_some(name)
    }

    /// The input that it is.
    fn input(&self) -> Option<&str> {
        self.template.lone()?.expression.nothing_but("inputs")
    }

    /// How an expression would make it match `pattern`, where one of the usual ways does.
    pub(super) fn cure(&self, pattern: &str, places: &Places<'_>) -> Option<String> {
        let expression = self.template.lone()?.expression.text();
        let pattern = Pattern::new(pattern, &places.steps).ok()?;
        let fits = |value: &str| pattern.is_match(value, &places.steps) == Ok(true);
        let trimmed = self.value.trim();
        let replaced = ["/", "+", " ", "_", "."].iter().find(|odd| fits(&self.value.replace(**odd, "-")));
        let cure = match replaced {
            _ if fits(trimmed) => ".trim()".to_owned(),
            Some(odd) => format!(".replace('{odd}', '-')"),
            None if fits(&self.value.to_ascii_lowercase()) => ".lowerAscii()".to_owned(),
            None => return None,
        };
        Some(format!("`${{{expression}{cure}}}` would do"))
    }
}
