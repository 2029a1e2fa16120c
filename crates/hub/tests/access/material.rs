//! Keys in every form in which they may be written.

use aws_lc_rs::encoding::{AsDer as _, EcPrivateKeyRfc5915Der, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

pub(crate) fn pem(tag: &str, der: &[u8]) -> String {
    let base64 = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("ASCII"))
        .collect();
    format!(
        "-----BEGIN {tag}-----\n{}\n-----END {tag}-----\n",
        lines.join("\n")
    )
}

/// One DER element.
pub(crate) fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("short").to_be_bytes();
    match length {
        [0, short @ ..0x80] => [&[tag, short], content].concat(),
        [0, length] => [&[tag, 0x81, length], content].concat(),
        [..] => [&[tag, 0x82], &length[..], content].concat(),
    }
}

/// A certificate of this key. The hub reads nothing else of it.
pub(crate) fn certificate(subject_public_key_info: &[u8]) -> Vec<u8> {
    let empty = der(0x30, &[]);
    let fields = [
        der(0xa0, &der(0x02, &[2])),
        der(0x02, &[1]),
        empty.clone(),
        empty.clone(),
        empty.clone(),
        empty.clone(),
        subject_public_key_info.to_vec(),
    ]
    .concat();
    der(0x30, &[der(0x30, &fields), empty, der(0x03, &[0])].concat())
}

/// A private and a public key in every form in which they may be written.
pub(crate) struct Keys {
    pub(crate) private: Vec<String>,
    pub(crate) public: Vec<String>,
}

pub(crate) fn rsa() -> Keys {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der().expect("PKCS#8");
    let spki = pair.public_key().as_der().expect("SPKI");
    Keys {
        private: vec![
            pem("PRIVATE KEY", pkcs8.as_ref()),
            pem("RSA PRIVATE KEY", &inner_octets(pkcs8.as_ref())),
        ],
        public: vec![
            pem("PUBLIC KEY", spki.as_ref()),
            pem("RSA PUBLIC KEY", pair.public_key().as_ref()),
            pem("CERTIFICATE", &certificate(spki.as_ref())),
        ],
    }
}

/// The PKCS#1 key within a PKCS#8 key: the octet string is its last element, and its length is in long form.
fn inner_octets(pkcs8: &[u8]) -> Vec<u8> {
    let at = pkcs8
        .windows(2)
        .position(|pair| pair == [0x04, 0x82])
        .expect("an octet string");
    pkcs8[at + 4..].to_vec()
}

pub(crate) fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> Keys {
    let pair = EcdsaKeyPair::generate(algorithm).expect("a key");
    let sec1: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().expect("SEC 1");
    let spki = pair.public_key().as_der().expect("SPKI");
    Keys {
        private: vec![
            pem("PRIVATE KEY", pair.to_pkcs8v1().expect("PKCS#8").as_ref()),
            pem("EC PRIVATE KEY", sec1.as_ref()),
            // As `openssl ecparam -genkey` writes it.
            pem("EC PARAMETERS", b"\x06\x00") + &pem("EC PRIVATE KEY", sec1.as_ref()),
        ],
        public: vec![
            pem("PUBLIC KEY", spki.as_ref()),
            pem("CERTIFICATE", &certificate(spki.as_ref())),
        ],
    }
}

pub(crate) fn ed25519() -> Keys {
    let pair = Ed25519KeyPair::generate().expect("a key");
    let spki = pair.public_key().as_der().expect("SPKI");
    Keys {
        private: vec![
            pem("PRIVATE KEY", pair.to_pkcs8().expect("PKCS#8").as_ref()),
            pem("PRIVATE KEY", pair.to_pkcs8v1().expect("PKCS#8").as_ref()),
        ],
        public: vec![
            pem("PUBLIC KEY", spki.as_ref()),
            pem("CERTIFICATE", &certificate(spki.as_ref())),
        ],
    }
}
