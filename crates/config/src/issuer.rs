//! Issuers and key sets while they are read (B-233 to B-238).

use talaria_hub::access::Algorithm;
use url::Url;

use crate::error::Error;
use crate::key;
use crate::key_set::Location;
use crate::lexer::Word;
use crate::list;
use crate::settings::{IssuerSettings, KeySetSettings, KeySettings, KeySource};
use crate::shown::show;
use crate::source::{Environment, Place};
use crate::tree::Line;

/// An issuer whose block is being read.
#[derive(Debug)]
pub(crate) struct IssuerDraft {
    pub(crate) settings: IssuerSettings,
    /// Which keys are empty, and the variables that are missing in them.
    pub(crate) missing: Vec<String>,
}

impl Default for IssuerDraft {
    fn default() -> Self {
        Self {
            settings: IssuerSettings::new("", Place::variable("")),
            missing: Vec::new(),
        }
    }
}

/// A role of an issuer whose block is being read.
#[derive(Debug, Default)]
pub(crate) struct RoleDraft {
    pub(crate) key: Option<KeySettings>,
    pub(crate) set: Option<KeySetSettings>,
    /// Which keys are empty, and the variables that are missing in them.
    pub(crate) missing: Vec<String>,
}

impl RoleDraft {
    /// What verifies the role's tokens; `None` if the key is empty, which means that the role is not
    /// configured (B-122).
    ///
    /// # Errors
    ///
    /// There is a key and a key set (B-237).
    pub(crate) fn finish(self) -> Result<Option<KeySource>, Error> {
        match (self.key, self.set) {
            (None, set) => Ok(set.map(KeySource::Set)),
            (Some(key), None) => Ok(Some(KeySource::Static(key))),
            (Some(key), Some(_)) => Err(Error::at(
                &key.place,
                "a role takes `jwt` or a key set, not both",
            )
            .remedy("remove one of them, or give the other key a separate `issuer` block")
            .hide_line()),
        }
    }
}

/// An issuer as the line of its block names it.
///
/// # Errors
///
/// There is not one identifier, or it is empty.
pub(crate) fn named(line: &Line) -> Result<IssuerDraft, Error> {
    let identifier = line.one("the issuer's identifier")?;
    list::one("issuer", identifier)?;
    if identifier.text.is_empty() {
        return Err(identifier
            .error("the issuer's identifier is empty")
            .remedy("write the value of the tokens' `iss` claim, for example https://localhost"));
    }
    Ok(IssuerDraft {
        settings: IssuerSettings::new(identifier.text.clone(), identifier.place.clone()),
        missing: Vec::new(),
    })
}

type Done = Result<(), Error>;

pub(crate) fn jwt(role: &mut RoleDraft, line: &Line, environment: Environment<'_>) -> Done {
    role.key = key::parse(line, environment, &mut role.missing)?;
    Ok(())
}

pub(crate) fn jwks_uri(role: &mut RoleDraft, line: &Line, _: Environment<'_>) -> Done {
    role.set = Some(key_set(line)?);
    Ok(())
}

pub(crate) fn jwks_discovery(role: &mut RoleDraft, line: &Line, _: Environment<'_>) -> Done {
    role.set = Some(KeySetSettings {
        location: Location::Discovered,
        algorithms: algorithms(&line.name.text, "", &line.without_block()?.args)?,
        place: line.name.place.clone(),
    });
    Ok(())
}

/// Reads `jwks_uri`, `publisher_jwks_url` or `subscriber_jwks_url` (B-236).
///
/// # Errors
///
/// The URL is neither `https` nor `file`, or an algorithm is unknown.
pub(crate) fn key_set(line: &Line) -> Result<KeySetSettings, Error> {
    let [address, listed @ ..] = line.without_block()?.args.as_slice() else {
        return Err(line
            .missing("a URL")
            .remedy("write for example jwks_uri https://issuer.example/.well-known/jwks.json"));
    };
    address.refuse_unreplaced()?;
    list::one(&line.name.text, address)?;
    Ok(KeySetSettings {
        location: location(address)?,
        algorithms: algorithms(&line.name.text, &address.text, listed)?,
        place: line.name.place.clone(),
    })
}

fn location(address: &Word) -> Result<Location, Error> {
    let url = Url::parse(&address.text).ok();
    let has_user = |url: &Url| !url.username().is_empty() || url.password().is_some();
    match url {
        Some(url) if has_user(&url) => Err(address
            .error("the address of a key set holds no user name and password")
            .remedy("remove them; what is published needs none")
            .hide_line()),
        Some(url) if url.scheme() == "https" && url.has_host() => Ok(Location::Url(url)),
        Some(url) if url.scheme() == "file" => {
            let path = url.to_file_path().map_err(|()| {
                address
                    .error(format!(
                        "{} does not name a file of this machine",
                        show(&address.text)
                    ))
                    .remedy("write file:///path/to/jwks.json")
            })?;
            Ok(Location::File(path))
        }
        _ => Err(address
            .error(format!(
                "{} is not an https:// or file:// URL; keys that come over plain HTTP may be anyone's",
                show(&address.text)
            ))
            .remedy(
                "write the https:// address, or save the set and write file:///path/to/jwks.json",
            )),
    }
}

fn algorithms(name: &str, address: &str, words: &[Word]) -> Result<Vec<Algorithm>, Error> {
    let algorithm = |word: &Word| {
        word.text.parse().map_err(|_| {
            let names = Algorithm::ALL.map(Algorithm::name).join(", ");
            word.error(format!("{} is not a signature algorithm", show(&word.text)))
                .remedy(format!("list some of {names}"))
        })
    };
    let before = format!("{name} {address}");
    let items = list::items(before.trim_end(), words)?;
    items.iter().map(algorithm).collect()
}
