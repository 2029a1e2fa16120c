//! What is demanded of a server's certificate.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use talaria_transport::shared::backend::BackendError;

use crate::fault::fatal;
use crate::options::Mode;

/// The verifier for a mode. As libpq does, `Require` with an authority verifies what `VerifyCa` does.
///
/// # Errors
/// [`BackendError::Fatal`] if there are no certificates of authorities.
pub(crate) fn verifier(
    mode: Mode,
    roots: Option<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, BackendError> {
    let verifies = match mode {
        Mode::Disable | Mode::Prefer => false,
        Mode::Require => roots.is_some(),
        Mode::VerifyCa | Mode::VerifyFull => true,
    };
    if !verifies {
        return Ok(Arc::new(Lenient {
            inner: None,
            provider: Arc::clone(provider),
        }));
    }
    let inner: Arc<dyn ServerCertVerifier> = match roots {
        Some(roots) => {
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .build()
                .map_err(|error| {
                    fatal(
                        format!("the CA cannot be used: {error}"),
                        "set the certificates of the server's authority as PEM",
                    )
                })?
        }
        None => Arc::new(Verifier::new(Arc::clone(provider)).map_err(|error| {
            fatal(
                format!("the system's certificates cannot be read: {error}"),
                "install the system's certificates (`ca-certificates`), or set a CA",
            )
        })?),
    };
    if mode == Mode::VerifyFull {
        return Ok(inner);
    }
    Ok(Arc::new(Lenient {
        inner: Some(inner),
        provider: Arc::clone(provider),
    }))
}

/// Accepts any name, and any certificate if there is no `inner` one to ask.
#[derive(Debug)]
struct Lenient {
    inner: Option<Arc<dyn ServerCertVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified =
            inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // It checks the name last, so all else is as it should be.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
