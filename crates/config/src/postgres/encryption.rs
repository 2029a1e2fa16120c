//! How connections are encrypted: `sslmode` and the files beside it.

use super::known::Written;
use crate::error::Error;
use crate::pem;
use crate::settings::{PostgresTlsMode as Mode, PostgresTlsSettings};
use crate::shown::show;

/// The authorities that this machine trusts, as a value of `sslrootcert`.
const SYSTEM: &str = "system";

/// Reads the parameters of encryption.
pub(super) struct Encryption<'a> {
    /// Where each is written, by its name.
    pub(super) written: &'a dyn Fn(&str) -> Option<&'a Written>,
}

impl Encryption<'_> {
    /// What they say.
    ///
    /// # Errors
    ///
    /// One is wrong, or has no effect beside the others.
    pub(super) fn settings(&self) -> Result<PostgresTlsSettings, Error> {
        let written = self.written;
        let root = written("sslrootcert");
        let is_system = root.is_some_and(|(text, _)| text == SYSTEM);
        let mode = match self.mode()? {
            None if is_system => Mode::VerifyFull,
            // As in libpq: a client that names an authority expects that the certificate is checked.
            Some(Mode::Require) if root.is_some() && !is_system => Mode::VerifyCa,
            mode => mode.unwrap_or_default(),
        };
        let verifies = matches!(mode, Mode::VerifyCa | Mode::VerifyFull);
        if let Some((_, place)) = root
            && (!verifies || is_system && mode != Mode::VerifyFull)
        {
            return Err(Error::at(
                place,
                "`sslrootcert` has no effect without sslmode=verify-full",
            )
            .remedy("write sslmode=verify-full; the certificate must then name the host"));
        }
        if let (Mode::VerifyCa, None, Some((_, place))) = (mode, root, written("sslmode")) {
            return Err(Error::at(
                place,
                "with sslmode=verify-ca and no `sslrootcert`, any certificate of a public authority would do",
            )
            .remedy("write sslmode=verify-full, or name the file of your own authority in `sslrootcert`"));
        }
        let ca = root.filter(|_| !is_system);
        let ca = ca.map(|(path, place)| pem::file(place, path, "CERTIFICATE"));
        Ok(PostgresTlsSettings {
            mode,
            ca: ca.transpose()?,
            identity: self.identity(mode)?,
        })
    }

    fn mode(&self) -> Result<Option<Mode>, Error> {
        let Some((text, place)) = (self.written)("sslmode") else {
            return Ok(None);
        };
        Ok(Some(match text.as_str() {
            "disable" => Mode::Disable,
            "prefer" => Mode::Prefer,
            "require" => Mode::Require,
            "verify-ca" => Mode::VerifyCa,
            "verify-full" => Mode::VerifyFull,
            "allow" => {
                return Err(Error::at(place, "sslmode=allow is not supported")
                    .remedy("write sslmode=prefer"));
            }
            other => {
                return Err(Error::at(
                    place,
                    format!("`sslmode` is {}, which is not a mode", show(other)),
                )
                .remedy("write disable, prefer, require, verify-ca or verify-full"));
            }
        }))
    }

    fn identity(
        &self,
        mode: Mode,
    ) -> Result<Option<(std::path::PathBuf, std::path::PathBuf)>, Error> {
        let alone = |(_, place): &Written, name: &str, other: &str| {
            Error::at(place, format!("`{name}` stands without `{other}`"))
                .remedy(format!("write `{other}` too, the path of a file in PEM"))
        };
        match ((self.written)("sslcert"), (self.written)("sslkey")) {
            (None, None) => Ok(None),
            (Some(certificate), None) => Err(alone(certificate, "sslcert", "sslkey")),
            (None, Some(key)) => Err(alone(key, "sslkey", "sslcert")),
            (Some((_, place)), Some(_)) if mode == Mode::Disable => Err(Error::at(
                place,
                "`sslcert` has no effect with sslmode=disable",
            )
            .remedy("write sslmode=verify-full, or remove `sslcert` and `sslkey`")),
            (Some((certificate, place)), Some((key, of_key))) => Ok(Some((
                pem::file(place, certificate, "CERTIFICATE")?,
                pem::file(of_key, key, "PRIVATE KEY")?,
            ))),
        }
    }
}
