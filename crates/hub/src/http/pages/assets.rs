//! The files of the page, which are part of the program.

use std::fmt::Write as _;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::http::respond::put_type;

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of the page.
pub(crate) struct Asset {
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
    /// Follows from the bytes, so that a browser asks for them again after an upgrade only.
    tag: HeaderValue,
}

macro_rules! files {
    ($($name:literal: $media_type:expr,)*) => {
        [$((
            $name,
            $media_type,
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/pages/", $name)).as_slice(),
        ),)*]
    };
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let files = files! {
        "index.html": "text/html; charset=utf-8",
        "app.css": "text/css; charset=utf-8",
        "icon.svg": "image/svg+xml",
        "app.js": SCRIPT,
        "hub.js": SCRIPT,
        "discover.js": SCRIPT,
        "dom.js": SCRIPT,
        "inspector.js": SCRIPT,
        "json.js": SCRIPT,
        "publish.js": SCRIPT,
        "sse.js": SCRIPT,
        "stream.js": SCRIPT,
        "subscribe.js": SCRIPT,
        "subscriptions.js": SCRIPT,
        "token.js": SCRIPT,
        "updates.js": SCRIPT,
    };
    let asset = |(name, media_type, bytes)| Asset {
        name,
        media_type,
        bytes,
        tag: tag_of(bytes),
    };
    files.into_iter().map(asset).collect()
});

/// The file of this name; the folder itself is `index.html`.
pub(super) fn find(name: &str) -> Option<&'static Asset> {
    let name = if name.is_empty() { "index.html" } else { name };
    ASSETS.iter().find(|asset| asset.name == name)
}

fn tag_of(bytes: &[u8]) -> HeaderValue {
    let mut tag = String::from("\"");
    for byte in digest(&SHA256, bytes).as_ref().iter().take(12) {
        // Writing to a string cannot fail.
        _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    HeaderValue::try_from(tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

impl Asset {
    /// The file, or 304 if the client has it.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response<Body> {
        let is_known = headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|field| field.to_str().ok())
            .flat_map(|field| field.split(','))
            .map(str::trim)
            .any(|tag| tag == "*" || tag.trim_start_matches("W/") == self.tag);
        let mut response = Response::new(Body::empty());
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            *response.body_mut() = Body::from(self.bytes);
            let length = HeaderValue::from(self.bytes.len());
            response.headers_mut().insert(CONTENT_LENGTH, length);
            put_type(&mut response, self.media_type);
        }
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(ETAG, self.tag.clone());
        response
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Each file of the folder is part of the program, and all of them together are small.
    #[test]
    fn every_file_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/pages");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        let embedded = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
        assert_eq!(files, embedded);
        let bytes: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(bytes < 300 << 10, "{bytes}");
    }
}
