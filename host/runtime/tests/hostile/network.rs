//! Names, addresses and redirects that lead where they must not, and servers that never come to an end.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use patchbay_runtime::{Call, CallError, Cause, HostPattern, HttpGrant, Network};
use tokio::net::TcpStream;

use super::common::*;
use super::server::{Server, ask, bearer, desk, fails, local, raw};

/// Names as the test says, a list of addresses for each look-up in turn; every address is the test's own server.
#[derive(Debug, Default)]
struct Stage {
    names: Mutex<HashMap<String, Vec<Vec<SocketAddr>>>>,
    port: u16,
    looked_up: Mutex<Vec<String>>,
    connected: Mutex<Vec<SocketAddr>>,
}

impl Stage {
    fn new(port: u16, names: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let address = |text: &&str| SocketAddr::new(text.parse().unwrap(), 80);
        let turns = |turns: &[&[&str]]| turns.iter().map(|turn| turn.iter().map(address).collect()).rev().collect();
        let names = names.iter().map(|(name, of)| ((*name).to_owned(), turns(of))).collect();
        Arc::new(Self { names: Mutex::new(names), port, ..Self::default() })
    }

    fn connected(&self) -> Vec<String> {
        self.connected.lock().unwrap().iter().map(|address| address.ip().to_string()).collect()
    }
}

#[async_trait::async_trait]
impl Network for Stage {
    async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.looked_up.lock().unwrap().push(host.to_owned());
        if let Ok(address) = host.parse() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let mut names = self.names.lock().unwrap();
        let turns = names.get_mut(host).ok_or_else(|| io::Error::other("there is no such name"))?;
        // The last one stays.
        Ok(if turns.len() > 1 { turns.pop().unwrap() } else { turns.last().cloned().unwrap_or_default() })
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.connected.lock().unwrap().push(address);
        TcpStream::connect(("127.0.0.1", self.port)).await
    }
}

/// Everything over plain HTTP, nothing private.
fn public(host: &str) -> HttpGrant {
    HttpGrant { plain_http: true, ..HttpGrant::https(HostPattern::parse(host).unwrap()) }
}

#[tokio::test]
async fn a_name_leads_to_public_addresses_only() {
    let server = Server::start().await;
    let names: &[(&str, &[&[&str]])] = &[
        ("public.example", &[&["93.184.215.14"]]),
        ("loopback.example", &[&["127.0.0.1"]]),
        ("private.example", &[&["10.0.0.1"]]),
        ("link-local.example", &[&["169.254.7.7"]]),
        ("metadata.example", &[&["169.254.169.254"]]),
        ("loopback-v6.example", &[&["::1"]]),
        ("link-local-v6.example", &[&["fe80::1"]]),
        ("unique-local.example", &[&["fd12::1"]]),
        ("mapped.example", &[&["::ffff:192.168.0.1"]]),
        ("mapped-metadata.example", &[&["::ffff:169.254.169.254"]]),
        ("translated.example", &[&["64:ff9b::7f00:1"]]),
        ("tunnelled.example", &[&["2002:7f00:1::"]]),
        ("this-host.example", &[&["0.0.0.0"]]),
        ("mixed.example", &[&["127.0.0.1", "93.184.215.14"]]),
        ("nothing.example", &[&[]]),
    ];
    let stage = Stage::new(server.port, names);
    let engine = engine_with(|options| options.network = stage.clone());
    let plugin = desk(&engine, vec![public("*.example")]).await;
    assert_eq!(ask(&plugin, "http GET http://public.example/x").await["status"], "201");
    for (name, reason) in [
        ("loopback", "private-address"),
        ("private", "private-address"),
        ("link-local", "private-address"),
        ("metadata", "prohibited-address"),
        ("loopback-v6", "private-address"),
        ("link-local-v6", "private-address"),
        ("unique-local", "private-address"),
        ("mapped", "private-address"),
        ("mapped-metadata", "prohibited-address"),
        ("translated", "private-address"),
        ("tunnelled", "private-address"),
        ("this-host", "prohibited-address"),
    ] {
        let answer = ask(&plugin, &format!("http GET http://{name}.example/")).await;
        assert_eq!(answer["x-patchbay-denied"], reason, "{name}: {answer:?}");
    }
    // Of two addresses the one that is allowed is taken, whatever their order.
    assert_eq!(ask(&plugin, "http GET http://mixed.example/").await["status"], "201");
    fails(&plugin, "http GET http://nothing.example/").await;
    assert_eq!(stage.connected(), ["93.184.215.14", "93.184.215.14"], "an address was connected to that must not be");
}

#[tokio::test]
async fn addresses_written_in_odd_ways_are_what_they_are() {
    let server = Server::start().await;
    let engine = engine();
    // A grant for everything that such an address could be called, and still nothing private.
    let grants = ["127.0.0.1", "::1", "0.0.0.0", "localhost", "*.localhost", "169.254.169.254", "::ffff:127.0.0.1"];
    let port = server.port;
    let grants = grants.map(|host| HttpGrant { ports: vec![port], ..public(host) });
    let plugin = desk(&engine, grants.to_vec()).await;
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "169.254.169.254",
        "①②⑦.0.0.1",
    ] {
        match plugin.read_ticket(&format!("http GET http://{host}:{port}/"), &desk_call()).await {
            Ok(snapshot) => {
                let denied = snapshot.entries.iter().any(|(name, _)| name == "x-patchbay-denied");
                assert!(denied, "{host}: {snapshot:?}");
            }
            Err(CallError::Failed(_)) => {}
            Err(other) => panic!("{host}: {other}"),
        }
    }
    assert!(server.got().is_empty(), "{:?}", server.got());
}

