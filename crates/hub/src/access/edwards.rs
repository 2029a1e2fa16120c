//! Ed25519 public keys that anybody can make signatures for.

/// The order of the field, 2^255 - 19, as its lowest byte; the others are 0xff, and 0x7f the highest.
const LOWEST_OF_PRIME: u8 = 0xed;

/// The coordinates `y` of the eight points of small order, but for 0, 1 and -1: of those of order 8.
const ORDER_EIGHT: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// Whether a public key (RFC 8032, section 5.1.2) is not one of a private key: a point of small
/// order, for which a constant is a signature of a large share of all messages, or not in its one
/// form, which the libraries read differently. No key generator makes either.
pub(super) fn is_weak(key: &[u8]) -> bool {
    let Ok(mut y) = <[u8; 32]>::try_from(key) else {
        return true;
    };
    // The sign of `x` does not matter: both points are of the same order.
    y[31] &= 0x7f;
    let [lowest, middle @ .., highest] = y;
    let is_near_prime = highest == 0x7f && middle.iter().all(|byte| *byte == 0xff);
    let is_small = highest == 0 && middle.iter().all(|byte| *byte == 0);
    is_small && lowest <= 1
        // -1, and all that is not below the order of the field.
        || is_near_prime && lowest >= LOWEST_OF_PRIME - 1
        || ORDER_EIGHT.contains(&y)
}
