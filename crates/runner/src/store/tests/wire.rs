//! A loopback HTTP server in front of a store or instead of one. It records every request, and the test
//! decides about each response.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// The path and the query of the request.
    pub target: String,
    /// The headers, with names in lower case.
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Returns whether the request sends a part of a multipart upload.
    pub fn is_part(&self) -> bool {
        self.method == "PUT" && self.target.contains("partNumber=")
    }

    fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut request = Self { method, target, headers, body: Vec::new() };
        let length = request.header("content-length").and_then(|length| length.parse().ok());
        request.body = vec![0; length.unwrap_or_default()];
        stream.read_exact(&mut request.body)?;
        Ok(Some(request))
    }

    /// Sends the request to `address` and returns the whole response.
    fn pass_to(&self, address: SocketAddr) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "{} {} HTTP/1.1\r\nconnection: close\r\n", self.method, self.target)?;
        for (name, value) in self.headers.iter().filter(|(name, _)| name != "connection") {
            write!(stream, "{name}: {value}\r\n")?;
        }
        stream.write_all(b"\r\n")?;
        stream.write_all(&self.body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// The response to a request.
pub enum Answer {
    /// A response with a status such as `404 Not Found`, headers and a body.
    Is(&'static str, Vec<(&'static str, String)>, String),
    /// The response of the store at this address.
    Of(SocketAddr),
    /// No response: the connection is closed.
    HangUp,
}

impl Answer {
    fn bytes(self, request: &Request) -> io::Result<Vec<u8>> {
        match self {
            Self::Is(status, headers, body) => {
                let headers: String =
                    headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
                );
                Ok((head + if request.method == "HEAD" { "" } else { &body }).into_bytes())
            }
            Self::Of(address) => request.pass_to(address),
            Self::HangUp => Ok(Vec::new()),
        }
    }
}

/// The server, which stops when this value is dropped.
pub struct Wire {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    ends: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Wire {
    /// Starts a server that calls `answer` for each request, for several concurrently.
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, ends) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let shared = (Arc::new(answer), Arc::clone(&requests), Arc::clone(&ends));
        let listening = thread::spawn(move || {
            let (answer, requests, ends) = shared;
            thread::scope(|connections| {
                for stream in listener.incoming() {
                    if ends.load(Ordering::Relaxed) {
                        return;
                    }
                    let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
                    // A client may close a connection at any time, so errors are ignored.
                    connections.spawn(move || stream.and_then(|stream| serve(stream, &*answer, &requests)));
                }
            });
        });
        Self { address, requests, ends, listening: Some(listening) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the requests so far for which `wanted` returns true.
    pub fn requests(&self, wanted: impl Fn(&Request) -> bool) -> Vec<Request> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.iter().filter(|request| wanted(request)).cloned().collect()
    }
}

/// Serves one request of a connection.
fn serve(
    stream: TcpStream,
    answer: &impl Fn(&Request) -> Answer,
    requests: &Mutex<Vec<Request>>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let Some(request) = Request::read(&mut stream)? else { return Ok(()) };
    requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
    let answer = answer(&request).bytes(&request)?;
    stream.get_mut().write_all(&answer)
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}
