//! Answers with the files of a folder: `file_server` (B-284).

mod unserved;

use std::fs::{Metadata, canonicalize, metadata, symlink_metadata};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::body::Body;
use http::header::{
    ALLOW, CONTENT_TYPE, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, LAST_MODIFIED, LOCATION, RANGE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use rustix::io::Errno;
use talaria_config::glob::matches;
use talaria_hub::plain;
use tower_http::services::ServeFile;

use self::unserved::Unserved;

/// The only name with a leading dot that is not hidden (RFC 8615).
const WELL_KNOWN: &str = ".well-known";

/// Serves the files below a folder. It never lists a folder.
#[derive(Debug, Clone)]
pub(crate) struct FileServer(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    root: PathBuf,
    index: Vec<String>,
    hidden: Vec<String>,
    unserved: Unserved,
}

/// What a path leads to.
enum Found {
    /// A file.
    File(PathBuf, Metadata),
    /// A folder with an index, whose path lacks the slash at the end.
    Folder,
}

impl FileServer {
    /// Serves the files below `root`, and for a folder the first file of `index` that it has.
    ///
    /// Each entry of `hidden` is the name of a file or folder, wherever it is, in which `*` and `?` stand for other
    /// characters, or a path with a slash, which hides everything below it. Names with a leading dot are always
    /// hidden.
    pub(crate) fn new(root: PathBuf, index: Vec<String>, hidden: Vec<String>) -> Self {
        Self(Arc::new(Rules {
            root,
            index,
            hidden,
            unserved: Unserved::default(),
        }))
    }

    /// Whether a path names a file that is shown, or a folder if a slash ends it.
    pub(crate) async fn has(&self, path: &str) -> bool {
        let Some(names) = names(path) else {
            return false;
        };
        if names.iter().any(|name| self.0.is_hidden(name)) {
            return false;
        }
        let rules = Arc::clone(&self.0);
        let found = tokio::task::spawn_blocking(move || rules.has(&names)).await;
        // What cannot be read is not there for the request either.
        matches!(found, Ok(Ok(true)))
    }

    /// Answers with the file that the request's path names; `None` if there is none.
    ///
    /// A path that leads out of the folder, by `..` or by a symbolic link, names no file. Another process
    /// that may replace folders by links below the root can also show what they lead to.
    pub(crate) async fn serve(&self, request: &Parts) -> Option<Response<Body>> {
        let names = names(request.uri.path())?;
        let rules = Arc::clone(&self.0);
        if names.iter().any(|name| self.0.is_hidden(name)) {
            if !names.iter().any(|name| self.0.is_listed(name)) {
                // It may not be there: then the log does not mention it.
                _ = tokio::task::spawn_blocking(move || rules.tell_of_dot(&names)).await;
            }
            return None;
        }
        let found = tokio::task::spawn_blocking(move || rules.find(&names)).await;
        let found = match found.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(found) => found?,
            Err(error) => {
                let path = request.uri.path();
                tracing::warn!(name: "file_unreadable", reason = "file", path, %error, "a file cannot be opened");
                return Some(plain(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "Internal Server Error\n",
                ));
            }
        };
        if request.method != Method::GET && request.method != Method::HEAD {
            let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
            let allowed = HeaderValue::from_static("GET, HEAD");
            refused.headers_mut().insert(ALLOW, allowed);
            return Some(refused);
        }
        match found {
            Found::Folder => Some(to_folder(&request.uri)),
            Found::File(path, metadata) => send(request, &path, &metadata).await,
        }
    }
}

/// The decoded names of a path, with an empty one at the end for a folder. `None` if a name could be understood as
/// more than one, or leads upwards.
fn names(path: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = path.strip_prefix('/')?.split('/').peekable();
    while let Some(name) = rest.next() {
        let name = percent_decode_str(name).decode_utf8().ok()?;
        let mut parts = Path::new(name.as_ref()).components();
        let is_name = matches!(
            (parts.next(), parts.next()),
            (Some(Component::Normal(part)), None) if part == name.as_ref()
        );
        let is_end = name.is_empty() && rest.peek().is_none();
        if !(is_name || is_end) || name.contains(['\\', '\0']) {
            return None;
        }
        names.push(name.into_owned());
    }
    Some(names)
}

