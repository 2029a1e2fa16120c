//! The authority that a request is for.

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, Uri, Version};

/// A request without a usable authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// HTTP/1.1 demands the field (RFC 9112, section 3.2), HTTP/2 that or `:authority`.
    #[error("the Host header field is missing; send exactly one")]
    Missing,
    /// Two could be read differently by two servers (RFC 9112, section 3.2).
    #[error("the Host header field occurs more than once; send exactly one")]
    Repeated,
    /// Two servers could read the request differently (RFC 9113, section 8.3.1).
    #[error("the Host header field differs from :authority; send the same in both, or only one")]
    Contradicting,
    /// Not text that could be compared.
    #[error("the Host header field is not readable; send host and port in ASCII")]
    Unreadable,
}

/// Host and port of a request, as sent; empty only for HTTP/1.0 without the field.
///
/// # Errors
/// HTTP/1.1 without `Host`, HTTP/2 with neither that nor `:authority`, and any request with two.
pub fn host_of(parts: &Parts) -> Result<&str, HostError> {
    host(&parts.headers, &parts.uri, parts.version)
}

fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri, version: Version) -> Result<&'a str, HostError> {
    let mut fields = headers.get_all(HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(HostError::Repeated);
    }
    match (field, uri.authority()) {
        (Some(field), None) => field.to_str().map_err(|_| HostError::Unreadable),
        (Some(field), Some(authority))
            if version >= Version::HTTP_2 && field.as_bytes() != authority.as_str().as_bytes() =>
        {
            Err(HostError::Contradicting)
        }
        // HTTP/2 sends it in the target; so does a client that takes us for a proxy.
        (_, Some(authority)) if field.is_some() || version >= Version::HTTP_2 => {
            Ok(authority.as_str())
        }
        _ if version <= Version::HTTP_10 => Ok(""),
        _ => Err(HostError::Missing),
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: Version, uri: &str, hosts: &[&'static str]) -> Result<String, HostError> {
        let mut request = http::Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        host_of(&parts).map(str::to_owned)
    }

    #[test]
    fn http_1_1_needs_exactly_one_host() {
        assert_eq!(of(Version::HTTP_11, "/", &[]), Err(HostError::Missing));
        assert_eq!(
            of(Version::HTTP_11, "/", &["a", "a"]),
            Err(HostError::Repeated)
        );
        assert_eq!(of(Version::HTTP_11, "/", &["a:1"]), Ok("a:1".to_owned()));
        assert_eq!(
            of(Version::HTTP_11, "http://b/", &["a"]),
            Ok("b".to_owned())
        );
        assert_eq!(of(Version::HTTP_10, "/", &[]), Ok(String::new()));
        assert_eq!(of(Version::HTTP_2, "/", &[]), Err(HostError::Missing));
        assert_eq!(
            of(Version::HTTP_2, "http://b:2/", &[]),
            Ok("b:2".to_owned())
        );
    }
}
