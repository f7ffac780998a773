use std::{collections::BTreeMap, fs, sync::Mutex, time::Duration};

use domain::{invocation::variable, reason::Reason};

use super::*;
use crate::store::{
    objects::{Objects, uploads::Uploads},
    tests::wire::{Answer, Wire},
};

/// A store behind a slow connection responds only when it has received the whole part.
#[tokio::test]
async fn store_read_timeout_includes_sending_an_upload_part() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let wire = Wire::start(|_| {
        std::thread::sleep(Duration::from_secs(2));
        Answer::Is("200 OK", vec![("etag", "\"1\"".to_owned())], String::new())
    });
    let url = wire.url();
    let variables = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL", url.as_str()),
    ];
    let variables = credentials::checked(Kind::S3, &variables.into()).unwrap();
    let put = async |seconds| {
        let timeouts = RequestTimeouts { read: Duration::from_secs(seconds), retry: Duration::ZERO };
        let options = BucketOptions { path_style: true, ..BucketOptions::default() };
        let client =
            client(Kind::S3, "backups", &options, &authorities(None).unwrap(), variables.clone(), timeouts)
                .unwrap();
        client.put_part(&Path::from("shop.dump"), &"u".to_owned(), 0, vec![0; 1 << 20].into()).await
    };
    let error = put(1).await.unwrap_err();
    assert!(format!("{error:?}").contains("Timeout"), "{error:?}");
    put(30).await.unwrap();
}

#[test]
fn large_upload_parts_have_longer_timeouts() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let variables = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")].into();
    let mut bucket =
        connect(Kind::S3, "backups", Path::default(), &BucketOptions::default(), &variables).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (make, seen) = (Arc::clone(&bucket.make_client), Arc::clone(&asked));
    bucket.make_client = Arc::new(move |timeouts| {
        seen.lock().unwrap().push(timeouts);
        make(timeouts)
    });
    let objects = Objects::new(bucket, "shop/nightly");
    for database in [0, 1_000_000_000, 1_000_000_000_000] {
        objects.upload(&Uploads::new("a", BTreeMap::new()), "a/shop.dump", database).unwrap();
    }
    assert_eq!(*asked.lock().unwrap(), [RequestTimeouts::for_part(300_000_000)]);
}

#[test]
fn error_about_malformed_google_key_does_not_contain_it() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = r#"{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0"}"#;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.json");
    // JSON within a JSON string, as some templates write it into a Secret.
    let quoted = serde_json::to_string(key).unwrap();
    fs::write(&file, &quoted).unwrap();
    for (name, value) in [
        ("GOOGLE_SERVICE_ACCOUNT_KEY", quoted.as_str()),
        ("GOOGLE_SERVICE_ACCOUNT_KEY", key),
        ("GOOGLE_SERVICE_ACCOUNT", file.to_str().unwrap()),
    ] {
        let variables = [(name, value)].into();
        let Err(error) = connect(Kind::Gcs, "b", Path::default(), &BucketOptions::default(), &variables)
        else {
            panic!("{value} was accepted")
        };
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("not a JSON file that Google Cloud created"), "{shown}");
        assert!(!shown.contains("c2VjcmV0") && !shown.contains("BEGIN PRIVATE"), "{shown}");
    }
}

#[test]
fn store_endpoint_that_is_not_a_url_is_rejected() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for (kind, variable, endpoint, problem) in [
        (Kind::S3, "AWS_ENDPOINT_URL", "http://minio:99999", "invalid port number"),
        (Kind::S3, "AWS_ENDPOINT", "minio:9000", "it does not begin with http:// or https://"),
        (Kind::Azure, "AZURE_STORAGE_ENDPOINT", "https://", "empty host"),
    ] {
        let variables = [(variable, endpoint)].into();
        let error = connect(kind, "b", Path::default(), &BucketOptions::default(), &variables).unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidConfiguration, "{error}");
        let wanted = format!(
            "invalid configuration of the object store: the endpoint \"{endpoint}\" is not a URL: {problem}"
        );
        assert_eq!(error.to_string(), wanted);
    }
}

/// The operator writes these variables into pods.
#[test]
fn bucket_variables_of_a_pod_are_known_to_the_store_client() {
    let lower = |name: &&str| name.to_ascii_lowercase();
    assert!(variable::S3.iter().map(lower).all(|name| name.parse::<AmazonS3ConfigKey>().is_ok()));
    assert!(variable::GCS.iter().map(lower).all(|name| name.parse::<GoogleConfigKey>().is_ok()));
    assert!(variable::AZURE.iter().map(lower).all(|name| name.parse::<AzureConfigKey>().is_ok()));
}
