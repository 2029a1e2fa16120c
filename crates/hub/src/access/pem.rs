//! Reads keys in PEM form: finds the block that holds the key, and the key in it.

use super::key_error::KeyError;

/// Whether key material is PEM text, and so not a shared secret (B-224).
pub(super) fn is_pem(material: &[u8]) -> bool {
    const BEGIN: &str = "-----BEGIN ";
    // Bytes that are not UTF-8 may follow: they do not change how the text begins.
    let text = match str::from_utf8(material) {
        Ok(text) => text,
        Err(error) => str::from_utf8(&material[..error.valid_up_to()]).unwrap_or_default(),
    };
    text.trim_start().starts_with(BEGIN)
}

/// The DER of the public key in PEM text: a `SubjectPublicKeyInfo` or an `RSAPublicKey`.
pub(super) fn public_key(material: &[u8]) -> Result<Vec<u8>, KeyError> {
    for block in blocks(material)? {
        match block.tag() {
            "PUBLIC KEY" | "RSA PUBLIC KEY" => return Ok(block.into_contents()),
            "CERTIFICATE" => {
                return certified_key(block.contents()).ok_or(KeyError::UnreadablePem(
                    "the certificate is damaged; export it again",
                ));
            }
            tag if tag.ends_with("PRIVATE KEY") => {
                return Err(KeyError::UnreadablePem(
                    "it is a private key, but the hub verifies with the public one; extract that \
                     with `openssl pkey -pubout`, and keep the private key from the hub",
                ));
            }
            _ => {}
        }
    }
    Err(KeyError::UnreadablePem(
        "it has no block PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE; export the public key as PEM",
    ))
}

/// The DER of the private key in PEM text: PKCS#8, PKCS#1 (RSA) or SEC 1 (elliptic curves).
pub(super) fn private_key(material: &[u8]) -> Result<Vec<u8>, KeyError> {
    for block in blocks(material)? {
        match block.tag() {
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY"
                if block.headers().get("DEK-Info").is_none() =>
            {
                return Ok(block.into_contents());
            }
            tag if tag.ends_with("PRIVATE KEY") => {
                return Err(KeyError::UnreadablePem(
                    "the private key is encrypted; decrypt it with `openssl pkey`",
                ));
            }
            // `openssl ecparam -genkey` writes a block EC PARAMETERS before the key.
            "EC PARAMETERS" => {}
            _ => {
                return Err(KeyError::UnreadablePem(
                    "it is not a private key, and only a private key can sign; give the private key",
                ));
            }
        }
    }
    Err(KeyError::UnreadablePem(
        "it has no block PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY",
    ))
}

fn blocks(material: &[u8]) -> Result<Vec<::pem::Pem>, KeyError> {
    let unreadable = KeyError::UnreadablePem(
        "its lines from -----BEGIN to -----END or the base64 between them are damaged; give the \
         PEM text unchanged, with real line breaks and not \\n",
    );
    match ::pem::parse_many(material) {
        Ok(blocks) if !blocks.is_empty() => Ok(blocks),
        _ => Err(unreadable),
    }
}

/// The `subjectPublicKeyInfo` of an X.509 certificate (RFC 5280, section 4.1).
fn certified_key(certificate: &[u8]) -> Option<Vec<u8>> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut fields, _) = element(certificate.content, SEQUENCE)?;
    let fields = &mut fields.content;
    if fields.first() == Some(&VERSION) {
        next(fields)?;
    }
    // Skips serial number, signature algorithm, issuer, validity and subject.
    for _ in 0..5 {
        next(fields)?;
    }
    let (key, _) = element(fields, SEQUENCE)?;
    Some(key.whole.to_vec())
}

/// One DER element: `whole` has its header, `content` has not.
struct Element<'a> {
    tag: u8,
    whole: &'a [u8],
    content: &'a [u8],
}

fn next<'a>(bytes: &mut &'a [u8]) -> Option<Element<'a>> {
    let (element, rest) = read(bytes)?;
    *bytes = rest;
    Some(element)
}

fn element(bytes: &[u8], tag: u8) -> Option<(Element<'_>, &[u8])> {
    read(bytes).filter(|(element, _)| element.tag == tag)
}

/// Reads the first DER element (X.690, section 8.1) and returns what follows it.
fn read(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if !(1..=4).contains(&count) {
            return None;
        }
        let (octets, rest) = rest.split_at_checked(count)?;
        let length = octets
            .iter()
            .fold(0, |length, &octet| (length << 8) | usize::from(octet));
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    let whole = bytes.get(..bytes.len() - rest.len())?;
    Some((
        Element {
            tag,
            whole,
            content,
        },
        rest,
    ))
}
