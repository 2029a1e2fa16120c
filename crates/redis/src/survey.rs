//! What the start finds out about the server, and refuses.

use redis::{Cmd, Value};
use talaria_transport::shared::backend::BackendError;

use crate::connection::Connection;
use crate::fault::{self, Fault};
use crate::keys::Keys;
use crate::options::RedisOptions;
use crate::primary::Named;
use crate::reply;
use crate::scripts::PROBE;

/// The newest form of a log that this version reads.
pub(crate) const FORMAT: u64 = 1;
/// The oldest major version of Redis whose scripts have flags.
const OLDEST: u64 = 7;

/// What the server is, and how it keeps data.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Survey {
    /// `redis` or `valkey`.
    pub product: String,
    /// The version of the product.
    pub version: String,
    /// The address of the primary.
    pub primary: String,
    /// How many replicas are connected.
    pub replicas: u64,
    /// Whether the append-only file is on.
    pub append_only: Option<bool>,
    /// When that file is synced: `always`, `everysec` or `no`.
    pub append_fsync: Option<String>,
    /// What the server does when its memory is full.
    pub eviction: Option<String>,
    /// With fewer replicas than this the server refuses to write.
    pub min_replicas_to_write: Option<u64>,
    /// How many seconds a replica may be silent and still counts for that.
    pub min_replicas_max_lag: Option<u64>,
    /// The settings that could not be read.
    pub unread: Vec<&'static str>,
}

/// Asks the server for all of that, and checks that the log can be kept there.
pub(crate) async fn survey(
    connection: &Connection,
    named: &Named,
    options: &RedisOptions,
    keys: &Keys,
) -> Result<Survey, BackendError> {
    let mut survey = Survey {
        primary: named.address.to_string(),
        ..Survey::default()
    };
    let info = ask(connection, "INFO", &mut redis::cmd("INFO")).await?;
    let info = reply::text(info).map_err(Fault::at_start)?;
    survey.read_info(&info)?;
    survey.read_settings(connection).await?;
    survey.check_eviction()?;
    let is_new = check_keys(connection, keys).await?;
    check_permissions(connection, keys).await?;
    let known = named
        .replicas
        .unwrap_or(survey.replicas)
        .max(survey.replicas);
    // The replicas of a log that is there may be away for now.
    if options.replicas > 0 && known == 0 && is_new {
        return Err(fatal(
            format!(
                "`replicas` is {}, but the server {} has none",
                options.replicas, survey.primary
            ),
            "give the server replicas, or remove `replicas`",
        ));
    }
    Ok(survey)
}

impl Survey {
    fn read_info(&mut self, info: &str) -> Result<(), BackendError> {
        let field = |name: &str| {
            let lines = info.lines().filter_map(|line| line.split_once(':'));
            let found = lines.into_iter().find(|(field, _)| *field == name);
            found.map(|(_, value)| value.trim().to_owned())
        };
        let redis = field("redis_version").unwrap_or_default();
        match field("valkey_version") {
            Some(version) => {
                self.product = "valkey".to_owned();
                self.version = version;
            }
            None => {
                self.product = "redis".to_owned();
                self.version = redis.clone();
            }
        }
        let major: Option<u64> = redis.split('.').next().and_then(|major| major.parse().ok());
        if major.is_none_or(|major| major < OLDEST) {
            return Err(fatal(
                format!("the server is Redis {redis}, which is too old"),
                "use Redis 7.0 or newer, or Valkey",
            ));
        }
        let number = |name| field(name).and_then(|value| value.parse::<u64>().ok());
        self.replicas = number("connected_slaves").unwrap_or(0);
        self.append_only = number("aof_enabled").map(|on| on == 1);
        self.eviction = field("maxmemory_policy");
        Ok(())
    }

    /// Managed servers do not have `CONFIG`, and users may not be permitted it.
    async fn read_settings(&mut self, connection: &Connection) -> Result<(), BackendError> {
        for name in [
            "maxmemory-policy",
            "appendfsync",
            "min-replicas-to-write",
            "min-replicas-max-lag",
        ] {
            let command = redis::cmd("CONFIG").arg("GET").arg(name).to_owned();
            let value = match connection.ask(&command).await {
                Ok(pair) => reply::array(pair)
                    .and_then(reply::first)
                    .and_then(|[_, value]| reply::text(value))
                    .ok(),
                Err(Fault::Server { .. }) => None,
                Err(fault) => return Err(fault.at_start()),
            };
            match (name, value) {
                ("maxmemory-policy", Some(value)) => self.eviction = Some(value),
                ("maxmemory-policy", None) if self.eviction.is_some() => {}
                ("appendfsync", Some(value)) => self.append_fsync = Some(value),
                ("min-replicas-to-write", Some(value)) => {
                    self.min_replicas_to_write = value.parse().ok()
                }
                ("min-replicas-max-lag", Some(value)) => {
                    self.min_replicas_max_lag = value.parse().ok()
                }
                _ => self.unread.push(name),
            }
        }
        if self.append_only.is_none() {
            self.unread.push("appendonly");
        }
        Ok(())
    }

