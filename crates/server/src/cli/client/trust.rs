//! Which certificates a verb trusts.

use std::path::PathBuf;

use reqwest::{Certificate, Client, ClientBuilder};
use talaria_config::Error;
use talaria_config::guide::Page;
use url::Url;

use crate::serve::tls;

/// The certificates that a client trusts beside those of the system.
#[derive(Clone, Default, clap::Args)]
pub(in crate::cli) struct TrustArgs {
    /// A file in PEM with further certificates to trust, such as the root of a local authority.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) cacert: Option<PathBuf>,
}

impl std::fmt::Debug for TrustArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TrustArgs").field(&self.cacert).finish()
    }
}

impl TrustArgs {
    /// What the system and --cacert trust.
    ///
    /// # Errors
    /// The file has no certificates.
    pub(in crate::cli) fn of_clients(&self) -> Result<Trust, Error> {
        let Some(path) = &self.cacert else {
            return Ok(Trust::default());
        };
        let wrong = || Error::new(format!("--cacert {}", path.display()));
        const REMEDY: &str = "name a file that holds certificates in PEM";
        let pem = std::fs::read(path).map_err(|error| {
            wrong()
                .caused_by(error)
                .remedy(REMEDY)
                .page(Page::HTTPS_TRUST)
        })?;
        match Certificate::from_pem_bundle(&pem) {
            Ok(roots) if !roots.is_empty() => Ok(Trust { roots }),
            Ok(_) | Err(_) => Err(Error::new(format!(
                "--cacert {}: there is no certificate in PEM in the file",
                path.display()
            ))
            .remedy(REMEDY)
            .page(Page::HTTPS_TRUST)),
        }
    }

    /// The same, and the local authority of this user.
    ///
    /// # Errors
    /// As [`Self::of_clients`].
    pub(in crate::cli) fn of_user(&self) -> Result<Trust, Error> {
        Ok(self.of_clients()?.and_local())
    }
}

/// What a client trusts beside the system's store.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Trust {
    roots: Vec<Certificate>,
}

impl Trust {
    /// The same, and the root of the local authority of this user, if there is one.
    pub(in crate::cli) fn and_local(mut self) -> Self {
        let root = tls::directory().ok().map(|folder| folder.join("root.crt"));
        let root = root.and_then(|root| std::fs::read(root).ok());
        let root = root.and_then(|pem| Certificate::from_pem(&pem).ok());
        self.roots.extend(root);
        self
    }

    /// A client of the URL.
    pub(super) fn builder(&self, url: &Url) -> ClientBuilder {
        if url.scheme() == "http" {
            // Plain HTTP works on a machine without certificates.
            return Client::builder().tls_certs_only([]);
        }
        Client::builder().tls_certs_merge(self.roots.iter().cloned())
    }
}
