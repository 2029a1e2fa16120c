//! The certificates of the local authority (B-066).

use std::io;
use std::path::Path;

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::json;
use talaria_config::Error;
use talaria_config::folders::{self, KEY_BYTES};
use x509_parser::pem::parse_x509_pem;

use super::answer;
use crate::serve::tls;

/// The path of the authority.
pub(super) const PATH: &str = "/pki/ca/local";
/// The path of its certificates.
pub(super) const CERTIFICATES: &str = "/pki/ca/local/certificates";

/// The authority, as JSON or, `as_chain`, its certificates in PEM. Reads files.
pub(super) fn authority(as_chain: bool) -> Response<Body> {
    let both = tls::directory().and_then(|folder| {
        let read = |name: &str| read(&folder, name).map_err(Error::from_cause);
        Ok((read("root.crt")?, read("intermediate.crt")?))
    });
    let (root, intermediate) = match both {
        Ok(both) => both,
        Err(error) => {
            tracing::debug!(%error, "the local authority cannot be shown");
            return answer::error(
                StatusCode::NOT_FOUND,
                "there is no local authority; a site whose certificate it signs makes one",
            );
        }
    };
    if as_chain {
        let kind = "application/pem-certificate-chain";
        return answer::text(StatusCode::OK, kind, format!("{intermediate}{root}"));
    }
    let authority = json!({
        "id": "local",
        "name": "Talaria Local Authority",
        "root_common_name": common_name(&root),
        "intermediate_common_name": common_name(&intermediate),
        "root_certificate": root,
        "intermediate_certificate": intermediate,
    });
    answer::json(StatusCode::OK, &authority)
}

fn read(folder: &Path, name: &str) -> io::Result<String> {
    folders::read_own(&folder.join(name), KEY_BYTES).and_then(folders::text)
}

fn common_name(pem: &str) -> Option<String> {
    let (_, pem) = parse_x509_pem(pem.as_bytes()).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let mut names = certificate.subject().iter_common_name();
    names.next()?.as_str().ok().map(str::to_owned)
}
