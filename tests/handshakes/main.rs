//! Fresh handshakes of real programs, recorded byte for byte between client and server: who showed
//! a certificate in TLS 1.3, and what became of connections that begin in the clear.
//!
//! A program that is not installed is said and left out; `openssl` makes the certificates.

#![expect(clippy::disallowed_methods, reason = "the test runs programs and is a server for them")]

mod relay;
mod rustls_ends;
mod upgrades;

use relay::{Programs, Talk};
use std::path::Path;
use std::process::Command;
use std::thread;
use watertight::model::{Encryption, Protection};

/// Whether a certificate of the client is asked for and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    OneWay,
    Mutual,
    /// Asked for; the client has none.
    Declined,
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Mode::OneWay => "one-way",
            Mode::Mutual => "mutual",
            Mode::Declined => "declined",
        }
    }
}

/// A TLS library, as a client and as a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Library {
    Go,
    OpenSsl,
    GnuTls,
    Rustls,
}

impl Library {
    /// Whether its programs are here.
    fn is_here(self, folder: &Path) -> bool {
        match self {
            Library::Go => go(folder),
            Library::OpenSsl => relay::is_installed("openssl"),
            Library::GnuTls => relay::is_installed("gnutls-serv") && relay::is_installed("gnutls-cli"),
            Library::Rustls => true,
        }
    }

    fn serve(self, mode: Mode, port: u16, folder: &Path, programs: &mut Programs) {
        let at = format!("127.0.0.1:{port}");
        let file = |name: &str| folder.join(name).display().to_string();
        let (pem, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
        match self {
            Library::Go => programs.start(&file("go"), &["server", &at, mode.word(), &file("")]),
            Library::OpenSsl => {
                let all = ["s_server", "-accept", &at, "-cert", &pem, "-key", &key, "-tls1_3", "-rev"];
                let asks: &[&str] =
                    if mode == Mode::OneWay { &[] } else { &["-verify", "1", "-CAfile", &ca] };
                programs.start("openssl", &[&all[..], asks].concat());
            }
            Library::GnuTls => {
                let port = port.to_string();
                let all = ["--echo", "-q", "-p", &port, "--x509certfile", &pem, "--x509keyfile", &key];
                let asks: &[&str] =
                    if mode == Mode::OneWay { &["--disable-client-cert"] } else { &["--x509cafile", &ca] };
                programs.start("gnutls-serv", &[&all[..], asks, GNUTLS_1_3].concat());
            }
            Library::Rustls => rustls_ends::serve(mode, port, folder),
        }
    }

    fn call(self, mode: Mode, port: u16, folder: &Path, programs: &mut Programs) {
        let at = format!("127.0.0.1:{port}");
        let file = |name: &str| folder.join(name).display().to_string();
        let (pem, key, ca) = (file("client.pem"), file("client.key"), file("ca.pem"));
        match self {
            Library::Go => programs.start(&file("go"), &["client", &at, mode.word(), &file("")]),
            Library::OpenSsl => {
                let all = ["s_client", "-connect", &at, "-tls1_3", "-quiet", "-CAfile", &ca];
                let shows: &[&str] = if mode == Mode::Mutual { &["-cert", &pem, "-key", &key] } else { &[] };
                programs.start("openssl", &[&all[..], shows].concat());
            }
            Library::GnuTls => {
                let port = port.to_string();
                let all = ["--no-ca-verification", "-p", &port, "127.0.0.1"];
                let shows: &[&str] = match mode {
                    Mode::Mutual => &["--x509certfile", &pem, "--x509keyfile", &key],
                    Mode::OneWay | Mode::Declined => &[],
                };
                programs.start("gnutls-cli", &[&all[..], shows, GNUTLS_1_3].concat());
            }
            Library::Rustls => rustls_ends::call(mode, port, folder),
        }
    }
}

const GNUTLS_1_3: &[&str] = &["--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.3"];

/// Builds the program of Go, where Go is.
fn go(folder: &Path) -> bool {
    if !relay::is_installed("go") {
        return false;
    }
    let source = folder.join("tls.go");
    std::fs::write(&source, include_str!("tls.go")).expect("written");
    let mut build = Command::new("go");
    build.arg("build").arg("-o").arg(folder.join("go")).arg(&source).env("GOFLAGS", "-mod=mod");
    build.env("GOTOOLCHAIN", "local").current_dir(folder);
    build.output().is_ok_and(|output| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        true
    })
}

#[test]
fn mutual_and_one_way_tls_are_told_apart_in_fresh_handshakes() {
    let folder = tempfile::tempdir().expect("a folder");
    if !relay::certificates(folder.path()) {
        println!("left out: no openssl, which makes the certificates");
        return;
    }
    let all = [Library::Go, Library::OpenSsl, Library::GnuTls, Library::Rustls];
    let (here, missing): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.is_here(folder.path()));
    println!("with {here:?}; not installed: {missing:?}");
    let of_client = |client: Library| {
        let pairs = here.iter().flat_map(|server| MODES.map(|mode| (*server, mode)));
        pairs.map(|(server, mode)| told(client, server, mode, folder.path())).collect::<Vec<_>>()
    };
    let results: Vec<Result<(), String>> = thread::scope(|scope| {
        let clients: Vec<_> = here.iter().map(|client| scope.spawn(|| of_client(*client))).collect();
        clients.into_iter().flat_map(|one| one.join().expect("no panic")).collect()
    });
    let wrong: Vec<&String> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    println!("{} handshakes, {} told wrong", results.len(), wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(results.len() >= 6);
}

const MODES: [Mode; 3] = [Mode::OneWay, Mode::Mutual, Mode::Declined];

/// One handshake, and what is wrong with what was told of it.
fn told(client: Library, server: Library, mode: Mode, folder: &Path) -> Result<(), String> {
    let call = || {
        let mut programs = Programs::default();
        let upstream = relay::free_port();
        server.serve(mode, upstream, folder, &mut programs);
        Talk::relayed(upstream, |port| client.call(mode, port, folder, &mut programs))
    };
    // A port that was free may be somebody else's before the server listens.
    let talk = Some(call()).filter(Talk::is_answered).unwrap_or_else(call);
    let detection = talk.detection(443);
    let (encryption, shown) = match mode {
        Mode::OneWay => (Encryption::Tls, "not-shown"),
        Mode::Mutual => (Encryption::MutualTls, "shown"),
        Mode::Declined => (Encryption::Tls, "declined"),
    };
    let fact = detection.facts.iter().find(|(name, _)| *name == "client_certificate");
    let right = detection.protection == Protection::Encrypted(encryption)
        && fact.is_some_and(|(_, value)| value == shown)
        && detection.why.contains("lengths of its records");
    match right {
        true => Ok(()),
        false => Err(format!("{client:?} to {server:?}, {}: {detection:?} {talk}", mode.word())),
    }
}
