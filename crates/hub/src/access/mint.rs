//! Self-issued access tokens (specification, "Authorization"; B-030 to B-039).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::key::choose_algorithm;
use super::{Algorithm, KeyError, pem};

/// Signs the claims as a JWT access token (`typ` `at+jwt`), in compact serialization.
///
/// The material is a raw secret, or a private key in PEM form: PKCS#8, PKCS#1 for RSA, SEC 1 for
/// elliptic curves. `algorithm` is needed with PEM, and defaults to HS256 otherwise (B-034).
/// The claims are taken as they are; which ones a token needs is the caller's affair.
///
/// # Errors
/// See [`KeyError`].
pub fn mint(
    claims: &Value,
    signing_material: &str,
    algorithm: Option<&str>,
    kid: Option<&str>,
) -> Result<String, KeyError> {
    let algorithm = choose_algorithm(signing_material, algorithm)?;
    let mut header = json!({ "alg": algorithm.name(), "typ": "at+jwt" });
    if let Some(kid) = kid {
        header["kid"] = kid.into();
    }
    let mut token = BASE64_URL_SAFE_NO_PAD.encode(header.to_string());
    token.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
    let signature = sign(token.as_bytes(), signing_material, algorithm)?;
    token.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

fn sign(message: &[u8], material: &str, algorithm: Algorithm) -> Result<Vec<u8>, KeyError> {
    if let Some(hmac) = algorithm.hmac() {
        let key = aws_lc_rs::hmac::Key::new(hmac, material.as_bytes());
        return Ok(aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec());
    }
    let der = pem::private_key(material)?;
    let other_kind = |_| KeyError::OtherKind { algorithm };
    let failed = |_| KeyError::Signing(algorithm);
    if let Some(encoding) = algorithm.rsa_signing() {
        let key = RsaKeyPair::from_pkcs8(&der)
            .or_else(|_| RsaKeyPair::from_der(&der))
            .map_err(other_kind)?;
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(encoding, &SystemRandom::new(), message, &mut signature)
            .map_err(failed)?;
        Ok(signature)
    } else if let Some(signing) = algorithm.ecdsa_signing() {
        let key = EcdsaKeyPair::from_pkcs8(signing, &der)
            .or_else(|_| EcdsaKeyPair::from_private_key_der(signing, &der))
            .map_err(other_kind)?;
        let signature = key.sign(&SystemRandom::new(), message).map_err(failed)?;
        Ok(signature.as_ref().to_vec())
    } else {
        // OpenSSL writes Ed25519 keys without the public half.
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(other_kind)?;
        Ok(key.sign(message).as_ref().to_vec())
    }
}
