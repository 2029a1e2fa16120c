//! The stores of this machine that may trust the root of the local authority (B-018, B-065).

mod browsers;
mod command;
mod container;
mod databases;
mod hashed;
mod root;
mod system;
mod visit;

use std::path::Path;

pub(crate) use self::browsers::{Folders, Reach};
pub(crate) use self::container::is_container;
pub(crate) use self::root::Root;
pub(crate) use self::system::System;
pub(crate) use self::visit::{Outcome, Visit};

use talaria_config::guide::Page;

use self::databases::Databases;
use crate::serve::log::in_one_line;

/// Puts a root into every store of this machine and of the user whose folders these are, and says what happened to
/// each.
pub(crate) async fn install(root: &Root, folders: Option<&Folders>, reach: Reach) -> Vec<Visit> {
    let mut visits = vec![match System::find() {
        Ok(system) => system.install(root).await,
        Err(error) => Visit::failed("the system's store", error),
    }];
    if let Some(folders) = folders {
        visits.extend(Databases::find(folders, reach).install(root).await);
    }
    visits
}

/// Takes a root out of every store of this machine and of this user, and says what happened to each.
pub(crate) async fn remove(root: &Root, folders: &Folders) -> Vec<Visit> {
    let mut visits = vec![match System::find() {
        Ok(system) => system.remove(root).await,
        Err(error) => Visit::failed("the system's store", error),
    }];
    visits.extend(Databases::find(folders, Reach::Existing).remove(root).await);
    visits
}

/// Makes a container trust the root at `path`, because health checks within it ask by HTTPS. On any other
/// machine the operator decides: the log names the command. A failure is only logged (B-065).
pub(crate) async fn install_at_start(path: &Path) {
    const UNTRUSTED: &str =
        "certificates are of a local authority, which this machine does not trust";
    let shown = path.display();
    let root = match Root::read(path) {
        Ok(root) => root,
        Err(error) => {
            return tracing::warn!(name: "trust_failed", root = %shown, "{UNTRUSTED}: {}", in_one_line(&error));
        }
    };
    if let Err(error) = hashed::write_beside(&root) {
        tracing::debug!(root = %shown, "SSL_CERT_DIR does not find the root: {error}");
    }
    if !is_container() {
        if System::find().is_ok_and(|system| system.holds(&root)) {
            tracing::info!(
                name: "root_trusted",
                root = %shown,
                "this machine trusts the root of the local authority; `talaria trust` says whether its browsers do"
            );
        } else {
            tracing::info!(
                name: "root_not_trusted",
                root = %shown,
                "{UNTRUSTED}; run `talaria trust`, and restart the browser"
            );
        }
        return;
    }
    // In a container for one user (Toolbox, Distrobox) the home is that of the machine, with its browsers.
    let is_root = rustix::process::geteuid().is_root();
    let folders = is_root.then(Folders::of_user).flatten();
    let visits = install(&root, folders.as_ref(), Reach::Existing).await;
    let trusting = visits.iter().filter(|visit| visit.holds_root());
    let stores: Vec<&str> = trusting.map(|visit| visit.store.as_str()).collect();
    match visits.first().map(|system| &system.outcome) {
        Some(Err(error)) => tracing::info!(
            name: "trust_failed",
            root = %shown,
            "{UNTRUSTED}: {}; programs that read SSL_CERT_DIR trust the folder of the root, and `talaria trust --print` shows it",
            in_one_line(error)
        ),
        Some(Ok(_)) | None => tracing::info!(
            name: "root_trusted",
            root = %shown,
            stores = stores.join(", "),
            docs = %Page::HTTPS_TRUST,
            "this machine trusts the root of the local authority; browsers outside the container do not; `skip_install_trust` in the global options leaves its store alone"
        ),
    }
}
