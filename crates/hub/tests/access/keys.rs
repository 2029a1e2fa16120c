//! Which keys and issuers are usable (B-223 to B-225, B-238).

use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use serde_json::json;
use talaria_hub::access::{
    Algorithm, IssuerError, Issuers, KeyError, Role, VerificationKey, Verifier, mint,
};
use talaria_protocol::{Base, Limits};

use crate::material::{certificate, der, ecdsa, ed25519, pem};
use crate::{AUDIENCE, ISSUER, NOW, SECRET, claims, issuer, key, signed, verifier, with};

/// B-224, B-225: what is refused at start, with a remedy and without the key.
#[test]
fn unusable_keys_are_refused_at_start() {
    let public = ed25519().public[0].clone();
    let private = ed25519().private[0].clone();
    let p256 = ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING).public[0].clone();
    let damaged = public.replace('M', "?");
    let one_line = public.replace('\n', "\\n");
    let refuse = |material: &str, algorithm: Option<&str>| {
        let error = VerificationKey::new(material, algorithm).expect_err("unusable");
        let text = error.to_string();
        let body = material.lines().nth(1).unwrap_or_default();
        assert!(body.is_empty() || !text.contains(body), "{text}");
        error
    };
    assert_eq!(refuse("", None), KeyError::Empty);
    assert_eq!(refuse(&public, None), KeyError::PemWithoutAlgorithm);
    assert_eq!(
        refuse(&format!("\n  {public}"), Some("HS256")),
        KeyError::PemWithHmac(Algorithm::HS256)
    );
    for algorithm in ["hs256", "none", "", "ES256K"] {
        assert_eq!(
            refuse(SECRET, Some(algorithm)),
            KeyError::UnknownAlgorithm(algorithm.to_owned())
        );
    }
    for algorithm in ["RS256", "PS512", "ES512", "EdDSA"] {
        let error = refuse(SECRET, Some(algorithm));
        assert!(
            matches!(error, KeyError::SecretWithAsymmetric { .. }),
            "{error}"
        );
    }
    for material in [damaged.as_str(), one_line.as_str(), private.as_str()] {
        let error = refuse(material, Some("EdDSA"));
        assert!(matches!(error, KeyError::UnreadablePem(_)), "{error}");
    }
    for (material, algorithm) in [
        (&public, "RS256"),
        (&public, "ES256"),
        (&p256, "ES384"),
        (&p256, "EdDSA"),
    ] {
        let error = refuse(material, Some(algorithm));
        assert!(matches!(error, KeyError::OtherKind { .. }), "{error}");
    }
    // 1024 bits, too few for every algorithm.
    let modulus = [&[0u8, 0x81][..], &[0x55; 126], &[0x0f]].concat();
    let small = der(0x30, &[der(0x02, &modulus), der(0x02, &[1, 0, 1])].concat());
    let error = refuse(&pem("RSA PUBLIC KEY", &small), Some("RS256"));
    assert!(matches!(error, KeyError::OtherKind { .. }), "{error}");
    // A certificate cut short at any byte is refused, not a panic.
    let whole = certificate(&[0x30, 0]);
    for end in 0..whole.len() {
        refuse(&pem("CERTIFICATE", &whole[..end]), Some("EdDSA"));
    }
}

/// B-034: what cannot sign.
#[test]
fn unusable_signing_keys_are_refused() {
    let keys = ed25519();
    let refuse = |material: &str, algorithm: Option<&str>| {
        mint(&claims(), material, algorithm, None).expect_err("unusable")
    };
    assert_eq!(
        refuse(&keys.private[0], None),
        KeyError::PemWithoutAlgorithm
    );
    assert_eq!(
        refuse(&keys.private[0], Some("HS512")),
        KeyError::PemWithHmac(Algorithm::HS512)
    );
    for algorithm in ["RS256", "ES256"] {
        let error = refuse(&keys.private[0], Some(algorithm));
        assert!(matches!(error, KeyError::OtherKind { .. }), "{error}");
    }
    let error = refuse(&keys.public[0], Some("EdDSA"));
    assert!(matches!(error, KeyError::UnreadablePem(_)), "{error}");
    let error = refuse(&pem("ENCRYPTED PRIVATE KEY", b"x"), Some("EdDSA"));
    assert!(error.to_string().contains("openssl pkey"), "{error}");
}

/// B-1023, B-123: short and printed secrets work, with a warning; bytes are taken as they are.
#[test]
fn weak_secrets_warn() {
    assert_eq!(key(SECRET, Some("HS512")).weakness(), None);
    assert_eq!(key(&SECRET[..32], None).weakness(), None);
    for (length, algorithm) in [(31, "HS256"), (47, "HS384"), (63, "HS512")] {
        let weakness = key(&SECRET[..length], Some(algorithm))
            .weakness()
            .expect("weak");
        assert!(weakness.contains(&length.to_string()), "{weakness}");
    }
    for secret in ["!ChangeThisMercureHubJWTSecretKey!", "!ChangeMe!"] {
        let key = key(secret, None);
        let weakness = key.weakness().expect("weak");
        assert!(weakness.contains("documentation"), "{weakness}");
        let shown = format!("{key:?} {weakness}");
        assert!(!shown.contains("Change"), "{shown}");
        let token = mint(&claims(), secret, None, None).expect("a token");
        assert!(
            verifier(key)
                .verify(&token, Role::Publisher, &[AUDIENCE.to_owned()], NOW)
                .is_ok()
        );
    }
    let spaced = verifier(key(&format!(" {SECRET}\n"), None));
    let refusal = spaced.verify(
        &signed(&claims()),
        Role::Publisher,
        &[AUDIENCE.to_owned()],
        NOW,
    );
    assert_eq!(refusal.expect_err("another secret").code(), "bad_signature");
}

/// B-223: issuers that cannot be told apart, or have no role, are refused at start.
#[test]
fn unusable_issuers_are_refused_at_start() {
    let some = || Some(key(SECRET, None));
    assert_eq!(
        Issuers::new(vec![issuer("", some())]).expect_err("empty"),
        IssuerError::Empty
    );
    assert_eq!(
        Issuers::new(vec![issuer("a", some()), issuer("a", some())]).expect_err("twice"),
        IssuerError::Duplicate("a".to_owned())
    );
    assert_eq!(
        Issuers::new(vec![issuer("a", None)]).expect_err("no role"),
        IssuerError::NoRole("a".to_owned())
    );
    let issuers = Issuers::new(vec![issuer("a", some()), issuer("a/", some())]).expect("two");
    assert!(issuers.serves(Role::Publisher));
    assert!(!issuers.serves(Role::Subscriber));
}

/// B-238: a token is tried only with the key of the issuer it names.
#[test]
fn keys_of_issuers_are_never_pooled() {
    let other_secret = SECRET.replace('0', "z");
    let issuers = Issuers::new(vec![
        issuer(ISSUER, Some(key(SECRET, None))),
        issuer("https://b.example", Some(key(&other_secret, None))),
    ])
    .expect("issuers");
    let verifier = Verifier::new(issuers, Base::synthetic(), Limits::default());
    let verify = |token: &str| {
        verifier
            .verify(token, Role::Publisher, &[AUDIENCE.to_owned()], NOW)
            .map(|access| access.issuer)
            .map_err(|refusal| refusal.code())
    };
    let of_b = with("iss", json!("https://b.example"));
    assert_eq!(
        verify(&mint(&of_b, &other_secret, None, None).expect("a token")),
        Ok("https://b.example".to_owned())
    );
    assert_eq!(verify(&signed(&of_b)), Err("bad_signature"));
}
