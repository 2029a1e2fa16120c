//! The root of a local authority under the name by which OpenSSL finds it in a folder.
//!
//! A program without the right to change the system's store trusts the root by `SSL_CERT_DIR`, beside
//! those of the system. The image sets it, so that health checks by HTTPS work for every user (B-871).

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::root::Root;

/// Writes the root beside its file, under the name by which OpenSSL looks for it.
///
/// # Errors
/// The folder cannot be written, or the name of the authority has a form that OpenSSL does not compare.
pub(super) fn write_beside(root: &Root) -> io::Result<()> {
    let name = file_name(&root.pem)
        .ok_or_else(|| io::Error::other("the name of the authority is not text"))?;
    let folder = root.path.parent().unwrap_or(Path::new("."));
    let place = folder.join(name);
    if std::fs::read(&place).ok().as_deref() != Some(root.pem.as_bytes()) {
        root.write(&place)?;
    }
    Ok(())
}

/// The hash of the subject, as `openssl x509 -subject_hash` prints it, and the suffix of a first certificate.
fn file_name(pem: &str) -> Option<String> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
    let canonical = canonical(certificate.subject())?;
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, &canonical);
    let mut name = String::new();
    // The first four bytes as a little-endian number.
    for byte in digest.as_ref().iter().take(4).rev() {
        // Writing to a string does not fail.
        _ = write!(name, "{byte:02x}");
    }
    name.push_str(".0");
    Some(name)
}

/// A name in the form that OpenSSL compares: its sets, without the sequence around them.
fn canonical(name: &X509Name<'_>) -> Option<Vec<u8>> {
    let mut sets = Vec::new();
    for set in name.iter() {
        let mut entries = Vec::new();
        for entry in set.iter() {
            entries.extend(tlv(0x30, &canonical_entry(entry)?));
        }
        sets.extend(tlv(0x31, &entries));
    }
    Some(sets)
}

/// Type and value: text in lower case, each gap one space.
fn canonical_entry(entry: &AttributeTypeAndValue<'_>) -> Option<Vec<u8>> {
    let value = entry.attr_value();
    let comparable = [Tag::Utf8String, Tag::PrintableString, Tag::Ia5String];
    if !comparable.contains(&value.tag()) {
        return None;
    }
    let text = std::str::from_utf8(value.data).ok()?;
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let text = words.join(" ").to_ascii_lowercase();
    let mut encoded = tlv(0x06, entry.attr_type().as_bytes());
    encoded.extend(tlv(0x0c, text.as_bytes()));
    Some(encoded)
}

/// A value with its tag and length in DER.
fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut encoded = vec![tag];
    match length.as_slice() {
        [] => encoded.push(0),
        [short] if *short < 0x80 => encoded.push(*short),
        long => {
            // A length of the machine has eight bytes at most.
            encoded.push(0x80 | u8::try_from(long.len()).unwrap_or(8));
            encoded.extend_from_slice(long);
        }
    }
    encoded.extend_from_slice(value);
    encoded
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair};

    /// OpenSSL gives the same name to roots of ours, of the existing hub, and with
    /// unusual names.
    #[test]
    fn the_name_is_that_of_openssl() {
        let folder = tempfile::tempdir().unwrap();
        for (organisation, name) in [
            ("", "Talaria Local Authority - Root"),
            ("", "Caddy Local Authority - 2026 ECC Root"),
            ("  Two   Gaps ", "Straße \u{c9} UPPER"),
            (&"long ".repeat(60), "x"),
        ] {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
            params.distinguished_name = DistinguishedName::new();
            if !organisation.is_empty() {
                params
                    .distinguished_name
                    .push(DnType::OrganizationName, organisation);
            }
            params.distinguished_name.push(DnType::CommonName, name);
            let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let path = folder.path().join("root.crt");
            std::fs::write(&path, made.pem()).unwrap();
            let asked = Command::new("openssl")
                .args(["x509", "-noout", "-subject_hash", "-in"])
                .arg(&path)
                .output()
                .unwrap();
            let expected = String::from_utf8(asked.stdout).unwrap();
            let expected = format!("{}.0", expected.trim());
            assert_eq!(file_name(&made.pem()), Some(expected.clone()), "{name}");

            let root = Root::read(&path).unwrap();
            write_beside(&root).unwrap();
            let written = std::fs::read_to_string(folder.path().join(expected)).unwrap();
            assert_eq!(written, root.pem);
        }
    }
}
