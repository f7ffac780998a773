//! Error responses of real stores, word for word, processed by the real clients.

use std::iter;

use domain::reason::Reason;

use super::{
    contract::{azure, gcs, s3, target},
    wire::{Answer, Wire},
    *,
};

/// The status and the body of a response; the reason and a part of the text that it must result in.
type ErrorAnswer = (&'static str, &'static str, Reason, &'static str);

/// A function that creates the target of a bucket at a URL.
type Bucket = fn(&str) -> Target;

/// Responses of Amazon and of S3-compatible stores.
const S3: [ErrorAnswer; 14] = [
    (
        "403 Forbidden",
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>InvalidObjectState</Code><Message>The operation is not valid for the object's storage class</Message><StorageClass>GLACIER</StorageClass><RequestId>5E4A</RequestId></Error>"#,
        Reason::ObjectArchived,
        "the store has archived the object: The operation is not valid for the object's storage class (InvalidObjectState)",
    ),
    (
        "400 Bad Request",
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'</Message><Region>eu-central-1</Region><RequestId>5E4A</RequestId></Error>"#,
        Reason::RegionMismatch,
        "the region 'us-east-1' is wrong; expecting 'eu-central-1' (AuthorizationHeaderMalformed)",
    ),
    (
        "403 Forbidden",
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the current time is too large.</Message><RequestTime>20161206T142713Z</RequestTime><ServerTime>2016-12-06T16:27:13Z</ServerTime><MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds><RequestId>5E4A</RequestId><HostId>x</HostId></Error>"#,
        Reason::ClockSkew,
        "The difference between the request time and the current time is too large. (RequestTimeTooSkewed)",
    ),
    (
        "403 Forbidden",
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::123456789012:user/backup is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::backups/repository.json"</Message><RequestId>5E4A</RequestId></Error>"#,
        Reason::StoreAccessDenied,
        "user/backup is not authorized to perform: s3:GetObject",
    ),
    (
        "404 Not Found",
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message><BucketName>backups</BucketName><RequestId>5E4A</RequestId></Error>"#,
        Reason::BucketNotFound,
        "The specified bucket does not exist (NoSuchBucket)",
    ),
    // versitygw on a file system with a quota, and on a full file system.
    (
        "403 Forbidden",
        "<Error><Code>QuotaExceeded</Code><Message>Your request was denied due to quota exceeded.</Message></Error>",
        Reason::NoSpace,
        "denied due to quota exceeded",
    ),
    (
        "507 Insufficient Storage",
        "<Error><Code>InsufficientStorage</Code><Message>No space left on device.</Message></Error>",
        Reason::NoSpace,
        "No space left on device. (InsufficientStorage)",
    ),
    // MinIO.
    (
        "507 Insufficient Storage",
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>XMinioStorageFull</Code><Message>Storage backend has reached its minimum free disk threshold. Please delete a few objects to proceed.</Message><Key>repository.json</Key><BucketName>backups</BucketName><RequestId>16695504FE243FD8</RequestId></Error>"#,
        Reason::NoSpace,
        "reached its minimum free disk threshold",
    ),
    (
        "400 Bad Request",
        "<Error><Code>XMinioAdminBucketQuotaExceeded</Code><Message>Bucket quota exceeded</Message></Error>",
        Reason::NoSpace,
        "Bucket quota exceeded",
    ),
    // The object is too large; the store may be empty.
    (
        "400 Bad Request",
        "<Error><Code>EntityTooLarge</Code><Message>Your proposed upload exceeds the maximum allowed object size.</Message><ProposedSize>6442450944</ProposedSize><MaxSizeAllowed>5368709120</MaxSizeAllowed></Error>",
        Reason::StoreFailed,
        "exceeds the maximum allowed object size. (EntityTooLarge)",
    ),
    (
        "503 Slow Down",
        "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
        Reason::StoreFailed,
        "Please reduce your request rate. (SlowDown)",
    ),
    (
        "301 Moved Permanently",
        "<Error><Code>PermanentRedirect</Code><Message>The bucket you are attempting to access must be addressed using the specified endpoint.</Message></Error>",
        Reason::RegionMismatch,
        "redirects the request without a target address",
    ),
    // A server that is not a store.
    ("404 Not Found", "<html><body>nginx</body></html>", Reason::StoreFailed, "nginx"),
    ("400 Bad Request", "} what begins after it ends {", Reason::StoreFailed, "what begins after it ends"),
];

const AZURE: [ErrorAnswer; 5] = [
    (
        "409 Conflict",
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>BlobArchived</Code><Message>This operation is not permitted on an archived blob.\nRequestId:1\nTime:2020-10-14T06:31:56.5670961Z</Message></Error>",
        Reason::ObjectArchived,
        "the store has archived the object: This operation is not permitted on an archived blob. (BlobArchived)",
    ),
    (
        "403 Forbidden",
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.\nRequestId:a7c15331-501e-0094-6847-7d350f000000\nTime:2019-10-07T19:46:36.6469406Z</Message><AuthenticationErrorDetail>Request date header too old: 'Fri, 04 Oct 2019 18:02:12 GMT'</AuthenticationErrorDetail></Error>",
        Reason::ClockSkew,
        "Request date header too old: 'Fri, 04 Oct 2019 18:02:12 GMT'",
    ),
    (
        "403 Forbidden",
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.\nRequestId:6a154487-301e-00a4-72f3-a1759b000000\nTime:2020-10-14T06:31:56.5670961Z</Message><AuthenticationErrorDetail>The MAC signature found in the HTTP request 'c2VjcmV0' is not the same as any computed signature. Server used following string to sign: 'GET\n\n\n'</AuthenticationErrorDetail></Error>",
        Reason::StoreAccessDenied,
        "including the signature. (AuthenticationFailed)",
    ),
    (
        "403 Forbidden",
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>AuthorizationPermissionMismatch</Code><Message>This request is not authorized to perform this operation using this permission.\nRequestId:1\nTime:2020-10-14T06:31:56.5670961Z</Message></Error>",
        Reason::StoreAccessDenied,
        "using this permission. (AuthorizationPermissionMismatch)",
    ),
    (
        "404 Not Found",
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>ContainerNotFound</Code><Message>The specified container does not exist.\nRequestId:1\nTime:2020-10-14T06:31:56.5670961Z</Message></Error>",
        Reason::BucketNotFound,
        "The specified container does not exist. (ContainerNotFound)",
    ),
];

const GCS: [ErrorAnswer; 5] = [
    (
        "403 Forbidden",
        "<?xml version='1.0' encoding='UTF-8'?><Error><Code>AccessDenied</Code><Message>Access denied.</Message><Details>backup@shop.iam.gserviceaccount.com does not have storage.objects.get access to the Google Cloud Storage object.</Details></Error>",
        Reason::StoreAccessDenied,
        "Access denied. (AccessDenied)",
    ),
    (
        "404 Not Found",
        "<?xml version='1.0' encoding='UTF-8'?><Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist.</Message></Error>",
        Reason::BucketNotFound,
        "The specified bucket does not exist. (NoSuchBucket)",
    ),
    (
        "403 Forbidden",
        r#"{"error": {"code": 403, "message": "backup@shop.iam.gserviceaccount.com does not have storage.objects.get access to the Google Cloud Storage object.", "errors": [{"message": "x", "domain": "global", "reason": "forbidden"}]}}"#,
        Reason::StoreAccessDenied,
        "does not have storage.objects.get access",
    ),
    (
        "404 Not Found",
        r#"{"error": {"code": 404, "message": "The specified bucket does not exist.", "errors": [{"message": "The specified bucket does not exist.", "domain": "global", "reason": "notFound"}]}}"#,
        Reason::BucketNotFound,
        "The specified bucket does not exist.",
    ),
    // Google's token service.
    (
        "400 Bad Request",
        r#"{"error":"invalid_grant","error_description":"Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."}"#,
        Reason::ClockSkew,
        "Check your iat and exp values in the JWT claim.",
    ),
];

/// Asserts that every request to the target fails with this reason and a text that contains `part`.
async fn is_explained(target: Target, status: &str, reason: Reason, part: &str) {
    let error = error_of(target).await;
    let text = error.to_string();
    assert_eq!(error.reason(), reason, "{status}: {text}");
    assert!(text.contains(part), "{status}: {text}");
    for secret in ["c2VjcmV0", "string to sign"] {
        assert!(!text.contains(secret), "the text contains what was signed: {text}");
    }
}

/// Tests all responses concurrently, because a request that may succeed later is repeated for half a minute.
#[tokio::test]
async fn each_store_error_response_has_its_reason_and_message() {
    let kinds: [(Bucket, &'static [ErrorAnswer]); 3] = [(s3, &S3), (azure, &AZURE), (gcs, &GCS)];
    let all = kinds.into_iter().flat_map(|(target, answers)| iter::repeat(target).zip(answers));
    let all = all.map(|(target, (status, body, reason, part))| async move {
        let wire = Wire::start(move |_| Answer::Is(status, vec![], (*body).to_owned()));
        is_explained(target(&wire.url()), status, *reason, part).await;
    });
    futures::future::join_all(all).await;
}

/// Each store has its own response to the removal of a locked object. Azure responds to several removals at
/// once, without a code.
#[tokio::test]
async fn object_lock_is_recognized_in_responses_of_each_store() {
    let azures = "--batchresponse_66925647\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\nHTTP/1.1 409 This operation is not permitted as the blob is immutable due to a policy.\r\nx-ms-error-code: BlobImmutableDueToPolicy\r\nx-ms-version: 2018-11-09\r\n\r\n\r\n--batchresponse_66925647--\r\n";
    let refusals: [(Bucket, &str, &str, &str); 5] = [
        (
            s3,
            "DELETE",
            "403 Forbidden",
            "<Error><Code>AccessDenied</Code><Message>Access Denied because object protected by object lock.</Message></Error>",
        ),
        (
            s3,
            "DELETE",
            "400 Bad Request",
            "<Error><Code>ObjectLocked</Code><Message>Object is WORM protected and cannot be overwritten</Message></Error>",
        ),
        (
            gcs,
            "DELETE",
            "403 Forbidden",
            "<?xml version='1.0' encoding='UTF-8'?><Error><Code>AccessDenied</Code><Message>Access denied.</Message><Details>Object 'backups/repository.json' is subject to bucket's retention policy and cannot be deleted, overwritten or archived until 2027-01-01T00:00:00-00:00</Details></Error>",
        ),
        (
            gcs,
            "DELETE",
            "403 Forbidden",
            r#"{"error": {"code": 403, "message": "Object 'backups/x' cannot be deleted until 2027", "errors": [{"message": "x", "domain": "global", "reason": "retentionPolicyNotMet"}]}}"#,
        ),
        (azure, "POST", "202 Accepted", azures),
    ];
    for (target, method, status, body) in refusals {
        let wire = Wire::start(move |request| match request.method.as_str() {
            it if it == method => {
                let kind = "multipart/mixed; boundary=batchresponse_66925647".to_owned();
                Answer::Is(status, vec![("content-type", kind)], body.to_owned())
            }
            "PUT" => Answer::Is("200 OK", vec![("etag", "\"1\"".to_owned())], String::new()),
            _ => Answer::Is("404 Not Found", vec![], String::new()),
        });
        let now = time("2026-05-03T00:00:00Z");
        let repository = Repository::open(&target(&wire.url()), &identity(), None, now).await.unwrap();
        let error = repository.remove_backup(OLD).await.unwrap_err();
        assert!(matches!(error, StoreError::Locked { .. }), "{body}: {error}");
    }
}

/// Returns the error of a store that rejects every request.
async fn error_of(target: Target) -> StoreError {
    let now = time("2026-05-03T00:00:00Z");
    // If the owner file cannot be read, opening can still succeed with an unknown owner. Then the record
    // fails.
    match Repository::open(&target, &identity(), None, now).await {
        Ok(repository) => repository.write_record("job", "{}").await.unwrap_err(),
        Err(error) => error,
    }
}

#[tokio::test]
async fn region_mismatch_hint_shows_the_region_of_the_bucket() {
    let malformed = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region is wrong</Message><Region>eu-central-1</Region></Error>";
    for (status, header, body, wanted) in [
        ("301 Moved Permanently", true, "", "not in \"us-east-1\""),
        ("400 Bad Request", true, malformed, "not in \"us-east-1\""),
        ("400 Bad Request", false, malformed, "the region is wrong (AuthorizationHeaderMalformed)"),
    ] {
        let wire = Wire::start(move |_| {
            let region = ("x-amz-bucket-region", "eu-central-1".to_owned());
            Answer::Is(status, if header { vec![region] } else { vec![] }, body.to_owned())
        });
        let error = error_of(s3(&wire.url())).await;
        assert_eq!(error.reason(), Reason::RegionMismatch);
        assert!(error.to_string().ends_with(wanted), "{error}");
        let hint = error.hint().unwrap();
        assert!(hint.starts_with("Set storage.s3.region to \"eu-central-1\""), "{hint}");
    }
}

#[tokio::test]
async fn missing_store_credentials_are_reported() {
    let metadata = Wire::start(|_| Answer::Is("404 Not Found", vec![], String::new()));
    let url = metadata.url();
    let variables = [("AWS_METADATA_ENDPOINT", url.as_str()), ("AWS_ENDPOINT_URL", url.as_str())];
    let error = error_of(target("s3://backups", true, variables.into())).await;
    assert_eq!(error.reason(), Reason::CredentialsMissing, "{error}");
    let wanted = format!("no credentials were given for the bucket, and the platform offers none ({url}: ");
    assert!(error.to_string().contains(&wanted), "{error}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("storage.s3.credentials") && hint.contains("job.serviceAccountName"), "{hint}");
}

#[tokio::test]
async fn archived_object_hint_mentions_the_lifecycle_rule() {
    let body = "<Error><Code>InvalidObjectState</Code><Message>archived</Message></Error>";
    let wire = Wire::start(move |_| Answer::Is("403 Forbidden", vec![], body.to_owned()));
    let error = error_of(s3(&wire.url())).await;
    assert_eq!(error.reason(), Reason::ObjectArchived);
    assert!(error.to_string().contains("the store has archived the object"), "{error}");
    assert!(error.hint().unwrap().contains("lifecycle rule"), "{:?}", error.hint());
}
