//! TLS for the ops endpoint. The certificate is loaded again when its files change, because Kubernetes
//! updates the files of a mounted Secret without restarting the pod.

use std::{
    fs, io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::serve::Listener;
use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The minimum time between two reads of the files. The kubelet takes a minute or more to update them.
const RELOAD_INTERVAL: Duration = Duration::from_secs(10);

/// The time limit of a client's TLS handshake. It is shorter than the kubelet's timeout of a probe (5 s), so
/// that slow clients cannot make the kubelet restart the operator.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// The maximum number of concurrent handshakes. Further clients wait in the kernel's queue. Each handshake
/// takes about 20 KiB.
const CONCURRENT_HANDSHAKES: usize = 256;

/// The paths of the files of a Secret of the type kubernetes.io/tls.
#[derive(Clone, Debug)]
pub struct Files {
    /// The file with the certificate chain, in PEM.
    pub certificate: PathBuf,
    /// The file with the private key, in PEM.
    pub key: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{} cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not valid PEM: {source}", path.display())]
    Pem { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("the certificate and the private key do not match: {0}")]
    Pair(#[from] rustls::Error),
    #[error("no cryptography provider is installed")]
    Provider,
}

impl Files {
    fn read(&self) -> Result<Bytes, TlsError> {
        let read =
            |path: &PathBuf| fs::read(path).map_err(|source| TlsError::Read { path: path.clone(), source });
        Ok(Bytes { certificate: read(&self.certificate)?, key: read(&self.key)? })
    }

    fn pair(&self, bytes: &Bytes) -> Result<Arc<CertifiedKey>, TlsError> {
        let wrong = |path: &PathBuf, source| TlsError::Pem { path: path.clone(), source };
        let certificates = CertificateDer::pem_slice_iter(&bytes.certificate);
        let certificates: Vec<_> =
            certificates.collect::<Result<_, _>>().map_err(|error| wrong(&self.certificate, error))?;
        let key = PrivateKeyDer::from_pem_slice(&bytes.key).map_err(|error| wrong(&self.key, error))?;
        let provider = CryptoProvider::get_default().ok_or(TlsError::Provider)?;
        Ok(Arc::new(CertifiedKey::from_der(certificates, key, provider)?))
    }
}

/// The contents of the certificate's and the key's files.
#[derive(PartialEq, Eq)]
struct Bytes {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// The certificate in use.
struct InUse {
    pair: Arc<CertifiedKey>,
    /// The file contents that were read last, valid or not; `None` if the last read failed.
    read: Option<Bytes>,
    read_at: Instant,
}

/// Provides the certificate for handshakes, and loads it again when its files have changed.
struct Reloading {
    files: Files,
    interval: Duration,
    in_use: Mutex<InUse>,
}

// Does not show the key.
impl std::fmt::Debug for Reloading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloading").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Reloading {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if in_use.read_at.elapsed() >= self.interval {
            in_use.read_at = Instant::now();
            self.reload(&mut in_use);
        }
        Some(in_use.pair.clone())
    }
}

impl Reloading {
    /// Reads the files again. If the new certificate is invalid, warns once and keeps the old one, because an
    /// endpoint with an old certificate is better than none.
    fn reload(&self, in_use: &mut InUse) {
        let read = match self.files.read() {
            Ok(read) => read,
            Err(error) => {
                if in_use.read.take().is_some() {
                    tracing::warn!(
                        "the ops endpoint keeps its certificate, because the new one cannot be loaded: {error}"
                    );
                }
                return;
            }
        };
        if in_use.read.as_ref() == Some(&read) {
            return;
        }
        match self.files.pair(&read) {
            Ok(pair) => {
                in_use.pair = pair;
                tracing::info!("the ops endpoint uses a renewed certificate");
            }
            Err(error) => {
                tracing::warn!(
                    "the ops endpoint keeps its certificate, because the new one is invalid: {error}"
                );
            }
        }
        in_use.read = Some(read);
    }
}

/// A running handshake. It returns `None` if the handshake fails.
type Handshake = BoxFuture<'static, Option<(TlsStream<TcpStream>, SocketAddr)>>;

/// Accepts TLS connections.
pub struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: FuturesUnordered<Handshake>,
}

impl TlsListener {
    /// Creates the listener. Returns an error if the files are invalid, so that a mistake is visible when the
    /// operator starts.
    pub fn new(tcp: TcpListener, files: Files) -> Result<Self, TlsError> {
        Self::reloading_every(RELOAD_INTERVAL, tcp, files)
    }

