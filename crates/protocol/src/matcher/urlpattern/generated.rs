//! Compiles a generated expression without custom groups to its state set, in a fifth of the time
//! that the general parser takes.
//!
//! The crate generates, for a component without a custom group, an expression of this grammar and
//! nothing else, captures being irrelevant here:
//!
//! ```text
//! expression = "^" item* "$"
//! item       = literal | "\" literal | segment | full | group
//! segment    = "[^" delimiter "]+?" | ".+?"
//! full       = ".*"
//! group      = ( "(" | "(?:" ) item* ")" [ "?" | "*" | "+" ]
//! ```

use super::compiler::{Compiled, split_suffix};
use crate::matcher::program::{Class, Op, Program};

/// Compiles a generated expression; `None` if it is not of the grammar above.
pub(super) fn compile(expression: &str) -> Option<Compiled> {
    let body = expression.strip_prefix('^')?.strip_suffix('$')?;
    let mut compiler = Compiler::default();
    compiler.items(body.as_bytes(), false)?;
    let suffix = split_suffix(&mut compiler.ops, compiler.barrier);
    Some(Compiled {
        prefix: String::from_utf8(compiler.prefix).ok()?,
        program: Program::new(compiler.ops, Vec::new()),
        suffix,
    })
}

#[derive(Default)]
struct Compiler {
    prefix: Vec<u8>,
    ops: Vec<Op>,
    barrier: usize,
}

impl Compiler {
    /// Compiles items. If `modified`, they may occur more than once or not at all.
    fn items(&mut self, mut rest: &[u8], modified: bool) -> Option<()> {
        while let Some((byte, after)) = rest.split_first() {
            rest = match byte {
                b'\\' => {
                    let (literal, after) = after.split_first()?;
                    self.literal(*literal, modified);
                    after
                }
                b'.' => match after.split_first()? {
                    (b'*', after) => {
                        self.wildcard(&[if modified {
                            Op::Many(Class::Any)
                        } else {
                            Op::Rest
                        }]);
                        after
                    }
                    (b'+', after) => {
                        self.segment(Class::Any);
                        after.strip_prefix(b"?")?
                    }
                    _ => return None,
                },
                b'[' => {
                    let after = after.strip_prefix(b"^")?;
                    let after = after.strip_prefix(b"\\").unwrap_or(after);
                    let (delimiter, after) = after.split_first()?;
                    self.segment(Class::Except(*delimiter));
                    after.strip_prefix(b"]+?")?
                }
                b'(' => self.group(after, modified)?,
                b')' | b']' | b'?' | b'*' | b'+' | b'{' | b'}' | b'|' | b'^' | b'$' => return None,
                literal => {
                    self.literal(*literal, modified);
                    after
                }
            };
        }
        Some(())
    }

    /// Compiles a group from after its opening parenthesis; returns what follows it.
    fn group<'a>(&mut self, rest: &'a [u8], modified: bool) -> Option<&'a [u8]> {
        let rest = rest.strip_prefix(b"?:").unwrap_or(rest);
        let end = closing(rest)?;
        let (items, after) = (rest.get(..end)?, rest.get(end + 1..)?);
        let modifier = after.first().filter(|byte| b"?*+".contains(byte));
        let Some(modifier) = modifier else {
            self.items(items, modified)?;
            return Some(after);
        };
        let start = self.state()?;
        if *modifier != b'+' {
            self.ops.push(Op::Split(0));
        }
        self.items(items, true)?;
        match modifier {
            b'*' => self.ops.push(Op::Jump(start)),
            b'+' => self.ops.push(Op::Split(start)),
            _ => {}
        }
        let end = self.state()?;
        if *modifier != b'+' {
            *self.ops.get_mut(usize::from(start))? = Op::Split(end);
        }
        self.barrier = self.ops.len();
        after.get(1..)
    }

    fn literal(&mut self, byte: u8, modified: bool) {
        if self.ops.is_empty() && !modified {
            self.prefix.push(byte);
        } else {
            self.ops.push(Op::One(Class::Byte(byte)));
        }
    }

    fn segment(&mut self, class: Class) {
        self.wildcard(&[Op::One(class), Op::Many(class)]);
    }

    fn wildcard(&mut self, ops: &[Op]) {
        self.ops.extend_from_slice(ops);
        self.barrier = self.ops.len();
    }

    fn state(&self) -> Option<u16> {
        self.ops.len().try_into().ok()
    }
}

/// The index of the parenthesis that closes a group whose items begin here.
fn closing(rest: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut escaped = false;
    rest.iter().position(|byte| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        b'(' => {
            depth += 1;
            false
        }
        b')' if depth > 0 => {
            depth -= 1;
            false
        }
        b')' => true,
        _ => false,
    })
}
