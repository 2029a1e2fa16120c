//! What configured the program, for its report.

use std::fmt;

/// What configured the program. The names of variables are told, never their values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ConfiguredBy {
    /// The program itself, for development.
    #[default]
    Itself,
    /// A file.
    File {
        /// Its name.
        name: String,
        /// The variables that it reads and that are set.
        variables: Vec<String>,
        /// Variables of a hub that are set and that the file does not read.
        unread: Vec<String>,
    },
    /// Variables alone.
    Environment {
        /// Those that are set.
        variables: Vec<String>,
    },
}

impl fmt::Display for ConfiguredBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself => f.write_str("`talaria dev`"),
            Self::File {
                name,
                variables,
                unread,
            } => {
                write!(
                    f,
                    "the file {name}, variables that it reads: {}",
                    Names(variables)
                )?;
                match unread.as_slice() {
                    [] => Ok(()),
                    unread => write!(
                        f,
                        "; it takes precedence over the variables that it does not read: {}",
                        Names(unread)
                    ),
                }
            }
            Self::Environment { variables } => {
                write!(f, "variables alone, without a file: {}", Names(variables))
            }
        }
    }
}

struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("none"),
            names => f.write_str(&names.join(", ")),
        }
    }
}
