//! `talaria token`: mints access tokens and checks them (B-030 to B-044).

use std::process::ExitCode;

/// 2100-01-01, when development tokens end (B-030).
pub const DEV_EXPIRY: u64 = 4_102_444_800;

/// The issuer of development tokens (B-030).
pub const DEV_ISSUER: &str = "https://localhost";

/// The flags of `token`.
#[derive(clap::Args)]
pub struct Args {}

/// Mints or checks a token.
#[expect(clippy::needless_pass_by_value, reason = "placeholder")]
pub fn main(_args: Args) -> ExitCode {
    super::failure("minting is not connected yet")
}

/// A random `urn:uuid:` name (B-036).
///
/// # Errors
///
/// The system gives no random numbers.
pub fn uuid() -> Result<String, String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers: {error}"))?;
    // RFC 9562 section 5.4: version 4, variant 10.
    let number = u128::from_be_bytes(bytes) & !(0xf000_u128 << 64) & !(0xc000_u128 << 48);
    let hex = format!(
        "{:032x}",
        number | (0x4000_u128 << 64) | (0x8000_u128 << 48)
    );
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    );
    Ok(format!("urn:uuid:{a}-{b}-{c}-{d}-{e}"))
}
