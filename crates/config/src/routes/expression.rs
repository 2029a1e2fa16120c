//! The matcher `expression`: the part of the Common Expression Language that configuration files use (B-284).

mod token;

use self::token::{Token, tokens};
use crate::error::Error;
use crate::lexer::Word;
use crate::settings::Comparison;
use crate::shown::show;

/// The deepest nesting of parentheses and negations; without a bound a text could exhaust the stack.
const MAX_DEPTH: usize = 32;

/// An expression.
#[derive(Debug, PartialEq)]
pub(super) enum Expression {
    /// Both sides hold, or more of them.
    All(Vec<Expression>),
    /// One side holds.
    AtLeastOne(Vec<Expression>),
    /// It does not hold.
    Not(Box<Expression>),
    /// A matcher holds, for example `path('/a*')`.
    Call {
        /// The name of the matcher.
        name: String,
        /// Its arguments.
        arguments: Arguments,
    },
    /// A comparison of two texts, which may hold placeholders, holds.
    Compared(String, Comparison, String),
    /// A text fits a regular expression.
    Matches(String, String),
}

/// The arguments of a matcher.
#[derive(Debug, PartialEq)]
pub(super) enum Arguments {
    /// Texts.
    Texts(Vec<String>),
    /// Names with their values, as `header({'Accept': 'text/*'})` has them.
    Map(Vec<(String, Vec<String>)>),
}

/// Reads an expression.
///
/// # Errors
/// What is not understood, by name.
pub(super) fn parse(word: &Word) -> Result<Expression, Error> {
    let read = tokens(&word.text).and_then(|tokens| {
        let mut parser = Parser {
            tokens: tokens.into_iter().peekable(),
        };
        let expression = parser.either(0)?;
        match parser.tokens.next() {
            None => Ok(expression),
            Some(token) => Err(unexpected(Some(&token))),
        }
    });
    read.map_err(|problem| {
        word.error(format!("this expression is not understood: {problem}"))
            .remedy(
                "write matchers such as path('/a*'), comparisons such as {method} == 'GET', and &&, ||, ! between them",
            )
    })
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
}

impl Parser {
    /// What stands between `||`.
    fn either(&mut self, depth: usize) -> Result<Expression, String> {
        let mut sides = vec![self.both(depth)?];
        while self.takes("||") {
            sides.push(self.both(depth)?);
        }
        Ok(one_or(sides, Expression::AtLeastOne))
    }

    /// What stands between `&&`.
    fn both(&mut self, depth: usize) -> Result<Expression, String> {
        let mut sides = vec![self.not(depth)?];
        while self.takes("&&") {
            sides.push(self.not(depth)?);
        }
        Ok(one_or(sides, Expression::All))
    }

    fn not(&mut self, depth: usize) -> Result<Expression, String> {
        if depth > MAX_DEPTH {
            return Err(format!("it is nested deeper than {MAX_DEPTH}"));
        }
        if self.takes("!") {
            return Ok(Expression::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.takes("(") {
            let inner = self.either(depth + 1)?;
            self.expect(")")?;
            return Ok(inner);
        }
        match self.tokens.next() {
            Some(Token::Name(name)) => {
                self.expect("(")?;
                Ok(Expression::Call {
                    arguments: self.arguments()?,
                    name,
                })
            }
            Some(Token::Text(text)) => self.comparison(text),
            token => Err(unexpected(token.as_ref())),
        }
    }

    /// What follows a text: a comparison, or a method that compares.
    fn comparison(&mut self, left: String) -> Result<Expression, String> {
        if self.takes(".") {
            let Some(Token::Name(method)) = self.tokens.next() else {
                return Err("a method is missing behind the dot".to_owned());
            };
            self.expect("(")?;
            let right = self.text()?;
            self.expect(")")?;
            let how = match method.as_str() {
                "startsWith" => Comparison::StartsWith,
                "endsWith" => Comparison::EndsWith,
                "contains" => Comparison::Contains,
                "matches" => return Ok(Expression::Matches(left, right)),
                _ => return Err(format!("the method {} is not known", show(&method))),
            };
            return Ok(Expression::Compared(left, how, right));
        }
        if matches!(self.tokens.peek(), Some(Token::Name(name)) if name == "in") {
            self.tokens.next();
            let of = |right| Expression::Compared(left.clone(), Comparison::Equal, right);
            let sides = self.list()?.into_iter().map(of).collect();
            return Ok(one_or(sides, Expression::AtLeastOne));
        }
        let sign = match self.tokens.next() {
            Some(Token::Sign(sign)) => sign,
            token => return Err(unexpected(token.as_ref())),
        };
        let right = self.text()?;
        let not = |how| Expression::Not(Box::new(how));
        Ok(match sign {
            "==" => Expression::Compared(left, Comparison::Equal, right),
            "!=" => not(Expression::Compared(left, Comparison::Equal, right)),
            "<" => Expression::Compared(left, Comparison::Less, right),
            "<=" => Expression::Compared(left, Comparison::AtMost, right),
            ">" => Expression::Compared(right, Comparison::Less, left),
            ">=" => Expression::Compared(right, Comparison::AtMost, left),
            sign => return Err(format!("{} does not compare", show(sign))),
        })
    }

    /// The arguments of a matcher, and the parenthesis behind them.
    fn arguments(&mut self) -> Result<Arguments, String> {
        if self.takes("{") {
            let mut pairs = Vec::new();
            while !self.takes("}") {
                let name = self.text()?;
                self.expect(":")?;
                let is_list = matches!(self.tokens.peek(), Some(Token::Sign("[")));
                let values = match is_list {
                    true => self.list()?,
                    false => vec![self.text()?],
                };
                pairs.push((name, values));
                if !self.takes(",") {
                    self.expect("}")?;
                    break;
                }
            }
            self.expect(")")?;
            return Ok(Arguments::Map(pairs));
        }
        self.texts_until(")").map(Arguments::Texts)
    }

    fn list(&mut self) -> Result<Vec<String>, String> {
        self.expect("[")?;
        self.texts_until("]")
    }

    /// Texts with commas between them, and the sign that ends them.
    fn texts_until(&mut self, end: &'static str) -> Result<Vec<String>, String> {
        let mut texts = Vec::new();
        while !self.takes(end) {
            texts.push(self.text()?);
            if !self.takes(",") {
                self.expect(end)?;
                break;
            }
        }
        Ok(texts)
    }

    fn text(&mut self) -> Result<String, String> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(text),
            token => Err(unexpected(token.as_ref())),
        }
    }

