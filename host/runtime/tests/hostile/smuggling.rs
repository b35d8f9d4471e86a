//! Requests that say something about themselves which is not so: two requests in one, another host, another method,
//! somebody else's credential.

use patchbay_runtime::HttpGrant;

use super::common::*;
use super::server::{Server, ask, bearer, desk, fails, local, raw};

#[tokio::test]
async fn headers_about_the_connection_or_the_host_do_not_leave() {
    let server = Server::start().await;
    let engine = engine();
    let plugin = desk(&engine, vec![HttpGrant { credential: bearer("the-token-1"), ..server.grant() }]).await;
    // Refused by the sandbox itself, or dropped on the way: never sent.
    for (name, value) in [
        ("host", "evil.example"),
        ("Host", "evil.example"),
        ("transfer-encoding", "chunked"),
        ("Transfer-Encoding", "identity"),
        ("te", "trailers"),
        ("connection", "authorization"),
        ("keep-alive", "timeout=600"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABk"),
        ("proxy-authorization", "Basic eA=="),
        ("proxy-connection", "keep-alive"),
        ("expect", "100-continue"),
        ("trailer", "authorization"),
        ("x-http-method-override", "DELETE"),
        ("x-http-method", "DELETE"),
        ("x-method-override", "DELETE"),
        ("x-original-url", "/admin"),
        ("x-rewrite-url", "/admin"),
        ("authorization", "Bearer mine"),
        ("Authorization", "Bearer mine"),
        ("AUTHORIZATION", "Bearer mine"),
    ] {
        let command = format!("http GET {} {name}={value}", server.url("/x"));
        let before = server.got().len();
        if plugin.read_ticket(&command, &desk_call()).await.is_err() {
            assert_eq!(server.got().len(), before, "{name} was refused, and still sent");
            continue;
        }
        let got = server.got().pop().unwrap();
        let values: Vec<_> = got.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
        match name.to_ascii_lowercase().as_str() {
            "authorization" => assert_eq!(values, ["Bearer the-token-1"]),
            "host" => assert_eq!(values, [format!("localhost:{}", server.port)]),
            _ => assert!(values.is_empty(), "{name}: {values:?}"),
        }
    }
}

#[tokio::test]
async fn a_plugin_cannot_write_a_second_request_into_the_first() {
    let (port, seen) = raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let engine = engine();
    let plugin = desk(&engine, vec![HttpGrant { credential: bearer("the-token-1"), ..local(port) }]).await;
    let url = format!("http://localhost:{port}");
    for command in [
        format!("http GET {url}/x\r\nx-evil:\u{20}1"),
        format!("http GET {url}/\r\n\r\nGET\u{20}/evil\u{20}HTTP/1.1\r\n\r\n"),
        format!("http GET {url}/x a=1\r\nx-evil:2"),
        format!("http GET {url}/x a\r\nx-evil=2"),
        format!("http GET {url}/x a=1\nx-evil:2"),
        format!("http GET\r\nx-evil:1 {url}/x"),
        format!("http G@T {url}/x"),
        format!("http CONNECT {url}/x"),
        format!("http GET http://user:evil@localhost:{port}/x"),
        format!("http GET http://localhost:{port}\\@evil.example/x"),
        format!("http GET http://localhost:{port}#@evil.example/x"),
        format!("http GET {url}/x content-length=5 content-length=6"),
        format!("http GET {url}/x content-length=0x10"),
        format!("http GET {url}/x content-length=+5"),
        // Promises more, or less, than it sends.
        format!("http POST {url}/x content-length=500"),
        format!("upload http://user:evil@localhost:{port}/x photo"),
        format!("upload {url}/x\r\nx-evil:1 photo"),
    ] {
        let call = patchbay_runtime::Call { timeout: std::time::Duration::from_secs(2), ..desk_call() };
        drop(plugin.read_ticket(&command, &call).await);
        let sent = String::from_utf8_lossy(&seen.lock().unwrap()).to_ascii_lowercase();
        assert!(
            !sent.contains("\nx-evil") && !sent.contains("evil@") && !sent.contains("get /evil"),
            "{command}: {sent}"
        );
        assert!(!sent.contains("connect ") && !sent.contains("host: evil"), "{command}: {sent}");
        for head in sent.split("\r\n\r\n").filter(|head| head.contains("http/1.1")) {
            assert!(head.matches("content-length").count() <= 1, "{command}: {head}");
        }
        seen.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn gigantic_headers_of_a_plugin_end_in_an_error() {
    let server = Server::start().await;
    let engine = engine();
    let plugin = desk(&engine, vec![server.grant()]).await;
    let large = "v".repeat(100_000);
    let call = desk_call();
    let command = format!("http GET {} x-large={large}", server.url("/x"));
    assert!(plugin.read_ticket(&command, &call).await.is_err());
    let many: String = (0..2000).map(|number| format!(" x-{number}={}", "v".repeat(100))).collect();
    let command = format!("http GET {}{many}", server.url("/x"));
    assert!(plugin.read_ticket(&command, &call).await.is_err());
    assert!(server.got().is_empty());
    // And a path that no server takes does no harm.
    let long = format!("http GET {}", server.url(&format!("/{}", "p".repeat(200_000))));
    drop(plugin.read_ticket(&long, &call).await);
    assert_eq!(ask(&plugin, &format!("http GET {}", server.url("/x"))).await["status"], "201");
}

#[tokio::test]
async fn one_plugins_credential_does_not_go_where_it_is_not_bound() {
    let (bound, free) = (Server::start().await, Server::start().await);
    let engine = engine();
    let with = HttpGrant { credential: bearer("the-token-1"), paths: vec!["/api".into()], ..bound.grant() };
    let plugin = desk(&engine, vec![with, bound.grant(), free.grant()]).await;
    // Another plugin with the same host, and no credential.
    let other = desk(&engine, vec![bound.grant()]).await;
    let sent = async |plugin: &patchbay_runtime::Plugin, server: &Server, path: &str| {
        ask(plugin, &format!("http GET {}", server.url(path))).await;
        let got = server.got().pop().unwrap();
        got.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(sent(&plugin, &bound, "/api/x").await.as_deref(), Some("Bearer the-token-1"));
    assert_eq!(sent(&plugin, &bound, "/apiary").await, None);
    assert_eq!(sent(&plugin, &bound, "/other").await, None);
    assert_eq!(sent(&plugin, &free, "/api/x").await, None);
    assert_eq!(sent(&other, &bound, "/api/x").await, None);
    let refused = fails(&plugin, "http GET nowhere").await;
    assert!(refused.contains("no scheme"), "{refused}");
}
