//! The state set that matches what is not literal text: names, wildcards and custom groups of a URL
//! Pattern, the expressions of a URI Template.
//!
//! It keeps a bit for each state that is alive and never goes back in the input, so the time is
//! bounded by the length of the input times that of the program. Matching allocates nothing: what a
//! program occupies is known when it is compiled.

/// A set of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Byte(u8),
    Except(u8),
    Any,
    /// What any of these bits stands for.
    OneOf(u8),
    /// A set of ASCII characters, by its number among those of the program.
    Set(u8),
}

/// A set of ASCII characters: a bit for each. The components of a URL have no others.
pub(super) type AsciiSet = u128;

/// Which pairs of neighbours an assertion holds between: a bit for each pair of [`Neighbour`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Assertion(u16);

/// What stands before or behind a place in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Neighbour {
    /// The input begins or ends here.
    Nothing,
    /// A letter, a digit or `_`.
    Word,
    /// Another byte.
    Other,
}

impl Neighbour {
    const ALL: [Self; 3] = [Self::Nothing, Self::Word, Self::Other];

    fn of(byte: Option<&u8>) -> Self {
        match byte {
            None => Self::Nothing,
            Some(byte) if byte.is_ascii_alphanumeric() || *byte == b'_' => Self::Word,
            Some(_) => Self::Other,
        }
    }
}

impl Assertion {
    /// An assertion by what it says of the neighbours before and behind.
    pub(super) fn new(holds: impl Fn(Neighbour, Neighbour) -> bool) -> Self {
        let mut bits = 0;
        for before in Neighbour::ALL {
            for behind in Neighbour::ALL {
                if holds(before, behind) {
                    bits |= Self::bit(before, behind);
                }
            }
        }
        Self(bits)
    }

    fn holds(self, before: Option<&u8>, behind: Option<&u8>) -> bool {
        self.0 & Self::bit(Neighbour::of(before), Neighbour::of(behind)) != 0
    }

