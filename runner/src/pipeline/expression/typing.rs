//! Tells, without any value, what type an expression has, and which of its parts cannot fit together.
//!
//! The main type is [`Kind`].

use super::functions;
use super::parse::{Expression, Root, path_of};
use crate::pipeline::outcome;
use crate::pipeline::schema::shortened;
use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};

/// The type of a value, as far as it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Not known.
    Any,
    /// Nothing.
    Null,
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Text.
    String,
    /// A list.
    Array,
    /// A table.
    Object,
}

impl Kind {
    /// The type that JSON Schema calls by this name.
    pub(crate) fn of_schema(name: &str) -> Self {
        match name {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "string" => Self::String,
            "array" => Self::Array,
            "object" => Self::Object,
            _ => Self::Any,
        }
    }

    /// With its article.
    pub(crate) fn article(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "a list",
            Self::Object => "a table",
        }
    }

    fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Number)
    }

    /// Whether values of both types can be equal. Null is equal to nothing else, but asking for it is fine.
    fn comparable(self, other: Self) -> bool {
        let free = |kind| matches!(kind, Self::Any | Self::Null);
        self == other || free(self) || free(other) || (self.is_number() && other.is_number())
    }

    fn join(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (one, other) if one.is_number() && other.is_number() => Self::Number,
            _ => Self::Any,
        }
    }
}

/// Tells the type of what a reference leads to: of its root, the root's names, and the names behind them.
pub(crate) type KindOf<'a> = dyn Fn(Root, &[&str], &[&str]) -> Kind + 'a;

impl Expression {
    /// The type of the expression, and what in it cannot be right. `of` tells the types of references.
    pub(crate) fn kind(&self, of: &KindOf<'_>) -> (Kind, Vec<Misfit>) {
        let mut typing = Typing { of, locals: Vec::new(), problems: Vec::new() };
        let kind = typing.kind(self.tree());
        (kind, typing.problems)
    }
}

struct Typing<'a> {
    of: &'a KindOf<'a>,
    locals: Vec<(&'a str, Kind)>,
    problems: Vec<Misfit>,
}

/// What in an expression cannot be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// What is wrong.
    pub(crate) what: String,
    /// What to do, where that can be told.
    pub(crate) help: Option<String>,
}

