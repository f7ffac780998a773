//! TLS for the ops endpoint, with a certificate that is read again when its files change: Kubernetes puts a renewed
//! Secret into the pod's files, and nobody restarts the pod for it.

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

/// How often the files are looked at, at most. The kubelet itself takes up to a minute and more to bring new ones.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A client that has not finished its handshake by then is given up. Sooner than the kubelet gives up a probe (5 s): who
/// connects and says nothing, over and over, must not have the operator restarted.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// Handshakes under way at a time; others wait in the kernel's queue. Each takes some 20 KiB.
const AT_ONCE: usize = 256;

/// The files of a Secret of the type kubernetes.io/tls.
#[derive(Clone, Debug)]
pub struct Files {
    /// The certificate and those between it and its authority, in PEM.
    pub certificate: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
}

/// Why files are of no use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {source}", path.display())]
    Pem {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key are not of each other.
    #[error("certificate and key do not work together: {0}")]
    Pair(#[from] rustls::Error),
    /// The program has no provider of cryptography.
    #[error("no provider of cryptography is installed")]
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

/// What the files hold.
#[derive(PartialEq, Eq)]
struct Bytes {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// The certificate in use.
struct InUse {
    pair: Arc<CertifiedKey>,
    /// What was read last, good or not.
    read: Option<Bytes>,
    looked: Instant,
}

/// Gives each client the certificate as it is by then.
struct Renewed {
    files: Files,
    look_every: Duration,
    in_use: Mutex<InUse>,
}

// Nothing of a key may be printed.
impl std::fmt::Debug for Renewed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renewed").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Renewed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if in_use.looked.elapsed() >= self.look_every {
            in_use.looked = Instant::now();
            self.look(&mut in_use);
        }
        Some(in_use.pair.clone())
    }
}

impl Renewed {
    /// A pair that does not work is told once, and the one before it stays: an endpoint with an old certificate can be
    /// looked at, one without any cannot.
    fn look(&self, in_use: &mut InUse) {
        let read = match self.files.read() {
            Ok(read) => read,
            Err(error) => {
                if in_use.read.take().is_some() {
                    tracing::warn!("the certificate of the ops endpoint stays as it was: {error}");
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
                tracing::info!("the ops endpoint has a new certificate");
            }
            Err(error) => tracing::warn!("the certificate of the ops endpoint stays as it was: {error}"),
        }
        in_use.read = Some(read);
    }
}

/// A handshake under way, that may come to nothing.
type Handshake = BoxFuture<'static, Option<(TlsStream<TcpStream>, SocketAddr)>>;

/// Accepts connections and speaks TLS on them.
pub struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: FuturesUnordered<Handshake>,
}

impl TlsListener {
    /// Fails where the files are of no use at the start: then somebody is there to look.
    pub fn new(tcp: TcpListener, files: Files) -> Result<Self, TlsError> {
        Self::looking_every(LOOK_EVERY, tcp, files)
    }

    fn looking_every(look_every: Duration, tcp: TcpListener, files: Files) -> Result<Self, TlsError> {
        let read = files.read()?;
        let pair = files.pair(&read)?;
        let in_use = Mutex::new(InUse { pair, read: Some(read), looked: Instant::now() });
        let renewed = Arc::new(Renewed { files, look_every, in_use });
        let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(renewed);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tcp, acceptor: Arc::new(config).into(), handshakes: FuturesUnordered::new() })
    }

    fn shake_hands(&self, (stream, address): (TcpStream, SocketAddr)) {
        let accept = tokio::time::timeout(HANDSHAKE, self.acceptor.accept(stream));
        // One that fails is the client's matter: it may not trust us.
        self.handshakes.push(Box::pin(async move { Some((accept.await.ok()?.ok()?, address)) }));
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    /// A client that is slow to shake hands keeps no other waiting.
    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let has_room = self.handshakes.len() < AT_ONCE;
            tokio::select! {
                accepted = Listener::accept(&mut self.tcp), if has_room => self.shake_hands(accepted),
                ended = self.handshakes.next(), if !self.handshakes.is_empty() => {
                    // What came to nothing makes room, and must not end the wait for the others.
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

    /// A certificate for `ops`, and its key, as files in a folder.
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
        let listener = TlsListener::looking_every(Duration::ZERO, tcp, files).unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().route("/healthz", axum::routing::get(|| async { "ok\n" }));
        let served = server::serve(listener, router, Limits::default(), CancellationToken::new());
        (address, tokio::spawn(served))
    }

    /// What a client gets that trusts this certificate only.
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
    async fn a_renewed_certificate_is_used_and_a_bad_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let first = put(folder.path());
        let (address, endpoint) = endpoint(folder.path()).await;
        // Somebody who connects and says nothing is in nobody's way.
        let _silent = TcpStream::connect(address).await.unwrap();
        assert!(ask(address, &first).await.unwrap().ends_with("ok\n"));

        let second = put(folder.path());
        assert!(ask(address, &second).await.unwrap().ends_with("ok\n"));
        assert!(ask(address, &first).await.is_err(), "the first one is no longer shown");

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
            assert!(ask(address, &second).await.unwrap().ends_with("ok\n"), "the last good one stays");
        }
        let third = put(folder.path());
        assert!(ask(address, &third).await.unwrap().ends_with("ok\n"));
        endpoint.abort();
    }

    #[tokio::test]
    async fn files_that_are_of_no_use_end_the_start() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let files = Files { certificate: folder.path().join("tls.crt"), key: folder.path().join("tls.key") };
        let listen = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let missing = TlsListener::new(listen().await, files.clone()).err().unwrap();
        assert!(missing.to_string().contains("tls.crt: No such file"), "{missing}");
        put(folder.path());
        fs::write(&files.key, "nonsense").unwrap();
        let wrong = TlsListener::new(listen().await, files).err().unwrap();
        assert!(wrong.to_string().contains("tls.key: no items found"), "{wrong}");
    }
}
