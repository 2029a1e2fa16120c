//! The server that keeps the log of a test, whichever it is.

use std::net::SocketAddr;

use talaria_conformance::servers::{
    PgBouncer, Postgres, Postgresql, Program, Proxy, Redis, WITH_PASSWORD,
};
use tokio::task::block_in_place;

/// A server that a test may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Redis(Program),
    Postgres(Postgresql),
    /// PostgreSQL 15 behind PgBouncer, in transaction mode.
    PgBouncer,
}

/// The role of the hubs, and its password.
pub const ROLE: (&str, &str) = ("hub", "a-password");
/// The connections that a pooler may have.
const POOL: u16 = 40;

/// The lines of a transport, by its name.
#[derive(Debug, Clone)]
pub struct Transport {
    pub name: &'static str,
    pub lines: String,
}

impl Transport {
    /// With these lines besides.
    #[must_use]
    pub fn and(mut self, lines: &str) -> Self {
        self.lines = format!("{}\n{lines}", self.lines);
        self
    }
}

/// A server that runs.
pub enum Server {
    Redis(Redis),
    Postgres(Postgres),
    Pooled(Postgres, PgBouncer),
}

impl Server {
    /// Starts one.
    #[must_use]
    pub fn start(kind: Kind) -> Self {
        block_in_place(|| match kind {
            Kind::Redis(program) => Self::Redis(Redis::start(program)),
            Kind::Postgres(program) => Self::Postgres(prepared(Postgres::start(program))),
            Kind::PgBouncer => {
                let server = prepared(Postgres::start(Postgresql::V15));
                let pooler = PgBouncer::start(&server, &["postgres"], POOL);
                Self::Pooled(server, pooler)
            }
        })
    }

    /// Starts one whose disk can be filled.
    #[must_use]
    pub fn on_small_disk(kind: Kind) -> Self {
        let Kind::Postgres(program) = kind else {
            return Self::start(kind);
        };
        block_in_place(|| Self::Postgres(prepared(Postgres::on_disk(program, 200, &[]))))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Redis(server) => server.address(),
            Self::Postgres(server) => server.address(),
            Self::Pooled(_, pooler) => pooler.address(),
        }
    }

    /// The transport on it.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.at(self.address())
    }

    /// The transport on it, by way of a proxy.
    #[must_use]
    pub fn through(&self, proxy: &Proxy) -> Transport {
        self.at(proxy.address())
    }

    fn at(&self, address: SocketAddr) -> Transport {
        match self {
            Self::Redis(_) => Transport {
                name: "redis",
                lines: format!("address {address}"),
            },
            Self::Postgres(_) => on_postgres(&[address], &format!("{}:{}", ROLE.0, ROLE.1)),
            Self::Pooled(..) => on_postgres(&[address], "postgres"),
        }
    }

    /// Stops it without letting it know.
    pub fn suspend(&self) {
        match self {
            Self::Redis(server) => server.suspend(),
            Self::Postgres(server) | Self::Pooled(server, _) => server.suspend(),
        }
    }

    /// Lets it go on.
    pub fn resume(&self) {
        match self {
            Self::Redis(server) => server.resume(),
            Self::Postgres(server) | Self::Pooled(server, _) => server.resume(),
        }
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        match self {
            Self::Redis(server) => server.kill(),
            Self::Postgres(server) | Self::Pooled(server, _) => server.kill(),
        }
    }

    /// Starts it again.
    pub fn restart(&mut self) {
        match self {
            Self::Redis(server) => server.restart(),
            Self::Postgres(server) | Self::Pooled(server, _) => server.restart(),
        }
    }

    /// Lets it write nothing more to its disk.
    pub fn fill_disk(&self) {
        match self {
            Self::Redis(server) => server.fill_disk(),
            Self::Postgres(server) | Self::Pooled(server, _) => server.fill_disk(),
        }
    }

    /// Lets it write again.
    pub fn empty_disk(&mut self) {
        match self {
            Self::Redis(server) => server.empty_disk(),
            Self::Postgres(server) | Self::Pooled(server, _) => server.empty_disk(),
        }
    }

    /// Deletes the log.
    pub fn delete_log(&self) {
        match self {
            Self::Redis(server) => _ = server.ask(&["FLUSHALL"]),
            Self::Postgres(server) | Self::Pooled(server, _) => {
                server.run_sql("DROP SCHEMA talaria CASCADE");
            }
        }
    }

    /// How many updates the log keeps.
    #[must_use]
    pub fn kept(&self) -> usize {
        let said = match self {
            Self::Redis(server) => server.ask(&["XLEN", "{mercure}:log"]).text().to_owned(),
            Self::Postgres(server) | Self::Pooled(server, _) => {
                server.ask("SELECT count(*) FROM talaria.log")
            }
        };
        said.parse().expect("a number")
    }

    /// The option that bounds how many updates are kept.
    #[must_use]
    pub fn keep(&self, updates: usize) -> String {
        match self {
            Self::Redis(_) => format!("max_length {updates}"),
            Self::Postgres(_) | Self::Pooled(..) => format!("size {updates}"),
        }
    }

    /// Itself, as Redis.
    ///
    /// # Panics
    /// It is another one.
    #[must_use]
    pub fn redis(&self) -> &Redis {
        match self {
            Self::Redis(server) => server,
            _ => panic!("it is not Redis"),
        }
    }

    /// Itself, as PostgreSQL.
    ///
    /// # Panics
    /// It is another one.
    #[must_use]
    pub fn postgres(&self) -> &Postgres {
        match self {
            Self::Postgres(server) | Self::Pooled(server, _) => server,
            Self::Redis(_) => panic!("it is not PostgreSQL"),
        }
    }
}

/// The transport on servers of PostgreSQL, as a role with or without its password.
#[must_use]
pub fn on_postgres(addresses: &[SocketAddr], role: &str) -> Transport {
    let hosts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    Transport {
        name: "postgres",
        lines: format!("url postgres://{role}@{}/postgres", hosts.join(",")),
    }
}

/// Makes the role of the hubs, which needs a password.
#[must_use]
pub fn prepared(server: Postgres) -> Postgres {
    let (role, password) = ROLE;
    server.run_sql(&format!(
        "CREATE ROLE {WITH_PASSWORD}; CREATE ROLE {role} LOGIN PASSWORD '{password}' IN ROLE {WITH_PASSWORD}; \
         GRANT CREATE ON DATABASE postgres TO {role}"
    ));
    server
}

/// A test for each of these servers.
macro_rules! on_servers {
    ($test:ident: $($name:ident),+ $(,)?) => {
        mod $test {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$test(crate::servers::kind_of(stringify!($name))).await;
                }
            )+
        }
    };
}
pub(crate) use on_servers;

/// The server of this name.
///
/// # Panics
/// There is none.
#[must_use]
pub fn kind_of(name: &str) -> Kind {
    match name {
        "redis7" => Kind::Redis(Program::Redis7),
        "valkey" => Kind::Redis(Program::Valkey),
        "redis8" => Kind::Redis(Program::Redis8),
        "postgres15" => Kind::Postgres(Postgresql::V15),
        "postgres18" => Kind::Postgres(Postgresql::V18),
        "pgbouncer" => Kind::PgBouncer,
        other => panic!("{other} is not a server"),
    }
}