impl<'a> Typing<'a> {
    fn kind(&mut self, expression: &'a IdedExpr) -> Kind {
        if let Some((root, path, tested)) = path_of(expression)
            && !self.locals.iter().any(|(name, _)| *name == root)
        {
            return match Root::of(root).and_then(|root| Some((root, path.split_at_checked(root.names())?))) {
                Some(_) if tested => Kind::Boolean,
                Some((root, (names, rest))) => (self.of)(root, names, rest),
                None => Kind::Any,
            };
        }
        match &expression.expr {
            Expr::Ident(name) => {
                self.locals.iter().rev().find(|(local, _)| local == name).map_or(Kind::Any, |(_, kind)| *kind)
            }
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Kind::Boolean,
                LiteralValue::Int(_) | LiteralValue::UInt(_) => Kind::Integer,
                LiteralValue::Double(_) => Kind::Number,
                LiteralValue::String(_) => Kind::String,
                LiteralValue::Null => Kind::Null,
                LiteralValue::Bytes(_) => Kind::Any,
            },
            Expr::Select(select) => {
                self.kind(&select.operand);
                if select.test { Kind::Boolean } else { Kind::Any }
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                list.elements.iter().for_each(|element| {
                    self.kind(element);
                });
                Kind::Array
            }
            Expr::Map(_) => Kind::Object,
            Expr::Comprehension(comprehension) => {
                self.kind(&comprehension.iter_range);
                let start = self.kind(&comprehension.accu_init);
                let outer = self.locals.len();
                self.locals.push((&comprehension.accu_var, start));
                self.locals.push((&comprehension.iter_var, Kind::Any));
                self.kind(&comprehension.loop_step);
                let kind = self.kind(&comprehension.result);
                self.locals.truncate(outer);
                kind
            }
            Expr::Struct(_) | Expr::Unspecified => Kind::Any,
        }
    }

    fn call(&mut self, call: &'a CallExpr) -> Kind {
        let name = call.func_name.as_str();
        if matches!(name, operators::EQUALS | operators::NOT_EQUALS | operators::IN) {
            self.outcomes(call);
        }
        let kinds: Vec<Kind> =
            call.target.as_deref().into_iter().chain(&call.args).map(|part| self.kind(part)).collect();
        match (name, kinds.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.must_be(*condition, Kind::Boolean, "the condition before `?`");
                yes.join(*no)
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [one, other]) => {
                let side = if name == operators::LOGICAL_AND { "each side of `&&`" } else { "each side of `||`" };
                self.must_be(*one, Kind::Boolean, side);
                self.must_be(*other, Kind::Boolean, side);
                Kind::Boolean
            }
            (operators::LOGICAL_NOT, [value]) => {
                self.must_be(*value, Kind::Boolean, "what stands behind `!`");
                Kind::Boolean
            }
            (operators::EQUALS | operators::NOT_EQUALS, [one, other]) => {
                if !one.comparable(*other) {
                    let (one, other) = (one.article(), other.article());
                    self.misfit(format!("it compares {one} with {other}, which are never equal"));
                }
                Kind::Boolean
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                [one, other],
            ) => {
                if !one.comparable(*other) {
                    self.misfit(format!("{} and {} have no order", one.article(), other.article()));
                }
                Kind::Boolean
            }
            (operators::IN | operators::NOT_STRICTLY_FALSE, _) => Kind::Boolean,
            (operators::ADD, [one, other]) => {
                let text_and_else = [(one, other), (other, one)]
                    .iter()
                    .any(|(text, other)| **text == Kind::String && !matches!(other, Kind::String | Kind::Any));
                if text_and_else {
                    let (one, other) = (one.article(), other.article());
                    self.misfit(format!("it adds {one} and {other}; string(…) makes text of a value"));
                }
                one.join(*other)
            }
            (operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO, [one, other]) => {
                for kind in [one, other] {
                    if !(kind.is_number() || *kind == Kind::Any) {
                        let hint = match name {
                            operators::SUBSTRACT => "; a name with a hyphen stands behind a dot and without spaces",
                            _ => "",
                        };
                        self.misfit(format!("it calculates with {}{hint}", kind.article()));
                    }
                }
                one.join(*other)
            }
            (operators::NEGATE, [value]) => *value,
            _ => functions::function(name).map_or(Kind::Any, |function| function.gives),
        }
    }

    fn misfit(&mut self, what: String) {
        self.problems.push(Misfit { what, help: None });
    }

    /// Say of each text that is compared with how a stage ended whether a stage ever ends so.
    fn outcomes(&mut self, call: &'a CallExpr) {
        let [one, other] = call.args.as_slice() else { return };
        for (asked, compared) in [(one, other), (other, one)] {
            let Some((root, path, false)) = path_of(asked) else { continue };
            let is_local = self.locals.iter().any(|(name, _)| *name == root);
            if is_local || Root::of(root) != Some(Root::Stages) || path.get(1..) != Some(&[outcome::NAME]) {
                continue;
            }
            let list = match &compared.expr {
                Expr::List(list) => list.elements.as_slice(),
                _ => std::slice::from_ref(compared),
            };
            for element in list {
                let Expr::Literal(LiteralValue::String(word)) = &element.expr else { continue };
                if let Some(help) = outcome::correction(word.inner()) {
                    let what = format!("a stage never ends as {:?}", shortened(word.inner(), 40));
                    self.problems.push(Misfit { what, help: Some(help) });
                }
            }
        }
    }

    fn must_be(&mut self, kind: Kind, wanted: Kind, what: &str) {
        if kind != wanted && kind != Kind::Any {
            self.misfit(format!("{what} must be {}, not {}", wanted.article(), kind.article()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::Steps;

    fn kind(text: &str) -> String {
        let Ok(expression) = Expression::parse(text, &Steps::of(100_000)) else { return "does not parse".to_owned() };
        let (kind, problems) = expression.kind(&|root, names, rest| match (root, names, rest) {
            (Root::Inputs, ["n"], []) => Kind::Integer,
            (Root::Inputs, ["s"], []) | (Root::Region, [], []) => Kind::String,
            (Root::Inputs, ["b"], []) => Kind::Boolean,
            _ => Kind::Any,
        });
        if problems.is_empty() {
            format!("{kind:?}")
        } else {
            problems.into_iter().map(|problem| problem.what).collect::<Vec<_>>().join("; ")
        }
    }

    #[test]
    fn types_are_told_without_values() {
        let cases = [
            ("inputs.n + 1", "Integer"),
            ("inputs.n + 1.5", "Number"),
            ("inputs.s + 'x'", "String"),
            ("inputs.b ? 'x' : region", "String"),
            ("inputs.b ? 'x' : 1", "Any"),
            ("has(stages.a.b)", "Boolean"),
            ("stages.a.b", "Any"),
            ("stages.a.b == 'x' && inputs.b", "Boolean"),
            ("stages.a.outcome == 'skipped' || stages.a.outcome in ['done', 'failed', 'not-run']", "Boolean"),
            ("stages.a.outcome != 'finished'", "a stage never ends as \"finished\""),
            ("'ok' == stages.a.outcome", "a stage never ends as \"ok\""),
            ("stages.a.outcome in ['done', 'skiped']", "a stage never ends as \"skiped\""),
            ("[{'outcome': 'x'}].all(stage, stage.outcome == 'x')", "Boolean"),
            ("[1].map(x, x)", "Array"),
            ("[1].all(x, x > 0)", "Boolean"),
            ("[1].exists_one(x, x > 0)", "Boolean"),
            ("size([1])", "Integer"),
            ("inputs.s.split(',')", "Array"),
            ("{'a': 1}", "Object"),
            ("-inputs.n", "Integer"),
            ("inputs.s == null", "Boolean"),
            ("inputs.n == 'x'", "it compares an integer with a string, which are never equal"),
            ("inputs.s < 1", "a string and an integer have no order"),
            ("!inputs.s", "what stands behind `!` must be a boolean, not a string"),
            ("inputs.s && inputs.b", "each side of `&&` must be a boolean, not a string"),
            ("'a' + 1", "it adds a string and an integer; string(…) makes text of a value"),
        ];
        for (text, expected) in cases {
            assert_eq!(kind(text), expected, "{text}");
        }
    }
}
