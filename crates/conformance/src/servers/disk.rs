//! A small disk, which can be full.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// The file that takes the room.
const BALLAST: &str = "ballast";

/// Mounts a disk of `mebibytes` MiB on a folder.
///
/// # Panics
/// It is not permitted.
pub(super) fn mount(folder: &Path, mebibytes: u32) {
    let size = format!("size={mebibytes}m,mode=700");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &size, "talaria-test"])
        .arg(folder)
        .output()
        .expect("mount starts");
    assert!(
        mounted.status.success(),
        "{}",
        String::from_utf8_lossy(&mounted.stderr)
    );
}

/// Removes the disk, also one that is in use.
pub(super) fn unmount(folder: &Path) {
    _ = Command::new("umount").arg("--lazy").arg(folder).output();
}

/// Takes all its room.
///
/// # Panics
/// It cannot be written at all.
pub(super) fn fill(folder: &Path) {
    let mut file = File::create(folder.join(BALLAST)).expect("the disk can be written");
    let part = [0; 64 << 10];
    while file.write_all(&part).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
}

/// Gives the room back.
///
/// # Panics
/// It cannot be.
pub(super) fn empty(folder: &Path) {
    std::fs::remove_file(folder.join(BALLAST)).expect("the disk was filled");
}
