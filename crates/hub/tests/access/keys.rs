//! The keys and issuers that are usable (B-223 to B-225, B-238).

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use talaria_hub::access::{
    Algorithm, IssuerError, Issuers, KeyError, KeySet, KeySetError, Role, SigningKey,
    VerificationKey, Verifier,
};
use talaria_protocol::{Base, Limits};

use crate::material::{certificate, der, ecdsa, ed25519, pem};
use crate::{
    AT_NOW, AUDIENCE, ISSUER, SECRET, claims, issuer, key, mint, parsed_key, signed, verifier, with,
};

/// Unusable keys are refused at the start, with a remedy that does not show the key (B-224, B-225).
#[test]
fn unusable_keys_are_refused_at_start() {
    let public = ed25519().public[0].clone();
    let private = ed25519().private[0].clone();
    let p256 = ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING).public[0].clone();
    let damaged = public.replace('M', "?");
    let one_line = public.replace('\n', "\\n");
    let refuse = |material: &str, algorithm: Option<&str>| {
        let error = parsed_key(material, algorithm).expect_err("unusable");
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
        let unknown = algorithm.parse::<Algorithm>().expect_err("unknown");
        assert_eq!(
            refuse(SECRET, Some(algorithm)),
            KeyError::UnknownAlgorithm(unknown)
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
    // A key of 1024 bits is too short for every algorithm.
    let modulus = [&[0u8, 0x81][..], &[0x55; 126], &[0x0f]].concat();
    let small = der(0x30, &[der(0x02, &modulus), der(0x02, &[1, 0, 1])].concat());
    let error = refuse(&pem("RSA PUBLIC KEY", &small), Some("RS256"));
    assert!(matches!(error, KeyError::OtherKind { .. }), "{error}");
    // A certificate that is cut short at any byte is refused, without a panic.
    let whole = certificate(&[0x30, 0]);
    for end in 0..whole.len() {
        refuse(&pem("CERTIFICATE", &whole[..end]), Some("EdDSA"));
    }
}

/// The eight points of small order, which a verifier has to refuse (RFC 8032, section 5.1.7).
const SMALL_ORDER: [&str; 8] = [
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];
/// These points in other forms, and values that are not below the order of the field.
const OTHER_FORMS: [&str; 8] = [
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16).expect("a digit")).expect("a digit"))
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// How many keys are taken of a set of this key alone.
fn alone(jwk: Value) -> Result<usize, KeySetError> {
    let set = KeySet::new(&[]);
    let json = json!({ "keys": [jwk] }).to_string();
    set.replace(json.as_bytes()).map(|taken| taken.keys)
}

fn base64(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A point for which every attacker can make signatures, on a curve or not, is refused at the start and
/// skipped in a set.
#[test]
fn keys_that_protect_nothing_are_refused() {
    for point in SMALL_ORDER.iter().chain(&OTHER_FORMS) {
        let point = bytes(point);
        let spki = [
            &[
                0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
            ][..],
            &point,
        ]
        .concat();
        for material in [
            pem("PUBLIC KEY", &spki),
            pem("CERTIFICATE", &certificate(&spki)),
        ] {
            let error = parsed_key(&material, Some("EdDSA")).expect_err("weak");
            assert!(
                error.to_string().contains("make a new"),
                "{point:?}: {error}"
            );
        }
        alone(json!({ "kty": "OKP", "crv": "Ed25519", "x": base64(&point) })).expect_err("weak");
    }
}

/// Points that are not on the curve P-256 are refused, as are zero and values beyond the field.
#[test]
fn points_that_are_not_on_the_curve_are_refused() {
    let on_curve = ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING).public[0].clone();
    assert!(parsed_key(&on_curve, Some("ES256")).is_ok());
    for (x, y) in [
        ([1; 32], [1; 32]),
        ([0; 32], [0; 32]),
        ([0xff; 32], [0xff; 32]),
    ] {
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": base64(&x), "y": base64(&y) });
        alone(jwk).expect_err("not on the curve");
        let spki = [
            &[
                0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
            ][..],
            &x,
            &y,
        ]
        .concat();
        parsed_key(&pem("PUBLIC KEY", &spki), Some("ES256")).expect_err("not on it");
    }
}

