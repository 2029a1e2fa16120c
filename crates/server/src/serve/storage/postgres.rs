//! The log of `transport postgres`, as the engine takes it.

use std::sync::Arc;

use talaria_config::Error;
use talaria_config::settings::{
    PostgresHost, PostgresServer, PostgresSettings, PostgresTlsMode, PostgresTlsSettings,
};
use talaria_postgres::{Encryption, Host, Mode, Postgres, PostgresOptions, Rules, Survey};
use talaria_transport::measures::Survives;
use talaria_transport::shared::SharedOptions;
use talaria_transport::shared::backend::BackendError;
use tokio::sync::watch;

use super::durability::postgres as durability;
use super::shared::{Log, Server, content, failed};

impl Server for Postgres {
    type Survey = Survey;

    async fn ask(&self) -> Result<Survey, BackendError> {
        self.survey().await
    }
}

/// The log that a configuration names.
pub(crate) struct PostgresLog {
    settings: PostgresSettings,
    rules: watch::Sender<Rules>,
}

impl PostgresLog {
    /// A log in which what is published by SQL is judged by `rules`.
    pub(crate) fn new(settings: PostgresSettings, rules: Rules) -> Self {
        Self {
            settings,
            rules: watch::Sender::new(rules),
        }
    }

    /// Changes the rules, also of what is open already.
    pub(super) fn rules(&self) -> watch::Sender<Rules> {
        self.rules.clone()
    }
}

impl Log for PostgresLog {
    type Server = Postgres;

    const TRANSPORT: &'static str = "postgres";

    fn place(&self) -> String {
        self.settings.place()
    }

    fn name(&self) -> &str {
        &self.settings.schema
    }

    fn options(&self) -> SharedOptions {
        let mut options = SharedOptions::default();
        options.ring_bytes = self.settings.ring_bytes;
        options.publish_timeout = self.settings.publish_timeout;
        options.lease = self.settings.lease;
        options
    }

    async fn server(&self) -> Result<Postgres, Error> {
        let mut options = options(&self.settings);
        options.rules = self.rules.subscribe();
        let tls = self.settings.tls.clone();
        let first = tokio::task::spawn_blocking(move || files(&tls));
        options.encryption = first.await.map_err(Error::from_cause)??;
        let again = self.settings.tls.clone();
        options.encryption_again = Some(Arc::new(move || {
            files(&again).map_err(|error| error.to_string())
        }));
        Postgres::new(options).map_err(|error| failed(&self.settings.place(), &error))
    }

    fn durability(&self, survey: &Survey, members: u64) -> (Vec<String>, Vec<String>) {
        (
            durability::lines(survey, members),
            durability::warnings(survey),
        )
    }

    fn survives(&self, survey: &Survey) -> Survives {
        durability::survives(survey)
    }
}

/// The options of the log; how connections are encrypted, and the rules, are not among them yet.
fn options(settings: &PostgresSettings) -> PostgresOptions {
    let servers = settings.servers.iter().map(server).collect();
    let (user, database) = (settings.user.as_str(), settings.database.as_str());
    let mut options = PostgresOptions::new(servers, user, database);
    options.connect_timeout = settings.connect_timeout;
    options.parameters.clone_from(&settings.parameters);
    options
        .application_name
        .clone_from(&settings.application_name);
    options.schema.clone_from(&settings.schema);
    options.size = settings.size.unwrap_or(0);
    options.max_age = settings.max_age;
    options.topic_index = settings.topic_index;
    options
}

fn server(server: &PostgresServer) -> talaria_postgres::Server {
    let password = server.password.as_ref();
    talaria_postgres::Server {
        host: match &server.host {
            PostgresHost::Name(name) => Host::Name(name.clone()),
            PostgresHost::Folder(path) => Host::Folder(path.clone()),
        },
        address: server.address,
        port: server.port,
        password: password.map(|password| password.expose().to_owned()),
    }
}

fn files(settings: &PostgresTlsSettings) -> Result<Encryption, Error> {
    let identity = settings.identity.as_ref();
    Ok(Encryption {
        mode: match settings.mode {
            PostgresTlsMode::Disable => Mode::Disable,
            PostgresTlsMode::Prefer => Mode::Prefer,
            PostgresTlsMode::Require => Mode::Require,
            PostgresTlsMode::VerifyCa => Mode::VerifyCa,
            PostgresTlsMode::VerifyFull => Mode::VerifyFull,
        },
        ca: settings.ca.as_deref().map(content).transpose()?,
        certificate: identity
            .map(|(certificate, key)| Ok::<_, Error>((content(certificate)?, content(key)?)))
            .transpose()?,
    })
}
