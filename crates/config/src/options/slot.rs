//! The place of an option's value within the settings.

use std::time::Duration;

use talaria_hub::limits::Rate;

/// A value within the settings that an option writes to.
#[derive(Debug)]
pub(crate) enum Slot<'a> {
    /// Off unless the option is written.
    Switch(&'a mut bool),
    /// A duration.
    Duration(&'a mut Duration),
    /// A duration of which zero stands for none.
    Timer(&'a mut Option<Duration>),
    /// An amount.
    U32(&'a mut u32),
    /// An amount.
    U64(&'a mut u64),
    /// An amount.
    Usize(&'a mut usize),
    /// An amount, of which zero and `off` stand for no bound.
    Bound(&'a mut Option<u64>),
    /// An amount that follows from others unless it is set, and of which `off` stands for no bound.
    Derived(&'a mut Option<u64>),
    /// How fast something may come.
    Rate(&'a mut Option<Rate>),
}

/// A value as it was written, or as it is in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    Switch(bool),
    Duration(Duration),
    Amount(u64),
    Rate(Rate),
    /// No bound, no time.
    None,
}

impl Slot<'_> {
    /// Writes a value.
    pub(crate) fn put(self, value: Value) {
        let amount = match value {
            Value::Amount(amount) => amount,
            // Where there is no place for "no bound", the largest amount stands for it.
            _ => u64::MAX,
        };
        match (self, value) {
            (Self::Switch(place), Value::Switch(on)) => *place = on,
            (Self::Duration(place), Value::Duration(duration)) => *place = duration,
            (Self::Timer(place), Value::Duration(duration)) => {
                *place = Some(duration).filter(|duration| !duration.is_zero());
            }
            (Self::U32(place), _) => *place = u32::try_from(amount).unwrap_or(u32::MAX),
            (Self::U64(place), _) => *place = amount,
            (Self::Usize(place), _) => *place = usize::try_from(amount).unwrap_or(usize::MAX),
            (Self::Bound(place), Value::Amount(amount)) => {
                *place = Some(amount).filter(|amount| *amount > 0);
            }
            (Self::Bound(place), _) => *place = None,
            (Self::Derived(place), _) => *place = Some(amount),
            (Self::Rate(place), Value::Rate(rate)) => *place = Some(rate),
            (Self::Rate(place), _) => *place = None,
            // A form that gives another kind of value than the slot takes is a mistake of the table,
            // which its test finds.
            (Self::Switch(_) | Self::Duration(_) | Self::Timer(_), _) => {}
        }
    }

    /// The value that is there.
    pub(crate) fn get(self) -> Value {
        match self {
            Self::Switch(place) => Value::Switch(*place),
            Self::Duration(place) => Value::Duration(*place),
            Self::Timer(place) => place.map_or(Value::None, Value::Duration),
            Self::U32(place) => Value::Amount(u64::from(*place)),
            Self::U64(place) => Value::Amount(*place),
            Self::Usize(place) => Value::Amount(*place as u64),
            Self::Bound(place) | Self::Derived(place) => place.map_or(Value::None, Value::Amount),
            Self::Rate(place) => place.map_or(Value::None, Value::Rate),
        }
    }
}

macro_rules! slots {
    ($($variant:ident of $kind:ty),* $(,)?) => {$(
        impl<'a> From<&'a mut $kind> for Slot<'a> {
            fn from(place: &'a mut $kind) -> Self {
                Self::$variant(place)
            }
        }
    )*};
}

slots! {
    Switch of bool,
    Duration of Duration,
    Timer of Option<Duration>,
    U32 of u32,
    U64 of u64,
    Usize of usize,
    Bound of Option<u64>,
    Rate of Option<Rate>,
}