#[tokio::test]
async fn a_name_that_changes_its_mind_between_two_look_ups() {
    let server = Server::start().await;
    // As a server of an attacker's would answer, with a lifetime of zero: first what is allowed, then what is not.
    let stage = Stage::new(
        server.port,
        &[
            ("turns.example", &[&["93.184.215.14"], &["127.0.0.1"]]),
            ("back.example", &[&["10.0.0.1"], &["93.184.215.14"]]),
        ],
    );
    let engine = engine_with(|options| options.network = stage.clone());
    let plugin = desk(&engine, vec![public("*.example")]).await;
    // The look-up that is checked is the one that is connected to: one for each connection.
    assert_eq!(ask(&plugin, "http GET http://turns.example/").await["status"], "201");
    assert_eq!(*stage.looked_up.lock().unwrap(), ["turns.example"]);
    let denied = async |url: &str| {
        let answer = ask(&plugin, &format!("http GET {url}")).await;
        answer.get("x-patchbay-denied").cloned().unwrap_or_default()
    };
    // Another port is another connection, and another look-up.
    let grants = vec![HttpGrant { ports: vec![80, 8080], ..public("*.example") }];
    let other = desk(&engine, grants).await;
    let answer = ask(&other, "http GET http://turns.example:8080/").await;
    assert_eq!(answer["x-patchbay-denied"], "private-address", "{answer:?}");
    assert_eq!(denied("http://back.example/").await, "private-address");
    assert_eq!(denied("http://back.example/").await, "");
    assert!(stage.connected().iter().all(|address| address == "93.184.215.14"), "{:?}", stage.connected());
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_opens_nothing() {
    let server = Server::start().await;
    let engine = engine();
    let plugin = desk(&engine, vec![HttpGrant { credential: bearer("the-token-1"), ..server.grant() }]).await;
    for target in [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:9/",
        "http://[::1]:9/",
        "http://[::ffff:10.0.0.1]/",
        "file:///etc/passwd",
        "//evil.example/",
    ] {
        let answer = ask(&plugin, &format!("http GET {}", server.url(&format!("/to/{target}")))).await;
        assert_eq!((answer["status"].as_str(), answer["location"].as_str()), ("307", target));
    }
    // A plugin that follows is asked about like any other.
    let answer = ask(&plugin, "http GET http://169.254.169.254/latest/meta-data/").await;
    assert_eq!(answer["x-patchbay-denied"], "host");
    assert!(server.got().is_empty(), "{:?}", server.got());
}

#[tokio::test]
async fn bodies_that_never_end_meet_the_deadline() {
    let server = Server::start().await;
    let (silent, _) = raw("").await;
    let (half, _) = raw("HTTP/1.1 200 OK\r\ncontent-le").await;
    let (short, _) = raw("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this").await;
    let engine = engine();
    let plugin = desk(&engine, vec![server.grant(), local(silent), local(half), local(short)]).await;
    let at = |port: u16| format!("http://localhost:{port}/");
    for url in [server.url("/drip"), at(silent), at(half), at(short)] {
        let call = Call { timeout: Duration::from_millis(400), ..desk_call() };
        let begun = Instant::now();
        match plugin.read_ticket(&format!("http GET {url}"), &call).await {
            Err(CallError::Broken(report)) => {
                assert_eq!(report.cause, Cause::Deadline, "{url}: {report:?}");
                assert_eq!((report.plugin.as_str(), report.subject.as_str()), ("zen", "ta_1"), "{report:?}");
            }
            other => panic!("{url}: {other:?}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{url} took {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_server_does_not_speak_in_the_hosts_name() {
    let answer = "HTTP/1.1 200 OK\r\nx-patchbay-denied: host\r\nx-patchbay-credential: refused\r\ncontent-length: \
                  2\r\n\r\nok";
    let (port, _) = raw(answer).await;
    let plugin = desk(&engine(), vec![local(port)]).await;
    let said = ask(&plugin, &format!("http GET http://localhost:{port}/")).await;
    assert_eq!(said["body"], "ok");
    assert!(!said.keys().any(|name| name.starts_with("x-patchbay")), "{said:?}");
}

#[tokio::test]
async fn answers_that_are_none() {
    let engine = engine();
    for (answer, what) in [
        ("no HTTP at all\r\n\r\n".to_owned(), "garbage"),
        (format!("HTTP/1.1 200 OK\r\nx-big: {}\r\n\r\n", "v".repeat(100_000)), "a gigantic header"),
        (format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(5000)), "five thousand headers"),
        (format!("HTTP/1.1 200 {}\r\n\r\n", "r".repeat(200_000)), "a gigantic reason"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!".to_owned(), "two lengths"),
        ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n".to_owned(), "a length below zero"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\n".to_owned(),
            "a chunk without end",
        ),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n".to_owned(), "an upgrade"),
    ] {
        let (port, _) = raw(answer).await;
        let plugin = desk(&engine, vec![local(port)]).await;
        let call = Call { timeout: Duration::from_secs(2), ..desk_call() };
        match plugin.read_ticket(&format!("http GET http://localhost:{port}/"), &call).await {
            // The plugin is told of an error, or gets what there was; its call ends either way.
            Ok(_) | Err(CallError::Failed(_)) => {}
            Err(CallError::Broken(report)) => assert_eq!(report.cause, Cause::Deadline, "{what}: {report:?}"),
        }
        let unknown = plugin.read_ticket("anything", &desk_call()).await.unwrap();
        assert_eq!(unknown.entries[0].0, "unknown", "{what}");
    }
}
