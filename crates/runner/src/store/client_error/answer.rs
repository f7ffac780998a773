//! Parses error responses of object stores, in XML or JSON. A response can contain the whole request and, for
//! a wrong signature, the signed text. For this reason only the code and the message are shown.

use std::borrow::Cow;

use domain::reason::Reason;

use super::{cause::last_cause, explanation::Explanation, proxy::Proxy};

/// Texts of responses about a missing bucket or container: S3 and GCS, GCS's JSON, Azure.
const NO_BUCKET: [&str; 3] =
    ["<Code>NoSuchBucket<", "specified bucket does not exist", "<Code>ContainerNotFound<"];

/// Texts of responses about a wrong clock: S3; Azure, which uses the code of a wrong key; Google's token
/// service.
const SKEW: [&str; 3] =
    ["<Code>RequestTimeTooSkewed<", "Request date header too old", "Token must be a short-lived token"];

/// Texts of responses of a full store: `507 Insufficient Storage`; Ceph, Wasabi and versitygw; MinIO's quota;
/// stores that pass on the error of their file system. `EntityTooLarge` is not among them: it is about the
/// size of one object, even in an empty store.
const FULL: [&str; 4] = [
    "status code: 507",
    "<Code>QuotaExceeded<",
    "<Code>XMinioAdminBucketQuotaExceeded<",
    "no space left on device",
];

/// Texts of responses about an object in an archive class, where it cannot be read: S3, Azure.
const ARCHIVED: [&str; 2] = ["<Code>InvalidObjectState<", "<Code>BlobArchived<"];

/// Texts of responses about an object that is locked or has a retention policy: S3 and compatible stores,
/// GCS, Azure. Azure's response to a removal of many objects has a text instead of a code.
const LOCKED: [&str; 7] = [
    "WORM protected",
    "<Code>ObjectLocked<",
    "object protected by object lock",
    "retentionPolicyNotMet",
    "retention policy",
    "BlobImmutableDueToPolicy",
    "blob is immutable due to",
];

/// Texts in object_store's error if the store rejected a listing. object_store has no error kind for this
/// case.
const DENIED: [&str; 2] = ["status code: 403", "status code: 401"];

/// The code and the message of an error response.
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

/// Returns whether the store rejects the removal because the object is locked.
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
        // Azure appends the request's id and time on separate lines.
        let message = tag("Message").and_then(|message| message.lines().next()).unwrap_or_default();
        // Azure reports a wrong clock only in this element. For a wrong key, the element contains the signed
        // text, so it is not shown.
        let is_skew = contains_any(text, &SKEW);
        let message = tag("AuthenticationErrorDetail").filter(|_| is_skew).unwrap_or(message);
        let message = Some(message).filter(|message| !message.is_empty()).map(Cow::Borrowed);
        Self { code: Some(code), message, region: tag("Region") }
    }

    /// Returns the region that the store expects, if the request was for another region.
    pub fn wanted_region(&self) -> Option<&'a str> {
        self.region.filter(|_| self.code == Some("AuthorizationHeaderMalformed"))
    }

    /// Formats the message and the code.
    pub fn short(&self) -> String {
        match (&self.message, self.code) {
            (Some(message), Some(code)) => format!("{message} ({code})"),
            (Some(message), None) => message.clone().into_owned(),
            (None, code) => code.unwrap_or_default().to_owned(),
        }
    }

    /// Explains an error response of a store. `text` is the whole error; `proxy` is the proxy through which
    /// the response came.
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
            // A response without a code may come from the proxy instead of the store.
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

/// Returns the message in a JSON response: of GCS, `{"error": {"code": 403, "message": "..."}}`, or of
/// Google's token service, `{"error_description": "..."}`.
fn json_message(text: &str) -> Option<String> {
    let json = text.get(text.find('{')?..=text.rfind('}')?)?;
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let message = value.pointer("/error/message").or_else(|| value.get("error_description"));
    message?.as_str().map(str::to_owned)
}
