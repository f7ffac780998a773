//! The connections of the ops endpoint, limited in number and time. Anybody who reaches the port can open
//! connections; these must not exhaust the memory or delay the kubelet's probes for long.

use std::{pin::pin, time::Duration};

use axum::{Router, serve::Listener};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// The maximum size of a request line with its headers, in bytes. A token of an identity provider with many
/// groups has about 10 KiB.
const HEAD_MAX: usize = 32 * 1024;

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The maximum number of concurrent connections. Further ones wait in the kernel's queue.
    pub connections: usize,
    /// The time limit for a client to send its request.
    pub head: Duration,
    /// The time limit for a request and its response together.
    pub total: Duration,
    /// The time limit for a response to finish during shutdown.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Each connection takes about 10 KiB, at most twice `HEAD_MAX`.
            connections: 256,
            // Shorter than the kubelet's timeout of a probe (5 s), so that slow clients do not block probes.
            head: Duration::from_secs(3),
            // The API server may take 30 s to review a token.
            total: Duration::from_mins(1),
            shutdown: Duration::from_secs(10),
        }
    }
}

/// Serves until `stop` is cancelled and all open connections have ended.
pub async fn serve<L: Listener>(mut listener: L, router: Router, limits: Limits, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        let has_room = connections.len() < limits.connections;
        tokio::select! {
            (io, _) = listener.accept(), if has_room => {
                connections.spawn(connection(io, router.clone(), limits, stop.clone()));
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = stop.cancelled() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves one request and closes the connection, because an idle connection would occupy one of the limited
/// number.
async fn connection<I>(io: I, router: Router, limits: Limits, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_MAX)
        .keep_alive(false);
    let mut connection = pin!(http.serve_connection(TokioIo::new(io), TowerToHyperService::new(router)));
    // An error on the connection is ignored: the client sees it.
    let until_stopped = async {
        tokio::select! {
            _ = connection.as_mut() => true,
            () = stop.cancelled() => false,
        }
    };
    if tokio::time::timeout(limits.total, until_stopped).await == Ok(false) {
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(limits.shutdown, connection).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        net::SocketAddr,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use axum::routing::get;
    use futures::future::join_all;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        task::JoinHandle,
    };

    use super::*;

    const LONG: Duration = Duration::from_hours(1);
    const SHORT: Duration = Duration::from_millis(100);

    const LIMITS: Limits = Limits { connections: 16, head: LONG, total: LONG, shutdown: LONG };

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: ops\r\n\r\n";

    struct Served {
        address: SocketAddr,
        stop: CancellationToken,
        task: JoinHandle<()>,
    }

    async fn served(limits: Limits, router: Router) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        Served { address, stop: stop.clone(), task: tokio::spawn(serve(listener, router, limits, stop)) }
    }

    fn greeting() -> Router {
        Router::new().route("/", get(|| async { "hello" }))
    }

    async fn send(address: SocketAddr, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// Returns the response, read to the end of the connection.
    async fn rest(mut stream: TcpStream) -> io::Result<String> {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    async fn ask(address: SocketAddr) -> String {
        rest(send(address, REQUEST).await).await.unwrap()
    }

    #[tokio::test]
    async fn unfinished_http_request_times_out_and_delays_no_other() {
        let Served { address, task, .. } = served(Limits { head: SHORT, ..LIMITS }, greeting()).await;
        let slow = [send(address, b"").await, send(address, b"GET / HTTP/1.1\r\nHost: o").await];
        assert!(ask(address).await.ends_with("hello"));
        for stream in slow {
            let answer = rest(stream).await.unwrap_or_default();
            assert!(!answer.contains("hello"), "{answer}");
        }
        task.abort();
    }

    #[tokio::test]
    async fn http_connection_closes_after_its_response() {
        let Served { address, task, .. } = served(LIMITS, greeting()).await;
        let answer = ask(address).await;
        assert!(answer.contains("connection: close") && answer.ends_with("hello"), "{answer}");
        task.abort();
    }

    #[tokio::test]
    async fn http_connections_above_the_limit_wait() {
        let concurrent: Arc<[AtomicUsize; 2]> = Arc::default();
        let counts = concurrent.clone();
        let slow = get(async move || {
            let [now, max] = &*counts;
            max.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(SHORT).await;
            now.fetch_sub(1, Ordering::SeqCst);
            "hello"
        });
        let limits = Limits { connections: 2, ..LIMITS };
        let Served { address, task, .. } = served(limits, Router::new().route("/", slow)).await;
        let answers = join_all((0..6).map(|_| ask(address))).await;
        assert!(answers.iter().all(|answer| answer.ends_with("hello")), "{answers:?}");
        assert_eq!(concurrent[1].load(Ordering::SeqCst), 2);
        // A connection without a request is closed, so the next one is served.
        let limits = Limits { connections: 1, head: SHORT, ..LIMITS };
        let one = served(limits, greeting()).await;
        let _silent = TcpStream::connect(one.address).await.unwrap();
        assert!(ask(one.address).await.ends_with("hello"));
        task.abort();
        one.task.abort();
    }

    /// Returns a router that never responds, and a notification of its first request.
    fn hanging() -> (Router, Arc<tokio::sync::Notify>) {
        let asked = Arc::new(tokio::sync::Notify::new());
        let notify = asked.clone();
        let hangs = get(async move || {
            notify.notify_one();
            std::future::pending::<&str>().await
        });
        (Router::new().route("/", hangs), asked)
    }

    #[tokio::test]
    async fn http_request_without_response_times_out() {
        let Served { address, task, .. } = served(Limits { total: SHORT, ..LIMITS }, hanging().0).await;
        assert_eq!(ask(address).await, "");
        task.abort();
    }

    #[tokio::test]
    async fn shutdown_waits_a_limited_time_for_open_requests() {
        let Served { address, stop, task } = served(LIMITS, greeting()).await;
        let idle = TcpStream::connect(address).await.unwrap();
        assert!(ask(address).await.ends_with("hello"));
        stop.cancel();
        task.await.unwrap();
        drop(idle);

        let (router, asked) = hanging();
        let Served { address, stop, task } = served(Limits { shutdown: SHORT, ..LIMITS }, router).await;
        let stream = send(address, REQUEST).await;
        asked.notified().await;
        stop.cancel();
        task.await.unwrap();
        assert_eq!(rest(stream).await.unwrap_or_default(), "");
        assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
    }
}
