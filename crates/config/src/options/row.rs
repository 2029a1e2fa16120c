//! One option: what it is called, where it is written, how it is read, what it sets, and what the
//! reference page says about it.

use super::form::Form;
use super::slot::{Slot, Value};
use crate::draft::Draft;
use crate::error::Error;
use crate::issuer::{IssuerDraft, RoleDraft};
use crate::source::Environment;
use crate::storage::{Kind, Storage};
use crate::tree::Line;

/// Where an option is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// Outside of the `mercure` block.
    Process,
    /// A directive of the `mercure` block.
    Hub,
    /// A directive of the `mercure` block that bounds what clients may hold.
    Limits,
    /// A line of an `issuer` block.
    Issuer,
    /// A line of a `publisher` or `subscriber` block within an `issuer` block.
    Role,
    /// A line of a `transport` block.
    Transport,
}

/// What an option of its own notation does with a line.
pub(crate) type Read<T> = fn(&mut T, &Line, Environment<'_>) -> Result<(), Error>;

/// What a line of an option does to the `T` that its block configures.
#[derive(Debug)]
pub(crate) enum Setter<T> {
    /// Reads a value of this form into its place.
    Value(Form, fn(&mut T) -> Slot<'_>),
    /// Reads its own notation.
    Read(Read<T>),
}

/// What an option does.
#[derive(Debug)]
pub(crate) enum Effect {
    /// It is read before, or instead of, any block.
    Process,
    /// A directive of the `mercure` block.
    Hub(Setter<Draft>),
    /// A line of an `issuer` block.
    Issuer(Setter<IssuerDraft>),
    /// A line of a block of a role.
    Role(Setter<RoleDraft>),
    /// A line of the block of these transports.
    Transport(&'static [Kind], Setter<Storage>),
}

/// What the reference page says about the default.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Preset {
    /// The option has none.
    Absent,
    /// The value that nothing has written to yet; `none` where there is none.
    Value { none: &'static str },
    /// The same with this remark behind it.
    Remarked(&'static str),
    /// What this gives, for a value with its own notation.
    Shown(fn() -> String),
    /// There is no value: this holds if the option is not written.
    Said(&'static str),
}

/// Takes the value of a variable over, where no directive of the same option is written.
pub(crate) type ReadVariable =
    fn(&mut Draft, &'static str, &str, Environment<'_>) -> Result<(), Error>;

/// One option. Its row is all that there is to add for a new one, beside its use.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) section: Section,
    /// Its name in the file; empty if it has none.
    pub(crate) name: &'static str,
    /// What follows its name.
    pub(crate) arguments: &'static str,
    /// Environment variables that set it.
    pub(crate) variables: &'static [&'static str],
    /// What its variable does beside a directive, unless the loader reads it.
    pub(crate) read_variable: Option<ReadVariable>,
    /// Its command line flag, without dashes; empty if it has none.
    pub(crate) flag: &'static str,
    pub(crate) preset: Preset,
    /// What it does, for the reference page.
    pub(crate) doc: &'static str,
    pub(crate) effect: Effect,
    /// Whether one client could take what all need if it is switched off.
    pub(crate) protects_all: bool,
}

impl Row {
    /// An option of a section; it has no variable and no flag.
    pub(crate) const fn new(
        section: Section,
        name: &'static str,
        arguments: &'static str,
        effect: Effect,
        doc: &'static str,
    ) -> Self {
        Self {
            section,
            name,
            arguments,
            variables: &[],
            read_variable: None,
            flag: "",
            preset: Preset::Absent,
            doc,
            effect,
            protects_all: false,
        }
    }

    /// A directive of the `mercure` block with a value of this form.
    pub(crate) const fn hub(
        name: &'static str,
        form: Form,
        place: fn(&mut Draft) -> Slot<'_>,
        doc: &'static str,
    ) -> Self {
        let effect = Effect::Hub(Setter::Value(form, place));
        let row = Self::new(Section::Hub, name, form.arguments(), effect, doc);
        row.preset(Preset::Value { none: "none" })
    }

    /// A directive of the `mercure` block with its own notation.
    pub(crate) const fn directive(
        name: &'static str,
        arguments: &'static str,
        read: Read<Draft>,
        doc: &'static str,
    ) -> Self {
        let effect = Effect::Hub(Setter::Read(read));
        Self::new(Section::Hub, name, arguments, effect, doc)
    }

    pub(crate) const fn section(self, section: Section) -> Self {
        Self { section, ..self }
    }

    pub(crate) const fn preset(self, preset: Preset) -> Self {
        Self { preset, ..self }
    }

    /// What the reference page says if there is no default.
    pub(crate) const fn none(self, none: &'static str) -> Self {
        self.preset(Preset::Value { none })
    }

    /// What holds if the option is not written, where that is not a value.
    pub(crate) const fn said(self, text: &'static str) -> Self {
        self.preset(Preset::Said(text))
    }

    pub(crate) const fn variables(self, variables: &'static [&'static str]) -> Self {
        Self { variables, ..self }
    }

    /// The variable that sets it where no directive does.
    pub(crate) const fn or_variable(
        self,
        variables: &'static [&'static str],
        read: ReadVariable,
    ) -> Self {
        Self {
            variables,
            read_variable: Some(read),
            ..self
        }
    }

    pub(crate) const fn flag(self, flag: &'static str) -> Self {
        Self { flag, ..self }
    }

    pub(crate) const fn protects_all(self) -> Self {
        Self {
            protects_all: true,
            ..self
        }
    }

    /// Its name and what follows it.
    pub(crate) fn usage(&self) -> String {
        let usage = format!("{} {}", self.name, self.arguments);
        usage.trim_end().to_owned()
    }

    /// Whether it is a directive of the `mercure` block.
    pub(crate) fn is_directive(&self) -> bool {
        matches!(self.effect, Effect::Hub(_))
    }

    /// What the reference page says about its default; empty if there is nothing to say.
    pub(crate) fn default(&self) -> String {
        let value = |none| self.default_value(none);
        match self.preset {
            Preset::Absent => String::new(),
            Preset::Value { none } => value(none),
            Preset::Remarked(remark) => value("none") + remark,
            Preset::Shown(shown) => shown(),
            Preset::Said(text) => text.to_owned(),
        }
    }

    fn default_value(&self, none: &str) -> String {
        match &self.effect {
            Effect::Hub(Setter::Value(form, place)) => {
                form.show(place(&mut Draft::default()).get(), none)
            }
            Effect::Issuer(Setter::Value(form, place)) => {
                form.show(place(&mut IssuerDraft::default()).get(), none)
            }
            Effect::Transport(kinds, Setter::Value(form, place)) => by_kind(kinds, |kind| {
                form.show(place(&mut Storage::new(kind)).get(), none)
            }),
            _ => String::new(),
        }
    }
}

/// What holds for each of these transports, said once for those that have the same.
pub(crate) fn by_kind(kinds: &[Kind], value: impl Fn(Kind) -> String) -> String {
    let mut groups: Vec<(String, Vec<Kind>)> = Vec::new();
    for kind in kinds {
        let value = value(*kind);
        match groups.iter_mut().find(|(known, _)| *known == value) {
            Some((_, kinds)) => kinds.push(*kind),
            None => groups.push((value, vec![*kind])),
        }
    }
    if let [(value, _)] = groups.as_slice() {
        return value.clone();
    }
    let groups = groups
        .iter()
        .map(|(value, kinds)| format!("{}: {value}", Kind::list(kinds)));
    groups.collect::<Vec<_>>().join("; ")
}

impl<T> Setter<T> {
    /// Takes a line over; `default` is shown where its value is out of range.
    pub(crate) fn apply(
        &self,
        target: &mut T,
        line: &Line,
        environment: Environment<'_>,
        default: &str,
    ) -> Result<(), Error> {
        match self {
            Self::Value(form, place) => {
                let value = form.read(line, default)?;
                place(target).put(value);
                Ok(())
            }
            Self::Read(read) => read(target, line, environment),
        }
    }

    /// Whether there is no value.
    pub(crate) fn is_absent(&self, target: &mut T) -> bool {
        match self {
            Self::Value(_, place) => place(target).get() == Value::None,
            Self::Read(_) => false,
        }
    }
}