/// An RSA key whose exponent undoes nothing is refused, as is one with a small, an even or a huge modulus.
#[test]
fn rsa_keys_that_protect_nothing_are_refused() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let public = pair.public_key().as_ref();
    let modulus = &public[9..265];
    let mut even = modulus.to_vec();
    even[255] &= 0xfe;
    let small = &modulus[..128];
    let huge = modulus.repeat(5);
    let good: (&[u8], &[u8]) = (modulus, &[1, 0, 1]);
    for ((modulus, exponent), is_good) in [
        (good, true),
        ((modulus, &[0]), false),
        ((modulus, &[1]), false),
        ((modulus, &[2]), false),
        ((modulus, &[1, 0, 0]), false),
        ((modulus, &[1, 0, 0, 0, 0, 0, 1]), false),
        ((small, &[1, 0, 1]), false),
        ((&even, &[1, 0, 1]), false),
        ((&huge, &[1, 0, 1]), false),
    ] {
        let number = |bytes: &[u8]| der(0x02, &[&[0], bytes].concat());
        let pkcs1 = der(0x30, &[number(modulus), der(0x02, exponent)].concat());
        let key = parsed_key(&pem("RSA PUBLIC KEY", &pkcs1), Some("RS256"));
        assert_eq!(key.is_ok(), is_good, "{exponent:?} {}", modulus.len());
        let jwk = json!({ "kty": "RSA", "n": base64(modulus), "e": base64(exponent) });
        let taken = alone(jwk);
        assert_eq!(
            taken.is_ok(),
            is_good,
            "{exponent:?} {} {taken:?}",
            modulus.len()
        );
    }
}

/// A shared secret is neither PEM text nor used with a public-key algorithm (B-224).
#[test]
fn only_a_secret_is_read_as_a_secret() {
    let keys = ed25519();
    let verifying = |secret: &str, algorithm| {
        VerificationKey::from_secret(secret, algorithm).expect_err("not a secret")
    };
    let signing = |secret: &str, algorithm| {
        SigningKey::from_secret(secret, algorithm)
            .map(drop)
            .expect_err("not a secret")
    };
    for algorithm in [Algorithm::EdDSA, Algorithm::RS256, Algorithm::ES256] {
        for pem in [&keys.public[0], &keys.private[0]] {
            let expected = KeyError::PemAsSecret(algorithm);
            assert_eq!(verifying(pem, algorithm), expected);
            assert_eq!(signing(pem, algorithm), expected);
            assert!(expected.to_string().contains("from_pem"), "{expected}");
        }
        let expected = KeyError::SecretWithAsymmetric { algorithm };
        assert_eq!(verifying(SECRET, algorithm), expected);
        assert_eq!(signing(SECRET, algorithm), expected);
        assert_eq!(verifying("", algorithm), KeyError::Empty);
        assert_eq!(signing("", algorithm), KeyError::Empty);
    }
    let expected = KeyError::PemWithHmac(Algorithm::HS256);
    assert_eq!(verifying(&keys.public[0], Algorithm::HS256), expected);
    assert_eq!(signing(&keys.private[0], Algorithm::HS256), expected);
}

/// Keys that cannot sign are refused (B-034).
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

/// Short and printed secrets work, with a warning, and their bytes are used as they are (B-1023, B-123).
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
                .verify(&token, Role::Publisher, &[AUDIENCE.to_owned()], AT_NOW)
                .is_ok()
        );
    }
    let spaced = verifier(key(&format!(" {SECRET}\n"), None));
    let refusal = spaced.verify(
        &signed(&claims()),
        Role::Publisher,
        &[AUDIENCE.to_owned()],
        AT_NOW,
    );
    assert_eq!(refusal.expect_err("another secret").code(), "bad_signature");
}

/// Issuers that cannot be distinguished, or have no role, are refused at the start (B-223).
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

/// A token is verified only with the key of the issuer that it names (B-238).
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
            .verify(token, Role::Publisher, &[AUDIENCE.to_owned()], AT_NOW)
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
