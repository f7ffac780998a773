use std::collections::BTreeMap;

use domain::reason::Reason;

use super::*;
use crate::store::{
    objects::{Objects, Uploads},
    tests::wire::{Answer, Wire},
};

#[test]
fn a_location_is_a_folder_or_a_bucket() {
    let bucket = |kind, name: &str, prefix: &str| Location::Bucket {
        kind,
        name: name.to_owned(),
        prefix: Path::from(prefix),
    };
    for (text, wanted) in [
        ("/backup", Location::Folder("/backup".into())),
        ("backups/of s3", Location::Folder("backups/of s3".into())),
        ("s3://shop", bucket(Kind::S3, "shop", "")),
        ("s3://shop/", bucket(Kind::S3, "shop", "")),
        ("s3://shop/a/b/", bucket(Kind::S3, "shop", "a/b")),
        ("gs://shop/a", bucket(Kind::Gcs, "shop", "a")),
        ("az://shop/a", bucket(Kind::Azure, "shop", "a")),
    ] {
        assert_eq!(text.parse::<Location>().unwrap(), wanted, "{text}");
    }
    for text in ["s3://", "s3:///a", "ftp://shop", "https://shop/a", "s3://shop/a//b", "s3://shop/../b"] {
        assert!(text.parse::<Location>().is_err(), "{text}");
    }
}

#[test]
fn a_large_part_has_the_time_that_it_needs() {
    let minutes = Duration::from_mins;
    assert_eq!(Patience::with(LEAST_PART), Patience { read: minutes(2), retry: minutes(3) });
    // A database of 1 TB.
    let part = 300 * 1_000_000;
    let Patience { read, retry } = Patience::with(part);
    assert!(read > minutes(6) && read < minutes(8) && retry > read, "{read:?}, {retry:?}");
    assert_eq!(Patience::with(10 * part).retry, LAST_RETRY);
}

/// A store that reads slowly, as one behind a slow line does: the answer comes when the part is there.
#[tokio::test]
async fn the_time_for_an_answer_runs_while_a_part_is_sent() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let wire = Wire::start(|_| {
        std::thread::sleep(Duration::from_secs(2));
        Answer::Is("200 OK", vec![("etag", "\"1\"".to_owned())], String::new())
    });
    let url = wire.url();
    let Variables(variables) = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL", url.as_str()),
    ]
    .into();
    let put = async |seconds| {
        let patience = Patience { read: Duration::from_secs(seconds), retry: Duration::ZERO };
        let options = BucketOptions { path_style: true, ..BucketOptions::default() };
        let client = client(
            Kind::S3,
            "backups",
            &options,
            &authorities(&options).unwrap(),
            variables.clone(),
            patience,
        )
        .unwrap();
        client.put_part(&Path::from("shop.dump"), &"u".to_owned(), 0, vec![0; 1 << 20].into()).await
    };
    let error = put(1).await.unwrap_err();
    assert!(format!("{error:?}").contains("Timeout"), "{error:?}");
    put(30).await.unwrap();
}

/// What an upload asks of its client.
#[test]
fn an_upload_of_large_parts_is_patient() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let variables = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")].into();
    let mut bucket =
        bucket(Kind::S3, "backups", Path::default(), &BucketOptions::default(), &variables).unwrap();
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (patient, heard) = (Arc::clone(&bucket.patient), Arc::clone(&asked));
    bucket.patient = Arc::new(move |patience| {
        heard.lock().unwrap().push(patience);
        patient(patience)
    });
    let objects = Objects::new(bucket, "shop/nightly");
    for database in [0, 1_000_000_000, 1_000_000_000_000] {
        objects.upload(&Uploads::new("a", BTreeMap::new()), "a/shop.dump", database).unwrap();
    }
    assert_eq!(*asked.lock().unwrap(), [Patience::with(300_000_000)]);
}

#[test]
fn a_pruner_has_its_own_credentials_and_everything_else_in_common() {
    let variables = [
        ("AWS_ACCESS_KEY_ID", "writer"),
        ("AWS_SECRET_ACCESS_KEY", "w"),
        ("AWS_SESSION_TOKEN", "t"),
        ("AWS_REGION", "eu-central-1"),
        ("PGBACKUP_PRUNE_AWS_ACCESS_KEY_ID", "pruner"),
        ("PGBACKUP_PRUNE_AWS_SECRET_ACCESS_KEY", "p"),
        ("PGPASSWORD", "x"),
    ];
    let Variables(variables) = variables.into();
    let mut prunes = prunes(Kind::S3, &variables).unwrap();
    prunes.sort();
    let prunes: Vec<_> = prunes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let wanted =
        [("AWS_ACCESS_KEY_ID", "pruner"), ("AWS_REGION", "eu-central-1"), ("AWS_SECRET_ACCESS_KEY", "p")];
    assert_eq!(prunes, wanted);
    assert_eq!(own(Kind::S3, &variables).len(), 4);
    assert_eq!(super::prunes(Kind::Gcs, &variables), None);
}

#[test]
fn what_echo_leaves_at_the_end_of_a_key_is_no_part_of_it_and_what_no_key_has_is_refused() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let make = |key: &str| {
        let variables = [("AWS_ACCESS_KEY_ID", key), ("PGBACKUP_PRUNE_AWS_ACCESS_KEY_ID", key)];
        bucket(Kind::S3, "backups", Path::default(), &BucketOptions::default(), &variables.into())
    };
    let variables = [("AWS_ACCESS_KEY_ID", " key\n"), ("AWS_REGION", "eu\r\n")].into();
    let wanted = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_REGION", "eu")];
    assert_eq!(checked(Kind::S3, &variables).unwrap(), wanted.map(|(a, b)| (a.to_owned(), b.to_owned())));
    for key in ["one\ntwo", "ключ"] {
        let Err(error) = make(key) else { panic!("{key:?} is a key") };
        assert_eq!(error.reason(), Reason::InvalidConfiguration);
        assert!(error.to_string().contains("AWS_ACCESS_KEY_ID has a character"), "{error}");
        assert!(!error.to_string().contains(key), "{error}");
    }
}

#[test]
fn a_key_that_cannot_be_read_is_not_shown() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = r#"{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0"}"#;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.json");
    // As templates put it into a Secret: JSON in JSON.
    let quoted = serde_json::to_string(key).unwrap();
    fs::write(&file, &quoted).unwrap();
    for (name, value) in [
        ("GOOGLE_SERVICE_ACCOUNT_KEY", quoted.as_str()),
        ("GOOGLE_SERVICE_ACCOUNT_KEY", key),
        ("GOOGLE_SERVICE_ACCOUNT", file.to_str().unwrap()),
    ] {
        let variables = [(name, value)].into();
        let Err(error) = bucket(Kind::Gcs, "b", Path::default(), &BucketOptions::default(), &variables)
        else {
            panic!("{value} is a key")
        };
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("as it was downloaded"), "{shown}");
        assert!(!shown.contains("c2VjcmV0") && !shown.contains("BEGIN PRIVATE"), "{shown}");
    }
}
