//! Reads an expression and checks, without any value, that it can be evaluated.
//!
//! The main type is [`Expression`].

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr, LiteralValue, operators};
use cel::parser::Parser;

use super::functions;
use super::lexer::{Rewritten, rewrite};
use crate::pipeline::suggest::did_you_mean;
use crate::steps::Steps;

/// How deep a tree may be.
const DEEPEST: usize = 64;

/// How many steps it takes to read an expression, and for each of its words and signs.
const PARSING: u64 = 1_000;
const PARSING_TOKEN: u64 = 100;

/// The code of an expression that was not read, because there were too many before it.
pub(crate) const TOO_MANY: &str = "too-much-work";

/// An expression that can be evaluated.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    text: Arc<str>,
    tree: Arc<IdedExpr>,
    references: Vec<Reference>,
}

/// What is wrong with an expression, and where in its text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExpressionProblem {
    pub(crate) code: &'static str,
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// A value from outside that an expression uses.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reference {
    /// Where it comes from.
    pub(crate) root: Root,
    /// The names behind the root: as many as the root takes.
    pub(crate) names: Vec<String>,
    /// Where it stands in the expression.
    pub(crate) span: Range<usize>,
}

/// Where values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// `inputs.NAME`
    Inputs,
    /// `env.NAME`
    Env,
    /// `stages.NAME.OUTPUT`
    Stages,
    /// `secrets.NAME`
    Secrets,
    /// `run.id`, `run.pipeline`
    Run,
    /// `environment.name`, `environment.account`, `environment.region`
    Environment,
    /// `region`
    Region,
    /// `account`
    Account,
}

impl Root {
    const ALL: [(&'static str, Self); 8] = [
        ("inputs", Self::Inputs),
        ("env", Self::Env),
        ("stages", Self::Stages),
        ("secrets", Self::Secrets),
        ("run", Self::Run),
        ("environment", Self::Environment),
        ("region", Self::Region),
        ("account", Self::Account),
    ];

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(other, _)| *other == name).map(|(_, root)| root)
    }

    /// How many names follow the root.
    pub(super) fn names(self) -> usize {
        match self {
            Self::Stages => 2,
            Self::Inputs | Self::Env | Self::Secrets | Self::Run | Self::Environment => 1,
            Self::Region | Self::Account => 0,
        }
    }

    /// How a reference to it is written.
    pub(crate) fn form(self) -> &'static str {
        match self {
            Self::Inputs => "inputs.NAME",
            Self::Env => "env.NAME",
            Self::Stages => "stages.NAME.OUTPUT",
            Self::Secrets => "secrets.NAME",
            Self::Run => "run.id or run.pipeline",
            Self::Environment => "environment.name, environment.account or environment.region",
            Self::Region => "region",
            Self::Account => "account",
        }
    }
}

impl Expression {
    /// Read an expression.
    pub(crate) fn parse(text: &str, steps: &Steps) -> Result<Self, Vec<ExpressionProblem>> {
        let problem =
            |code, span, message: String, help: Option<String>| vec![ExpressionProblem { code, span, message, help }];
        if text.trim().is_empty() {
            let help = "write what the value is, such as `${inputs.NAME}`, or `$${` for a literal `${`".to_owned();
            return Err(problem("expression-syntax", 0..text.len(), "the expression is empty".to_owned(), Some(help)));
        }
        let rewritten = rewrite(text).map_err(|refusal| {
            problem("expression-syntax", refusal.span, refusal.message, Some(refusal.help.to_owned()))
        })?;
        if steps.take(PARSING + PARSING_TOKEN * rewritten.tokens as u64).is_err() {
            let help = "split the file, or let a stage compute a part of it and refer to its outputs".to_owned();
            let message = "the file has more expressions than are read".to_owned();
            return Err(problem(TOO_MANY, 0..text.len(), message, Some(help)));
        }
        let tree = Parser::new()
            .enable_ident_escape_syntax(true)
            .max_recursion_depth(24)
            .error_recovery_limit(4)
            .parse(&rewritten.cel)
            .map_err(|errors| {
                let first = errors.errors.first();
                let span = first.map_or(0..text.len(), |error| position(&rewritten, text, error.pos));
                let message = first.map_or_else(String::new, |error| reason(&error.msg));
                problem(
                    "expression-syntax",
                    span,
                    format!("the expression does not parse: {message}"),
                    Some(advice(text)),
                )
            })?;
        let (locals, references, seen, problems) = (Vec::new(), Vec::new(), BTreeSet::new(), Vec::new());
        let mut walk = Walk { text, rewritten: &rewritten, locals, references, seen, problems };
        walk.expression(&tree, 0);
        let Walk { references, problems, .. } = walk;
        if problems.is_empty() {
            Ok(Self { text: text.trim().into(), tree: Arc::new(tree), references })
        } else {
            Err(problems)
        }
    }

