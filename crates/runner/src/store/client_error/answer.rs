//! The answers of object stores: XML or JSON, which contain the whole request and, when a signature is refused, what was
//! signed. Only the code and the message are shown.

use std::borrow::Cow;

use domain::reason::Reason;

use super::{cause::last_cause, explanation::Explanation, proxy::Proxy};

/// A missing bucket or container: S3 and GCS, GCS's JSON, Azure.
const NO_BUCKET: [&str; 3] =
    ["<Code>NoSuchBucket<", "specified bucket does not exist", "<Code>ContainerNotFound<"];

/// A clock that differs from the store's: S3; Azure, with the code of a wrong key; Google's token service.
const SKEW: [&str; 3] =
    ["<Code>RequestTimeTooSkewed<", "Request date header too old", "Token must be a short-lived token"];

/// A full store: `507 Insufficient Storage`; Ceph, Wasabi and versitygw; MinIO's quota; stores that pass on the error of
/// their file system. `EntityTooLarge` is about one object, however empty the store is.
const FULL: [&str; 4] = [
    "status code: 507",
    "<Code>QuotaExceeded<",
    "<Code>XMinioAdminBucketQuotaExceeded<",
    "no space left on device",
];

/// An object that was moved to an archive class, from which it cannot be read: S3, Azure.
const ARCHIVED: [&str; 2] = ["<Code>InvalidObjectState<", "<Code>BlobArchived<"];

/// An object under a lock or a retention policy: S3 and stores with its API, GCS, Azure (whose answer to many removals at
/// once has a text instead of a code).
const LOCKED: [&str; 7] = [
    "WORM protected",
    "<Code>ObjectLocked<",
    "object protected by object lock",
    "retentionPolicyNotMet",
    "retention policy",
    "BlobImmutableDueToPolicy",
    "blob is immutable due to",
];

/// A refused listing, for which object_store has no kind of error.
const DENIED: [&str; 2] = ["status code: 403", "status code: 401"];

/// The code and the message in an answer.
#[derive(Debug, Default)]
pub struct Answer<'a> {
    code: Option<&'a str>,
    message: Option<Cow<'a, str>>,
    /// The region that the store expects.
    region: Option<&'a str>,
}

pub fn is_missing_bucket(text: &str) -> bool {
    contains_any(text, &NO_BUCKET)
}

/// Whether the store keeps the object for now.
pub fn is_locked(error: &object_store::Error) -> bool {
    contains_any(&error.to_string(), &LOCKED)
}

fn contains_any(text: &str, any: &[&str]) -> bool {
    any.iter().any(|part| text.contains(part))
}

impl<'a> Answer<'a> {
    pub fn parse(text: &'a str) -> Self {
        let tag = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner.trim())
        };
        let Some(code) = tag("Code") else {
            return Self { message: json_message(text).map(Cow::Owned), ..Self::default() };
        };
        // Azure puts the request's id and time on lines of their own.
        let message = tag("Message").and_then(|message| message.lines().next()).unwrap_or_default();
        // Azure reports a wrong clock only here. For a wrong key, this contains what was signed.
        let is_skew = contains_any(text, &SKEW);
        let message = tag("AuthenticationErrorDetail").filter(|_| is_skew).unwrap_or(message);
        let message = Some(message).filter(|message| !message.is_empty()).map(Cow::Borrowed);
        Self { code: Some(code), message, region: tag("Region") }
    }

    /// The region that the store expects, if the request was for another one.
    pub fn wanted_region(&self) -> Option<&'a str> {
        self.region.filter(|_| self.code == Some("AuthorizationHeaderMalformed"))
    }

    /// The message and the code.
    pub fn short(&self) -> String {
        match (&self.message, self.code) {
            (Some(message), Some(code)) => format!("{message} ({code})"),
            (Some(message), None) => message.clone().into_owned(),
            (None, code) => code.unwrap_or_default().to_owned(),
        }
    }

    /// Explains a request that the store answered. `text` is the whole error, `proxy` what the answer came through.
    pub fn explain(&self, error: &object_store::Error, text: &str, proxy: Option<&Proxy>) -> Explanation {
        use object_store::Error as Kind;
        let reason = match error {
            _ if is_missing_bucket(text) => Reason::BucketNotFound,
            _ if contains_any(text, &SKEW) => Reason::ClockSkew,
            _ if contains_any(text, &FULL) => Reason::NoSpace,
            _ if contains_any(text, &ARCHIVED) => return self.archived(),
            Kind::PermissionDenied { .. } | Kind::Unauthenticated { .. } => Reason::StoreAccessDenied,
            _ if contains_any(text, &DENIED) => Reason::StoreAccessDenied,
            _ => Reason::StoreFailed,
        };
        let short = self.short();
        if !short.is_empty() {
            return Explanation { reason, text: short, hint: None };
        }
        let cause = last_cause(error);
        match proxy {
            // A store names a code: this answer may be the proxy's own.
            Some(proxy) => Explanation {
                reason,
                text: format!("{cause}; the answer came through the proxy {proxy}"),
                hint: Some(proxy.hint()),
            },
            None => Explanation { reason, text: cause, hint: None },
        }
    }

    fn archived(&self) -> Explanation {
        Explanation {
            reason: Reason::ObjectArchived,
            text: format!("the store has archived the object: {}", self.short()),
            hint: Some(
                "Restore the object from the archive, and exclude the repository's prefix from the lifecycle rule that archives objects."
                    .to_owned(),
            ),
        }
    }
}

/// The message of GCS, `{"error": {"code": 403, "message": "..."}}`, or of Google's token service,
/// `{"error_description": "..."}`.
fn json_message(text: &str) -> Option<String> {
    let json = text.get(text.find('{')?..=text.rfind('}')?)?;
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let message = value.pointer("/error/message").or_else(|| value.get("error_description"));
    message?.as_str().map(str::to_owned)
}
