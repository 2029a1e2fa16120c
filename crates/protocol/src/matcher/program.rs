//! The state set that runs what is neither literal text nor a regular expression: names, wildcards
//! and optional groups of a URL Pattern, the expressions of a URI Template.
//!
//! Running keeps a bit for each state that is alive and never goes back in the input, so the time
//! is bounded by the input's length times the program's.

/// A set of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Byte(u8),
    Except(u8),
    Any,
    /// What any of these bits stands for.
    OneOf(u8),
}

/// Letters, digits, `-`, `.`, `_` and `~` (RFC 3986, "unreserved").
pub(super) const UNRESERVED: u8 = 1;
/// RFC 3986, "reserved".
pub(super) const RESERVED: u8 = 1 << 1;
pub(super) const COMMA: u8 = 1 << 2;
pub(super) const EQUALS: u8 = 1 << 3;
pub(super) const HEX_DIGIT: u8 = 1 << 4;
/// The first digit of an encoded byte that begins a character of UTF-8.
pub(super) const LEADING: u8 = 1 << 5;
/// The first digit of an encoded byte that continues one.
pub(super) const CONTINUING: u8 = 1 << 6;

/// The bits of each byte.
const MEMBERSHIPS: [u8; 256] = {
    let mut bits = [0; 256];
    let mut byte = 0;
    while byte < 128_usize {
        let c = byte as u8;
        bits[byte] = match c {
            b'0'..=b'7' | b'C'..=b'F' | b'c'..=b'f' => UNRESERVED | HEX_DIGIT | LEADING,
            b'8' | b'9' | b'A' | b'B' | b'a' | b'b' => UNRESERVED | HEX_DIGIT | CONTINUING,
            b'g'..=b'z' | b'G'..=b'Z' | b'-' | b'.' | b'_' | b'~' => UNRESERVED,
            b',' => RESERVED | COMMA,
            b'=' => RESERVED | EQUALS,
            b':' | b'/' | b'?' | b'#' | b'[' | b']' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'('
            | b')' | b'*' | b'+' | b';' => RESERVED,
            _ => 0,
        };
        byte += 1;
    }
    bits
};

impl Class {
    fn contains(self, byte: u8) -> bool {
        match self {
            Self::Byte(own) => byte == own,
            Self::Except(own) => byte != own,
            Self::Any => true,
            Self::OneOf(bits) => MEMBERSHIPS[usize::from(byte)] & bits != 0,
        }
    }
}

/// One state; unless said otherwise the next one follows. The state after the last one accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
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

/// A compiled pattern without its literal beginning, and perhaps without its literal end.
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
    pub(super) fn new(ops: Vec<Op>) -> Self {
        Self(ops.into_boxed_slice())
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

    /// The most that one evaluation of an input of `bytes` bytes may cost, in steps.
    pub(super) fn steps(&self, bytes: usize) -> u64 {
        // A state is visited once to see where the byte leads and once for what follows it.
        let each = 2 * (self.0.len() + 1) + self.overhead();
        let all = each.saturating_mul(bytes + 1);
        // The last byte may go beyond the bound.
        all.min(most(bytes) + each) as u64
    }

    /// Whether the program matches all of the input; adds the steps that this took.
    pub(super) fn matches(&self, input: &[u8], spent: &mut u64) -> bool {
        let words = self.0.len() / 64 + 1;
        if words == 1 {
            return self.run(input, [&mut [0], &mut [0], &mut [0]], spent);
        }
        let mut inline = [[0; INLINE_WORDS]; 3];
        let [now, next, pending] = &mut inline;
        let sets = [now, next, pending].map(|set| set.get_mut(..words));
        if let [Some(now), Some(next), Some(pending)] = sets {
            return self.run(input, [now, next, pending], spent);
        }
        let [mut now, mut next, mut pending] = [const { Vec::new() }; 3];
        for set in [&mut now, &mut next, &mut pending] {
            set.resize(words, 0);
        }
        self.run(input, [&mut now, &mut next, &mut pending], spent)
    }

    /// Steps for each byte, whichever states are alive: sets of many words have to be walked.
    fn overhead(&self) -> usize {
        1 + self.0.len() / 256
    }

    fn run(&self, input: &[u8], sets: [&mut [u64]; 3], spent: &mut u64) -> bool {
        let [mut now, mut next, pending] = sets;
        let accepting = self.0.len();
        let most = most(input.len());
        insert(now, 0);
        let mut work = self.overhead() + self.close(now, pending);
        let mut matched = true;
        for byte in input {
            next.fill(0);
            let mut alive = false;
            work += self.overhead();
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
            work += self.close(next, pending);
            if !alive || work > most {
                matched = false;
                break;
            }
            std::mem::swap(&mut now, &mut next);
        }
        *spent += work as u64;
        matched && first(now, accepting).is_some()
    }

    /// Adds the states that are reached without consuming anything, each visited once; how many
    /// were visited.
    fn close(&self, set: &mut [u64], pending: &mut [u64]) -> usize {
        pending.copy_from_slice(set);
        let mut from = 0;
        let mut visited = 0;
        while let Some(state) = first(pending, from) {
            remove(pending, state);
            from = state;
            visited += 1;
            let mut reach = |target: usize| {
                if insert(set, target) {
                    insert(pending, target);
                    // A loop's beginning lies behind.
                    from = from.min(target);
                }
            };
            match self.0.get(state) {
                Some(Op::Many(_)) => reach(state + 1),
                Some(Op::Rest) => {
                    reach(state + 1);
                    truncate(set, state);
                    truncate(pending, state);
                }
                Some(Op::Split(target)) => {
                    reach(state + 1);
                    reach(usize::from(*target));
                }
                Some(Op::Jump(target)) => reach(usize::from(*target)),
                Some(Op::One(_)) | None => {}
            }
        }
        visited
    }
}

/// The steps that one evaluation of an input of `bytes` bytes may take.
fn most(bytes: usize) -> usize {
    MAX_WORK + MAX_WORK_A_BYTE * bytes
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

/// Removes a state.
fn remove(set: &mut [u64], state: usize) {
    if let Some(word) = set.get_mut(state / 64) {
        *word &= !(1 << (state % 64));
    }
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
