//! Features of S3 that other stores lack (permissions, locks, checksums, TLS) and their errors, tested on a
//! real server.

use std::process::Command;

use domain::reason::Reason;

use super::{
    contract::{S3_USER, commit, s3_variables, target},
    server::{Server, free_address},
    *,
};

const WRITER: (&str, &str) = ("writer", "writer-secret");

/// A certificate authority, and certificates that it issued for `localhost`.
struct Certificates(tempfile::TempDir);

impl Certificates {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = "key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
            openssl req -x509 $key -days 2 -subj '/CN=a CA' -addext subjectAltName=DNS:localhost -keyout ca.key -out ca.crt
            openssl req $key -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout tls.key -out tls.csr
            openssl x509 -req -in tls.csr -copy_extensions copy -CA ca.crt -CAkey ca.key -days 2 -out tls.crt";
        let made = Command::new("sh").args(["-euc", script]).current_dir(folder.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self(folder)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }
}

async fn open(target: &Target) -> Result<Repository, StoreError> {
    Repository::open(target, &identity(), None, time("2026-05-03T00:00:00Z")).await
}

fn s3(server: &Server, user: (&str, &str)) -> Target {
    target("s3://backups", true, s3_variables(server, user))
}

#[tokio::test]
async fn prune_uses_its_own_store_credentials() {
    let server = Server::start("s3", &[]);
    let writer = s3(&server, WRITER);
    let repository = open(&writer).await.unwrap();
    commit(&repository, OLD).await;
    let error = repository.remove_backup(OLD).await.unwrap_err();
    assert_eq!(error.reason(), Reason::StoreAccessDenied, "{error}");
    assert_eq!(ids(&repository.list().await.unwrap().backups), [OLD]);

    let url = server.url();
    let variables = [
        ("AWS_ACCESS_KEY_ID", WRITER.0),
        ("AWS_SECRET_ACCESS_KEY", WRITER.1),
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("PGBACKUP_PRUNE_AWS_ACCESS_KEY_ID", S3_USER.0),
        ("PGBACKUP_PRUNE_AWS_SECRET_ACCESS_KEY", S3_USER.1),
    ];
    let both = open(&target("s3://backups", true, variables.into())).await.unwrap();
    both.remove_backup(OLD).await.unwrap();
    assert_eq!(both.list().await.unwrap().backups.len(), 0);
}

#[tokio::test]
async fn s3_errors_have_a_reason_and_the_message_of_the_store() {
    let server = Server::start("s3", &[]);
    let nowhere = format!("http://{}", free_address());
    let unreachable =
        [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_ENDPOINT_URL", nowhere.as_str())];
    for (target, reason, words) in [
        (
            target("s3://elsewhere", true, s3_variables(&server, S3_USER)),
            Reason::BucketNotFound,
            "NoSuchBucket",
        ),
        (s3(&server, (S3_USER.0, "wrong")), Reason::StoreAccessDenied, "SignatureDoesNotMatch"),
        (s3(&server, ("nobody", "x")), Reason::StoreAccessDenied, "InvalidAccessKeyId"),
        (
            target("s3://backups", true, unreachable.into()),
            Reason::StoreUnreachable,
            "cannot connect to http://127.0.0.1:",
        ),
    ] {
        let error = open(&target).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.reason(), reason, "{text}");
        assert!(text.contains(words), "{text}");
        assert!(text.starts_with("cannot read s3://") || text.starts_with("cannot create s3://"), "{text}");
        assert!(text.len() < 300, "the answer is not shortened: {text}");
    }
}

async fn open_tls(server: &Server, host: &str, ca: Option<PathBuf>) -> Result<Repository, StoreError> {
    let url = format!("https://{host}:{}", server.address.port());
    let variables = [
        ("AWS_ACCESS_KEY_ID", S3_USER.0),
        ("AWS_SECRET_ACCESS_KEY", S3_USER.1),
        ("AWS_ENDPOINT_URL", url.as_str()),
    ];
    let mut target = target("s3://backups", true, variables.into());
    target.options.ca = ca;
    open(&target).await
}

