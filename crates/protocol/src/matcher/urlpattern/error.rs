//! Why a text is not a URL Pattern that a hub evaluates.

/// The reason why a text is not a URL Pattern that a hub evaluates, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlPatternError {
    /// It has more names, wildcards, groups and repetitions than a pattern may have.
    #[error(
        "has {count} names, wildcards, groups and repetitions, more than the {most} that a pattern may have; use fewer"
    )]
    TooManyParts {
        /// How many it has.
        count: usize,
        /// How many it may have.
        most: usize,
    },
    /// A bracket of the host, a group or a custom group is not closed or not opened.
    #[error(
        "not a valid URL Pattern, a \"]\" before the path closes no \"[\", a group \"{{…}}\" is not closed, or a custom group \"(…)\" is not well-formed; a host has brackets only around an IPv6 address, and literal parentheses need a backslash"
    )]
    Brackets,
    /// The URL Pattern standard does not accept it.
    #[error(
        "not a valid URL Pattern, {0}; put a backslash before each of * ? + {{ }} ( ) that is meant literally, and write a literal colon as {{\\:}}"
    )]
    Syntax(String),
    /// A custom group cannot run in linear time, or is not a regular expression.
    #[error("the {component}'s custom group {error}")]
    CustomGroup {
        /// The component of the URL, such as `pathname`.
        component: &'static str,
        /// What is wrong with the group.
        error: ExpressionError,
    },
    /// The component needs more states than a pattern may have.
    #[error("the {component} {}", ExpressionError::TooManyStates { most: *.most })]
    TooManyStates {
        /// The component of the URL, such as `pathname`.
        component: &'static str,
        /// How many states a pattern may have.
        most: usize,
    },
}

/// The reason why a regular expression in a URL Pattern is refused, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpressionError {
    /// It looks around.
    #[error("uses look-around, which takes more than linear time; leave it out")]
    LookAround,
    /// It refers to an earlier group.
    #[error("uses a back-reference, which takes more than linear time; leave it out")]
    BackReference,
    /// It nests too deep.
    #[error("nests more than {most} levels deep; use fewer groups and modifiers")]
    Nesting {
        /// How deep it may nest.
        most: u32,
    },
    /// It sets the flag `u`.
    #[error("sets the flag \"u\"; leave it out, because the components of a URL are ASCII")]
    UnicodeFlag,
    /// It needs tables of Unicode.
    #[error("needs Unicode classes; use ASCII classes, because the components of a URL are ASCII")]
    UnicodeClass,
    /// It has more different character classes than a program can number.
    #[error("has more than 256 different character classes; use fewer")]
    TooManyClasses,
    /// It needs more states than a pattern may have.
    #[error(
        "is too costly, it needs more than the {most} states that a pattern may have; use fewer or smaller repetitions"
    )]
    TooManyStates {
        /// How many states a pattern may have.
        most: usize,
    },
    /// It is not a regular expression that the hub reads.
    #[error("is not a regular expression that this hub reads, {0}; correct it")]
    Syntax(String),
}
