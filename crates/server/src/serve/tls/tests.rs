use talaria_config::settings::{AcmeSettings, AuthoritySettings, KeyKind};

use super::*;

/// Writes a self-signed certificate for a name, and its key.
fn files(folder: &std::path::Path, name: &str) -> CertificateSettings {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (certificate, key) = (folder.join("c.pem"), folder.join("k.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    CertificateSettings::Files { certificate, key }
}

fn certified(name: &str, source: &CertificateSettings) -> Certified {
    Certified {
        names: vec![name.to_owned()],
        source: source.clone(),
        only_tls13: false,
    }
}

/// A certificate that an authority issues goes on where its settings stay, and so does its task.
#[tokio::test]
async fn what_stays_the_same_goes_on() {
    let settings = |email: &str| {
        CertificateSettings::Acme(AcmeSettings {
            authorities: vec![AuthoritySettings {
                directory: "https://ca.test/dir".parse().unwrap(),
                email: Some(email.to_owned()),
                roots: None,
                binding: None,
                http_challenge: true,
                alpn_challenge: true,
            }],
            key: KeyKind::P256,
            http: true,
        })
    };
    let sni = SniSettings::default();
    let mut both = certified("a.talaria.test", &settings("a@b.test"));
    both.names.push("b.talaria.test".to_owned());
    let tls = Tls::new(&[both.clone()], &sni).unwrap();
    let kept = || tls.kept().clone();
    let first = kept();
    assert_eq!(first.len(), 2);
    both.names.remove(0);
    let other = certified("c.talaria.test", &settings("a@b.test"));
    tls.replace(tls.prepare(&[other, both.clone()], &sni).unwrap());
    assert!(Arc::ptr_eq(&kept()[1], &first[1]));
    both.source = settings("c@d.test");
    tls.replace(tls.prepare(&[both], &sni).unwrap());
    assert!(!Arc::ptr_eq(&kept()[0], &first[1]));
}

/// At a reload files are read again, and a list with a fault changes nothing.
#[tokio::test]
async fn certificates_are_exchanged() {
    let folder = tempfile::tempdir().unwrap();
    let source = files(folder.path(), "a.test");
    let sni = SniSettings::default();
    let tls = Tls::new(&[certified("a.test", &source)], &sni).unwrap();
    let shown = || tls.kept().first().unwrap().certificate.get().unwrap();
    let first = shown();
    files(folder.path(), "a.test");
    let prepared = tls.prepare(&[certified("a.test", &source)], &sni).unwrap();
    assert_eq!(shown().cert, first.cert);
    tls.replace(prepared);
    assert_ne!(shown().cert, first.cert);
    std::fs::write(folder.path().join("k.pem"), "garbage").unwrap();
    assert!(tls.prepare(&[certified("a.test", &source)], &sni).is_err());
    assert!(tls.root().is_none());
    let none = tls.prepare(&[], &sni).unwrap();
    tls.replace(none);
    assert!(tls.kept().is_empty());
}
