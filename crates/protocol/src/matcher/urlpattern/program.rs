//! The state set that runs names, wildcards and optional groups.
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
//!
//! Running keeps a bit for each state that is alive and never goes back in the input, so the time
//! is bounded by the input's length times the program's.

/// A set of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Byte(u8),
    Except(u8),
    Any,
}

impl Class {
    fn contains(self, byte: u8) -> bool {
        match self {
            Self::Byte(own) => byte == own,
            Self::Except(own) => byte != own,
            Self::Any => true,
        }
    }
}

/// One state; unless said otherwise the next one follows. The state after the last one accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    /// Consumes a byte.
    One(Class),
    /// Consumes any number of bytes.
    Many(Class),
    /// Consumes any number of any bytes, and whoever gets past it has been here: once alive, it
    /// makes all earlier states superfluous.
    Rest,
    /// Consumes nothing and also goes elsewhere.
    Split(u16),
    /// Consumes nothing and goes elsewhere only.
    Jump(u16),
}

/// A compiled component without its literal beginning and end.
#[derive(Debug)]
pub(super) struct Program(Box<[Op]>);

/// States that one evaluation may visit, and as many more for each byte of the topic. Beyond it
/// the pattern does not match (specification, "URL Pattern"). Ordinary patterns visit a few states
/// a byte; one of some hundred optional groups would hold up every update, though in linear time,
/// and a request may bring 256 of them.
const MAX_WORK: usize = 1 << 14;
const MAX_WORK_A_BYTE: usize = 16;

/// Words of a state set that fit the stack.
const INLINE_WORDS: usize = 4;

impl Program {
    /// Compiles a generated expression to its literal prefix, what is between, and its literal
    /// suffix; `None` if it is not of the grammar above.
    pub(super) fn parse(expression: &str) -> Option<(String, Self, String)> {
        let body = expression.strip_prefix('^')?.strip_suffix('$')?;
        let mut compiler = Compiler::default();
        compiler.items(body.as_bytes(), false)?;
        let mut ops = compiler.ops;
        let mut suffix = Vec::new();
        // A state before the barrier may be the target of a jump, or its end.
        while ops.len() > compiler.barrier
            && let Some(Op::One(Class::Byte(byte))) = ops.last()
        {
            suffix.push(*byte);
            ops.pop();
        }
        suffix.reverse();
        Some((
            String::from_utf8(compiler.prefix).ok()?,
            Self(ops.into_boxed_slice()),
            String::from_utf8(suffix).ok()?,
        ))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_anything(&self) -> bool {
        *self.0 == [Op::Rest]
    }

    pub(super) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.0)
    }

    pub(super) fn matches(&self, input: &[u8]) -> bool {
        let words = self.0.len() / 64 + 1;
        if words == 1 {
            return self.run(input, &mut [0], &mut [0]);
        }
        let mut inline = [[0; INLINE_WORDS]; 2];
        let [now, next] = &mut inline;
        match (now.get_mut(..words), next.get_mut(..words)) {
            (Some(now), Some(next)) => self.run(input, now, next),
            _ => self.run(input, &mut vec![0; words], &mut vec![0; words]),
        }
    }

    fn run<'a>(&self, input: &[u8], mut now: &'a mut [u64], mut next: &'a mut [u64]) -> bool {
        let accepting = self.0.len();
        let most = MAX_WORK + MAX_WORK_A_BYTE * input.len();
        let mut work = 0;
        insert(now, 0);
        work += self.close(now);
        for byte in input {
            if work > most {
                return false;
            }
            next.fill(0);
            let mut alive = false;
            for (index, word) in now.iter().enumerate() {
                let mut word = *word;
                while word != 0 {
                    let state = index * 64 + word.trailing_zeros() as usize;
                    word &= word - 1;
                    work += 1;
                    let target = match self.0.get(state) {
                        Some(Op::One(class)) if class.contains(*byte) => state + 1,
                        Some(Op::Many(class)) if class.contains(*byte) => state,
                        Some(Op::Rest) => state,
                        _ => continue,
                    };
                    insert(next, target);
                    alive = true;
                }
            }
            if !alive {
                return false;
            }
            work += self.close(next);
            std::mem::swap(&mut now, &mut next);
        }
        first(now, accepting).is_some()
    }

    /// Adds the states that are reached without consuming anything; how many were visited.
    fn close(&self, set: &mut [u64]) -> usize {
        let mut from = 0;
        let mut visited = 0;
        while let Some(state) = first(set, from) {
            from = state + 1;
            visited += 1;
            let target = match self.0.get(state) {
                Some(Op::Many(_)) => state + 1,
                Some(Op::Rest) => {
                    truncate(set, state);
                    state + 1
                }
                Some(Op::Split(target)) => {
                    insert(set, state + 1);
                    usize::from(*target)
                }
                Some(Op::Jump(target)) => usize::from(*target),
                Some(Op::One(_)) | None => continue,
            };
            // A loop's beginning lies behind; a bit is set once, so this ends.
            if insert(set, target) {
                from = from.min(target);
            }
        }
        visited
    }
}

/// Adds a state; whether it is new.
fn insert(set: &mut [u64], state: usize) -> bool {
    let Some(word) = set.get_mut(state / 64) else {
        return false;
    };
    let bit = 1 << (state % 64);
    let new = *word & bit == 0;
    *word |= bit;
    new
}

/// Removes the states below one.
fn truncate(set: &mut [u64], state: usize) {
    if let Some((word, below)) = set.get_mut(..=state / 64).and_then(<[u64]>::split_last_mut) {
        below.fill(0);
        *word &= u64::MAX << (state % 64);
    }
}

/// The first state of a set that is not below `from`.
fn first(set: &[u64], from: usize) -> Option<usize> {
    let mut index = from / 64;
    let mut word = set.get(index)? & (u64::MAX << (from % 64));
    while word == 0 {
        index += 1;
        word = *set.get(index)?;
    }
    Some(index * 64 + word.trailing_zeros() as usize)
}

#[derive(Default)]
struct Compiler {
    prefix: Vec<u8>,
    ops: Vec<Op>,
    barrier: usize,
}

impl Compiler {
    /// Compiles items; `modified` says that they may occur other than exactly once.
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
