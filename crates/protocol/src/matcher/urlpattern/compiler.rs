//! Compiles a regular expression with custom groups to its state set.

use regex_syntax::hir::{Class as HirClass, Hir, HirKind, Look, Repetition};

use super::error::ExpressionError;
use super::regexp;
use crate::matcher::program::{AsciiSet, Assertion, Class, Neighbour, Op, Program};

/// The most states of a pattern, in all its components: 8 KiB. The longest that a text of 4,096
/// bytes can spell out without counted repetitions is 2,040 times `\w`; counted ones are unrolled.
pub(super) const MAX_STATES: usize = 2048;

/// Literal text around a state set.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) prefix: String,
    pub(super) program: Program,
    pub(super) suffix: String,
}

/// Compiles an expression of the crate, with custom groups or without, to a program of at most
/// `most` states.
///
/// # Errors
/// The reason why the expression is refused.
pub(super) fn compile(expression: &str, most: usize) -> Result<Compiled, ExpressionError> {
    let hir = regexp::parse(expression)?;
    let mut compiler = Compiler::new(most);
    // A program runs without the literal text around it, which an assertion may look at.
    let is_split = hir.properties().look_set().is_empty();
    compiler.expression(&hir, is_split)?;
    Ok(compiler.finish())
}

/// A program for one or more bytes of a class, which is what most names and wildcards are.
pub(super) fn wildcard(class: Class) -> Program {
    Program::new(vec![Op::One(class), Op::Many(class)], Vec::new())
}

struct Compiler {
    prefix: Vec<u8>,
    ops: Vec<Op>,
    sets: Vec<AsciiSet>,
    /// The literal end begins at this state or later: the one before consumes another byte than a
    /// literal one, or a jump leads here.
    barrier: usize,
    most: usize,
}

impl Compiler {
    fn new(most: usize) -> Self {
        Self {
            prefix: Vec::new(),
            ops: Vec::new(),
            sets: Vec::new(),
            barrier: 0,
            most,
        }
    }

    fn finish(mut self) -> Compiled {
        let suffix = split_suffix(&mut self.ops, self.barrier);
        Compiled {
            // It is ASCII.
            prefix: String::from_utf8(self.prefix).unwrap_or_default(),
            program: Program::new(self.ops, self.sets),
            suffix,
        }
    }

    /// Compiles an expression; `once` says that each match of the whole has exactly one of it.
    ///
    /// The parser bounds how deep expressions nest, and so how deep this recurses.
    fn expression(&mut self, hir: &Hir, once: bool) -> Result<(), ExpressionError> {
        match hir.kind() {
            HirKind::Empty => Ok(()),
            HirKind::Literal(literal) => literal.0.iter().try_for_each(|byte| {
                let is_prefix = once && self.ops.is_empty() && byte.is_ascii();
                if is_prefix {
                    self.prefix.push(*byte);
                    return Ok(());
                }
                self.push(Op::One(Class::Byte(*byte)))?;
                if !once || !byte.is_ascii() {
                    self.barrier = self.ops.len();
                }
                Ok(())
            }),
            HirKind::Class(class) => {
                let class = self.class(class)?;
                self.push_barred(Op::One(class))
            }
            HirKind::Look(look) => self.push_barred(Op::Assert(assertion(*look)?)),
            HirKind::Capture(capture) => self.expression(&capture.sub, once),
            HirKind::Concat(parts) => parts
                .iter()
                .try_for_each(|part| self.expression(part, once)),
            HirKind::Alternation(alternatives) => self.alternation(alternatives),
            HirKind::Repetition(repetition) => self.repetition(repetition, once),
        }
    }

    fn alternation(&mut self, alternatives: &[Hir]) -> Result<(), ExpressionError> {
        let Some((last, others)) = alternatives.split_last() else {
            return Ok(());
        };
        let mut ends = Vec::new();
        for alternative in others {
            let other = self.open(Op::Split)?;
            self.expression(alternative, false)?;
            ends.push(self.open(Op::Jump)?);
            self.lead_here(other);
        }
        self.expression(last, false)?;
        for end in ends {
            self.lead_here(end);
        }
        Ok(())
    }

    fn repetition(&mut self, repetition: &Repetition, once: bool) -> Result<(), ExpressionError> {
        let Repetition { min, max, sub, .. } = repetition;
        let class = match sub.kind() {
            HirKind::Class(class) => Some(self.class(class)?),
            _ => None,
        };
        match (max, class) {
            (None, Some(class)) => {
                for _ in 0..*min {
                    self.push(Op::One(class))?;
                }
                self.push_barred(if once && class == Class::Any {
                    Op::Rest
                } else {
                    Op::Many(class)
                })
            }
            (None, None) if *min == 0 => {
                let start = self.ops.len();
                let end = self.open(Op::Split)?;
                self.expression(sub, false)?;
                self.push_barred(Op::Jump(target(start)))?;
                self.lead_here(end);
                Ok(())
            }
            (None, None) => {
                let mut start = 0;
                for _ in 0..*min {
                    start = self.ops.len();
                    self.expression(sub, false)?;
                }
                self.push_barred(Op::Split(target(start)))
            }
            (Some(max), _) => {
                for _ in 0..*min {
                    self.expression(sub, false)?;
                }
                let mut ends = Vec::new();
                for _ in *min..*max {
                    ends.push(self.open(Op::Split)?);
                    self.expression(sub, false)?;
                }
                for end in ends {
                    self.lead_here(end);
                }
                Ok(())
            }
        }
    }

