//! Rules of composite alarms: `ALARM(web-5xx) AND NOT (OK("web-latency") OR TRUE)`.
//!
//! The main type is [`Rule`].

use super::alarm::AlarmState;

/// Parentheses and negations within each other; AWS has a limit too.
const DEEPEST: usize = 64;

/// A rule over the states of other alarms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    Always(bool),
    State(AlarmState, String),
    Not(Box<Rule>),
    And(Vec<Rule>),
    Or(Vec<Rule>),
}

impl Rule {
    /// Read a rule; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Rule, String> {
        let mut reader = RuleReader { words: words(text)?, next: 0 };
        let rule = reader.or(0)?;
        match reader.take() {
            None => Ok(rule),
            Some(word) => Err(format!("{} is not expected", word.shown())),
        }
    }

    /// Whether it holds; an alarm that there is not is in no state.
    pub(super) fn holds(&self, state: &impl Fn(&str) -> Option<AlarmState>) -> bool {
        match self {
            Rule::Always(holds) => *holds,
            Rule::State(wanted, name) => state(name) == Some(*wanted),
            Rule::Not(rule) => !rule.holds(state),
            Rule::And(rules) => rules.iter().all(|rule| rule.holds(state)),
            Rule::Or(rules) => rules.iter().any(|rule| rule.holds(state)),
        }
    }

    /// The alarms that it names.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Rule::Always(_) => Vec::new(),
            Rule::State(_, name) => vec![name],
            Rule::Not(rule) => rule.names(),
            Rule::And(rules) | Rule::Or(rules) => rules.iter().flat_map(Rule::names).collect(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Open,
    Close,
    Bare(String),
    Quoted(String),
}

impl Word {
    fn shown(&self) -> String {
        match self {
            Word::Open => "\"(\"".to_owned(),
            Word::Close => "\")\"".to_owned(),
            Word::Bare(text) | Word::Quoted(text) => format!("{text:?}"),
        }
    }

    fn is(&self, keyword: &str) -> bool {
        matches!(self, Word::Bare(text) if text == keyword)
    }
}

fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, tail) = match first {
            '(' => (Word::Open, rest.get(1..)),
            ')' => (Word::Close, rest.get(1..)),
            '"' | '\'' => {
                let inside = rest.get(1..).unwrap_or_default();
                let (name, tail) = inside.split_once(first).ok_or("a quotation is not ended")?;
                (Word::Quoted(name.to_owned()), Some(tail))
            }
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "()".contains(c)).unwrap_or(rest.len());
                let (word, tail) = rest.split_at(end);
                (Word::Bare(word.to_owned()), Some(tail))
            }
        };
        words.push(word);
        rest = tail.unwrap_or_default().trim_start();
    }
    Ok(words)
}

struct RuleReader {
    words: Vec<Word>,
    next: usize,
}

impl RuleReader {
    fn take(&mut self) -> Option<Word> {
        let word = self.words.get(self.next).cloned();
        self.next += 1;
        word
    }

    fn follows(&mut self, keyword: &str) -> bool {
        let found = self.words.get(self.next).is_some_and(|word| word.is(keyword));
        self.next += usize::from(found);
        found
    }

    fn or(&mut self, depth: usize) -> Result<Rule, String> {
        let mut rules = vec![self.and(depth)?];
        while self.follows("OR") {
            rules.push(self.and(depth)?);
        }
        Ok(one_or(rules, Rule::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Rule, String> {
        let mut rules = vec![self.not(depth)?];
        while self.follows("AND") {
            rules.push(self.not(depth)?);
        }
        Ok(one_or(rules, Rule::And))
    }

    fn not(&mut self, depth: usize) -> Result<Rule, String> {
        if depth > DEEPEST {
            return Err("it is nested too deeply".to_owned());
        }
        if self.follows("NOT") {
            return Ok(Rule::Not(Box::new(self.not(depth + 1)?)));
        }
        self.term(depth)
    }

    fn term(&mut self, depth: usize) -> Result<Rule, String> {
        let word = self.take().ok_or("it ends too early")?;
        let state = match &word {
            Word::Open => {
                let rule = self.or(depth + 1)?;
                return self.close().map(|()| rule);
            }
            word if word.is("TRUE") => return Ok(Rule::Always(true)),
            word if word.is("FALSE") => return Ok(Rule::Always(false)),
            word if word.is("ALARM") => AlarmState::Alarm,
            word if word.is("OK") => AlarmState::Ok,
            word if word.is("INSUFFICIENT_DATA") => AlarmState::InsufficientData,
            word => return Err(format!("{} is no function of a rule", word.shown())),
        };
        match (self.take(), self.take()) {
            (Some(Word::Open), Some(Word::Bare(name) | Word::Quoted(name))) => {
                // An alarm may be named by its ARN.
                let name = name.rsplit_once(":alarm:").map_or(name.as_str(), |(_, name)| name).to_owned();
                self.close().map(|()| Rule::State(state, name))
            }
            _ => Err(format!("{} wants the name of an alarm in parentheses", word.shown())),
        }
    }

    fn close(&mut self) -> Result<(), String> {
        match self.take() {
            Some(Word::Close) => Ok(()),
            Some(word) => Err(format!("{} stands where \")\" should", word.shown())),
            None => Err("a \")\" is missing".to_owned()),
        }
    }
}

fn one_or(mut rules: Vec<Rule>, many: impl Fn(Vec<Rule>) -> Rule) -> Rule {
    match (rules.pop(), rules.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            rules.extend(last);
            many(rules)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_binds_not_before_and_before_or() {
        let states = |name: &str| match name {
            "a" => Some(AlarmState::Alarm),
            "b c" => Some(AlarmState::Ok),
            _ => None,
        };
        for (text, holds) in [
            ("ALARM(a)", true),
            ("ALARM(arn:aws:cloudwatch:us-west-2:111111111111:alarm:a)", true),
            ("OK('b c') AND NOT ALARM(\"b c\")", true),
            ("TRUE OR ALARM(a) AND FALSE", true),
            ("(TRUE OR ALARM(a)) AND FALSE", false),
            ("NOT ALARM(a) AND FALSE OR NOT NOT ALARM(a)", true),
            ("INSUFFICIENT_DATA(absent) OR OK(absent) OR ALARM(absent)", false),
        ] {
            assert_eq!(Rule::parse(text).map(|rule| rule.holds(&states)), Ok(holds), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let deep = format!("{}TRUE{}", "(".repeat(5000), ")".repeat(5000));
        for text in ["", "ALARM", "ALARM()", "ALARM(a", "ALARM(a) OK(b)", "a AND b", "ALARM(\"a)", "TRUE AND", &deep] {
            assert!(Rule::parse(text).is_err(), "{text:.40}");
        }
    }
}
