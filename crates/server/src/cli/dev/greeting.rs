//! What `talaria dev` prints once it listens.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;
use talaria_config::Error;
use talaria_config::settings::Secret;
use talaria_hub::access::SigningKey;

use super::listening::{Listening, common_url};
use crate::cli::token::{DEV_EXPIRY, DEV_ISSUER, uuid};

/// A token that may publish and subscribe to everything on the hub that is bound to `address`.
///
/// # Errors
///
/// The token cannot be signed.
pub(super) fn publisher_token(
    listening: &Listening,
    address: SocketAddr,
    key: &Secret,
) -> Result<String, Error> {
    let mut audiences = vec![
        listening.url_of("127.0.0.1", address),
        listening.url_of("localhost", address),
    ];
    for url in [listening.url(address), common_url()] {
        if !audiences.contains(&url) {
            audiences.push(url);
        }
    }
    let claims = json!({
        "iss": DEV_ISSUER,
        "aud": audiences,
        "sub": uuid(),
        "client_id": DEV_ISSUER,
        "exp": DEV_EXPIRY,
        "jti": uuid(),
        "authorization_details": [{
            "type": "https://mercure.rocks/authorization-detail",
            "actions": ["publish", "subscribe"],
            "topics": [{ "match": "*" }],
        }],
    });
    SigningKey::parse(key.expose(), None)
        .and_then(|key| key.sign(&claims))
        .map_err(Error::from_cause)
}

/// The commands to use the hub at `url`; `key` is the path of its key, `root` that of its local authority's
/// root if it speaks HTTPS.
pub(super) fn greeting(
    url: &str,
    publisher_token: &str,
    key: &Path,
    root: Option<&Path>,
) -> String {
    let key = quoted(key);
    let (trust, curl) = match root.map(quoted) {
        Some(root) => (
            "Make this machine and its browsers trust the hub's certificate:\n\ntalaria trust\n\n",
            format!("curl --cacert '{root}'"),
        ),
        None => ("", "curl".to_owned()),
    };
    format!(
        "Its playground: {url}/debug/\n\n\
         A hub for development listens on {url}\n\n\
         {trust}\
         Subscribe, in one terminal:\n\n\
         {curl} -N '{url}?match=https://example.com/books/1'\n\n\
         Publish, in another:\n\n\
         {curl} -H 'Authorization: Bearer {publisher_token}' -d topic=https://example.com/books/1 -d data=Hello {url}\n\n\
         Make another token for this hub:\n\n\
         talaria token --key '@{key}' --iss {DEV_ISSUER} --aud {url} --subscribe https://example.com/books/1\n\n"
    )
}

/// A path for a shell: within single quotes it changes nothing but a single quote.
fn quoted(path: &Path) -> String {
    path.display().to_string().replace('\'', r"'\''")
}
