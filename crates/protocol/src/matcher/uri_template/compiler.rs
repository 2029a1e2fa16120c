//! Compiles the text of a template to the state set that recognises its expansions.

use super::expression::{Expression, Operator, Variable};
use crate::matcher::program::{
    COMMA, CONTINUING, Class, EQUALS, HEX_DIGIT, LEADING, MAX_STATES, Op, RESERVED, UNRESERVED,
};

/// The longest prefix modifier: each character of it takes a dozen states.
const MAX_PREFIX: usize = MAX_STATES / 12;

/// The states of a template, or of what is left of it after its literal prefix; `None` if the text
/// is not a template, or is too long to compile.
pub(super) fn compile(mut text: &str) -> Option<Vec<Op>> {
    let mut compiler = Compiler::default();
    while let Some(open) = text.find('{') {
        let (literal, expression) = text.split_at(open);
        compiler.literal(literal)?;
        let (expression, after) = expression[1..].split_once('}')?;
        compiler.expression(&Expression::parse(expression)?)?;
        text = after;
    }
    compiler.literal(text)?;
    (compiler.ops.len() <= MAX_STATES).then_some(compiler.ops)
}

/// Whether an expansion copies the character (RFC 6570, section 3.1); others are percent-encoded.
pub(super) fn is_copied(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c)
}

/// Whether a text may stand outside of expressions (RFC 6570, section 2.1; by erratum 6937 and the
/// existing hub the apostrophe may, too).
pub(super) fn is_literal(text: &str) -> bool {
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let mut is_digit = || rest.next().is_some_and(|c| c.is_ascii_hexdigit());
        let is_allowed = match c {
            '%' => is_digit() && is_digit(),
            '!' | '#' | '$' | '&'..=';' | '=' | '?'..='[' | ']' | '_' | 'a'..='z' | '~' => true,
            // `ucschar` and `iprivate`: no noncharacters, and no tags.
            '\u{a0}'..='\u{fdcf}' | '\u{fdf0}'..='\u{ffef}' => true,
            '\u{e0000}'..='\u{e0fff}' => false,
            _ => c > '\u{ffff}' && u32::from(c) & 0xffff < 0xfffe,
        };
        if !is_allowed {
            return false;
        }
    }
    true
}

/// A jump whose target is not known yet.
struct Open(usize);

#[derive(Default)]
struct Compiler {
    ops: Vec<Op>,
}

impl Compiler {
    /// The next state; beyond what a target can name, the template is refused for its length.
    fn here(&self) -> u16 {
        u16::try_from(self.ops.len()).unwrap_or(u16::MAX)
    }

    fn open(&mut self, op: fn(u16) -> Op) -> Open {
        self.ops.push(op(0));
        Open(self.ops.len() - 1)
    }

    /// Lets a jump lead to the next state.
    fn land(&mut self, Open(index): Open) {
        let here = self.here();
        if let Some(Op::Split(target) | Op::Jump(target)) = self.ops.get_mut(index) {
            *target = here;
        }
    }

    fn bytes(&mut self, text: &str) {
        let ops = text.bytes().map(|byte| Op::One(Class::Byte(byte)));
        self.ops.extend(ops);
    }

    /// A literal matches as it is, and as an expansion would encode it.
    fn literal(&mut self, literal: &str) -> Option<()> {
        if !is_literal(literal) {
            return None;
        }
        for c in literal.chars() {
            let mut buffer = [0; 4];
            let text: &str = c.encode_utf8(&mut buffer);
            if is_copied(c) {
                self.bytes(text);
                continue;
            }
            let encoded = self.open(Op::Split);
            self.bytes(text);
            let end = self.open(Op::Jump);
            self.land(encoded);
            for byte in text.bytes() {
                self.bytes(&format!("%{byte:02X}"));
            }
            self.land(end);
        }
        Some(())
    }