    fn bit(before: Neighbour, behind: Neighbour) -> u16 {
        1 << (3 * before as u16 + behind as u16)
    }
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
    fn contains(self, byte: u8, sets: &[AsciiSet]) -> bool {
        match self {
            Self::Byte(own) => byte == own,
            Self::Except(own) => byte != own,
            Self::Any => true,
            Self::OneOf(bits) => MEMBERSHIPS[usize::from(byte)] & bits != 0,
            Self::Set(number) => sets
                .get(usize::from(number))
                .is_some_and(|set| set.checked_shr(byte.into()).unwrap_or(0) & 1 != 0),
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
    /// Consumes any number of any bytes. Every match passes through it, so once it is alive it
    /// makes all earlier states superfluous.
    Rest,
    /// Consumes nothing and also goes elsewhere.
    Split(u16),
    /// Consumes nothing and goes elsewhere only.
    Jump(u16),
    /// Consumes nothing, and goes on only where the assertion holds.
    Assert(Assertion),
}

/// A compiled pattern without its literal beginning, and perhaps without its literal end.
#[derive(Debug)]
pub(super) struct Program {
    ops: Box<[Op]>,
    sets: Box<[AsciiSet]>,
}

/// The most steps that a comparison with a literal text takes.
pub(super) fn comparing(text: &str) -> u64 {
    /// Bytes that are compared in the time of a step.
    const BYTES: usize = 16;
    (1 + text.len() / BYTES) as u64
}

/// The most states of a program, which a set of [`LARGEST`] words holds.
pub(super) const MAX_STATES: usize = 4096;

/// Steps that one evaluation may take, and as many more for each byte of the topic. Beyond it
/// the pattern does not match (specification, "URL Pattern"). Ordinary patterns take a few steps
/// a byte; one of some hundred optional groups would hold up every update, though in linear time,
/// and a request may bring several.
///
/// The bound is of one matcher on one topic, so that neither other matchers nor other topics of the
/// update use it up.
const MAX_WORK: usize = 1 << 14;
const MAX_WORK_A_BYTE: usize = 16;

/// Words of a state set, for programs of up to 63, 255, 1,023, 2,111 and [`MAX_STATES`] states.
const WORDS: [usize; 4] = [1, 4, 16, 33];
const LARGEST: usize = MAX_STATES / 64 + 1;

impl Program {
    /// A program of at most [`MAX_STATES`] states, which name sets by their place in `sets`.
    pub(super) fn new(ops: Vec<Op>, sets: Vec<AsciiSet>) -> Self {
        Self {
            ops: ops.into(),
            sets: sets.into(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ops.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.ops) + size_of_val(&*self.sets)
    }

    /// The most that one evaluation of an input of `bytes` bytes may cost, in steps.
    pub(super) fn steps(&self, bytes: usize) -> u64 {
        // A state is visited once to see where the byte leads and once for what follows it.
        let each = 2 * (self.len() + 1) + overhead(self.words());
        let all = each.saturating_mul(bytes + 1);
        // The last byte may go beyond the bound.
        all.min(most(bytes) + each) as u64
    }

    /// Whether the program matches all of the input; adds the steps that this took.
    pub(super) fn matches(&self, input: &[u8], spent: &mut u64) -> bool {
        let [one, two, three, four] = WORDS;
        match self.words() {
            words if words == one => self.run::<{ WORDS[0] }>(input, spent),
            words if words == two => self.run::<{ WORDS[1] }>(input, spent),
            words if words == three => self.run::<{ WORDS[2] }>(input, spent),
            words if words == four => self.run::<{ WORDS[3] }>(input, spent),
            _ => self.run::<LARGEST>(input, spent),
        }
    }

    /// The words of the smallest set that holds all states and the accepting one.
    fn words(&self) -> usize {
        let needed = self.len() / 64 + 1;
        let found = WORDS.into_iter().find(|words| needed <= *words);
        found.unwrap_or(LARGEST)
    }

    fn run<const WORDS: usize>(&self, input: &[u8], spent: &mut u64) -> bool {
        let mut now = Set::<WORDS>::new();
        let mut next = Set::<WORDS>::new();
        let most = most(input.len());
        now.insert(0);
        let mut work = overhead(WORDS) + self.close(&mut now, None, input.first());
        for (at, byte) in input.iter().enumerate() {
            next.0.fill(0);
            let mut alive = false;
            work += overhead(WORDS);
            for (index, word) in now.0.iter().enumerate() {
                let mut word = *word;
                while word != 0 {
                    let state = index * 64 + word.trailing_zeros() as usize;
                    word &= word - 1;
                    work += 1;
                    let target = match self.ops.get(state) {
                        Some(Op::One(class)) if class.contains(*byte, &self.sets) => state + 1,
                        Some(Op::Many(class)) if class.contains(*byte, &self.sets) => state,
                        Some(Op::Rest) => state,
                        _ => continue,
                    };
                    next.insert(target);
                    alive = true;
                }
            }
            work += self.close(&mut next, Some(byte), input.get(at + 1));
            if !alive || work > most {
                *spent += work as u64;
                return false;
            }
            std::mem::swap(&mut now, &mut next);
        }
        *spent += work as u64;
        now.contains(self.len())
    }

    /// Adds the states that are reached without consuming anything, and returns how many were
    /// visited.
    fn close<const WORDS: usize>(
        &self,
        set: &mut Set<WORDS>,
        before: Option<&u8>,
        behind: Option<&u8>,
    ) -> usize {
        let mut pending = set.clone();
        let mut from = 0;
        let mut visited = 0;
        while let Some(state) = pending.take_first(from) {
            from = state;
            visited += 1;
            let (one, other) = match self.ops.get(state) {
                Some(Op::Many(_)) => (state + 1, None),
                Some(Op::Rest) => {
                    set.remove_below(state);
                    pending.remove_below(state);
                    (state + 1, None)
                }
                Some(Op::Split(target)) => (state + 1, Some(usize::from(*target))),
                Some(Op::Jump(target)) => (usize::from(*target), None),
                Some(Op::Assert(assertion)) if assertion.holds(before, behind) => (state + 1, None),
                Some(Op::One(_) | Op::Assert(_)) | None => continue,
            };
            for target in std::iter::once(one).chain(other) {
                if set.insert(target) {
                    pending.insert(target);
                    // A loop's beginning lies behind.
                    from = from.min(target);
                }
            }
        }
        visited
    }
}

/// Steps for each byte, whichever states are alive: a set of many words has to be walked.
fn overhead(words: usize) -> usize {
    1 + words / 4
}

/// The steps that one evaluation of an input of `bytes` bytes may take.
fn most(bytes: usize) -> usize {
    MAX_WORK + MAX_WORK_A_BYTE * bytes
}

/// A set of states: a bit for each.
#[derive(Clone)]
struct Set<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Set<WORDS> {
    fn new() -> Self {
        Self([0; WORDS])
    }

    fn contains(&self, state: usize) -> bool {
        self.0
            .get(state / 64)
            .is_some_and(|word| word & 1 << (state % 64) != 0)
    }

    /// Adds a state, and returns whether it is new.
    fn insert(&mut self, state: usize) -> bool {
        let Some(word) = self.0.get_mut(state / 64) else {
            return false;
        };
        let bit = 1 << (state % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Removes the first state that is not below `from`.
    fn take_first(&mut self, from: usize) -> Option<usize> {
        let start = from / 64;
        let words = self.0.iter_mut().enumerate().skip(start);
        for (index, word) in words {
            // The words before were taken empty, and the bits below `from` with them.
            if *word != 0 {
                let bit = word.trailing_zeros();
                *word &= *word - 1;
                return Some(index * 64 + bit as usize);
            }
        }
        None
    }

    /// Removes the states below one.
    fn remove_below(&mut self, state: usize) {
        if let Some((word, below)) = self
            .0
            .get_mut(..=state / 64)
            .and_then(<[u64]>::split_last_mut)
        {
            below.fill(0);
            *word &= u64::MAX << (state % 64);
        }
    }
}
