//! Ed25519 public keys that anyone can make signatures for.

/// The lowest byte of the order of the field, 2^255 - 19. Its highest byte is 0x7f, the others are 0xff.
const LOWEST_OF_PRIME: u8 = 0xed;

/// The coordinates `y` of the points of order 8. Those of the other points of small order are 0, 1 and -1.
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

/// Whether a public key cannot belong to a private key. Such a key is a point of small order, for which
/// one constant is a valid signature of many messages, or a point not encoded in its canonical form,
/// which libraries read differently. No key generator makes either (RFC 8032, section 5.1.2).
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
        // This is -1 or a number that is not below the order of the field.
        || is_near_prime && lowest >= LOWEST_OF_PRIME - 1
        || ORDER_EIGHT.contains(&y)
}
