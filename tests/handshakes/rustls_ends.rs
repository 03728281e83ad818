//! A client and a server of rustls, each for one connection.

use super::Mode;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, Stream};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn pair(folder: &Path, name: &str) -> Pair {
    let chain = CertificateDer::pem_file_iter(folder.join(format!("{name}.pem"))).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key"))).expect("a key");
    (chain.collect::<Result<_, _>>().expect("certificates"), key)
}

fn roots(folder: &Path) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("ca.pem")).expect("the authority")).expect("a root");
    Arc::new(roots)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub fn serve(mode: Mode, port: u16, folder: &Path) {
    let asks = WebPkiClientVerifier::builder_with_provider(roots(folder), provider());
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3");
    let config = match mode {
        Mode::OneWay => config.with_no_client_auth(),
        Mode::Mutual | Mode::Declined => {
            config.with_client_cert_verifier(asks.allow_unauthenticated().build().expect("a verifier"))
        }
    };
    let (chain, key) = pair(folder, "server");
    let config = Arc::new(config.with_single_cert(chain, key).expect("a certificate"));
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port");
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a caller");
        let mut tls = ServerConnection::new(config).expect("a session");
        let mut stream = Stream::new(&mut tls, &mut socket);
        let mut buffer = [0; 64];
        while let Ok(count) = stream.read(&mut buffer) {
            if count == 0 || stream.write_all(&buffer[..count]).is_err() {
                return;
            }
        }
    });
}

pub fn call(mode: Mode, port: u16, folder: &Path) {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots(folder));
    let config = match mode {
        Mode::Mutual => {
            let (chain, key) = pair(folder, "client");
            config.with_client_auth_cert(chain, key).expect("a certificate")
        }
        Mode::OneWay | Mode::Declined => config.with_no_client_auth(),
    };
    let config = Arc::new(config);
    thread::spawn(move || {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("the relay");
        let name = ServerName::try_from("localhost").expect("a name");
        let mut tls = ClientConnection::new(config, name).expect("a session");
        let mut stream = Stream::new(&mut tls, &mut socket);
        if stream.write_all(b"hello\n").is_ok() {
            drop(stream.read(&mut [0; 64]));
        }
        thread::sleep(std::time::Duration::from_secs(2));
    });
}
