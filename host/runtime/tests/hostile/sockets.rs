//! The network past HTTP. Standard libraries import sockets, so they are there; nobody gets one.

use tokio::net::{TcpListener, UdpSocket};

use super::common::*;

#[tokio::test]
async fn nothing_is_looked_up_connected_to_or_sent() {
    let engine = engine_with(|options| options.concurrent_calls = 2);
    let plugin = engine.load(spec("dialler", "dialler")).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let datagrams = UdpSocket::bind(("127.0.0.1", port)).await.unwrap();
    for host in ["127.0.0.1", "localhost"] {
        let outcome = plugin.handle(&text(&format!("{host}:{port}")), &call("ev_1")).await.unwrap();
        let mut said = attributes(&outcome);
        // An address needs no look-up; of a name nothing is found.
        let lookup = said.remove("lookup").unwrap();
        assert_eq!(lookup.contains("127.0.0.1"), host == "127.0.0.1", "{lookup}");
        assert_eq!(said.len(), 4, "{said:?}");
        // Where there is no address, there is nothing to be denied.
        let connect = said.remove("connect").unwrap();
        assert_eq!(connect, if host == "localhost" { "Uncategorized" } else { "PermissionDenied" });
        assert!(said.values().all(|said| said == "PermissionDenied"), "{said:?}");
    }
    let nobody = std::future::poll_fn(|cx| std::task::Poll::Ready(listener.poll_accept(cx).is_pending())).await;
    assert!(nobody, "somebody connected");
    let nothing = datagrams.try_recv(&mut [0; 16]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
}
