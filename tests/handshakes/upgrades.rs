//! Connections that begin in the clear, with real clients: where the server agrees they are
//! encrypted from there on, where it does not they are never called that.

use super::relay::{self, Answer, Clear, Programs, Talk};
use watertight::model::Protection;

/// A protocol whose clients ask for TLS inside the connection.
struct Upgrade {
    /// The detector that should know it.
    detector: &'static str,
    port: u16,
    /// The program and its arguments; `PORT` is where it calls.
    client: &'static str,
    greeting: &'static [u8],
    answer: fn(&[u8]) -> Answer,
}

/// Whole lines are answered by what they contain; the last matching row is the upgrade.
fn lines(told: &[u8], talk: &[(&str, &str)], upgrade: (&str, &str)) -> Answer {
    let text = String::from_utf8_lossy(told);
    let Some(line) = text.strip_suffix("\r\n") else { return Answer::More };
    let tag = line.split(' ').next().unwrap_or_default();
    let filled = |reply: &str| reply.replace("TAG", tag).into_bytes();
    if line.to_uppercase().contains(upgrade.0) {
        return Answer::Upgrade(filled(upgrade.1));
    }
    let known = talk.iter().find(|(word, _)| line.to_uppercase().contains(word));
    known.map_or(Answer::More, |(_, reply)| Answer::Say(filled(reply)))
}

/// Answers as soon as something was said completely.
fn whole(told: &[u8], ends: &[u8], reply: &[u8]) -> Answer {
    match told.ends_with(ends) {
        true => Answer::Upgrade(reply.to_vec()),
        false => Answer::More,
    }
}

fn smtp(told: &[u8]) -> Answer {
    let talk = [("EHLO", "250-mail.shop\r\n250 STARTTLS\r\n"), ("LHLO", "250-mail.shop\r\n250 STARTTLS\r\n")];
    lines(told, &talk, ("STARTTLS", "220 go ahead\r\n"))
}

fn pop3(told: &[u8]) -> Answer {
    lines(told, &[("CAPA", "+OK\r\nSTLS\r\n.\r\n")], ("STLS", "+OK begin\r\n"))
}

fn imap(told: &[u8]) -> Answer {
    let talk = [("CAPABILITY", "* CAPABILITY IMAP4rev1 STARTTLS\r\nTAG OK done\r\n")];
    lines(told, &talk, ("STARTTLS", "TAG OK begin\r\n"))
}

fn ftp(told: &[u8]) -> Answer {
    let talk = [("FEAT", "211-Features:\r\n AUTH TLS\r\n211 End\r\n")];
    lines(told, &talk, ("AUTH TLS", "234 go ahead\r\n"))
}

fn nntp(told: &[u8]) -> Answer {
    let talk = [("CAPABILITIES", "101 they are\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n")];
    lines(told, &talk, ("STARTTLS", "382 go ahead\r\n"))
}

fn irc(told: &[u8]) -> Answer {
    lines(told, &[], ("STARTTLS", ":irc.shop 670 * :STARTTLS successful\r\n"))
}

fn sieve(told: &[u8]) -> Answer {
    lines(told, &[], ("STARTTLS", "OK \"begin\"\r\n"))
}

