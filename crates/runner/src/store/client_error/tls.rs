//! Explains TLS connections to an object store that fail.

use domain::reason::Reason;
use jiff::Timestamp;
use object_store::Error;
use rustls::{CertificateError, Error as TlsError, InvalidMessage, pki_types::UnixTime};

use super::{cause::causes, explanation::Explanation};

/// Explains a TLS error; `None` for other errors.
pub fn explain(error: &Error, server: Option<&str>, field: &str) -> Option<Explanation> {
    let tls = causes(error).find_map(|cause| cause.downcast_ref::<TlsError>())?;
    let (text, hint) = match tls {
        TlsError::InvalidCertificate(error) => certificate(error, field),
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => (
            "the server does not use TLS on this port".to_owned(),
            Some(format!(
                "Write {field}.endpoint with http://, or with the port on which the server uses TLS."
            )),
        ),
        TlsError::AlertReceived(alert) => (format!("the server ended the TLS handshake: {alert:?}"), None),
        other => (format!("the TLS handshake failed: {other}"), None),
    };
    let text = match server {
        Some(server) => format!("{server}: {text}"),
        None => text,
    };
    let hint =
        hint.unwrap_or_else(|| format!("Check the TLS configuration of the server at {field}.endpoint."));
    Some(Explanation { reason: Reason::TlsFailed, text, hint: Some(hint) })
}

fn certificate(error: &CertificateError, field: &str) -> (String, Option<String>) {
    use CertificateError as Kind;
    let renew = || Some("Renew the server's certificate.".to_owned());
    let clock = || Some("Check the node's clock, and replace the server's certificate.".to_owned());
    let name = || Some(format!("Write {field}.endpoint with a host name that the certificate is valid for."));
    match error {
        Kind::Expired => ("the server's certificate has expired".to_owned(), renew()),
        Kind::ExpiredContext { not_after, .. } => {
            (format!("the server's certificate expired at {}", time(*not_after)), renew())
        }
        Kind::NotValidYet => ("the server's certificate is not valid yet".to_owned(), clock()),
        Kind::NotValidYetContext { not_before, .. } => {
            (format!("the server's certificate is not valid before {}", time(*not_before)), clock())
        }
        Kind::UnknownIssuer => (
            "an unknown certificate authority signed the server's certificate".to_owned(),
            Some(format!("Set {field}.caSecretRef to a Secret with the certificate of that authority.")),
        ),
        Kind::NotValidForName => {
            ("the server's certificate is not valid for the host of the endpoint".to_owned(), name())
        }
        Kind::NotValidForNameContext { expected, presented } => {
            let names: Vec<&str> = presented.iter().map(|name| plain_name(name)).collect();
            let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
            let text = format!(
                "the server's certificate is not valid for \"{}\"; it is valid for {names}",
                expected.to_str()
            );
            (text, name())
        }
        Kind::InvalidPurpose | Kind::InvalidPurposeContext { .. } => (
            "the server's certificate is not issued for servers (extended key usage)".to_owned(),
            Some("Issue the server a certificate with the extended key usage serverAuth.".to_owned()),
        ),
        Kind::Revoked => ("the server's certificate was revoked".to_owned(), renew()),
        // webpki makes this check, and rustls wraps webpki's error.
        Kind::Other(error) if error.0.to_string().contains("CaUsedAsEndEntity") => (
            "the server presents a certificate authority's own certificate (CA:TRUE)".to_owned(),
            Some(
                "Give the server a certificate of its own with CA:FALSE, signed by that authority."
                    .to_owned(),
            ),
        ),
        other => (format!("the server's certificate is invalid: {other}"), None),
    }
}

fn time(time: UnixTime) -> String {
    let time = i64::try_from(time.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(|time| time.to_string()).unwrap_or_default()
}

/// Returns the name in a text such as `DnsName("localhost")`.
fn plain_name(presented: &str) -> &str {
    presented.split('"').nth(1).unwrap_or(presented)
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use super::*;

    fn explained(error: TlsError) -> Explanation {
        let source = Box::new(io::Error::other(error));
        let error = Error::Generic { store: "S3", source };
        explain(&error, Some("https://minio:9000"), "storage.s3").unwrap()
    }

    #[test]
    fn tls_error_is_reported_with_its_cause_and_a_hint() {
        let time = UnixTime::since_unix_epoch(Duration::from_hours(438_288));
        let certificate = TlsError::InvalidCertificate;
        for (error, text, hint) in [
            (
                certificate(CertificateError::ExpiredContext { time, not_after: time }),
                "the server's certificate expired at 2020-01-01T00:00:00Z",
                "Renew the server's certificate.",
            ),
            (
                certificate(CertificateError::NotValidYetContext { time, not_before: time }),
                "the server's certificate is not valid before 2020-01-01T00:00:00Z",
                "Check the node's clock",
            ),
            (
                certificate(CertificateError::NotValidForNameContext {
                    expected: "minio".try_into().unwrap(),
                    presented: vec!["DnsName(\"minio.shop.svc\")".to_owned()],
                }),
                "the server's certificate is not valid for \"minio\"; it is valid for minio.shop.svc",
                "Write storage.s3.endpoint with a host name that the certificate is valid for.",
            ),
            (
                certificate(CertificateError::BadSignature),
                "the server's certificate is invalid: BadSignature",
                "Check the TLS configuration of the server at storage.s3.endpoint.",
            ),
            (
                TlsError::InvalidMessage(InvalidMessage::InvalidContentType),
                "the server does not use TLS on this port",
                "Write storage.s3.endpoint with http://",
            ),
        ] {
            let explained = explained(error);
            assert_eq!(explained.reason, Reason::TlsFailed);
            assert_eq!(explained.text, format!("https://minio:9000: {text}"));
            assert!(explained.hint.as_ref().unwrap().starts_with(hint), "{explained:?}");
        }
    }
}
