//! Tests of the file server with real files.

use std::fs::{create_dir_all, write};
use std::os::unix::fs::symlink;

use axum::body::to_bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use tempfile::TempDir;

use super::*;

/// A folder `root` with some files, and a file outside of it.
fn files() -> (TempDir, FileServer) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    create_dir_all(root.join("docs/empty")).unwrap();
    create_dir_all(root.join(".git")).unwrap();
    create_dir_all(root.join(".well-known/.x")).unwrap();
    for (name, content) in [
        ("root/a.txt", "0123456789"),
        ("root/app.js", "1"),
        ("root/with space.css", "2"),
        ("root/docs/index.html", "<p>docs"),
        ("root/.env", "secret"),
        ("root/.git/config", "secret"),
        ("root/.well-known/security.txt", "3"),
        ("root/.well-known/.x/y", "secret"),
        ("root/private.key", "secret"),
        ("secret.txt", "secret"),
    ] {
        write(folder.path().join(name), content).unwrap();
    }
    let hidden = root.join("docs/hidden");
    create_dir_all(&hidden).unwrap();
    write(hidden.join("x.txt"), "secret").unwrap();
    let hidden = hidden.to_str().unwrap().to_owned();
    let index = vec!["index.html".to_owned(), "index.txt".to_owned()];
    let server = FileServer::new(root, index, vec!["private.key".to_owned(), hidden]);
    (folder, server)
}

