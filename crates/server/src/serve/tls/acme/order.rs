//! One order of a certificate (RFC 8555, section 7.4).

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeHandle, ChallengeType,
    Error as AcmeError, Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair, RsaKeySize};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use talaria_config::Error;
use talaria_config::settings::KeyKind;

use super::authority::Authority;
use super::refusal::{is_because, problem_text, told};
use super::store::Issued;
use super::stored::Stored;
use crate::serve::log::in_one_line;
use crate::serve::tls::certificate::unchecked;
use crate::serve::tls::challenges::{Challenges, Offered};

/// How often and how long to ask whether a challenge was checked, or a certificate is ready.
const POLL: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(90));
/// The most characters of a token.
const TOKEN: usize = 512;

/// What is ordered.
pub(super) struct Wanted<'a> {
    pub name: &'a str,
    pub key: KeyKind,
    /// Whether the hub listens for plain HTTP.
    pub http: bool,
    pub challenges: &'a Challenges,
    /// The certificate that is renewed, if the authority takes part in deciding when.
    pub replaced: Option<&'a Stored>,
    /// How many attempts have failed before this one.
    pub attempt: u32,
}

/// Orders a certificate. If the first kind of challenge fails, the second is tried; later attempts try one each.
///
/// # Errors
/// The authority does not answer, refuses, or could not check the name.
pub(super) async fn order(authority: &Authority<'_>, wanted: &Wanted<'_>) -> Result<Issued, Error> {
    let mut account = authority.account().await?;
    let mut begun = begin(&account, wanted).await;
    if let Err(error) = &begun
        && is_because(error, "accountDoesNotExist")
    {
        authority.forget_account();
        account = authority.account().await?;
        begun = begin(&account, wanted).await;
    }
    let mut order = begun.map_err(|error| told(&error))?;
    let settings = authority.settings();
    let is_allowed = |kind: &ChallengeType| match kind {
        ChallengeType::Http01 => settings.http_challenge && wanted.http,
        _ => settings.alpn_challenge,
    };
    let mut kinds = vec![ChallengeType::Http01, ChallengeType::TlsAlpn01];
    kinds.retain(is_allowed);
    let mut failures: Vec<String> = Vec::new();
    for kind in of_attempt(kinds, wanted.attempt) {
        if !failures.is_empty() {
            // A challenge that failed ends its order.
            order = begin(&account, wanted)
                .await
                .map_err(|error| told(&error))?;
        }
        match validate(&mut order, &kind, wanted).await {
            Ok(()) => return finish(&mut order, wanted).await,
            Err(error) => failures.push(format!("{}: {}", shown(&kind), in_one_line(&error))),
        }
    }
    Err(Error::new(format!(
        "it could not check the name ({})",
        failures.join("; ")
    ))
    .remedy("let it reach this hub under that name: on port 80 for http-01, on port 443 for tls-alpn-01"))
}

/// The challenges of an attempt: all at the first, so that a name that only one can prove has its certificate at once;
/// then one by turns, because authorities bound how many may fail in an hour.
fn of_attempt<T>(mut kinds: Vec<T>, attempt: u32) -> Vec<T> {
    match attempt.checked_sub(1) {
        Some(turn) if kinds.len() > 1 => {
            let turn = usize::try_from(turn).unwrap_or_default() % kinds.len();
            vec![kinds.swap_remove(turn)]
        }
        _ => kinds,
    }
}

fn shown(kind: &ChallengeType) -> &'static str {
    match kind {
        ChallengeType::Http01 => "http-01",
        _ => "tls-alpn-01",
    }
}

async fn begin(account: &Account, wanted: &Wanted<'_>) -> Result<Order, AcmeError> {
    let names = [Identifier::Dns(wanted.name.to_owned())];
    let plain = NewOrder::new(&names);
    let replaced = wanted.replaced.and_then(|stored| {
        CertificateIdentifier::try_from(stored.leaf()?)
            .map(CertificateIdentifier::into_owned)
            .ok()
    });
    let Some(replaced) = replaced else {
        return account.new_order(&plain).await;
    };
    let order = NewOrder::new(&names).replaces(replaced);
    match account.new_order(&order).await {
        // It may have been replaced already, or the authority does not know this extension.
        Err(error) if is_because(&error, "alreadyReplaced") || is_because(&error, "malformed") => {
            account.new_order(&plain).await
        }
        Err(AcmeError::Unsupported(_)) => account.new_order(&plain).await,
        other => other,
    }
}

