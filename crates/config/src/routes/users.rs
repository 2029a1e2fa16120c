//! The directive `basic_auth`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::texts::Texts;
use crate::error::Error;
use crate::lexer::Word;
use crate::settings::{Secret, UserSettings};
use crate::shown::show;
use crate::tree::Line;

/// A hash of a higher cost takes more than about 5 s, in which one request holds a processor.
const HIGHEST_COST: u32 = 16;

/// `basic_auth [<matcher>] [bcrypt [<realm>]] { <user> <hash> … }`.
///
/// # Errors
/// Another algorithm, no user, or what is not a hash by bcrypt.
pub(super) fn users(line: &Line, args: &[Word], texts: Texts<'_>) -> Result<UserSettings, Error> {
    let realm = match args {
        [] => "restricted",
        [algorithm, rest @ ..] if algorithm.text == "bcrypt" => match rest {
            [] => "restricted",
            [realm] => realm.text.as_str(),
            [_, surplus, ..] => {
                return Err(surplus
                    .error("`basic_auth` takes an algorithm and a realm, and nothing more")
                    .remedy("quote a realm that holds spaces"));
            }
        },
        [other, ..] => {
            return Err(other
                .error(format!(
                    "the algorithm {} is not supported",
                    show(&other.text)
                ))
                .remedy("hash the passwords with bcrypt"));
        }
    };
    if !realm.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        let word = args.last().unwrap_or(&line.name);
        return Err(word
            .error("a realm holds ASCII characters only")
            .remedy("write it in English letters"));
    }
    let mut users: Vec<(String, Secret)> = Vec::new();
    for option in line.block.iter().flatten() {
        let [hash] = option.without_block()?.args.as_slice() else {
            let error = option.name.error("a user needs one hash of a password");
            return Err(error
                .remedy(
                    "write `<user> <hash>`; `caddy hash-password` and `htpasswd -B` make hashes",
                )
                .hide_line());
        };
        let name = texts.fixed(&option.name, "the name of a user")?;
        if name.contains(':') {
            let error = option.name.error("the name of a user holds a colon");
            return Err(error.remedy("no browser can send it; choose another name"));
        }
        users.retain(|(known, _)| *known != name);
        users.push((name, self::hash(hash, texts)?));
    }
    if users.is_empty() {
        return Err(line.missing("a block of users and hashes of their passwords"));
    }
    Ok(UserSettings {
        realm: realm.to_owned(),
        users,
    })
}

/// A hash as bcrypt writes it, or that in Base64, as older files have it.
fn hash(word: &Word, texts: Texts<'_>) -> Result<Secret, Error> {
    let wrong = |problem: String| {
        word.error(problem)
            .remedy("write what `caddy hash-password` or `htpasswd -nB <user>` prints, in backquotes if a shell is in between")
            .hide_line()
    };
    let written = texts.fixed(word, "a hash").map_err(Error::hide_line)?;
    let decoded = || String::from_utf8(STANDARD.decode(&written).ok()?).ok();
    let hash = match written.starts_with('$') {
        true => Some(written),
        false => decoded(),
    };
    let hash = hash.filter(|hash| is_bcrypt(hash));
    let hash =
        hash.ok_or_else(|| wrong("this is not a hash of a password by bcrypt".to_owned()))?;
    match hash.get(4..6).and_then(|cost| cost.parse().ok()) {
        Some(4..=HIGHEST_COST) => Ok(Secret::new(hash)),
        _ => Err(wrong(format!(
            "the cost of this hash is not from 4 to {HIGHEST_COST}"
        ))),
    }
}

/// Whether a text has the form of a hash: `$2b$`, the cost, `$`, salt and hash.
fn is_bcrypt(text: &str) -> bool {
    let known = ["$2a$", "$2b$", "$2x$", "$2y$"];
    let is_known = known.iter().any(|prefix| text.starts_with(prefix));
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"./".contains(byte);
    let digits = text.as_bytes().get(7..).unwrap_or_default();
    is_known
        && text.as_bytes().get(6) == Some(&b'$')
        && digits.len() == 53
        && digits.iter().all(is_part)
}