async fn ask(
    server: &FileServer,
    method: &str,
    target: &str,
    fields: &[(HeaderName, &str)],
) -> Option<(u16, HeaderMap, String)> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in fields {
        request = request.header(name, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let (parts, body) = server.serve(&parts).await?.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    Some((parts.status.as_u16(), parts.headers, body))
}

async fn get(server: &FileServer, target: &str) -> Option<(u16, HeaderMap, String)> {
    ask(server, "GET", target, &[]).await
}

#[tokio::test]
async fn files_have_their_type() {
    let (_folder, server) = files();
    for (target, kind, content) in [
        ("/a.txt", "text/plain; charset=utf-8", "0123456789"),
        ("/a.txt?v=1", "text/plain; charset=utf-8", "0123456789"),
        ("/%61.txt", "text/plain; charset=utf-8", "0123456789"),
        ("/app.js", "text/javascript; charset=utf-8", "1"),
        ("/with%20space.css", "text/css; charset=utf-8", "2"),
        ("/docs/", "text/html; charset=utf-8", "<p>docs"),
        (
            "/.well-known/security.txt",
            "text/plain; charset=utf-8",
            "3",
        ),
    ] {
        let (status, headers, body) = get(&server, target).await.unwrap();
        assert_eq!((status, body.as_str()), (200, content), "{target}");
        assert_eq!(headers[CONTENT_TYPE], kind, "{target}");
        assert_eq!(
            headers[CONTENT_LENGTH],
            content.len().to_string(),
            "{target}"
        );
    }
}

/// No spelling of a path leads out of the root, and nothing that is hidden is shown.
#[tokio::test]
async fn nothing_else_is_served() {
    let (_folder, server) = files();
    for target in [
        "/missing",
        "/a.txt/",
        "/a.txt/b",
        "*",
        "/../secret.txt",
        "/docs/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/.%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/docs/..%2f..%2fsecret.txt",
        "/..%5csecret.txt",
        "/..\\secret.txt",
        "/docs%2findex.html",
        "/a.txt%00",
        "/%00/a.txt",
        "/a.txt%00.html",
        "/%252e%252e/secret.txt",
        "/%ff",
        "/./a.txt",
        "/docs/.",
        "/docs/..",
        "//a.txt",
        "/docs//index.html",
        "/%2fetc/passwd",
        "//etc/passwd",
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/.git/",
        "/.git",
        "/.well-known/.x/y",
        "/private.key",
        "/private%2ekey",
        "/docs/hidden/x.txt",
        "/docs/hidden/",
        "/docs/empty/",
        "/docs/empty",
        "/",
    ] {
        assert!(get(&server, target).await.is_none(), "{target}");
        assert!(
            ask(&server, "HEAD", target, &[]).await.is_none(),
            "{target}"
        );
    }
}

/// A link is followed only within the root.
#[tokio::test]
async fn links_lead_nowhere_else() {
    let (folder, server) = files();
    let root = folder.path().join("root");
    for (target, link) in [
        (folder.path().join("secret.txt"), "outside.txt"),
        ("../secret.txt".into(), "relative.txt"),
        (folder.path().to_owned(), "up"),
        ("up/secret.txt".into(), "chain.txt"),
        ("loop".into(), "loop"),
        (root.join("docs/hidden/x.txt"), "to-hidden.txt"),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    let links = [
        "/outside.txt",
        "/relative.txt",
        "/up/secret.txt",
        "/up/",
        "/chain.txt",
        "/loop",
        "/to-hidden.txt",
    ];
    for target in links {
        assert!(get(&server, target).await.is_none(), "{target}");
    }
    symlink(root.join("a.txt"), root.join("inside.txt")).unwrap();
    symlink("docs", root.join("manual")).unwrap();
    // As Kubernetes mounts configuration.
    symlink(".git", root.join("..data")).unwrap();
    symlink("..data/config", root.join("mounted.txt")).unwrap();
    for (target, content) in [
        ("/inside.txt", "0123456789"),
        ("/manual/", "<p>docs"),
        ("/mounted.txt", "secret"),
    ] {
        assert_eq!(get(&server, target).await.unwrap().2, content, "{target}");
    }
    let switched = folder.path().join("current");
    symlink(&root, &switched).unwrap();
    let server = FileServer::new(switched, Vec::new(), Vec::new());
    assert_eq!(get(&server, "/a.txt").await.unwrap().0, 200);
}

/// A pipe is not opened, because that could block for ever.
#[tokio::test]
async fn only_regular_files_are_opened() {
    let (folder, server) = files();
    let made = std::process::Command::new("mkfifo")
        .arg(folder.path().join("root/pipe"))
        .status();
    assert!(made.unwrap().success());
    assert!(get(&server, "/pipe").await.is_none());
}

/// A folder is redirected to the path with a slash, relative to where the client sees it.
#[tokio::test]
async fn folders_get_a_slash() {
    let (_folder, server) = files();
    for (target, location) in [("/docs", "./docs/"), ("/d%6fcs?a=b", "./d%6fcs/?a=b")] {
        let (status, headers, _) = get(&server, target).await.unwrap();
        assert_eq!(
            (status, headers[LOCATION].to_str().unwrap()),
            (308, location)
        );
    }
}

#[tokio::test]
async fn only_reading_is_allowed() {
    let (_folder, server) = files();
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let (status, headers, _) = ask(&server, method, "/a.txt", &[]).await.unwrap();
        assert_eq!(
            (status, headers[ALLOW].to_str().unwrap()),
            (405, "GET, HEAD")
        );
        assert!(ask(&server, method, "/missing", &[]).await.is_none());
    }
    let (status, headers, body) = ask(&server, "HEAD", "/a.txt", &[]).await.unwrap();
    assert_eq!(
        (
            status,
            headers[CONTENT_LENGTH].to_str().unwrap(),
            body.as_str()
        ),
        (200, "10", "")
    );
}

#[tokio::test]
async fn parts_of_a_file_are_served() {
    let (_folder, server) = files();
    let tag = get(&server, "/a.txt").await.unwrap().1[ETAG]
        .to_str()
        .unwrap()
        .to_owned();
    let is_date = get(&server, "/a.txt").await.unwrap().1[LAST_MODIFIED]
        .to_str()
        .unwrap()
        .to_owned();
    for (fields, status, content) in [
        (vec![(RANGE, "bytes=2-4")], 206, "234"),
        (vec![(RANGE, "bytes=7-")], 206, "789"),
        (vec![(RANGE, "bytes=-2")], 206, "89"),
        (vec![(RANGE, "bytes=20-")], 416, ""),
        // Several ranges, and units that we do not know, may be ignored.
        (vec![(RANGE, "bytes=0-1,3-4")], 200, "0123456789"),
        (vec![(RANGE, "lines=1-2")], 200, "0123456789"),
        (vec![(RANGE, "bytes=2-4"), (IF_RANGE, &tag)], 206, "234"),
        (
            vec![(RANGE, "bytes=2-4"), (IF_RANGE, "\"other\"")],
            200,
            "0123456789",
        ),
        (
            vec![(RANGE, "bytes=2-4"), (IF_RANGE, &is_date)],
            200,
            "0123456789",
        ),
    ] {
        let (got, headers, body) = ask(&server, "GET", "/a.txt", &fields).await.unwrap();
        assert_eq!((got, body.as_str()), (status, content), "{fields:?}");
        assert_eq!(
            headers.contains_key(CONTENT_RANGE),
            status != 200,
            "{fields:?}"
        );
    }
}

#[tokio::test]
async fn conditions_are_met() {
    const LONG_AGO: &str = "Sat, 29 Oct 1994 19:43:31 GMT";
    let (_folder, server) = files();
    let (_, headers, _) = get(&server, "/a.txt").await.unwrap();
    let tag = headers[ETAG].to_str().unwrap();
    let date = headers[LAST_MODIFIED].to_str().unwrap();
    let (weak, among) = (format!("W/{tag}"), format!("\"x\", W/{tag}"));
    for (fields, status) in [
        (vec![(IF_NONE_MATCH, tag)], 304),
        (vec![(IF_NONE_MATCH, &weak)], 304),
        (vec![(IF_NONE_MATCH, &among)], 304),
        (vec![(IF_NONE_MATCH, "*")], 304),
        (vec![(IF_NONE_MATCH, "\"x\"")], 200),
        (vec![(IF_MODIFIED_SINCE, date)], 304),
        (vec![(IF_MODIFIED_SINCE, LONG_AGO)], 200),
        // The tag counts, if there is one.
        (
            vec![(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, date)],
            200,
        ),
        (vec![(IF_MATCH, tag)], 200),
        (vec![(IF_MATCH, &weak)], 412),
        (vec![(IF_MATCH, "\"x\"")], 412),
        (vec![(IF_UNMODIFIED_SINCE, LONG_AGO)], 412),
        (vec![(IF_MATCH, tag), (IF_UNMODIFIED_SINCE, LONG_AGO)], 200),
    ] {
        let (got, headers, body) = ask(&server, "GET", "/a.txt", &fields).await.unwrap();
        assert_eq!(got, status, "{fields:?}");
        assert_eq!(body.is_empty(), status != 200, "{fields:?}");
        assert!(
            status == 412 || headers.contains_key(ETAG) || !headers.contains_key(CONTENT_LENGTH)
        );
    }
}

/// A file whose time is a constant is not told apart by it.
#[tokio::test]
async fn constant_times_do_not_validate() {
    let (folder, server) = files();
    let file = std::fs::File::options()
        .write(true)
        .open(folder.path().join("root/a.txt"))
        .unwrap();
    file.set_modified(UNIX_EPOCH + std::time::Duration::from_secs(1))
        .unwrap();
    let since = [(IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:00:01 GMT")];
    let (status, headers, _) = ask(&server, "GET", "/a.txt", &since).await.unwrap();
    assert_eq!(status, 200);
    assert!(!headers.contains_key(ETAG) && !headers.contains_key(LAST_MODIFIED));
}

/// Names are hidden by patterns too, and what is hidden, or lies outside, is not there for `try_files` either.
#[tokio::test]
async fn what_is_hidden_is_not_there() {
    let (folder, _) = files();
    let root = folder.path().join("root");
    let hidden = vec!["*.key".to_owned(), "hid?en".to_owned()];
    let server = FileServer::new(root, vec!["index.html".to_owned()], hidden);
    for (path, is_there) in [
        ("/a.txt", true),
        ("/docs/", true),
        ("/docs", false),
        ("/a.txt/", false),
        ("/", true),
        ("/with%20space.css", true),
        ("/private.key", false),
        ("/docs/hidden/x.txt", false),
        ("/docs/hidden/", false),
        ("/.env", false),
        ("/../secret.txt", false),
        ("/..%2fsecret.txt", false),
        ("/none", false),
        ("none", false),
    ] {
        assert_eq!(server.has(path).await, is_there, "{path}");
        let is_hidden = path.contains("key") || path.contains("hidden");
        assert!(!is_hidden || get(&server, path).await.is_none(), "{path}");
    }
}

/// Of a file that is there and not served the operator learns why; of one that he hides, or that is not there, not.
#[tokio::test]
async fn a_file_that_is_not_served_is_told_once() {
    let (folder, server) = files();
    let root = folder.path().join("root");
    symlink(folder.path().join("secret.txt"), root.join("out.txt")).unwrap();
    for (name, is_told) in [
        (".env", true),
        ("out.txt", true),
        (".git/config", true),
        ("private.key", false),
        (".none", false),
    ] {
        assert!(get(&server, &format!("/{name}")).await.is_none(), "{name}");
        let is_new = server.0.unserved.tell(&root.join(name), "asked twice");
        assert_eq!(is_new, !is_told, "{name}");
    }
}