fn tls_server(certificates: &Certificates, name: &str) -> Server {
    let (cert, key) = (certificates.path(&format!("{name}.crt")), certificates.path(&format!("{name}.key")));
    Server::start("s3", &[("SERVE_TLS_CERT", &cert), ("SERVE_TLS_KEY", &key)])
}

#[tokio::test]
async fn s3_certificate_is_trusted_only_with_its_own_ca() {
    let certificates = Certificates::new();
    let server = tls_server(&certificates, "tls");
    let ca = certificates.path("ca.crt");
    commit(&open_tls(&server, "localhost", Some(ca.clone())).await.unwrap(), OLD).await;

    let port = server.address.port();
    let error = open_tls(&server, "localhost", None).await.unwrap_err();
    assert_eq!(error.reason(), Reason::TlsFailed, "{error}");
    let wanted =
        format!("https://localhost:{port}: an unknown certificate authority signed the server's certificate");
    assert!(error.to_string().ends_with(&wanted), "{error}");
    assert_eq!(
        error.hint().unwrap(),
        "Set storage.s3.caSecretRef to a Secret with the certificate of that authority."
    );

    let error = open_tls(&server, "127.0.0.1", Some(ca)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::TlsFailed, "{error}");
    let wanted = "the server's certificate is not valid for \"127.0.0.1\"; it is valid for localhost";
    assert!(error.to_string().ends_with(wanted), "{error}");

    let error = open_tls(&server, "localhost", Some(certificates.path("missing.crt"))).await.unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidConfiguration, "{error}");
    let text = error.to_string();
    assert!(text.starts_with("cannot read the CA bundle") && text.contains("missing.crt"), "{text}");
}

#[tokio::test]
async fn ca_certificate_used_as_server_certificate_is_reported() {
    let certificates = Certificates::new();
    let server = tls_server(&certificates, "ca");
    let error = open_tls(&server, "localhost", Some(certificates.path("ca.crt"))).await.unwrap_err();
    assert_eq!(error.reason(), Reason::TlsFailed, "{error}");
    let wanted = "the server presents a certificate authority's own certificate (CA:TRUE)";
    assert!(error.to_string().ends_with(wanted), "{error}");
    let hint = "Give the server a certificate of its own with CA:FALSE, signed by that authority.";
    assert_eq!(error.hint().as_deref(), Some(hint));
}

/// Locks an object. Amazon would lock each new object by the bucket's default; versitygw does not.
fn retain(server: &Server, object: &str, until: &str) {
    let body =
        format!("<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>");
    let url = format!("{}/backups/{object}?retention=", server.url());
    let (user, secret) = S3_USER;
    let script = "curl --silent --show-error --fail-with-body --noproxy '*' --aws-sigv4 aws:amz:us-east-1:s3 \
        --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --user \"$1\" --request PUT --data-binary \"$2\" \
        --header \"content-md5: $(printf %s \"$2\" | openssl md5 -binary | base64)\" \"$3\"";
    let user = format!("{user}:{secret}");
    let done = Command::new("sh").args(["-euc", script, "sh", &user, &body, &url]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

#[tokio::test]
async fn locked_backup_is_kept_while_unlocked_one_is_removed() {
    let server = Server::start("s3-locked", &[]);
    let mut target = s3(&server, S3_USER);
    // Amazon requires a checksum in a bucket with locks.
    target.options.checksum = Some(domain::invocation::S3Checksum::Sha256);
    let repository = open(&target).await.unwrap();
    commit(&repository, OLD).await;
    commit(&repository, NEW).await;
    retain(&server, &format!("shop/nightly/{OLD}/manifest.json"), "2099-01-01T00:00:00Z");

    let error = repository.remove_backup(OLD).await.unwrap_err();

    let StoreError::Locked { until, .. } = &error else { panic!("not locked: {error}") };
    assert_eq!(until, "2099-01-01T00:00:00Z");
    assert_eq!(ids(&repository.list().await.unwrap().backups), [OLD, NEW], "it is complete");
    repository.remove_backup(NEW).await.unwrap();
    assert_eq!(ids(&repository.list().await.unwrap().backups), [OLD], "the other one is not locked");
}
