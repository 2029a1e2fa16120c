//! An authority for tests: Let's Encrypt's `pebble`, with `pebble-challtestsrv` as its name server, which says that
//! every name is this machine.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use talaria_conformance::hub::Home;
use talaria_conformance::log::Log;
use talaria_conformance::{PATIENCE, free_port};

/// How the authority behaves.
#[derive(Debug, Clone, Copy)]
pub struct Ways {
    /// How many seconds its certificates are valid.
    pub validity: u64,
    /// The key of an external account that it demands.
    pub external: Option<(&'static str, &'static str)>,
    /// Whether it finds the hub's port of plain HTTP.
    pub finds_http: bool,
}

impl Default for Ways {
    fn default() -> Self {
        Self {
            validity: 90 * 24 * 3600,
            external: None,
            finds_http: true,
        }
    }
}

/// A running authority; dropping it ends it.
pub struct Pebble {
    /// The ports on which it looks for the hub.
    pub http: u16,
    pub https: u16,
    port: u16,
    management: u16,
    folder: Home,
    log: Log,
    processes: Vec<Child>,
}

impl Pebble {
    pub fn start(ways: Ways) -> Self {
        let ports = std::array::from_fn(|_| free_port());
        Self::start_on(ports, ways)
    }

    /// Another authority at the same address, which knows nothing of the accounts of this one.
    pub fn forgetful(mut self) -> Self {
        self.end();
        let ports = [self.http, self.https, self.port, self.management];
        Self::start_on(ports, Ways::default())
    }

    fn start_on([http, https, port, management]: [u16; 4], ways: Ways) -> Self {
        let folder = Home::new();
        crate::https::certify(folder.path(), "localhost", ["server.pem", "server.key"]);
        let (names, unused) = (free_port(), free_port());
        let keys: serde_json::Map<_, _> = (ways.external.iter())
            .map(|(id, key)| ((*id).to_owned(), (*key).into()))
            .collect();
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": "server.pem",
            "privateKey": "server.key",
            "httpPort": if ways.finds_http { http } else { unused },
            "tlsPort": https,
            "ocspResponderURL": "",
            "certificateValidityPeriod": ways.validity,
            "externalAccountBindingRequired": ways.external.is_some(),
            "externalAccountMACKeys": keys,
        }});
        std::fs::write(folder.path().join("pebble.json"), config.to_string()).expect("a file");
        let names = format!("127.0.0.1:{names}");
        let server = Command::new("pebble-challtestsrv")
            .args([
                "-dns01",
                &names,
                "-http01",
                "",
                "-https01",
                "",
                "-tlsalpn01",
                "",
            ])
            .args([
                "-defaultIPv6",
                "",
                "-management",
                &format!("127.0.0.1:{}", free_port()),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pebble-challtestsrv is installed");
        let mut pebble = Command::new("pebble")
            .args(["-config", "pebble.json", "-strict", "-dnsserver", &names])
            .current_dir(folder.path())
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_VA_ALWAYS_VALID", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("pebble is installed");
        let log = Log::collect(pebble.stdout.take().expect("its output is ours"));
        let begun = log.find(0, PATIENCE, |line| {
            line.contains("ACME directory available").then_some(())
        });
        begun.expect("pebble starts");
        Self {
            http,
            https,
            port,
            management,
            folder,
            log,
            processes: vec![pebble, server],
        }
    }

    /// Ends it, so that its port is closed.
    pub fn end(&mut self) {
        for mut process in self.processes.drain(..) {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// The URL of its directory.
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.port)
    }

    /// The folder of its files in a data folder.
    pub fn files(&self) -> String {
        format!("localhost-{}-dir", self.port)
    }

    /// The root of its own server.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    /// The global options by which a hub asks it, and is found by it.
    pub fn options(&self) -> String {
        format!(
            "http_port {}\nhttps_port {}\nskip_install_trust\nacme_ca {}\nacme_ca_root {}\n",
            self.http,
            self.https,
            self.directory(),
            self.root().display()
        )
    }

    /// How many certificates were ordered.
    pub fn orders(&self) -> usize {
        let lines = self.log.since(0);
        lines
            .iter()
            .filter(|line| line.contains("POST /order-plz"))
            .count()
    }

    /// The root of what it issues, in a file.
    pub fn issuing_root(&self) -> PathBuf {
        let path = self.folder.path().join("issuing.pem");
        let url = format!("https://localhost:{}/roots/0", self.management);
        let root = curl(&self.root(), &[&url]);
        std::fs::write(&path, root.stdout).expect("a file");
        path
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.end();
    }
}

/// `curl` that trusts this root alone.
pub fn curl(root: &Path, arguments: &[&str]) -> Output {
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "20", "--cacert"])
        .arg(root)
        .args(arguments)
        .output();
    output.expect("curl is installed")
}
