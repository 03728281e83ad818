//! `/metrics`, `/healthz` and `/readyz` over HTTP, for Prometheus and the kubelet.
//!
//! A server as small as its task: GET, three paths, one request a connection.

use crate::cli::Failure;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Who sends no request in this time is hung up on.
const PATIENCE: Duration = Duration::from_secs(5);
/// Lines of a request that are read at most.
const MOST_LINES: usize = 100;

/// What is served at the moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    /// The metrics in the text format of Prometheus (version 0.0.4).
    pub metrics: String,
    /// Whether everything was read once.
    pub ready: Ready,
}

/// Whether there is something to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ready {
    /// The cluster is still being read.
    #[default]
    NotYet,
    /// It was read.
    Yes,
}

/// The page that the server shows; whoever has it may change it.
pub(super) type Shared = Arc<Mutex<Page>>;

/// Serves the page until the process ends; the address that was bound is returned.
pub(super) fn serve(address: &str, page: &Shared) -> Result<SocketAddr, Failure> {
    let refused = |error: std::io::Error| {
        Failure::usage(format!("cannot listen on {address}: {error}"), "--listen 127.0.0.1:9402")
    };
    let listener = bind(address).map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    let page = page.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let page = page.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // One who is slow does not keep the others waiting.
            std::thread::spawn(move || drop(answer(&stream, &page)));
        }
    });
    Ok(bound)
}

#[expect(clippy::disallowed_methods, reason = "the one server of this program")]
fn bind(address: &str) -> std::io::Result<TcpListener> {
    TcpListener::bind(address)
}

fn answer(mut stream: &TcpStream, page: &Page) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    // The rest of the request is read so that the answer is not lost with the connection.
    lines.take(MOST_LINES).map_while(Result::ok).find(String::is_empty);
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let text = "text/plain; version=0.0.4; charset=utf-8";
    let (status, body) = match (method, path, page.ready) {
        ("GET" | "HEAD", "/metrics", _) => ("200 OK", page.metrics.as_str()),
        ("GET" | "HEAD", "/healthz", _) | ("GET" | "HEAD", "/readyz", Ready::Yes) => ("200 OK", "ok\n"),
        ("GET" | "HEAD", "/readyz", Ready::NotYet) => {
            ("503 Service Unavailable", "the cluster is still being read\n")
        }
        ("GET" | "HEAD", ..) => ("404 Not Found", "there are /metrics, /healthz and /readyz\n"),
        _ => ("405 Method Not Allowed", "only GET is answered\n"),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {text}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    if method != "HEAD" {
        stream.write_all(body.as_bytes())?;
    }
    stream.flush()
}
