//! What `talaria trust` and `untrust` print.

use std::fmt::Write as _;

use crate::serve::trust_stores::{Outcome, Root, Visit, is_container};

/// What happened when a root was installed, and what to do for programs with other stores.
pub(super) fn installed(root: &Root, visits: &[Visit]) -> String {
    let mut text = head(root, visits);
    text.push_str("\nRestart browsers that run. ");
    text.push_str(&elsewhere(
        root,
        visits.first().is_some_and(Visit::holds_root),
    ));
    text
}

/// What happened when a root was removed.
pub(super) fn removed(root: &Root, visits: &[Visit]) -> String {
    let mut text = head(root, visits);
    text.push_str(
        "\nRestart browsers that run. What you installed in Node.js, in Java or on another machine stays there.\n",
    );
    text
}

fn head(root: &Root, visits: &[Visit]) -> String {
    let mut text = format!("The root: {}\n\n", root.path.display());
    for visit in visits {
        let (word, why) = match &visit.outcome {
            Ok(Outcome::Added) => ("added", None),
            Ok(Outcome::Kept) => ("was there", None),
            Ok(Outcome::Removed) => ("removed", None),
            Ok(Outcome::Absent) => ("was not there", None),
            Ok(Outcome::LeftAlone(why)) => ("left alone", Some(why.clone())),
            Err(error) => ("failed", Some(error.to_string())),
        };
        // Writing to a string does not fail.
        _ = writeln!(text, "{word:<14}{}", visit.store);
        if !visit.readers.is_empty() {
            _ = writeln!(text, "{:14}read by {}", "", visit.readers);
        }
        for line in why.iter().flat_map(|why| why.lines()) {
            _ = writeln!(text, "{:14}{}", "", line.trim_start());
        }
    }
    text
}

/// The commands for programs that read none of these stores.
fn elsewhere(root: &Root, is_in_system: bool) -> String {
    let is_file = root.path.is_file();
    let path = match is_file {
        // Within single quotes a shell changes nothing but a single quote.
        true => root.path.display().to_string().replace('\'', r"'\''"),
        false => "root.crt".to_owned(),
    };
    let mut text = String::from("These programs do not read them:\n\n");
    let mut add = |who: &str, what: String| _ = writeln!(text, "{who:<14}{what}");
    if !is_file {
        add(
            "first",
            format!("talaria trust --cert {path}, after you saved the output of --print there"),
        );
    }
    if !is_in_system {
        add("curl", format!("curl --cacert '{path}' …"));
        add(
            "PHP",
            format!("php -d curl.cainfo='{path}' -d openssl.cafile='{path}' …"),
        );
    }
    add("Node.js", format!("export NODE_EXTRA_CA_CERTS='{path}'"));
    add("Python", match is_in_system {
        true => "requests: export REQUESTS_CA_BUNDLE=<the system's bundle, on Debian /etc/ssl/certs/ca-certificates.crt>".to_owned(),
        false => format!("export SSL_CERT_FILE='{path}' REQUESTS_CA_BUNDLE='{path}'"),
    });
    add(
        "Java",
        format!(
            "keytool -importcert -noprompt -cacerts -storepass changeit -alias talaria -file '{path}'"
        ),
    );
    add(
        "Firefox",
        "elsewhere: Settings, Certificates, Import; or the policy Certificates { Install }"
            .to_owned(),
    );
    if is_container() {
        text.push_str(
            "\nThis is a container: browsers outside it do not know the root. Copy it, there:\n\n",
        );
        _ = writeln!(text, "{:14}docker cp <container>:'{path}' root.crt", "copy");
    } else {
        text.push_str(
            "\nOn another machine, with the output of `talaria trust --print` in root.crt:\n\n",
        );
    }
    let mut add = |who: &str, what: &str| _ = writeln!(text, "{who:<14}{what}");
    add("Linux", "talaria trust --cert root.crt");
    add(
        "macOS",
        "sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain root.crt",
    );
    add(
        "Windows",
        "certutil -addstore -f Root root.crt  (as administrator)",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use talaria_config::Error;

    /// The text says of each store what happened, and names the commands for the programs that read none.
    #[test]
    fn each_store_is_told() {
        let pair = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&pair).unwrap().pem();
        let root = Root::parse(Path::new("/no/root.crt"), pem.as_bytes()).unwrap();
        let visit = |store: &str, outcome| Visit {
            store: store.to_owned(),
            readers: "",
            outcome,
        };
        let failed = || Err(Error::new("it cannot be written").remedy("run as root: cp"));
        let visits = [
            visit("/usr/x", failed()),
            visit("/home/y", Ok(Outcome::Added)),
        ];
        let text = installed(&root, &visits);
        for expected in [
            "failed        /usr/x\n              it cannot be written\n              run as root: cp\n",
            "added         /home/y\n",
            "NODE_EXTRA_CA_CERTS",
            "curl --cacert",
            "keytool",
            "security add-trusted-cert",
            "certutil -addstore",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        let visits = [visit("/usr/x", Ok(Outcome::Kept))];
        assert!(!installed(&root, &visits).contains("curl --cacert"));
        let text = removed(&root, &[visit("/usr/x", Ok(Outcome::Absent))]);
        assert!(text.contains("was not there /usr/x"), "{text}");
    }
}
