//! Tells the program from which commit and for which target it is built.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a source without history says; git replaces it when it makes an archive (`.gitattributes`).
const ARCHIVED: &str = include_str!("commit.txt");

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=commit.txt");
    println!("cargo::rerun-if-env-changed=TALARIA_COMMIT");
    let target = std::env::var("TARGET").unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo::rustc-env=TALARIA_TARGET={target}");
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(PathBuf::new, PathBuf::from);
    let commit = given()
        .or_else(|| of_package(&folder))
        .or_else(|| of_archive(ARCHIVED))
        .or_else(|| of_repository(&folder))
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=TALARIA_COMMIT={commit}");
}

/// What the packager says.
fn given() -> Option<String> {
    hash(&std::env::var("TALARIA_COMMIT").ok()?)
}

/// What `cargo package` has noted beside the manifest.
fn of_package(folder: &Path) -> Option<String> {
    let noted = std::fs::read_to_string(folder.join(".cargo_vcs_info.json")).ok()?;
    let (_, after) = noted.split_once("\"sha1\"")?;
    hash(after.split('"').nth(1)?)
}

/// What `git archive`, and so the archive of a release, has put into the file.
fn of_archive(text: &str) -> Option<String> {
    hash(text)
}

/// The commit of the work tree, if it is that of this workspace and not one that it was unpacked into.
fn of_repository(folder: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(folder).args(arguments);
        let output = command.output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let top = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?);
    let workspace = folder.join("../..").canonicalize().ok()?;
    if top.canonicalize().ok()? != workspace {
        return None;
    }
    // What moves when there is a new commit.
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    let moving = ["HEAD", "packed-refs"].map(str::to_owned);
    for name in moving.into_iter().chain(branch) {
        if let Some(path) = git(&["rev-parse", "--git-path", &name]) {
            let path = folder.join(path);
            // Cargo would build again and again for a file that does not exist.
            if path.exists() {
                println!("cargo::rerun-if-changed={}", path.display());
            }
        }
    }
    hash(&git(&["rev-parse", "HEAD"])?)
}

/// The text, if it is the hash of a commit, which a placeholder is not.
fn hash(text: &str) -> Option<String> {
    let text = text.trim();
    let is_hash = text.len() >= 7 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| text.to_owned())
}