impl Rules {
    /// Whether a name of a path is hidden.
    fn is_hidden(&self, name: &str) -> bool {
        let has_dot = name.starts_with('.') && name != WELL_KNOWN;
        has_dot || self.is_listed(name)
    }

    /// Whether the operator hides a name.
    fn is_listed(&self, name: &str) -> bool {
        self.hidden.iter().any(|hidden| matches(hidden, name))
    }

    /// Tells the operator that a file is hidden because of a dot, if it is there.
    fn tell_of_dot(&self, names: &[String]) {
        let wanted = wanted(&self.root, names);
        if symlink_metadata(&wanted).is_ok() {
            let why = "a name in its path begins with a dot, which hides it, but for .well-known; to show it, give it another name";
            self.unserved.tell(&wanted, why);
        }
    }

    /// Whether the names lead to a file below the root, or to a folder if the last one is empty.
    fn has(&self, names: &[String]) -> io::Result<bool> {
        let is_folder = names.last().is_some_and(String::is_empty);
        let Some(root) = real(&self.root)? else {
            return Ok(false);
        };
        let found = self.real_below(&root, &wanted(&root, names))?;
        Ok(found.is_some_and(|(_, kind)| {
            if is_folder {
                kind.is_dir()
            } else {
                kind.is_file()
            }
        }))
    }

    /// Finds what the names lead to below the root, links followed.
    fn find(&self, names: &[String]) -> io::Result<Option<Found>> {
        let Some(root) = real(&self.root)? else {
            return Ok(None);
        };
        let Some((path, kind)) = self.real_below(&root, &wanted(&root, names))? else {
            return Ok(None);
        };
        let is_folder = names.last().is_some_and(String::is_empty);
        if kind.is_file() && !is_folder {
            return Ok(Some(Found::File(path, kind)));
        }
        if !kind.is_dir() {
            // Opening a pipe could block for ever.
            return Ok(None);
        }
        for name in self.index.iter().filter(|name| !self.is_hidden(name)) {
            match self.real_below(&root, &path.join(name))? {
                Some((_, kind)) if kind.is_file() && !is_folder => return Ok(Some(Found::Folder)),
                Some((path, kind)) if kind.is_file() => return Ok(Some(Found::File(path, kind))),
                _ => {}
            }
        }
        Ok(None)
    }

    /// A path without links, if it is below the root and not hidden.
    fn real_below(&self, root: &Path, wanted: &Path) -> io::Result<Option<(PathBuf, Metadata)>> {
        let Some(path) = real(wanted)? else {
            return Ok(None);
        };
        if !path.starts_with(root) {
            let why = "a link leads out of the folder of `file_server`; to show it, copy or mount it there, or make a folder around both the root";
            self.unserved.tell(wanted, why);
            return Ok(None);
        }
        let paths = self.hidden.iter().filter(|hidden| hidden.contains('/'));
        for hidden in paths {
            let hidden = real(Path::new(hidden))?;
            if hidden.is_some_and(|hidden| path.starts_with(&hidden) || wanted.starts_with(hidden))
            {
                return Ok(None);
            }
        }
        let metadata = metadata(&path)?;
        Ok(Some((path, metadata)))
    }
}

/// The path that names lead to from a folder.
fn wanted(root: &Path, names: &[String]) -> PathBuf {
    let mut wanted = root.to_owned();
    wanted.extend(names.iter().filter(|name| !name.is_empty()));
    wanted
}

/// A path without links; `None` if there is nothing, or nothing that this process may see.
fn real(path: &Path) -> io::Result<Option<PathBuf>> {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound, PermissionDenied};
    match canonicalize(path) {
        Ok(path) => Ok(Some(path)),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => Ok(None),
        Err(error) => match error.kind() {
            NotFound | NotADirectory | PermissionDenied | InvalidInput | InvalidFilename => {
                Ok(None)
            }
            _ => Err(error),
        },
    }
}

