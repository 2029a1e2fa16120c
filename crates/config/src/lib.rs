//! The configuration of Talaria, a Mercure hub: from a Caddyfile or from the environment to checked
//! [`Settings`]. Also [`Error`], the one error type that the program shows.
//!
//! Nothing here opens storage or the network, needs a runtime or speaks HTTP. What is read besides the
//! text are the key files that it names, and the permissions of the files and folders that hold secrets
//! and data.
//!
//! ```
//! use std::collections::HashMap;
//!
//! use talaria_config::{File, Sources, load};
//!
//! let file = File {
//!     name: "Caddyfile".to_owned(),
//!     text: ":3000\nmercure {\n anonymous\n publisher_jwt !a-secret-of-thirty-two-bytes-or-more!\n heartbeat 15s\n}"
//!         .to_owned(),
//! };
//! let variables = HashMap::new();
//! let sources = Sources { file: Some(file), variables: &variables, address: None };
//! let loaded = load(&sources)?;
//! assert!(loaded.settings.hubs[0].options.anonymous);
//! assert_eq!(loaded.settings.sites[0].addresses[0].port, 3000);
//! # Ok::<(), talaria_config::Error>(())
//! ```
//!
//! # From text to settings
//!
//! 1. `source` and `text` keep where each piece came from, and put `{$NAME}` in.
//! 2. `lexer` and `tree` make words and lines of them, `expand` puts in what is imported, and `site` finds
//!    the sites; `list` and `value` read what stands in a word.
//! 3. `assembly` takes the sites over, their `routes` and their hubs. `options` is the table of all options
//!    of a hub: each line of its block finds its row there, which writes into a [`draft::Draft`].
//! 4. `environment` adds what variables configure, `finish` checks each hub, and `assembly` the whole.
//!
//! # A new option
//!
//! Is one row of the table in `options`, and the use of the value that it sets. The row has its name, how
//! its value is written, the value's place in the settings and what the reference page says; the default is
//! the one that the value has in the settings.

#![forbid(unsafe_code)]
#![warn(missing_debug_implementations, unreachable_pub)]

pub mod adapt;
mod address;
mod admin;
mod assembly;
mod certificates;
pub mod development;
pub mod draft;
pub mod envfile;
mod environment;
pub mod error;
mod expand;
mod finish;
pub mod folders;
pub mod format;
pub mod glob;
mod global;
pub mod guide;
mod issuer;
mod key;
mod key_mistakes;
pub mod key_set;
pub mod levels;
mod lexer;
mod list;
mod load;
pub mod log_variables;
mod logging;
mod notice;
pub mod older;
pub mod options;
mod origins;
mod pem;
mod postgres;
pub mod proxies;
mod redis;
mod routes;
pub mod settings;
pub mod shown;
mod site;
pub mod source;
mod storage;
pub mod suggestion;
#[cfg(test)]
mod tests;
mod text;
mod traces;
mod tree;
mod unknown;
pub mod value;
pub mod variables;
mod verifiers;

pub use error::Error;
pub use key_mistakes::{Mistake, find as find_mistake};
pub use load::{File, Sources, load};
pub use settings::{Level, Loaded, Notice, Settings};
pub use shown::show;
pub use source::Place;
pub use suggestion::suggest;