    /// As it is written, without the space around it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What it uses, in the order of the text, each once a place.
    pub(crate) fn references(&self) -> &[Reference] {
        &self.references
    }

    /// The tree.
    pub(super) fn tree(&self) -> &IdedExpr {
        &self.tree
    }

    /// The secret that it is a reference to, where it is nothing but one.
    pub(crate) fn secret(&self) -> Option<&str> {
        self.nothing_but("secrets")
    }

    /// The name behind `root`, where it is nothing but `root.NAME`.
    pub(crate) fn nothing_but(&self, root: &str) -> Option<&str> {
        let (found, path, tested) = path_of(&self.tree)?;
        match (path.as_slice(), tested) {
            ([name], false) if found == root => Some(name),
            _ => None,
        }
    }
}

impl Expression {
    /// The stage and its output, where it is nothing but `stages.NAME.OUTPUT`.
    pub(crate) fn output(&self) -> Option<(&str, &str)> {
        match path_of(&self.tree)? {
            ("stages", path, false) => match path.as_slice() {
                [stage, output] => Some((stage, output)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The root and the names of `root.a.b` and `root["a"]["b"]`, and whether it stands in `has(…)`.
pub(super) fn path_of(expression: &IdedExpr) -> Option<(&str, Vec<&str>, bool)> {
    match &expression.expr {
        Expr::Ident(name) => Some((name, Vec::new(), false)),
        Expr::Select(select) => {
            let (root, mut path, tested) = path_of(&select.operand)?;
            path.push(&select.field);
            (!tested).then_some((root, path, select.test))
        }
        Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
            [of, IdedExpr { expr: Expr::Literal(LiteralValue::String(key)), .. }] => {
                let (root, mut path, tested) = path_of(of)?;
                path.push(key.inner());
                (!tested).then_some((root, path, false))
            }
            _ => None,
        },
        _ => None,
    }
}

struct Walk<'a> {
    text: &'a str,
    rewritten: &'a Rewritten,
    /// Variables of `map`, `filter`, `all` and `exists`.
    locals: Vec<&'a str>,
    references: Vec<Reference>,
    /// Where those stand.
    seen: BTreeSet<usize>,
    problems: Vec<ExpressionProblem>,
}

impl<'a> Walk<'a> {
    fn expression(&mut self, expression: &'a IdedExpr, depth: usize) {
        if depth > DEEPEST {
            let help = "split it: let a stage compute a part and refer to its output".to_owned();
            self.problem(
                "expression-syntax",
                0..self.text.len(),
                "the expression is too complex".to_owned(),
                Some(help),
            );
            return;
        }
        if let Some((root, path, _)) = path_of(expression)
            && !self.locals.contains(&root)
        {
            return self.reference(root, &path);
        }
        match &expression.expr {
            Expr::Ident(_) => {}
            Expr::Literal(LiteralValue::Bytes(_)) => self.unsupported("bytes", "write a string"),
            Expr::Literal(_) => {}
            Expr::Select(select) => self.expression(&select.operand, depth + 1),
            Expr::Call(call) => {
                if let Err((message, help)) =
                    functions::check_call(&call.func_name, call.target.is_some(), call.args.len())
                {
                    let span = self.span_of_name(&call.func_name);
                    self.problem("unknown-function", span, message, help);
                }
                for part in call.target.as_deref().into_iter().chain(&call.args) {
                    self.expression(part, depth + 1);
                }
            }
            Expr::List(list) => list.elements.iter().for_each(|element| self.expression(element, depth + 1)),
            Expr::Map(map) => {
                for entry in &map.entries {
                    match &entry.expr {
                        EntryExpr::MapEntry(entry) => {
                            self.expression(&entry.key, depth + 1);
                            self.expression(&entry.value, depth + 1);
                        }
                        EntryExpr::StructField(_) => self.unsupported("messages", "write a map, {\"key\": value}"),
                    }
                }
            }
            Expr::Comprehension(comprehension) => {
                self.expression(&comprehension.iter_range, depth + 1);
                self.expression(&comprehension.accu_init, depth + 1);
                let known = self.locals.len();
                if Root::of(&comprehension.iter_var).is_some() {
                    let name = &comprehension.iter_var;
                    let message = format!("the variable `{name}` hides `{name}`, from which values come");
                    let span = self.span_of_name(name);
                    self.problem("expression-syntax", span, message, Some("give the variable another name".to_owned()));
                }
                if comprehension.iter_var2.is_some() {
                    self.unsupported("two variables", "use one");
                }
                self.locals.extend([comprehension.iter_var.as_str(), comprehension.accu_var.as_str()]);
                for part in [&comprehension.loop_cond, &comprehension.loop_step, &comprehension.result] {
                    self.expression(part, depth + 1);
                }
                self.locals.truncate(known);
            }
            Expr::Struct(_) => self.unsupported("messages", "write a map, {\"key\": value}"),
            Expr::Unspecified => self.unsupported("this", "write a value"),
        }
    }

    fn reference(&mut self, root_name: &str, path: &[&str]) {
        let mut full = vec![root_name];
        full.extend(path);
        let Some(root) = Root::of(root_name) else {
            let span = self.span_of_path(&[root_name]);
            let help = did_you_mean(root_name, Root::ALL.into_iter().map(|(name, _)| name), "values come from")
                .map(|help| format!("{help}; text stands in quotes, '{root_name}'"));
            return self.problem("unknown-reference", span, format!("`{root_name}` means nothing here"), help);
        };
        let wanted = root.names();
        if path.len() < wanted {
            let span = self.span_of_path(&full);
            let message = format!("`{}` is not a whole reference", full.join("."));
            let help = format!("write {}; names must be written out", root.form());
            return self.problem("unknown-reference", span, message, Some(help));
        }
        full.truncate(wanted + 1);
        let names = path.iter().take(wanted).map(|name| (*name).to_owned()).collect();
        let reference = Reference { root, names, span: self.span_of_path(&full) };
        if !self.references.contains(&reference) {
            self.seen.insert(reference.span.start);
            self.references.push(reference);
        }
    }

    /// Where a path stands; the whole expression where it is written with brackets.
    fn span_of_path(&self, path: &[&str]) -> Range<usize> {
        let begins = |chain: &&super::lexer::NameChain| {
            chain.path.len() >= path.len() && chain.path.iter().zip(path).all(|(one, other)| one == other)
        };
        // A path that was seen already is meant the next time.
        let seen = |span: &Range<usize>| self.seen.contains(&span.start);
        let mut found = self.rewritten.chains.iter().filter(begins).map(|chain| chain.span(path.len()));
        let first = found.clone().find(|span| !seen(span)).or_else(|| found.next());
        first.unwrap_or(0..self.text.len())
    }

    fn span_of_name(&self, name: &str) -> Range<usize> {
        match self.text.find(name) {
            Some(start) => start..start + name.len(),
            None => 0..self.text.len(),
        }
    }

    fn unsupported(&mut self, what: &str, help: &str) {
        let message = format!("the expression uses {what}, which kiln does not support");
        self.problem("expression-syntax", 0..self.text.len(), message, Some(help.to_owned()));
    }

    fn problem(&mut self, code: &'static str, span: Range<usize>, message: String, help: Option<String>) {
        self.problems.push(ExpressionProblem { code, span, message, help });
    }
}

/// Where the parser stumbled, in the text of the expression. The parser counts lines and columns from 1.
fn position(rewritten: &Rewritten, text: &str, (line, column): (isize, isize)) -> Range<usize> {
    let line_start: usize =
        rewritten.cel.split_inclusive('\n').take(usize::try_from(line - 1).unwrap_or(0)).map(str::len).sum();
    let in_line = usize::try_from(column - 1).unwrap_or(0);
    let mut start = rewritten.original(line_start + in_line).min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let length = text.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    start..start + length
}

/// The parser's message without its list of every token that would have been fine.
fn reason(message: &str) -> String {
    let message = message.trim().trim_start_matches("Syntax error: ");
    let message = message.split(" expecting ").next().unwrap_or(message);
    let token = message.strip_prefix("token recognition error at: '").and_then(|rest| rest.chars().next());
    match message {
        message if message.contains("<EOF>") => "it ends too early".to_owned(),
        message if message.contains("`_?_:_`") => "`?` needs two values, with `:` between them".to_owned(),
        _ if token.is_some() => format!("unexpected '{}'", token.unwrap_or_default()),
        message => message.replace("mismatched input", "unexpected").replace("extraneous input", "unexpected"),
    }
}

fn advice(text: &str) -> String {
    let has_word = |word: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == word);
    if has_word("and") || has_word("or") || has_word("not") {
        "logic is written && || !".to_owned()
    } else if text.contains('=') && !text.contains("==") && !text.contains("!=") && !text.contains("<=") {
        "equality is written ==".to_owned()
    } else {
        "operators are == != < <= > >= && || ! + - * / % in and ?: ; text stands in quotes".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Expression, Vec<ExpressionProblem>> {
        Expression::parse(text, &Steps::of(100_000))
    }

    fn references(text: &str) -> Vec<String> {
        match parse(text) {
            Ok(expression) => expression
                .references()
                .iter()
                .map(|reference| {
                    format!("{:?} {} {:?}", reference.root, reference.names.join(" "), text.get(reference.span.clone()))
                })
                .collect(),
            Err(problems) => problems.into_iter().map(|problem| problem.message).collect(),
        }
    }

    #[test]
    fn references_are_found_without_evaluating() {
        insta::assert_snapshot!(
            [
                "stages.my-stage.task-definition",
                "stages['my-stage'][\"image\"]",
                "has(stages.a.b) ? stages.a.b : inputs.c-d",
                "stages.a.b + stages.a.b",
                "stages.scan.findings.exists(f, f.id == inputs.id && f.stages == 1)",
                "[region, account, run.id, environment.name, env.HOME]",
                "stages.scan.findings[0].id",
            ]
            .map(|text| format!("{text}\n  {}", references(text).join("\n  ")))
            .join("\n"),
        );
    }

    #[test]
    fn problems_say_what_and_where() {
        let problems = |text: &str| match parse(text) {
            Ok(_) => "fine".to_owned(),
            Err(problems) => problems
                .iter()
                .map(|problem| {
                    let place = text.get(problem.span.clone()).unwrap_or("nowhere");
                    format!("{} at {place:?}\n  = {}", problem.message, problem.help.as_deref().unwrap_or("no help"))
                })
                .collect::<Vec<_>>()
                .join("\n  "),
        };
        insta::assert_snapshot!(
            [
                " ",
                "main",
                "input.x",
                "stages",
                "stages.build",
                "stages[inputs.x].image",
                "inputs.a == ",
                "inputs.a = 1",
                "inputs.a and inputs.b",
                "nosuch(1)",
                "inputs.a.startWith('x')",
                "size(1, 2)",
                "b'x'",
                "Foo{a: 1}",
                "[1].map(inputs, 1)",
                "inputs.a // why",
                "'open",
                "1 +* 2",
                "inputs.a ? 1",
                "@x",
                "\u{1F525}",
                "a.?b",
            ]
            .map(|text| format!("{text}\n  {}", problems(text)))
            .join("\n"),
        );
    }

    #[test]
    fn only_a_lone_secret_is_a_secret() {
        let secret = |text: &str| parse(text).ok().and_then(|expression| expression.secret().map(str::to_owned));
        assert_eq!(secret("secrets.registry-token"), Some("registry-token".to_owned()));
        assert_eq!(secret("secrets['x']"), Some("x".to_owned()));
        assert_eq!(secret("secrets.x + ''"), None);
        assert_eq!(secret("has(secrets.x)"), None);
    }
}
