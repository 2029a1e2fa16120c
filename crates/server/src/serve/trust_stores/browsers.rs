//! Where the browsers of this user keep what they trust.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use talaria_config::folders::data_home;

/// The most profiles of browsers that are visited.
const MOST: usize = 64;
/// What marks a folder as a database of certificates.
const MARK: &str = "cert9.db";

pub(super) const CHROMIUM: &str = "Chromium, Chrome, Edge, Brave, Vivaldi and Opera of this user";
pub(super) const FIREFOX: &str = "Firefox of this user, in this profile";
pub(super) const SYSTEM: &str = "programs that ask the system's NSS database";

/// Chromium and its like as Flatpak knows them; each has a home within its folder.
const FLATPAKS: [&str; 5] = [
    "org.chromium.Chromium",
    "com.google.Chrome",
    "com.microsoft.Edge",
    "com.brave.Browser",
    "com.vivaldi.Vivaldi",
];

/// Which databases get a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those that exist.
    Existing,
    /// Those too that a browser of this user would read, and that do not exist yet.
    Created,
}

/// A folder with a database of certificates, or one that may get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub folder: PathBuf,
    pub readers: &'static str,
}

impl Place {
    /// Whether there is a database.
    pub(super) fn exists(&self) -> bool {
        self.folder.join(MARK).is_file()
    }
}

/// The folders of a user.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    home: PathBuf,
    data: PathBuf,
    config: PathBuf,
    system: PathBuf,
}

impl Folders {
    /// Those of the user of this process; `None` without a home.
    pub(crate) fn of_user() -> Option<Self> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let home = PathBuf::from(variable("HOME")?);
        let config = variable("XDG_CONFIG_HOME").map(PathBuf::from);
        Some(Self {
            data: data_home(variable)?,
            config: config.unwrap_or_else(|| home.join(".config")),
            home,
            system: PathBuf::from("/etc/pki/nssdb"),
        })
    }

    /// The user to whom the home belongs, if that is another one than the superuser who runs this: what root
    /// writes there, its owner could not change.
    pub(super) fn other_owner(&self) -> Option<u32> {
        let owner = fs::metadata(&self.home).ok()?.uid();
        let is_root = rustix::process::geteuid().is_root();
        (is_root && owner != 0).then_some(owner)
    }

    /// The databases that exist.
    pub(super) fn existing(&self) -> Vec<Place> {
        let mut places = self.of_chromium();
        places.extend(self.of_firefox());
        places.push(Place {
            folder: self.system.clone(),
            readers: SYSTEM,
        });
        places.retain(Place::exists);
        places.truncate(MOST);
        places
    }

    /// The databases that browsers of this user would read if they existed.
    pub(super) fn missing(&self) -> Vec<Place> {
        let own = self.of_chromium();
        let has_default = self.defaults().iter().any(Place::exists);
        let mut missing: Vec<Place> = Vec::new();
        if !has_default {
            missing.extend(self.defaults().into_iter().next());
        }
        let defaults = self.defaults();
        let packaged = own.into_iter().filter(|place| !defaults.contains(place));
        missing.extend(packaged.filter(|place| !place.exists()));
        missing
    }

    /// The two folders of which a browser reads the first that exists.
    fn defaults(&self) -> [Place; 2] {
        [self.home.join(".pki/nssdb"), self.data.join("pki/nssdb")].map(|folder| Place {
            folder,
            readers: CHROMIUM,
        })
    }

    /// Those of Chromium and its like, of which a packaged one counts only if it was run once.
    fn of_chromium(&self) -> Vec<Place> {
        let mut places = self.defaults().to_vec();
        let snap = self.home.join("snap/chromium/current");
        let flatpaks = FLATPAKS.map(|name| self.home.join(".var/app").join(name));
        let homes = std::iter::once(snap).chain(flatpaks);
        places.extend(homes.filter(|home| home.is_dir()).map(|home| Place {
            folder: home.join(".pki/nssdb"),
            readers: CHROMIUM,
        }));
        places
    }

    /// Those of the profiles of Firefox.
    fn of_firefox(&self) -> Vec<Place> {
        let parents = [
            self.home.join(".mozilla/firefox"),
            self.config.join("mozilla/firefox"),
            self.home.join("snap/firefox/common/.mozilla/firefox"),
            self.home
                .join(".var/app/org.mozilla.firefox/.mozilla/firefox"),
            self.home
                .join(".var/app/org.mozilla.firefox/config/mozilla/firefox"),
        ];
        let profiles = parents.iter().flat_map(|parent| folders_in(parent));
        profiles
            .map(|folder| Place {
                folder,
                readers: FIREFOX,
            })
            .collect()
    }
}

/// The folders in a folder, in order.
fn folders_in(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = paths.filter(|path| path.is_dir()).take(MOST).collect();
    folders.sort();
    folders
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The folders of a user whose home is `home`.
    pub(crate) fn folders(home: &Path) -> Folders {
        Folders {
            home: home.to_owned(),
            data: home.join(".local/share"),
            config: home.join(".config"),
            system: home.join("etc"),
        }
    }

    fn touch(folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(MARK), "").unwrap();
    }

    /// The databases of each browser are found where it keeps them, and only those of browsers that the user has
    /// are created.
    #[test]
    fn databases_are_found() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let folders = folders(home);
        assert_eq!(folders.existing(), []);
        let missing: Vec<_> = folders.missing().into_iter().map(|p| p.folder).collect();
        assert_eq!(missing, [home.join(".pki/nssdb")]);

        let profiles = [
            ".mozilla/firefox/a.default",
            ".config/mozilla/firefox/b.default",
            "snap/firefox/common/.mozilla/firefox/c",
            ".var/app/org.mozilla.firefox/.mozilla/firefox/d",
        ];
        for profile in profiles {
            touch(&home.join(profile));
        }
        fs::create_dir_all(home.join(".mozilla/firefox/Crash Reports")).unwrap();
        touch(&home.join(".local/share/pki/nssdb"));
        touch(&home.join("etc"));
        fs::create_dir_all(home.join(".var/app/com.google.Chrome")).unwrap();
        assert_eq!(folders.existing().len(), profiles.len() + 2);
        let missing: Vec<_> = folders.missing().into_iter().map(|p| p.folder).collect();
        assert_eq!(
            missing,
            [home.join(".var/app/com.google.Chrome/.pki/nssdb")]
        );
    }
}
