//! A link, pipe or directory in the place of a history's file is refused, and nothing behind it is touched.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use talaria_transport::Transport;
use talaria_transport::history::{Directory, History, HistoryOptions};

use crate::folder::Folder;
use crate::suite::{append, start};

/// Far more time than an opening takes, unless it waits for a pipe.
const LONG: Duration = Duration::from_secs(30);

/// Opens a history; returns the error if that fails.
fn open(path: &Path) -> Result<Arc<dyn Transport>, String> {
    let path = path.to_owned();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let options = HistoryOptions::new(Arc::new(|| 1_000));
        let opened = Directory::open(&path)
            .map_err(|error| error.to_string())
            .and_then(|directory| {
                History::open(Arc::new(directory), options).map_err(|error| error.to_string())
            });
        // The test has ended if this took too long.
        _ = tell.send(opened.map(|history| Arc::new(history) as Arc<dyn Transport>));
    });
    told.recv_timeout(LONG).expect("the opening does not hang")
}

/// Writes a history of one update to a directory.
fn leave(path: &Path) {
    let transport = open(path).expect("a history");
    let _recorder = start(&transport);
    append(&transport, Some("one"));
}

fn segment(directory: &Path) -> PathBuf {
    let mut entries = fs::read_dir(directory).expect("a directory");
    entries
        .find_map(|entry| {
            let path = entry.expect("an entry").path();
            (path.extension()? == "segment").then_some(path)
        })
        .expect("a segment")
}

/// The error names the file, what is there, and a remedy.
fn assert_refused(directory: &Path, file: &Path, kind: &str) {
    let said = open(directory).map(drop).expect_err(kind);
    for part in [&*file.display().to_string(), kind, "; "] {
        assert!(said.contains(part), "{said}");
    }
}

/// Removes the link, unless the history has removed unfinished files.
fn remove_link(file: &Path) {
    match fs::remove_file(file) {
        Err(_) if file.extension().is_some_and(|end| end == "new") => {}
        removed => removed.expect("the link is there"),
    }
}

#[test]
fn links_in_the_place_of_files_are_not_followed() {
    let folder = Folder::new();
    let directory = folder.path().join("history");
    leave(&directory);
    let segment = segment(&directory);
    for file in [
        directory.join("lock"),
        directory.join("manifest"),
        directory.join("manifest.new"),
        directory.join("events"),
        segment.clone(),
        segment.with_extension("closed"),
    ] {
        let elsewhere = folder.path().join("elsewhere");
        let kept = file.exists();
        if kept {
            fs::rename(&file, &elsewhere).expect("it is moved");
        } else {
            fs::write(&elsewhere, "of another user").expect("a file");
        }
        let before = fs::read(&elsewhere).expect("it is there");
        symlink(&elsewhere, &file).expect("a link");
        assert_refused(&directory, &file, "symbolic link");
        assert_eq!(fs::read(&elsewhere).expect("it is there"), before);
        remove_link(&file);
        let dangling = folder.path().join("dangling");
        symlink(&dangling, &file).expect("a link");
        assert_refused(&directory, &file, "symbolic link");
        assert!(!dangling.exists(), "{}", file.display());
        remove_link(&file);
        if kept {
            fs::rename(&elsewhere, &file).expect("it is moved back");
        }
    }
    open(&directory).expect("nothing was lost");
}

#[test]
fn pipes_sockets_and_directories_in_the_place_of_files_are_refused() {
    let folder = Folder::new();
    let directory = folder.path().join("history");
    leave(&directory);
    let segment = segment(&directory);
    for file in [
        directory.join("lock"),
        directory.join("manifest"),
        directory.join("events"),
        segment,
    ] {
        let aside = folder.path().join("aside");
        let kept = file.exists();
        if kept {
            fs::rename(&file, &aside).expect("it is moved");
        }
        let made = Command::new("mkfifo").arg(&file).status();
        assert!(made.expect("mkfifo").success());
        assert_refused(&directory, &file, "a pipe");
        fs::remove_file(&file).expect("it is there");
        let socket = UnixListener::bind(&file).expect("a socket");
        assert_refused(&directory, &file, "a socket");
        drop(socket);
        fs::remove_file(&file).expect("it is there");
        fs::create_dir(&file).expect("a directory");
        assert_refused(&directory, &file, "a directory");
        fs::remove_dir(&file).expect("it is there");
        if kept {
            fs::rename(&aside, &file).expect("it is moved back");
        }
    }
    open(&directory).expect("nothing was lost");
}

/// An operator may keep the history on another disk.
#[test]
fn the_directory_itself_may_be_a_link() {
    let folder = Folder::new();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    leave(&real);
    symlink(&real, &link).expect("a link");
    let transport = open(&link).expect("a history");
    assert_eq!(transport.newest_id().as_deref(), Some("one"));
}