    fn class(&mut self, class: &HirClass) -> Result<Class, ExpressionError> {
        let set = ascii_set(class);
        let missing = !set;
        if missing == 0 {
            return Ok(Class::Any);
        }
        if missing.count_ones() == 1 {
            return Ok(Class::Except(missing.trailing_zeros() as u8));
        }
        let known = self.sets.iter().position(|known| *known == set);
        let number = known.unwrap_or(self.sets.len());
        let Ok(number) = u8::try_from(number) else {
            return Err(ExpressionError::TooManyClasses);
        };
        if known.is_none() {
            self.sets.push(set);
        }
        Ok(Class::Set(number))
    }

    fn push(&mut self, op: Op) -> Result<(), ExpressionError> {
        if self.ops.len() >= self.most {
            return Err(ExpressionError::TooManyStates { most: MAX_STATES });
        }
        self.ops.push(op);
        Ok(())
    }

    fn push_barred(&mut self, op: Op) -> Result<(), ExpressionError> {
        self.push(op)?;
        self.barrier = self.ops.len();
        Ok(())
    }

    /// Adds a jump whose target is not known yet, and returns its state.
    fn open(&mut self, op: fn(u16) -> Op) -> Result<usize, ExpressionError> {
        self.push_barred(op(0))?;
        Ok(self.ops.len() - 1)
    }

    /// Lets a jump lead to the next state.
    fn lead_here(&mut self, jump: usize) {
        let here = target(self.ops.len());
        if let Some(Op::Split(target) | Op::Jump(target)) = self.ops.get_mut(jump) {
            *target = here;
        }
        self.barrier = self.ops.len();
    }
}

/// Takes the literal end from the states: the bytes, which are ASCII, after the barrier.
pub(super) fn split_suffix(ops: &mut Vec<Op>, barrier: usize) -> String {
    let mut suffix = Vec::new();
    while ops.len() > barrier
        && let Some(Op::One(Class::Byte(byte))) = ops.last()
    {
        suffix.push(*byte);
        ops.pop();
    }
    suffix.reverse();
    String::from_utf8(suffix).unwrap_or_default()
}

/// A state as the target of a jump; a program has fewer than 65,536.
fn target(state: usize) -> u16 {
    u16::try_from(state).unwrap_or(u16::MAX)
}

/// The ASCII characters of a class.
fn ascii_set(class: &HirClass) -> AsciiSet {
    let range = |start: u32, end: u32| {
        let last = end.min(AsciiSet::BITS - 1);
        let upward = AsciiSet::MAX.checked_shl(start).unwrap_or(0);
        upward & (AsciiSet::MAX >> (AsciiSet::BITS - 1 - last))
    };
    let union = |union, range| union | range;
    match class {
        HirClass::Unicode(class) => {
            let ranges = class.iter();
            let ranges = ranges.map(|part| range(part.start().into(), part.end().into()));
            ranges.fold(0, union)
        }
        HirClass::Bytes(class) => {
            let ranges = class.iter();
            let ranges = ranges.map(|part| range(part.start().into(), part.end().into()));
            ranges.fold(0, union)
        }
    }
}

/// What an assertion demands of the bytes around it. No component of a URL has line ends.
fn assertion(look: Look) -> Result<Assertion, ExpressionError> {
    use Neighbour::{Nothing, Word};
    Ok(match look {
        Look::Start | Look::StartLF | Look::StartCRLF => {
            Assertion::new(|before, _| before == Nothing)
        }
        Look::End | Look::EndLF | Look::EndCRLF => Assertion::new(|_, behind| behind == Nothing),
        Look::WordAscii => Assertion::new(|before, behind| (before == Word) != (behind == Word)),
        Look::WordAsciiNegate => {
            Assertion::new(|before, behind| (before == Word) == (behind == Word))
        }
        Look::WordStartAscii => Assertion::new(|before, behind| before != Word && behind == Word),
        Look::WordEndAscii => Assertion::new(|before, behind| before == Word && behind != Word),
        Look::WordStartHalfAscii => Assertion::new(|before, _| before != Word),
        Look::WordEndHalfAscii => Assertion::new(|_, behind| behind != Word),
        Look::WordUnicode
        | Look::WordUnicodeNegate
        | Look::WordStartUnicode
        | Look::WordEndUnicode
        | Look::WordStartHalfUnicode
        | Look::WordEndHalfUnicode => return Err(ExpressionError::UnicodeFlag),
    })
}
