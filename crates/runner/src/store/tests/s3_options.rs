//! The requests that result from a policy's options for a bucket.

use domain::invocation::{BucketOptions, S3Checksum, S3Encryption};

use super::{
    super::part_size,
    contract::{noise, target, write},
    wire::{Answer, Request, Wire},
    *,
};

/// Responds like a minimal S3-compatible store.
fn minimal_store(request: &Request) -> Answer {
    let is = |query: &str| request.target.contains(query);
    let etag = vec![("etag", "\"1\"".to_owned())];
    let body = match request.method.as_str() {
        "POST" if is("uploads") => {
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
        }
        "POST" => "<CompleteMultipartUploadResult><ETag>\"1\"</ETag></CompleteMultipartUploadResult>",
        "GET" if is("list-type=2") => {
            "<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>"
        }
        "GET" | "HEAD" => {
            let body = "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>";
            return Answer::Is("404 Not Found", vec![], body.to_owned());
        }
        _ => "",
    };
    Answer::Is("200 OK", etag, body.to_owned())
}

/// Returns the requests that store a small object, start the upload of a large object, and send a part of it.
async fn requests(change: impl FnOnce(&mut BucketOptions), path_style: bool) -> [Request; 3] {
    let wire = Wire::start(minimal_store);
    let url = wire.url();
    let variables = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_REGION", "eu-central-1"),
    ];
    let mut target = target("s3://backups", path_style, variables.into());
    change(&mut target.options);
    let now = time("2026-05-03T00:00:00Z");
    let repository = Repository::open(&target, &identity(), None, now).await.unwrap();
    let backup = repository.create_backup(OLD).await.unwrap();
    backup.write("SHA256SUMS", "sums\n").await.unwrap();
    write(&backup, "shop.dump", &noise(part_size::MIN + 1), 0).await.finish().await.unwrap();
    let one = |wanted: fn(&Request) -> bool| wire.requests(wanted).into_iter().next().unwrap();
    [
        one(|request| request.method == "PUT" && request.target.contains("SHA256SUMS")),
        one(|request| request.method == "POST" && request.target.contains("uploads")),
        one(Request::is_part),
    ]
}

#[tokio::test]
async fn s3_encryption_is_requested_for_each_object() {
    let [small, large, _] = requests(|options| options.encryption = Some(S3Encryption::Aes256), true).await;
    for request in [&small, &large] {
        assert_eq!(request.header("x-amz-server-side-encryption"), Some("AES256"), "{request:?}");
        assert_eq!(request.header("x-amz-server-side-encryption-aws-kms-key-id"), None);
    }
    let kms = |options: &mut BucketOptions| {
        options.encryption = Some(S3Encryption::Kms);
        options.kms_key = Some("arn:aws:kms:eu-central-1:1:key/2".into());
    };
    let [small, large, _] = requests(kms, true).await;
    for request in [&small, &large] {
        assert_eq!(request.header("x-amz-server-side-encryption"), Some("aws:kms"), "{request:?}");
        let key = request.header("x-amz-server-side-encryption-aws-kms-key-id");
        assert_eq!(key, Some("arn:aws:kms:eu-central-1:1:key/2"), "{request:?}");
    }
    let [small, large, _] = requests(|_| (), true).await;
    for request in [&small, &large] {
        assert_eq!(request.header("x-amz-server-side-encryption"), None, "{request:?}");
    }
}

#[tokio::test]
async fn s3_storage_class_is_requested_for_each_object() {
    let [small, large, _] =
        requests(|options| options.storage_class = Some("STANDARD_IA".into()), true).await;
    for request in [&small, &large] {
        assert_eq!(request.header("x-amz-storage-class"), Some("STANDARD_IA"), "{request:?}");
    }
}

#[tokio::test]
async fn s3_checksums_are_sent_with_each_upload_request() {
    for (checksum, header, length) in [
        (S3Checksum::Sha256, "x-amz-checksum-sha256", 44),
        (S3Checksum::Crc64Nvme, "x-amz-checksum-crc64nvme", 12),
    ] {
        let [small, large, part] = requests(|options| options.checksum = Some(checksum), true).await;
        for request in [&small, &part] {
            let sent = request.header(header).map(str::len);
            assert_eq!(sent, Some(length), "in base64: {request:?}");
        }
        let algorithm = large.header("x-amz-checksum-algorithm").map(str::to_ascii_lowercase);
        assert_eq!(algorithm.as_deref(), Some(checksum.as_str()), "{large:?}");
    }
}

#[tokio::test]
async fn s3_requests_use_region_and_path_style_of_the_policy() {
    for (path_style, path) in [(true, "/backups/shop/nightly/"), (false, "/shop/nightly/")] {
        for request in requests(|_| (), path_style).await {
            let signature = request.header("authorization").unwrap();
            assert!(signature.contains("/eu-central-1/s3/aws4_request"), "{signature}");
            assert!(request.target.starts_with(path), "{}", request.target);
        }
    }
}
