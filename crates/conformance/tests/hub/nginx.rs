//! nginx in front of a hub, or as a plain web server.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use talaria_conformance::PATIENCE;
use tempfile::TempDir;

/// nginx with a configuration of the test's own; dropping it ends it.
pub struct Nginx {
    child: Child,
    _folder: TempDir,
    /// The port that it listens on.
    pub port: u16,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The workers end when their master does.
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        _ = self.child.wait();
    }
}

impl Nginx {
    /// Serves with these directives in a `server` block.
    pub fn serve(directives: &str) -> Self {
        let folder = TempDir::with_prefix("talaria-nginx-").unwrap();
        let path = folder.path().display();
        let port = talaria_conformance::free_port();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {path}/{kind};\n"))
            .concat();
        let text = format!(
            "daemon off;\npid {path}/pid;\nerror_log stderr;\nworker_processes 1;\nevents {{}}\n\
             http {{\naccess_log off;\ndefault_type text/html;\n{temporary}\
             server {{\nlisten 127.0.0.1:{port};\nserver_name localhost;\n{directives}\n}}\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        let search = std::env::var("PATH").unwrap_or_default();
        let child = Command::new("nginx")
            .env("PATH", format!("{search}:/usr/sbin"))
            .args(["-p".as_ref(), folder.path().as_os_str()])
            .args(["-c".as_ref(), file.as_os_str()])
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx is installed");
        let mut nginx = Self {
            child,
            _folder: folder,
            port,
        };
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = nginx.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "nginx does not listen"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        nginx
    }

    /// Passes everything on to a hub, with these further directives in its `location`.
    pub fn before(hub: u16, directives: &str) -> Self {
        Self::serve(&format!(
            "location / {{\nproxy_pass http://127.0.0.1:{hub};\nproxy_http_version 1.1;\n\
             proxy_set_header Connection \"\";\nproxy_set_header Host $http_host;\n{directives}\n}}"
        ))
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }
}
