//! The admin listener (B-095 to B-098): health, metrics, the configuration, and the end of the program.

mod answer;
mod document;
mod endpoints;
mod guard;
mod health;
mod listener;
mod operations;
mod pki;
mod received;
mod revocations;

use std::sync::Arc;
use std::time::Duration;

use talaria_config::Error;
use talaria_config::settings::AdminSettings;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(crate) use document::to_json;
pub(crate) use endpoints::FILE;

use self::endpoints::Endpoints;
use self::guard::Guard;
use self::listener::{accept, bind};
use crate::serve::control::Control;
use crate::serve::log::in_one_line;
use crate::serve::metrics::Metrics;

/// How long a socket may take to close, for which a task must run once.
const CLOSING: Duration = Duration::from_secs(1);

/// The admin listener at work; owns its tasks. Dropping it ends them.
pub(crate) struct Admin {
    settings: AdminSettings,
    control: Control,
    metrics: Metrics,
    /// Ends the sockets that are bound now.
    end: CancellationToken,
    /// Each ends when a socket has closed.
    closed: Vec<oneshot::Receiver<()>>,
    /// Accept, each with its connections; those that were ended finish what is under way.
    tasks: JoinSet<()>,
}

impl Admin {
    /// Starts to listen where the settings say. A socket that cannot be bound is a warning: the hub serves all
    /// the same.
    pub(crate) fn start(settings: &AdminSettings, control: Control, metrics: Metrics) -> Self {
        let mut admin = Self {
            settings: settings.clone(),
            control,
            metrics,
            end: CancellationToken::new(),
            closed: Vec::new(),
            tasks: JoinSet::new(),
        };
        admin.listen();
        admin
    }

    /// Listens where other settings say; sockets whose settings have not changed stay, and what could not be bound is
    /// tried again. Requests under way are answered.
    pub(crate) async fn follow(&mut self, settings: &AdminSettings) {
        while self.tasks.try_join_next().is_some() {}
        let changed = self.settings.address != settings.address
            || self.settings.origins != settings.origins
            || self.settings.enforce_origin != settings.enforce_origin;
        self.settings = settings.clone();
        if changed || self.closed.is_empty() {
            let end = std::mem::replace(&mut self.end, CancellationToken::new());
            end.cancel();
            // The new address may share the port.
            for closed in std::mem::take(&mut self.closed) {
                _ = timeout(CLOSING, closed).await;
            }
            self.listen();
        }
    }

    fn listen(&mut self) {
        let Some(address) = &self.settings.address else {
            return;
        };
        let sockets = match bind(address) {
            Ok(sockets) => sockets,
            Err(error) => {
                tracing::warn!(name: "admin_not_bound", admin = %address, "{}", in_one_line(&not_bound(error)));
                return;
            }
        };
        if !address.is_loopback() {
            tracing::warn!(
                name: "admin_exposed",
                admin = %address,
                "insecure: the admin listener asks for no password, and other machines may reach it; write `admin localhost:2019`, or allow only trusted machines to connect"
            );
        }
        for socket in sockets {
            let guard = Guard::new(&self.settings, socket.port());
            tracing::info!(name: "admin_listening", admin = %socket.name(), "admin endpoints are served");
            let endpoints = Arc::new(Endpoints {
                control: self.control.clone(),
                metrics: self.metrics.clone(),
                guard,
            });
            let (closes, closed) = oneshot::channel();
            self.closed.push(closed);
            self.tasks
                .spawn(accept(socket, endpoints, self.end.clone(), closes));
        }
    }
}

fn not_bound(error: std::io::Error) -> Error {
    Error::new("the admin listener is off, because its address cannot be bound")
        .caused_by(error)
        .remedy(
            "the hub serves without `talaria reload`, `talaria stop` and health endpoints; give it another address by `admin` or CADDY_ADMIN, or write `admin off`",
        )
}

#[cfg(test)]
mod tests {
    use talaria_config::settings::AdminAddress;

    use super::*;

    /// A port that was taken at the start is free at the next reload.
    #[tokio::test]
    async fn what_was_not_bound_is_tried_again() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let settings = AdminSettings {
            address: AdminAddress::parse(&address.to_string()).ok(),
            ..AdminSettings::default()
        };
        let mut admin = {
            let control = Control::new(None).0;
            Admin::start(&settings, control.clone(), Metrics::new(control))
        };
        admin.follow(&settings).await;
        assert!(admin.closed.is_empty());
        drop(taken);
        admin.follow(&settings).await;
        tokio::net::TcpStream::connect(address).await.unwrap();
        // What is bound stays.
        admin.follow(&settings).await;
        assert_eq!((admin.closed.len(), admin.tasks.len()), (1, 1));
    }
}
