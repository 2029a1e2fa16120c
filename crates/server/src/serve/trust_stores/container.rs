//! Whether this process runs in a container.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// Files that container engines put into each container.
const MARKS: [&str; 2] = [".dockerenv", "run/.containerenv"];
/// Variables that container engines and orchestrators set.
const VARIABLES: [&str; 2] = ["container", "KUBERNETES_SERVICE_HOST"];
/// Parts of the names of control groups and mounts of containers.
const ENGINES: [&str; 6] = [
    "docker",
    "kubepods",
    "containerd",
    "libpod",
    "containers/storage",
    "lxc",
];

/// Whether this process runs in a container, whose stores belong to it alone.
pub(crate) fn is_container() -> bool {
    is_container_at(Path::new("/"), |name| std::env::var_os(name))
}

fn is_container_at(top: &Path, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let is_set = |name: &&str| variable(name).is_some_and(|value| !value.is_empty());
    MARKS.iter().any(|mark| top.join(mark).exists())
        || VARIABLES.iter().any(is_set)
        || mentions_engine(&top.join("proc/1/cgroup"), |_| true)
        || mentions_engine(&top.join("proc/self/mountinfo"), |line| {
            // The fifth word is where a file system is mounted.
            line.split(' ').nth(4) == Some("/")
        })
}

/// Whether one of these lines names a container engine.
fn mentions_engine(path: &Path, counts: impl Fn(&str) -> bool) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines().filter(|line| counts(line));
    lines.any(|line| ENGINES.iter().any(|engine| line.contains(engine)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)], variables: &[&str]) -> bool {
        let top = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = top.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        is_container_at(top.path(), |name| {
            variables.contains(&name).then(|| OsString::from("x"))
        })
    }

    #[test]
    fn containers_are_told_from_machines() {
        let machine = ("proc/1/cgroup", "0::/init.scope\n");
        let disk = (
            "proc/self/mountinfo",
            "27 1 254:0 / / rw - ext4 /dev/vda rw\n30 27 0:1 / /var/lib/docker/overlay2 rw - overlay overlay rw\n",
        );
        assert!(!found(&[], &[]));
        assert!(!found(&[machine, disk], &["HOME"]));
        for (files, variables) in [
            (&[(".dockerenv", "")][..], &[][..]),
            (&[("run/.containerenv", "")], &[]),
            (&[machine], &["container"]),
            (&[machine], &["KUBERNETES_SERVICE_HOST"]),
            (&[("proc/1/cgroup", "1:cpu:/docker/0123\n")], &[]),
            (
                &[(
                    "proc/self/mountinfo",
                    "9 1 0:1 / / rw - overlay overlay rw,upperdir=/var/lib/containerd/1/fs\n",
                )],
                &[],
            ),
        ] {
            assert!(found(files, variables), "{files:?} {variables:?}");
        }
    }
}
