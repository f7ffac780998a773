//! The connections of the ops endpoint: how many there may be, and how long each may take. Whoever reaches the port can open
//! some, and must neither fill the memory with them nor keep the kubelet's probes out for long.

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

/// A token of an identity provider that lists many groups has some 10 KiB.
const LARGEST_HEAD: usize = 32 * 1024;

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many there are at a time; others wait in the kernel's queue.
    pub at_once: usize,
    /// How long a client may take to ask.
    pub head: Duration,
    /// How long all of it may take, with the answer.
    pub whole: Duration,
    /// How long an answer may take that is under way when the process is told to stop.
    pub last: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Each takes some 10 KiB, or twice `LARGEST_HEAD` at worst.
            at_once: 256,
            // Sooner than the kubelet gives up a probe (5 s), as with handshakes.
            head: Duration::from_secs(3),
            // The API server may take 30 s to say who asks.
            whole: Duration::from_mins(1),
            last: Duration::from_secs(10),
        }
    }
}

/// Serves until told to stop, and then until what is under way has ended.
pub async fn serve<L: Listener>(mut listener: L, router: Router, limits: Limits, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        let has_room = connections.len() < limits.at_once;
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

/// One request and its answer: a connection that is kept for more takes the place of another one.
async fn connection<I>(io: I, router: Router, limits: Limits, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(LARGEST_HEAD)
        .keep_alive(false);
    let mut connection = pin!(http.serve_connection(TokioIo::new(io), TowerToHyperService::new(router)));
    // What goes wrong is the client's matter.
    let until_stopped = async {
        tokio::select! {
            _ = connection.as_mut() => true,
            () = stop.cancelled() => false,
        }
    };
    if tokio::time::timeout(limits.whole, until_stopped).await == Ok(false) {
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(limits.last, connection).await;
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

    const LIMITS: Limits = Limits { at_once: 16, head: LONG, whole: LONG, last: LONG };

    const ASKS: &[u8] = b"GET / HTTP/1.1\r\nHost: ops\r\n\r\n";

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

    /// All that is answered until the connection ends.
    async fn rest(mut stream: TcpStream) -> io::Result<String> {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    async fn ask(address: SocketAddr) -> String {
        rest(send(address, ASKS).await).await.unwrap()
    }

    #[tokio::test]
    async fn who_does_not_finish_asking_is_cut_off_and_keeps_nobody_waiting() {
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
    async fn a_connection_ends_with_its_answer() {
        let Served { address, task, .. } = served(LIMITS, greeting()).await;
        let answer = ask(address).await;
        assert!(answer.contains("connection: close") && answer.ends_with("hello"), "{answer}");
        task.abort();
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_wait_for_a_place() {
        let inside: Arc<[AtomicUsize; 2]> = Arc::default();
        let seen = inside.clone();
        let slow = get(async move || {
            let [now, most] = &*seen;
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(SHORT).await;
            now.fetch_sub(1, Ordering::SeqCst);
            "hello"
        });
        let limits = Limits { at_once: 2, ..LIMITS };
        let Served { address, task, .. } = served(limits, Router::new().route("/", slow)).await;
        let answers = join_all((0..6).map(|_| ask(address))).await;
        assert!(answers.iter().all(|answer| answer.ends_with("hello")), "{answers:?}");
        assert_eq!(inside[1].load(Ordering::SeqCst), 2);
        // Nor does one that says nothing keep its place.
        let limits = Limits { at_once: 1, head: SHORT, ..LIMITS };
        let one = served(limits, greeting()).await;
        let _silent = TcpStream::connect(one.address).await.unwrap();
        assert!(ask(one.address).await.ends_with("hello"));
        task.abort();
        one.task.abort();
    }

    /// A router that says when it was asked, and never answers.
    fn hanging() -> (Router, Arc<tokio::sync::Notify>) {
        let asked = Arc::new(tokio::sync::Notify::new());
        let told = asked.clone();
        let hangs = get(async move || {
            told.notify_one();
            std::future::pending::<&str>().await
        });
        (Router::new().route("/", hangs), asked)
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_ends_too() {
        let Served { address, task, .. } = served(Limits { whole: SHORT, ..LIMITS }, hanging().0).await;
        assert_eq!(ask(address).await, "");
        task.abort();
    }

    #[tokio::test]
    async fn a_stop_lets_answers_end_and_waits_for_nobody_for_long() {
        let Served { address, stop, task } = served(LIMITS, greeting()).await;
        let idle = TcpStream::connect(address).await.unwrap();
        assert!(ask(address).await.ends_with("hello"));
        stop.cancel();
        task.await.unwrap();
        drop(idle);

        let (router, asked) = hanging();
        let Served { address, stop, task } = served(Limits { last: SHORT, ..LIMITS }, router).await;
        let stream = send(address, ASKS).await;
        asked.notified().await;
        stop.cancel();
        task.await.unwrap();
        assert_eq!(rest(stream).await.unwrap_or_default(), "");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }
}