    /// Whether a sign is next, which then is taken.
    fn takes(&mut self, sign: &str) -> bool {
        let is_next = |token: &Token| matches!(token, Token::Sign(next) if *next == sign);
        self.tokens.next_if(is_next).is_some()
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        match self.takes(sign) {
            true => Ok(()),
            false => {
                let found = self.tokens.peek();
                Err(format!("{} is missing before {}", show(sign), named(found)))
            }
        }
    }
}

fn one_or(mut sides: Vec<Expression>, of: impl Fn(Vec<Expression>) -> Expression) -> Expression {
    match sides.len() {
        1 => sides.remove(0),
        _ => of(sides),
    }
}

fn unexpected(token: Option<&Token>) -> String {
    format!("{} is unexpected", named(token))
}

fn named(token: Option<&Token>) -> String {
    match token {
        None => "its end".to_owned(),
        Some(Token::Text(text)) => format!("the text {}", show(text)),
        Some(Token::Name(name)) => show(name),
        Some(Token::Sign(sign)) => show(sign),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::lex;
    use crate::lexer::tests::text;

    fn read(expression: &str) -> Result<Expression, String> {
        let words = lex(&text(&format!("`{expression}`"))).unwrap();
        parse(&words[0]).map_err(|error| error.to_string())
    }

    fn path(path: &str) -> Expression {
        Expression::Call {
            name: "path".to_owned(),
            arguments: Arguments::Texts(vec![path.to_owned()]),
        }
    }

    /// `!` binds closer than `&&`, and that closer than `||`.
    #[test]
    fn operators_bind() {
        let expected = Expression::AtLeastOne(vec![
            Expression::All(vec![path("/a"), Expression::Not(Box::new(path("/b")))]),
            path("/c"),
        ]);
        assert_eq!(
            read("path('/a') && !path(\"/b\") || (path('/c'))"),
            Ok(expected)
        );
    }

    #[test]
    fn texts_are_compared() {
        let compared = |how| Expression::Compared("{method}".into(), how, "GET".into());
        assert_eq!(read("{method} == 'GET'"), Ok(compared(Comparison::Equal)));
        let not = Expression::Not(Box::new(compared(Comparison::Equal)));
        assert_eq!(read("{method} != 'GET'"), Ok(not));
        let starts = compared(Comparison::StartsWith);
        assert_eq!(read("{method}.startsWith('GET')"), Ok(starts));
        let at_least =
            Expression::Compared("500".into(), Comparison::AtMost, "{err.status_code}".into());
        assert_eq!(read("{err.status_code} >= 500"), Ok(at_least));
        let matches = Expression::Matches("{header.Accept}".into(), r"\btext/html\b".into());
        assert_eq!(
            read(r#"{header.Accept}.matches("\\btext/html\\b")"#),
            Ok(matches)
        );
        let listed = read("{method} in ['GET', 'HEAD']").unwrap();
        assert!(matches!(listed, Expression::AtLeastOne(sides) if sides.len() == 2));
        let header = Expression::Call {
            name: "header".to_owned(),
            arguments: Arguments::Map(vec![("A".into(), vec!["b".into(), "c".into()])]),
        };
        assert_eq!(read("header({'A': ['b', 'c']})"), Ok(header));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let deep = "(".repeat(100);
        for (expression, expected) in [
            ("", "its end is unexpected"),
            ("path('/a'", "`)` is missing"),
            ("path('/a') path('/b')", "`path` is unexpected"),
            ("{a} == 'b", "a text is never closed"),
            ("{a} + 'b' == 'c'", "the character `+`"),
            ("{a}.size() == 1", "is unexpected"),
            ("{a}.lower('x')", "the method `lower` is not known"),
            ("{a} && 'b'", "`&&` does not compare"),
            (deep.as_str(), "nested deeper"),
        ] {
            let error = read(expression).unwrap_err();
            assert!(error.contains(expected), "{expression}: {error}");
        }
    }
}