/// Redirects to the path of a folder. The target is relative, because a route may have removed the beginning of
/// the path, and so that no path is understood as another host.
fn to_folder(uri: &Uri) -> Response<Body> {
    let name = uri.path().rsplit('/').next().unwrap_or_default();
    let query = uri.query().map(|query| format!("?{query}"));
    let location = format!("./{name}/{}", query.unwrap_or_default());
    let mut response = plain(StatusCode::PERMANENT_REDIRECT, "");
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// Answers with a file, or what the request's conditions ask for instead (RFC 9110, section 13.2.2).
async fn send(request: &Parts, path: &Path, metadata: &Metadata) -> Option<Response<Body>> {
    let tag = tag(metadata);
    let mut headers = HeaderMap::new();
    let mut keep = |name: HeaderName| {
        if let Some(value) = request.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    };
    if request.headers.contains_key(IF_MATCH) {
        if !lists(&request.headers, IF_MATCH, tag.as_ref(), false) {
            return Some(plain(StatusCode::PRECONDITION_FAILED, ""));
        }
    } else {
        keep(IF_UNMODIFIED_SINCE);
    }
    if request.headers.contains_key(IF_NONE_MATCH) {
        if lists(&request.headers, IF_NONE_MATCH, tag.as_ref(), true) {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response.headers_mut().extend(tag.map(|tag| (ETAG, tag)));
            return Some(response);
        }
    } else if tag.is_some() {
        keep(IF_MODIFIED_SINCE);
    }
    if takes_range(request, metadata, tag.as_ref()) {
        keep(RANGE);
    }
    let mut asked = Request::new(Body::empty());
    *asked.method_mut() = request.method.clone();
    *asked.headers_mut() = headers;
    let answered = ServeFile::new(path).try_call(asked).await;
    let mut response = match answered {
        Ok(response) => response.map(Body::new),
        // It was removed meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            let path = request.uri.path();
            tracing::warn!(name: "file_unreadable", reason = "file", path, %error, "a file cannot be read");
            return Some(plain(StatusCode::NOT_FOUND, "Not Found\n"));
        }
    };
    let headers = response.headers_mut();
    match tag {
        Some(tag) => _ = headers.insert(ETAG, tag),
        None => _ = headers.remove(LAST_MODIFIED),
    }
    declare_utf8(headers);
    Some(response)
}

/// Whether the answer is a part of the file: one range is asked for, and the client has parts of the same file
/// (RFC 9110, sections 13.1.5 and 14.2).
fn takes_range(request: &Parts, metadata: &Metadata, tag: Option<&HeaderValue>) -> bool {
    let range = request.headers.get(RANGE).map(HeaderValue::as_bytes);
    let is_one = range.is_some_and(|range| range.starts_with(b"bytes=") && !range.contains(&b','));
    let is_same = match request.headers.get(IF_RANGE) {
        None => true,
        // A date is a weak validator: two versions of a second have the same.
        Some(condition) => tag == Some(condition),
    };
    is_one && is_same && request.method == Method::GET && metadata.is_file()
}

/// The entity tag of a file: when it was written, and its length. `None` if the time is a constant, as
/// reproducible packages have it; then it does not tell two versions apart.
fn tag(metadata: &Metadata) -> Option<HeaderValue> {
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    if modified.as_secs() <= 1 {
        return None;
    }
    let tag = format!("\"{:x}-{:x}\"", modified.as_nanos(), metadata.len());
    HeaderValue::try_from(tag).ok()
}

/// Whether a field that lists entity tags names this one, or is `*`.
fn lists(headers: &HeaderMap, name: HeaderName, tag: Option<&HeaderValue>, is_weak: bool) -> bool {
    let values = headers.get_all(name);
    let mut tags = values
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    tags.any(|listed| {
        let listed = listed.trim_ascii();
        let strong = listed.strip_prefix(b"W/").filter(|_| is_weak);
        listed == b"*" || tag.is_some_and(|tag| tag.as_bytes() == strong.unwrap_or(listed))
    })
}

/// Says that text is in UTF-8; without that, browsers guess.
fn declare_utf8(headers: &mut HeaderMap) {
    let Some(kind) = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
    else {
        return;
    };
    let is_bare = kind.starts_with("text/") && !kind.contains(';');
    let kind = HeaderValue::try_from(format!("{kind}; charset=utf-8"));
    if let Some(kind) = kind.ok().filter(|_| is_bare) {
        headers.insert(CONTENT_TYPE, kind);
    }
}

#[cfg(test)]
mod tests;
