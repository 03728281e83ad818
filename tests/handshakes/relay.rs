//! A relay between two programs that records what each says, and what the detectors make of it.

use std::fmt;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use watertight::capture::{StreamStart, Transport};
use watertight::protocol::{self, Detection, Seen};

/// What a capture keeps of each side.
const KEPT: usize = 16 << 10;
/// A conversation may take this long, and is over after so much silence.
const PATIENCE: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_millis(400);

pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A port on which nobody listens.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// An authority, and a certificate of each side; whether they could be made.
pub fn certificates(folder: &Path) -> bool {
    let run = |line: &str| {
        let openssl = Command::new("openssl").args(line.split(' ')).current_dir(folder).output();
        openssl.is_ok_and(|output| output.status.success())
    };
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").expect("written");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    run(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority -days 9"))
        && ["server", "client"].iter().all(|name| {
            run(&format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"))
                && run(&format!(
                    "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -extfile names -out {name}.pem"
                ))
        })
}

/// Programs that run, and end with the test.
#[derive(Default)]
pub struct Programs(Vec<Child>);

impl Programs {
    /// Starts one that is told hello, and whose standard input stays open.
    pub fn start(&mut self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
        if let Some(input) = &mut child.stdin {
            drop(input.write_all(b"hello\n"));
        }
        self.0.push(child);
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        for child in &mut self.0 {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// What both sides said.
#[derive(Debug, Default)]
struct Said {
    client: Vec<u8>,
    server: Vec<u8>,
    server_first: bool,
    /// The last time that somebody said something.
    last: Option<Instant>,
    over: bool,
}

impl Said {
    fn add(&mut self, side: Side, bytes: &[u8]) {
        if self.client.is_empty() && self.server.is_empty() {
            self.server_first = side == Side::Server;
        }
        match side {
            Side::Client => self.client.extend(bytes),
            Side::Server => self.server.extend(bytes),
        }
        self.last = Some(Instant::now());
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// What a server in the clear does with what it was told so far.
pub enum Answer {
    /// It waits for more.
    More,
    /// It says this, and goes on in the clear.
    Say(Vec<u8>),
    /// It says this, and TLS begins.
    Upgrade(Vec<u8>),
    /// It goes away.
    Close,
}

/// A server in the clear: its greeting, and its answers to what is still unanswered.
pub struct Clear {
    pub greeting: Vec<u8>,
    pub answer: fn(&[u8]) -> Answer,
}

/// A recorded conversation.
pub struct Talk {
    client: Vec<u8>,
    server: Vec<u8>,
    server_first: bool,
}

impl Talk {
    /// Of a client that is started with the port to call, and the server on another port.
    pub fn relayed(upstream: u16, call: impl FnOnce(u16)) -> Talk {
        Talk::behind(None, upstream, call)
    }

    /// The same behind a server in the clear.
    pub fn behind(clear: Option<Clear>, upstream: u16, call: impl FnOnce(u16)) -> Talk {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let said = Arc::new(Mutex::new(Said::default()));
        let shared = said.clone();
        let relaying = thread::spawn(move || relay(&listener, clear, upstream, &shared));
        call(port);
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(20));
            let said = said.lock().expect("no panic");
            let silent = said.last.is_some_and(|last| last.elapsed() > SILENCE);
            if said.over || silent && has_data(&said.client) && has_data(&said.server) {
                break;
            }
        }
        // It ends with the programs, which the caller stops; who never was called waits no more.
        drop(TcpStream::connect(("127.0.0.1", port)));
        drop(relaying);
        let said = std::mem::take(&mut *said.lock().expect("no panic"));
        let kept = |mut bytes: Vec<u8>| {
            bytes.truncate(KEPT);
            bytes
        };
        Talk { client: kept(said.client), server: kept(said.server), server_first: said.server_first }
    }

    /// Whether the server said anything.
    pub fn is_answered(&self) -> bool {
        !self.server.is_empty()
    }

    /// What the detectors say of it.
    pub fn detection(&self, port: u16) -> Detection {
        let start = StreamStart {
            forward: self.client.clone(),
            backward: self.server.clone(),
            responder_first: self.server_first,
            ..StreamStart::default()
        };
        protocol::judge(&Seen::new(Transport::Tcp, 40_000, port, &start))
    }
}

/// The lengths of records, for who looks for a fault.
impl fmt::Display for Talk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (side, bytes) in [("client", &self.client), ("server", &self.server)] {
            let from = bytes.windows(3).position(|w| w[0] == 22 && w[1] == 3).unwrap_or(0);
            let (mut rest, mut lengths) = (&bytes[from..], Vec::new());
            while let [kind, _, _, a, b, more @ ..] = rest {
                let length = usize::from(u16::from_be_bytes([*a, *b]));
                lengths.push(format!("{kind}:{length}"));
                rest = more.get(length..).unwrap_or(&[]);
            }
            let begin = String::from_utf8_lossy(&bytes[..from]).into_owned();
            write!(f, " {side} {begin:?} {}", lengths.join(" "))?;
        }
        Ok(())
    }
}

/// Whether a record of application data begins somewhere.
fn has_data(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|window| window == [23, 3, 3])
}

fn relay(listener: &TcpListener, clear: Option<Clear>, upstream: u16, said: &Arc<Mutex<Said>>) {
    let (client, _) = listener.accept().expect("a caller");
    if let Some(clear) = clear
        && !speak(&client, &clear, said)
    {
        drop(client.shutdown(Shutdown::Both));
        said.lock().expect("no panic").over = true;
        return;
    }
    // The server may still be on its way up.
    let begin = Instant::now();
    let server = loop {
        match TcpStream::connect(("127.0.0.1", upstream)) {
            Ok(server) => break server,
            Err(error) => assert!(begin.elapsed() < PATIENCE, "the server does not listen: {error}"),
        }
        thread::sleep(Duration::from_millis(20));
    };
    let copy = |from: &TcpStream, to: &TcpStream, side: Side| {
        let (mut from, mut to) = (from.try_clone().expect("a stream"), to.try_clone().expect("a stream"));
        let said = said.clone();
        thread::spawn(move || {
            let mut buffer = [0; 16_384];
            while let Ok(count) = from.read(&mut buffer) {
                if count == 0 {
                    break;
                }
                said.lock().expect("no panic").add(side, &buffer[..count]);
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            drop(to.shutdown(Shutdown::Write));
        })
    };
    let both = [copy(&client, &server, Side::Client), copy(&server, &client, Side::Server)];
    both.into_iter().for_each(|one| drop(one.join()));
    said.lock().expect("no panic").over = true;
}

/// Speaks in the clear until TLS begins; whether it does.
fn speak(client: &TcpStream, clear: &Clear, said: &Arc<Mutex<Said>>) -> bool {
    let mut stream = client.try_clone().expect("a stream");
    let say = |bytes: &[u8]| {
        if !bytes.is_empty() {
            said.lock().expect("no panic").add(Side::Server, bytes);
        }
        (&*client).write_all(bytes).is_ok()
    };
    let (mut pending, mut byte) = (Vec::new(), [0; 1]);
    if !say(&clear.greeting) {
        return false;
    }
    // A byte at a time: what follows the last request is TLS already.
    while stream.read(&mut byte).is_ok_and(|count| count == 1) {
        said.lock().expect("no panic").add(Side::Client, &byte);
        pending.push(byte[0]);
        match (clear.answer)(&pending) {
            Answer::More => continue,
            Answer::Say(text) if !say(&text) => return false,
            Answer::Say(_) => pending.clear(),
            Answer::Upgrade(text) => return say(&text),
            Answer::Close => return false,
        }
    }
    false
}
