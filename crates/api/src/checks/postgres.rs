//! Rules for the PostgreSQL version, the connection to the server, and the choice of databases.

use super::Check;

/// Exactly one of `version` and `image` must be set. It selects the image that the runner's pod uses.
pub const VERSION_OR_IMAGE: Check = Check {
    cel: "has(self.image) != has(self.version)",
    message: "write exactly one of version and image, for example version: 17",
};

/// `image` must be the name of an image, without white space.
pub const IMAGE: Check = Check {
    cel: r"self.matches(r'^\S+$')",
    message: "image must be the name of an image without spaces, for example docker.io/library/postgres:17",
};

/// `host` must be a host name or an IP address, without a port.
pub const HOST: Check = Check {
    cel: "self.matches('^[A-Za-z0-9._-]+$') || isIP(self)",
    message: "host must be one host name or IP address, for example shop-db.shop.svc. Write the port in the field port.",
};

/// Exactly one of `host` and `uriSecretRef` must be set.
pub const HOST_OR_URI: Check = Check {
    cel: "has(self.host) != has(self.uriSecretRef)",
    message: "write exactly one of host and uriSecretRef",
};

/// Beside `uriSecretRef`, no port, user or password must be set, because the connection URI contains them.
pub const URI_ALONE: Check = Check {
    cel: "has(self.uriSecretRef) && !has(self.host) ? !(has(self.user) || has(self.userSecretRef) || has(self.passwordSecretRef)) && self.port == 5432 : true",
    message: "uriSecretRef excludes port, user, userSecretRef and passwordSecretRef, because the URI contains them. Remove these fields.",
};

/// Beside `host`, exactly one of `user` and `userSecretRef` must be set.
pub const USER_OR_SECRET: Check = Check {
    cel: "has(self.uriSecretRef) || !has(self.host) ? true : has(self.user) != has(self.userSecretRef)",
    message: "write exactly one of user and userSecretRef",
};

/// Beside `host`, `passwordSecretRef`, `clientCertificateSecretRef` or both must be set.
pub const PASSWORD_OR_CERTIFICATE: Check = Check {
    cel: "has(self.uriSecretRef) || !has(self.host) ? true : has(self.passwordSecretRef) || has(self.clientCertificateSecretRef)",
    message: "write passwordSecretRef, clientCertificateSecretRef or both",
};

/// The modes `verify-ca` and `verify-full` of `sslMode` require `caSecretRef`, the certificate that verifies
/// the server.
pub const CA_REQUIRED: Check = Check {
    cel: "self.sslMode.startsWith('verify-') ? has(self.caSecretRef) : true",
    message: "sslMode verify-ca and verify-full require caSecretRef. Write the Secret key that contains the CA's certificate, for example {name: shop-ca, key: ca.crt}.",
};

/// `caSecretRef` requires that `sslMode` is `verify-ca` or `verify-full`, because the other modes do not use
/// the certificate.
pub const CA_UNUSED: Check = Check {
    cel: "has(self.caSecretRef) ? self.sslMode.startsWith('verify-') : true",
    message: "caSecretRef requires sslMode verify-ca or verify-full. Change sslMode, or remove caSecretRef.",
};

/// `clientCertificateSecretRef` requires that `sslMode` is not `disable`, because only an encrypted
/// connection sends the certificate.
pub const CERTIFICATE_UNUSED: Check = Check {
    cel: "has(self.clientCertificateSecretRef) ? self.sslMode != 'disable' : true",
    message: "clientCertificateSecretRef requires an encrypted connection. Change sslMode from disable to another mode, for example require.",
};

/// `include` and `exclude` must not contain the same entry.
pub const INCLUDED_AND_EXCLUDED: Check = Check {
    cel: "!has(self.exclude) || self.include.all(name, !(name in self.exclude))",
    message: "include and exclude must not contain the same entry. Remove the entry from one of them.",
};

/// `include` and `retired` must not contain the same entry, because `retired` names deleted databases.
pub const INCLUDED_AND_RETIRED: Check = Check {
    cel: "!has(self.retired) || self.include.all(name, !(name in self.retired))",
    message: "include and retired must not contain the same entry, because retired is for deleted databases. Remove the entry from one of them.",
};

/// `retired` must contain names of databases, not patterns with `*` or `?`.
pub const RETIRED_NAME: Check = Check {
    cel: "self.all(name, !name.contains('*') && !name.contains('?'))",
    message: "retired must contain names of databases, not patterns with * or ?, for example [\"legacy\"]",
};
