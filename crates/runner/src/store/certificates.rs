//! The certificate authorities that clients of object stores trust.

use std::{fs, path::Path};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::error::StoreError;

/// Returns the certificates in the PEM file `bundle`, or those of Mozilla's authorities without a bundle.
/// Each is in DER format. The image's own certificates are not used: many images have none, and a backup must
/// not depend on the image.
pub fn authorities(bundle: Option<&Path>) -> Result<Vec<Vec<u8>>, StoreError> {
    let Some(path) = bundle else {
        let mozilla = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        return Ok(mozilla.map(|certificate| certificate.to_vec()).collect());
    };
    let pem = fs::read(path).map_err(|source| StoreError::CaBundle { path: path.to_owned(), source })?;
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&pem).map(|found| found.map(|der| der.to_vec())).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(StoreError::Configuration(
            format!("the CA bundle \"{}\" contains no PEM certificate", path.display()).into(),
        )),
    }
}
