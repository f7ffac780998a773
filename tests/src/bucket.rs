//! An S3 server of a test.

use anyhow::Result;
use api::policy::{S3Credentials, S3Storage, SecretKeyRef, Storage};
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;

use crate::{
    cluster,
    env::{Env, image},
    exec,
    manifests::{self, fill},
    store::Store,
    wait,
};

/// The bucket that exists on each server.
pub const BUCKET: &str = "backups";

/// An S3 server. Its pod, its Service (and so its host name) and the Secret with its access key have the
/// server's name.
pub struct Bucket {
    env: Env,
    name: String,
    scheme: &'static str,
    /// A shell that sees the bucket's objects as files.
    pub store: Store,
}

impl Bucket {
    /// Starts a server for plain HTTP.
    pub async fn start(env: &Env, name: &str) -> Result<Self> {
        Self::start_with(env, name, "http", "").await
    }

    /// Starts a server for TLS only, with a certificate of its own certificate authority.
    pub async fn start_with_tls(env: &Env, name: &str) -> Result<Self> {
        let options = ", --cert, /backup/tls/tls.crt, --key, /backup/tls/tls.key";
        Self::start_with(env, name, "https", options).await
    }

    async fn start_with(env: &Env, name: &str, scheme: &'static str, options: &str) -> Result<Self> {
        let secret = format!("secret-key-of-{}", env.namespace);
        let values = [
            ("NAME", name),
            ("SECRET", secret.as_str()),
            ("IMAGE", &cluster::s3_image()),
            ("POSTGRES", &image(17)),
            ("OPTIONS", options),
        ];
        env.create(&fill(manifests::BUCKET, &values)).await?;
        wait::pod_is_ready(&env.api(), name).await?;
        let store = Store::beside(env, name, &format!("data/{BUCKET}"));
        Ok(Self { env: env.clone(), name: name.to_owned(), scheme, store })
    }

    /// Returns a shell that sees the objects below `prefix` as files.
    pub fn store_below(&self, prefix: &str) -> Store {
        Store::beside(&self.env, &self.name, &format!("data/{BUCKET}/{prefix}"))
    }

    /// Kills the server and waits until its processes have ended. A forced deletion would return earlier.
    pub async fn kill(&self) -> Result<()> {
        let pods = self.env.api::<Pod>();
        pods.delete(&self.name, &DeleteParams::default().grace_period(1)).await?;
        wait::object(&pods, &self.name, "gone", wait::DEADLINE, |pod| pod.is_none().then_some(())).await
    }

    /// Returns the secret access key, which must not appear in any output.
    pub fn secret_key(&self) -> String {
        format!("secret-key-of-{}", self.env.namespace)
    }

    /// Runs a script in the shell beside the server.
    pub async fn sh(&self, script: &str) -> Result<String> {
        exec::stdout(&self.env.api(), &self.name, "shell", &["bash", "-c", script], "").await
    }

    /// Returns a reference to a key in the Secret with the access key.
    pub fn key(&self, key: &str) -> SecretKeyRef {
        SecretKeyRef { name: self.name.clone(), key: key.to_owned() }
    }

    /// Returns the `storage` of a policy that stores in this bucket.
    pub fn storage(&self) -> Storage {
        let credentials = S3Credentials {
            access_key_id_secret_ref: self.key("id"),
            secret_access_key_secret_ref: self.key("secret"),
        };
        let s3 = S3Storage {
            bucket: BUCKET.to_owned(),
            endpoint: Some(format!("{}://{}:7070", self.scheme, self.name)),
            credentials: Some(credentials),
            ..S3Storage::default()
        };
        Storage { s3: Some(s3), ..Storage::default() }
    }
}