    fn check_eviction(&self) -> Result<(), BackendError> {
        match self.eviction.as_deref() {
            None | Some("noeviction") => Ok(()),
            Some(policy) => Err(fatal(
                format!(
                    "the server's `maxmemory-policy` is {policy}, so it deletes the log when its memory is full"
                ),
                "set `maxmemory-policy noeviction` on the server, or use a server for the hub alone",
            )),
        }
    }
}

/// Refuses keys of the log's names that are something else. Returns whether there is no log yet.
async fn check_keys(connection: &Connection, keys: &Keys) -> Result<bool, BackendError> {
    let ask = async |command: &mut Cmd, key: &str, name| match connection.ask(command).await {
        Err(fault) if fault.is("WRONGTYPE") => Err(foreign(key)),
        answer => answer.map_err(|fault| named_by(fault, name).at_start()),
    };
    let length = ask(redis::cmd("XLEN").arg(&keys.log), &keys.log, "XLEN").await?;
    let length = reply::number(length).map_err(Fault::at_start)?;
    let mut command = redis::cmd("HMGET");
    let known = ask(
        command.arg(&keys.meta).arg("format").arg("tag"),
        &keys.meta,
        "HMGET",
    )
    .await?;
    let [format, tag] = reply::array(known)
        .and_then(reply::first)
        .map_err(Fault::at_start)?;
    let format = reply::optional_text(format).map_err(Fault::at_start)?;
    let exists = ask(redis::cmd("EXISTS").arg(&keys.meta), &keys.meta, "EXISTS").await?;
    ask(redis::cmd("ZCARD").arg(&keys.ids), &keys.ids, "ZCARD").await?;
    ask(redis::cmd("LLEN").arg(&keys.events), &keys.events, "LLEN").await?;
    match format.map(|format| format.parse::<u64>()) {
        Some(Ok(format)) if format > FORMAT => Err(newer(&keys.meta)),
        Some(Ok(_)) if tag != Value::Nil => Ok(false),
        None if exists == Value::Int(0) && length == 0 => Ok(true),
        None if exists == Value::Int(0) => Err(foreign(&keys.log)),
        _ => Err(foreign(&keys.meta)),
    }
}

/// Uses each command once, harmlessly, so that a missing permission is known before the first publish.
async fn check_permissions(connection: &Connection, keys: &Keys) -> Result<(), BackendError> {
    let key = keys.probe.as_str();
    let probed = PROBE.run(connection, &[key], |_| {}).await;
    let probed = probed.map_err(|fault| named_by(fault, "EVALSHA and EVAL").at_start())?;
    let mut refused = reply::array(probed).map_err(Fault::at_start)?.into_iter();
    if let (Some(name), Some(text)) = (refused.next(), refused.next()) {
        let name = reply::text(name).map_err(Fault::at_start)?;
        let text = reply::text(text).map_err(Fault::at_start)?;
        return Err(fatal(
            format!("the server refuses the command {name}: {text}"),
            fault::PERMIT,
        ));
    }
    let commands: [(&str, &[&str]); 7] = [
        ("HKEYS", &[key]),
        ("HSCAN", &[key, "0"]),
        ("XRANGE", &[key, "-", "+"]),
        ("XREVRANGE", &[key, "+", "-"]),
        ("XREAD", &["STREAMS", key, "0-0"]),
        ("ZRANGEBYLEX", &[key, "-", "+"]),
        ("WAIT", &["0", "1"]),
    ];
    for (name, arguments) in commands {
        ask(connection, name, redis::cmd(name).arg(arguments)).await?;
    }
    Ok(())
}

async fn ask(
    connection: &Connection,
    name: &str,
    command: &mut Cmd,
) -> Result<Value, BackendError> {
    let answer = connection.ask(command).await;
    answer.map_err(|fault| named_by(fault, name).at_start())
}

/// Names the command that is not permitted, if the server did not.
fn named_by(fault: Fault, name: &str) -> Fault {
    match fault {
        Fault::Server { code, text } if code == "NOPERM" && !text.contains('\'') => Fault::Server {
            code,
            text: format!("{text} (command {name})"),
        },
        fault => fault,
    }
}

/// A key has a name of the log's, and is something else.
pub(crate) fn foreign(key: &str) -> BackendError {
    fatal(
        format!("the server has a key \"{key}\" that is not of this hub"),
        "set another name for the stream, or delete the key",
    )
}

/// The log was written by a later version.
pub(crate) fn newer(key: &str) -> BackendError {
    fatal(
        format!("the log \"{key}\" has a newer format than this version of the hub reads"),
        "use the version that wrote the log, or a newer one",
    )
}

fn fatal(problem: String, remedy: &str) -> BackendError {
    BackendError::Fatal {
        problem,
        remedy: remedy.to_owned(),
    }
}