    /// Any of the variables may be undefined, and is then left out with its separator. So a jump
    /// leads from the beginning to each value, and from the end of each value to all later ones.
    ///
    /// `None` as soon as there are too many states: a short text can ask for very many.
    fn expression(&mut self, expression: &Expression<'_>) -> Option<()> {
        let Expression {
            operator,
            variables,
        } = expression;
        let all_undefined = self.open(Op::Split);
        self.bytes(operator.first);
        let mut entries: Vec<Open> = variables
            .iter()
            .skip(1)
            .map(|_| self.open(Op::Split))
            .collect();
        // The jumps are made from the last value to the second, and what follows is the first.
        for (index, variable) in variables.iter().enumerate() {
            let left_out = (index > 0).then(|| {
                let left_out = self.open(Op::Split);
                self.bytes(operator.separator);
                left_out
            });
            if left_out.is_some()
                && let Some(entry) = entries.pop()
            {
                self.land(entry);
            }
            if variable
                .prefix
                .is_some_and(|most| usize::from(most) > MAX_PREFIX)
            {
                return None;
            }
            self.variable(operator, variable);
            if self.ops.len() > MAX_STATES {
                return None;
            }
            if let Some(left_out) = left_out {
                self.land(left_out);
            }
        }
        self.land(all_undefined);
        Some(())
    }

    /// One value, or an exploded list of them.
    fn variable(&mut self, operator: &Operator, variable: &Variable<'_>) {
        let single = if operator.reserved {
            RESERVED | UNRESERVED
        } else {
            UNRESERVED
        };
        if variable.explode {
            let item = self.here();
            if operator.named {
                self.characters(single);
                self.optional(|compiler| {
                    compiler.bytes("=");
                    compiler.characters(single);
                });
            } else {
                self.characters(single | EQUALS);
            }
            self.optional(|compiler| {
                compiler.bytes(operator.separator);
                compiler.ops.push(Op::Jump(item));
            });
            return;
        }
        let value = |compiler: &mut Self| match variable.prefix {
            Some(most) => compiler.at_most(most, single),
            None => compiler.characters(single | COMMA),
        };
        if !operator.named {
            return value(self);
        }
        self.bytes(variable.name);
        let assigned = |compiler: &mut Self| {
            compiler.bytes("=");
            value(compiler);
        };
        // An empty value of a path parameter has no `=`.
        if operator.first == ";" {
            self.optional(assigned);
        } else {
            assigned(self);
        }
    }

    fn optional(&mut self, inner: impl FnOnce(&mut Self)) {
        let end = self.open(Op::Split);
        inner(self);
        self.land(end);
    }

    /// Any number of characters of some classes, and of encoded bytes.
    fn characters(&mut self, classes: u8) {
        let start = self.here();
        self.ops.push(Op::Many(Class::OneOf(classes)));
        self.optional(|compiler| {
            compiler.encoded(HEX_DIGIT);
            compiler.ops.push(Op::Jump(start));
        });
    }

    /// Some characters of a value (RFC 6570, section 2.4.1: counted before they are encoded).
    fn at_most(&mut self, characters: u16, classes: u8) {
        let ends: Vec<_> = (0..characters)
            .map(|_| {
                let end = self.open(Op::Split);
                let encoded = self.open(Op::Split);
                self.ops.push(Op::One(Class::OneOf(classes)));
                let next = self.open(Op::Jump);
                self.land(encoded);
                self.encoded(LEADING);
                let continued = self.here();
                self.optional(|compiler| {
                    compiler.encoded(CONTINUING);
                    compiler.ops.push(Op::Jump(continued));
                });
                self.land(next);
                end
            })
            .collect();
        for end in ends {
            self.land(end);
        }
    }

    /// One encoded byte whose first digit is of a class.
    fn encoded(&mut self, first: u8) {
        self.bytes("%");
        self.ops.push(Op::One(Class::OneOf(first)));
        self.ops.push(Op::One(Class::OneOf(HEX_DIGIT)));
    }
}