/// Proves that this hub serves the name.
async fn validate(
    order: &mut Order,
    kind: &ChallengeType,
    wanted: &Wanted<'_>,
) -> Result<(), Error> {
    if order.state().authorizations.len() != 1 {
        return Err(Error::new("it does not ask for one proof for the one name"));
    }
    let mut offered: Option<Offered> = None;
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(|error| told(&error))?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            _ => return Err(Error::new("its authorization is not valid any more")),
        }
        let challenge = authorization.challenge(kind.clone());
        let mut challenge =
            challenge.ok_or_else(|| Error::new("it does not offer this challenge"))?;
        offered = Some(offer(&challenge, kind, wanted)?);
        challenge.set_ready().await.map_err(|error| told(&error))?;
    }
    let ready = order.poll_ready(&POLL).await;
    drop(offered);
    match ready {
        Ok(OrderStatus::Ready | OrderStatus::Valid) => Ok(()),
        Ok(_) => Err(reason(order)
            .await
            .unwrap_or_else(|| Error::new("the order is invalid"))),
        Err(error) => Err(reason(order).await.unwrap_or_else(|| told(&error))),
    }
}

/// Why a challenge failed, as the authority says.
async fn reason(order: &mut Order) -> Option<Error> {
    let mut authorizations = order.authorizations();
    let mut authorization = authorizations.next().await?.ok()?;
    let state = authorization.refresh().await.ok()?;
    let problem = state
        .challenges
        .iter()
        .find_map(|challenge| challenge.error.as_ref())?;
    Some(Error::new(problem_text(problem)))
}

/// Answers a challenge until the guard is dropped.
fn offer(
    challenge: &ChallengeHandle<'_>,
    kind: &ChallengeType,
    wanted: &Wanted<'_>,
) -> Result<Offered, Error> {
    let is_base64url = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if challenge.token.len() > TOKEN || !challenge.token.bytes().all(is_base64url) {
        return Err(Error::new("the token of its challenge is not base64url"));
    }
    let proof = challenge.key_authorization();
    Ok(match kind {
        ChallengeType::Http01 => wanted
            .challenges
            .offer_answer(&challenge.token, proof.as_str()),
        _ => {
            let digest = proof.digest();
            let made = proving(wanted.name, digest.as_ref());
            let made = made.map_err(|error| {
                Error::new("the certificate for the challenge cannot be made").caused_by(error)
            })?;
            wanted.challenges.offer_certificate(wanted.name, made)
        }
    })
}

/// The certificate that answers TLS-ALPN-01 (RFC 8737, section 3).
fn proving(
    name: &str,
    digest: &[u8],
) -> Result<CertifiedKey, Box<dyn std::error::Error + Send + Sync>> {
    if digest.len() != 32 {
        return Err("its digest is not one of SHA-256".into());
    }
    let pair = KeyPair::generate()?;
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&pair)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der()));
    Ok(unchecked(vec![certificate.der().clone()], key)?)
}

/// Gets the certificate of an order that is ready.
async fn finish(order: &mut Order, wanted: &Wanted<'_>) -> Result<Issued, Error> {
    let (name, kind) = (wanted.name.to_owned(), wanted.key);
    // A key of RSA takes a second of the processor.
    let request = tokio::task::spawn_blocking(move || request(name, kind));
    let request = request.await.map_err(Error::from_cause)?;
    let (key, request) = request
        .map_err(|error| Error::new("the certificate request cannot be made").caused_by(error))?;
    order
        .finalize_csr(&request)
        .await
        .map_err(|error| told(&error))?;
    let chain = order
        .poll_certificate(&POLL)
        .await
        .map_err(|error| told(&error))?;
    Ok(Issued { chain, key })
}

/// A new key in PEM, and the request to certify it.
fn request(name: String, kind: KeyKind) -> Result<(String, Vec<u8>), rcgen::Error> {
    let key = match kind {
        KeyKind::P256 => KeyPair::generate()?,
        KeyKind::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384)?,
        KeyKind::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519)?,
        KeyKind::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048)?,
        KeyKind::Rsa4096 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_4096)?,
    };
    let mut params = CertificateParams::new([name])?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key)?;
    Ok((key.serialize_pem(), request.der().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each kind of key makes a request.
    #[test]
    fn each_kind_of_key_can_be_certified() {
        for kind in [
            KeyKind::P256,
            KeyKind::P384,
            KeyKind::Ed25519,
            KeyKind::Rsa2048,
        ] {
            let (key, request) = request("hub.example.com".to_owned(), kind).unwrap();
            assert!(
                key.contains("PRIVATE KEY") && !request.is_empty(),
                "{kind:?}"
            );
        }
    }

    /// After the first attempt, a failure costs one validation.
    #[test]
    fn challenges_take_turns() {
        let of = |attempt| of_attempt(vec!["http-01", "tls-alpn-01"], attempt);
        assert_eq!(of(0), ["http-01", "tls-alpn-01"]);
        assert_eq!((of(1), of(2)), (vec!["http-01"], vec!["tls-alpn-01"]));
        assert_eq!(of(3), ["http-01"]);
        assert_eq!(of_attempt(vec!["http-01"], 2), ["http-01"]);
        assert!(of_attempt(Vec::<&str>::new(), 2).is_empty());
    }

    #[test]
    fn a_challenge_has_its_certificate() {
        assert_eq!(proving("hub.example.com", &[7; 32]).unwrap().cert.len(), 1);
        assert!(proving("hub.example.com", &[7; 31]).is_err());
    }
}