    fn reloading_every(interval: Duration, tcp: TcpListener, files: Files) -> Result<Self, TlsError> {
        let read = files.read()?;
        let pair = files.pair(&read)?;
        let in_use = Mutex::new(InUse { pair, read: Some(read), read_at: Instant::now() });
        let certificate = Arc::new(Reloading { files, interval, in_use });
        let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(certificate);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tcp, acceptor: Arc::new(config).into(), handshakes: FuturesUnordered::new() })
    }

    fn start_handshake(&self, (stream, address): (TcpStream, SocketAddr)) {
        let accept = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(stream));
        // A failed handshake is ignored. The client reports it, for example because it does not trust the
        // certificate.
        self.handshakes.push(Box::pin(async move { Some((accept.await.ok()?.ok()?, address)) }));
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    /// Returns the next connection whose handshake is complete. A slow handshake does not delay other
    /// clients.
    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let has_room = self.handshakes.len() < CONCURRENT_HANDSHAKES;
            tokio::select! {
                accepted = Listener::accept(&mut self.tcp), if has_room => self.start_handshake(accepted),
                ended = self.handshakes.next(), if !self.handshakes.is_empty() => {
                    // After a failed handshake, wait for the next one.
                    if let Some(Some(ready)) = ended {
                        return ready;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, process::Command};

    use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        task::JoinHandle,
    };
    use tokio_rustls::TlsConnector;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::ops::server::{self, Limits};

    /// Writes a certificate for the host `ops` and its key into a folder.
    fn put(folder: &Path) -> CertificateDer<'static> {
        let options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ops \
            -addext subjectAltName=DNS:ops -addext basicConstraints=critical,CA:FALSE -keyout tls.key -out tls.crt";
        let made =
            Command::new("openssl").args(options.split_whitespace()).current_dir(folder).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        CertificateDer::from_pem_file(folder.join("tls.crt")).unwrap()
    }

    async fn endpoint(folder: &Path) -> (SocketAddr, JoinHandle<()>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let files = Files { certificate: folder.join("tls.crt"), key: folder.join("tls.key") };
        let listener = TlsListener::reloading_every(Duration::ZERO, tcp, files).unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().route("/healthz", axum::routing::get(|| async { "ok\n" }));
        let served = server::serve(listener, router, Limits::default(), CancellationToken::new());
        (address, tokio::spawn(served))
    }

    /// Returns the response to a client that trusts only this certificate.
    async fn ask(address: SocketAddr, trusted: &CertificateDer<'static>) -> io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("ops").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: ops\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn renewed_certificate_is_loaded_and_invalid_one_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let first = put(folder.path());
        let (address, endpoint) = endpoint(folder.path()).await;
        // A client that never sends anything does not delay others.
        let _silent = TcpStream::connect(address).await.unwrap();
        assert!(ask(address, &first).await.unwrap().ends_with("ok\n"));

        let second = put(folder.path());
        assert!(ask(address, &second).await.unwrap().ends_with("ok\n"));
        assert!(ask(address, &first).await.is_err(), "the first certificate is not used any more");

        let other = tempfile::tempdir().unwrap();
        put(other.path());
        for spoil in [
            |folder: &Path, _: &Path| fs::write(folder.join("tls.crt"), "nonsense").unwrap(),
            |folder: &Path, other: &Path| {
                fs::write(folder.join("tls.key"), fs::read(other.join("tls.key")).unwrap()).unwrap();
            },
            |folder: &Path, _: &Path| fs::remove_file(folder.join("tls.crt")).unwrap(),
        ] {
            spoil(folder.path(), other.path());
            assert!(ask(address, &second).await.unwrap().ends_with("ok\n"), "the last valid one is kept");
        }
        let third = put(folder.path());
        assert!(ask(address, &third).await.unwrap().ends_with("ok\n"));
        endpoint.abort();
    }

    #[tokio::test]
    async fn ops_endpoint_does_not_start_with_invalid_certificate() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let files = Files { certificate: folder.path().join("tls.crt"), key: folder.path().join("tls.key") };
        let listen = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let missing = TlsListener::new(listen().await, files.clone()).err().unwrap();
        assert!(missing.to_string().contains("tls.crt cannot be read: No such file"), "{missing}");
        put(folder.path());
        fs::write(&files.key, "nonsense").unwrap();
        let wrong = TlsListener::new(listen().await, files).err().unwrap();
        assert!(wrong.to_string().contains("tls.key is not valid PEM: no items found"), "{wrong}");
    }
}