fn xmpp(told: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(told);
    if text.contains("<starttls") && text.ends_with('>') {
        return Answer::Upgrade(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>".to_vec());
    }
    match text.contains("<stream:stream") && text.ends_with('>') {
        true => Answer::Say(
            b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
              xmlns:stream='http://etherx.jabber.org/streams' from='shop' id='1' version='1.0'>\
              <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
              </stream:features>"
                .to_vec(),
        ),
        false => Answer::More,
    }
}

/// An ExtendedRequest of StartTLS, and the response of success (RFC 4511 section 4.14).
fn ldap(told: &[u8]) -> Answer {
    let response = [0x30, 12, 2, 1, told.get(4).copied().unwrap_or(1), 0x78, 7, 10, 1, 0, 4, 0, 4, 0];
    whole(told, b"1.3.6.1.4.1.1466.20037", &response)
}

/// An SSLRequest, and one letter.
fn postgresql(told: &[u8]) -> Answer {
    whole(told, &[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f], b"S")
}

/// An SSLRequest: the first 32 bytes of a login, with the flag for TLS.
fn mysql(told: &[u8]) -> Answer {
    if told.len() == 36 { Answer::Upgrade(Vec::new()) } else { Answer::More }
}

fn connect(told: &[u8]) -> Answer {
    whole(told, b"\r\n\r\n", b"HTTP/1.1 200 Connection established\r\n\r\n")
}

/// RFC 1928: the method, then the request for an IPv4 address or a name.
fn socks(told: &[u8]) -> Answer {
    match told {
        // With one method it would begin like a request; curl offers two.
        [5, count, methods @ ..] if *count > 1 && methods.len() == usize::from(*count) => {
            Answer::Say(vec![5, 0])
        }
        [5, 1, 0, 1, rest @ ..] if rest.len() == 6 => Answer::Upgrade(vec![5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        [5, 1, 0, 3, length, rest @ ..] if rest.len() == usize::from(*length) + 2 => {
            Answer::Upgrade(vec![5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
        }
        _ => Answer::More,
    }
}

/// The header line of a proxy, which nobody answers.
fn proxied(told: &[u8]) -> Answer {
    whole(told, b"\r\n", b"")
}

/// Protocol 10, a version, a challenge, and the flag that says that TLS can be had.
const MYSQL_GREETING: &[u8] = b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15\
    \0\0\0\0\0\0\0\0\0\0abcdefghijkl\0mysql_native_password\0";

const SIEVE_GREETING: &[u8] =
    b"\"IMPLEMENTATION\" \"shop\"\r\n\"SIEVE\" \"fileinto\"\r\n\"STARTTLS\"\r\nOK \"ready\"\r\n";

const UPGRADES: &[Upgrade] = &[
    Upgrade {
        detector: "smtp",
        port: 25,
        client: "openssl s_client -starttls smtp -connect 127.0.0.1:PORT",
        greeting: b"220 mail.shop ESMTP\r\n",
        answer: smtp,
    },
    Upgrade {
        detector: "smtp",
        port: 587,
        client: "gnutls-cli --insecure --starttls-proto=smtp -p PORT 127.0.0.1",
        greeting: b"220 mail.shop ESMTP\r\n",
        answer: smtp,
    },
    Upgrade {
        detector: "pop3",
        port: 110,
        client: "openssl s_client -starttls pop3 -connect 127.0.0.1:PORT",
        greeting: b"+OK ready\r\n",
        answer: pop3,
    },
    Upgrade {
        detector: "pop3",
        port: 110,
        client: "gnutls-cli --insecure --starttls-proto=pop3 -p PORT 127.0.0.1",
        greeting: b"+OK ready\r\n",
        answer: pop3,
    },
    Upgrade {
        detector: "imap",
        port: 143,
        client: "openssl s_client -starttls imap -connect 127.0.0.1:PORT",
        greeting: b"* OK ready\r\n",
        answer: imap,
    },
    Upgrade {
        detector: "imap",
        port: 143,
        client: "gnutls-cli --insecure --starttls-proto=imap -p PORT 127.0.0.1",
        greeting: b"* OK ready\r\n",
        answer: imap,
    },
    Upgrade {
        detector: "ftp",
        port: 21,
        client: "openssl s_client -starttls ftp -connect 127.0.0.1:PORT",
        greeting: b"220 FTP ready\r\n",
        answer: ftp,
    },
    Upgrade {
        detector: "ftp",
        port: 21,
        client: "gnutls-cli --insecure --starttls-proto=ftp -p PORT 127.0.0.1",
        greeting: b"220 FTP ready\r\n",
        answer: ftp,
    },
    Upgrade {
        detector: "nntp",
        port: 119,
        client: "openssl s_client -starttls nntp -connect 127.0.0.1:PORT",
        greeting: b"200 news ready\r\n",
        answer: nntp,
    },
    Upgrade {
        detector: "irc",
        port: 6667,
        client: "openssl s_client -starttls irc -connect 127.0.0.1:PORT",
        greeting: b"",
        answer: irc,
    },
    Upgrade {
        detector: "sieve",
        port: 4190,
        client: "openssl s_client -starttls sieve -connect 127.0.0.1:PORT",
        greeting: SIEVE_GREETING,
        answer: sieve,
    },
    Upgrade {
        detector: "xmpp",
        port: 5222,
        client: "openssl s_client -starttls xmpp -connect 127.0.0.1:PORT",
        greeting: b"",
        answer: xmpp,
    },
    Upgrade {
        detector: "ldap",
        port: 389,
        client: "openssl s_client -starttls ldap -connect 127.0.0.1:PORT",
        greeting: b"",
        answer: ldap,
    },
    Upgrade {
        detector: "postgresql",
        port: 5432,
        client: "openssl s_client -starttls postgres -connect 127.0.0.1:PORT",
        greeting: b"",
        answer: postgresql,
    },
    Upgrade {
        detector: "postgresql",
        port: 5432,
        client: "psql host=127.0.0.1 port=PORT user=shop sslmode=require gssencmode=disable",
        greeting: b"",
        answer: postgresql,
    },
    Upgrade {
        detector: "mysql",
        port: 3306,
        client: "openssl s_client -starttls mysql -connect 127.0.0.1:PORT",
        greeting: MYSQL_GREETING,
        answer: mysql,
    },
    Upgrade {
        detector: "http",
        port: 3128,
        client: "curl -k -m 5 -x http://127.0.0.1:PORT https://shop.example/",
        greeting: b"",
        answer: connect,
    },
    Upgrade {
        detector: "socks",
        port: 1080,
        client: "curl -k -m 5 -x socks5h://127.0.0.1:PORT https://shop.example/",
        greeting: b"",
        answer: socks,
    },
    Upgrade {
        detector: "tls",
        port: 443,
        client: "curl -k -m 5 --haproxy-protocol https://127.0.0.1:PORT/",
        greeting: b"",
        answer: proxied,
    },
];

fn talk(upgrade: &Upgrade, answer: fn(&[u8]) -> Answer, folder: &std::path::Path) -> Talk {
    let mut programs = Programs::default();
    let upstream = relay::free_port();
    let file = |name: &str| folder.join(name).display().to_string();
    let at = format!("127.0.0.1:{upstream}");
    let (pem, key) = (file("server.pem"), file("server.key"));
    programs.start("openssl", &["s_server", "-accept", &at, "-cert", &pem, "-key", &key, "-www"]);
    let clear = Clear { greeting: upgrade.greeting.to_vec(), answer };
    Talk::behind(Some(clear), upstream, |port| {
        let line = upgrade.client.replace("PORT", &port.to_string());
        let mut words = line.split(' ');
        let program = words.next().unwrap_or_default();
        let rest = words.collect::<Vec<_>>();
        // psql takes its connection as one argument.
        let joined = rest.join(" ");
        let arguments = if program == "psql" { vec![joined.as_str()] } else { rest };
        programs.start(program, &arguments);
    })
}

#[test]
fn connections_that_begin_in_the_clear_are_encrypted_once_tls_follows() {
    let folder = tempfile::tempdir().expect("a folder");
    if !relay::certificates(folder.path()) {
        println!("left out: no openssl, which makes the certificates");
        return;
    }
    let (mut count, mut wrong) = (0, Vec::new());
    for upgrade in UPGRADES {
        let program = upgrade.client.split(' ').next().unwrap_or_default();
        if !relay::is_installed(program) {
            println!("left out, {program} is not installed: {}", upgrade.client);
            continue;
        }
        let talk = talk(upgrade, upgrade.answer, folder.path());
        let detection = talk.detection(upgrade.port);
        count += 1;
        if (detection.protocol, detection.protection.word()) != (upgrade.detector, "encrypted") {
            wrong.push(format!("{}: {detection:?} {talk}", upgrade.client));
        }
    }
    println!("{count} upgrades, {} told wrong", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 12);
}

/// A server that says no to everything that asks for TLS, in the words of each protocol.
fn refuses(told: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(told).to_uppercase();
    let tag = String::from_utf8_lossy(told).split(' ').next().unwrap_or_default().to_owned();
    let say = |reply: &str| Answer::Say(reply.replace("TAG", &tag).into_bytes());
    match told {
        [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f] => say("N"),
        // Some clients begin whatever the answer was.
        [22, 3, _, a, b, hello @ ..] if hello.len() >= usize::from(u16::from_be_bytes([*a, *b])) => {
            Answer::Close
        }
        [22, 3, ..] => Answer::More,
        _ if !text.ends_with("\r\n") => Answer::More,
        _ if text.contains("EHLO") => say("250-mail.shop\r\n250 STARTTLS\r\n"),
        _ if text.contains("CAPABILITY") => say("* CAPABILITY IMAP4rev1 STARTTLS\r\nTAG OK done\r\n"),
        _ if text.contains("FEAT") => say("211-Features:\r\n AUTH TLS\r\n211 End\r\n"),
        _ if text.contains("AUTH TLS") => say("502 not here\r\n"),
        _ if text.contains("STLS") => say("-ERR not now\r\n"),
        _ if text.contains(" STARTTLS") => say("TAG NO not now\r\n"),
        _ if text.contains("STARTTLS") => say("454 not now\r\n"),
        _ => Answer::More,
    }
}

#[test]
fn connections_whose_server_refuses_tls_are_never_called_encrypted() {
    let folder = tempfile::tempdir().expect("a folder");
    if !relay::certificates(folder.path()) {
        println!("left out: no openssl, which makes the certificates");
        return;
    }
    let refusing = ["smtp", "imap", "pop3", "ftp", "postgresql"];
    let openssl = UPGRADES.iter().filter(|one| one.client.starts_with("openssl"));
    for upgrade in openssl.filter(|one| refusing.contains(&one.detector)) {
        let talk = talk(upgrade, refuses, folder.path());
        let detection = talk.detection(upgrade.port);
        assert_eq!(detection.protocol, upgrade.detector, "{detection:?} {talk}");
        assert!(!matches!(detection.protection, Protection::Encrypted(_)), "{detection:?} {talk}");
    }
}
