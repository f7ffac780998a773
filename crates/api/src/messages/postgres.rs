//! The PostgreSQL server, the connection to it, and its databases.

use super::Check;

/// What backups run in.
pub const VERSION_OR_IMAGE: Check = Check {
    cel: "has(self.image) != has(self.version)",
    message: "write exactly one of version and image, for example version: 17",
};

/// An image's name.
pub const IMAGE: Check = Check {
    cel: r"self.matches(r'^\S+$')",
    message: "image must be the name of an image without spaces, for example docker.io/library/postgres:17",
};

/// A host name or an IP address.
pub const HOST: Check = Check {
    cel: "self.matches('^[A-Za-z0-9._-]+$') || isIP(self)",
    message: "host must be one host name or IP address, for example shop-db.shop.svc. Write the port in the field port.",
};

/// How the server is addressed.
pub const HOST_OR_URI: Check = Check {
    cel: "has(self.host) != has(self.uriSecretRef)",
    message: "write exactly one of host and uriSecretRef",
};

/// What a connection URI contains.
pub const URI_ALONE: Check = Check {
    cel: "has(self.uriSecretRef) && !has(self.host) ? !(has(self.user) || has(self.userSecretRef) || has(self.passwordSecretRef)) && self.port == 5432 : true",
    message: "uriSecretRef excludes port, user, userSecretRef and passwordSecretRef, because the URI contains them. Remove these fields.",
};

/// The role that logs in.
pub const USER_OR_SECRET: Check = Check {
    cel: "has(self.uriSecretRef) || !has(self.host) ? true : has(self.user) != has(self.userSecretRef)",
    message: "write exactly one of user and userSecretRef",
};

/// How the role logs in.
pub const PASSWORD_OR_CERTIFICATE: Check = Check {
    cel: "has(self.uriSecretRef) || !has(self.host) ? true : has(self.passwordSecretRef) || has(self.clientCertificateSecretRef)",
    message: "write passwordSecretRef, clientCertificateSecretRef or both",
};

/// A certificate to verify the server's with.
pub const CA_REQUIRED: Check = Check {
    cel: "self.sslMode.startsWith('verify-') ? has(self.caSecretRef) : true",
    message: "sslMode verify-ca and verify-full require caSecretRef. Write the Secret key that contains the CA's certificate, for example {name: shop-ca, key: ca.crt}.",
};

/// A mode that verifies the server's certificate.
pub const CA_UNUSED: Check = Check {
    cel: "has(self.caSecretRef) ? self.sslMode.startsWith('verify-') : true",
    message: "caSecretRef requires sslMode verify-ca or verify-full. Change sslMode, or remove caSecretRef.",
};

/// A mode that encrypts.
pub const CERTIFICATE_UNUSED: Check = Check {
    cel: "has(self.clientCertificateSecretRef) ? self.sslMode != 'disable' : true",
    message: "clientCertificateSecretRef requires an encrypted connection. Change sslMode from disable to another mode, for example require.",
};

/// A database that is backed up and left out.
pub const INCLUDED_AND_EXCLUDED: Check = Check {
    cel: "!has(self.exclude) || self.include.all(name, !(name in self.exclude))",
    message: "include and exclude must not contain the same entry. Remove the entry from one of them.",
};

/// A database that is backed up and deleted.
pub const INCLUDED_AND_RETIRED: Check = Check {
    cel: "!has(self.retired) || self.include.all(name, !(name in self.retired))",
    message: "include and retired must not contain the same entry, because retired is for deleted databases. Remove the entry from one of them.",
};

/// The name of a database, which is no pattern.
pub const RETIRED_NAME: Check = Check {
    cel: "self.all(name, !name.contains('*') && !name.contains('?'))",
    message: "retired must contain names of databases, not patterns with * or ?, for example [\"legacy\"]",
};
