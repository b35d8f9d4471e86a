//! A handler that tries the network past HTTP: `HOST:PORT` is looked up, connected to, and sent a datagram.

wit_bindgen::generate!({
    path: "../../../../wit/0.2",
    world: "handler-plugin",
    generate_all,
});

use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

use exports::patchbay::plugin::handler::{Action, Event, Failure, Flow, Guest, Outcome};
use patchbay::plugin::types::{Body, Content};

struct Dialler;

impl Guest for Dialler {
    fn handle(event: Event) -> Result<Outcome, Failure> {
        let Body::Message(message) = &event.body else { return Err(Failure::Permanent("no message".into())) };
        let Content::Text(to) = &message.content else { return Err(Failure::Permanent("no text".into())) };
        let said = [
            ("lookup", to.to_socket_addrs().map(|found| format!("{:?}", found.collect::<Vec<_>>()))),
            ("connect", TcpStream::connect(to).map(|_| "connected".to_owned())),
            ("listen", TcpListener::bind("127.0.0.1:0").map(|_| "listening".to_owned())),
            ("listen-v6", TcpListener::bind("[::1]:0").map(|_| "listening".to_owned())),
            ("datagram", datagram(to)),
        ];
        let said = said.map(|(what, said)| {
            let said = said.unwrap_or_else(|error| format!("{:?}", error.kind()));
            Action::SetAttribute((what.to_owned(), Some(said)))
        });
        Ok(Outcome { actions: said.into(), flow: Flow::Next })
    }
}

fn datagram(to: &str) -> std::io::Result<String> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.send_to(b"hello", to).map(|sent| sent.to_string())
}

export!(Dialler);
