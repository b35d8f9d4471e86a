//! The way out: looking a name up, refusing where it must not lead, and connecting, in one step.
//!
//! The check is made on the addresses that are then connected to, so that a name cannot lead to one address when it is
//! checked and to another one when it is used. Redirects are not followed: a plugin that follows one makes a new
//! request, and is checked again. HTTP/1.1 only: one request at a time on a connection, and closing it cancels.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::TcpStream;
use wasmtime_wasi_http::WasiBody;

use crate::limits;
use crate::network::Network;

/// The HTTP clients of the whole engine.
pub(crate) struct Egress {
    public: Client<HttpsConnector<Dialer>, WasiBody>,
    /// Its connections are never used for a request without `private_network`.
    private: Client<HttpsConnector<Dialer>, WasiBody>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum Trouble {
    #[error("the address is not allowed")]
    Prohibited {
        /// A grant could allow it.
        allowable: bool,
    },
    #[error("the name cannot be looked up: {0}")]
    Name(io::Error),
    #[error("the name has no address")]
    NoAddress,
    #[error("no connection: {0}")]
    Connect(io::Error),
    #[error("no connection within {} s", limits::CONNECT.as_secs())]
    ConnectTimeout,
    #[error("TLS: {0}")]
    Tls(String),
    #[error("no answer within {} s", .0.as_secs())]
    Silence(Duration),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the answer's headers are larger than {} KiB", limits::FIELDS / 2048)]
    Headers,
}

impl Egress {
    /// Fails with a sentence where the system's certificates cannot be had.
    pub(crate) fn new(network: &Arc<dyn Network>) -> Result<Self, String> {
        let dialer = |private| Dialer { private, network: network.clone() };
        Ok(Self { public: client(dialer(false))?, private: client(dialer(true))? })
    }

    /// One request and the head of its answer.
    pub(crate) async fn exchange(
        &self,
        request: Request<WasiBody>,
        private: bool,
        budget: Duration,
    ) -> Result<Response<Incoming>, Trouble> {
        let client = if private { &self.private } else { &self.public };
        let response = match tokio::time::timeout(budget, client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(trouble(&error)),
            Err(_) => return Err(Trouble::Silence(budget)),
        };
        // A header takes about twice its length in memory, and a plugin holds no more than `FIELDS` of them.
        let size: usize = response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 16).sum();
        if size > limits::FIELDS / 2 { Err(Trouble::Headers) } else { Ok(response) }
    }
}

fn client(dialer: Dialer) -> Result<Client<HttpsConnector<Dialer>, WasiBody>, String> {
    let connector = HttpsConnectorBuilder::new()
        .try_with_platform_verifier()
        .map_err(|error| error.to_string())?
        .https_or_http()
        .enable_http1()
        .wrap_connector(dialer);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(limits::IDLE)
        .pool_max_idle_per_host(limits::IDLE_CONNECTIONS)
        .http1_max_buf_size(2 * limits::FIELDS)
        .build(connector))
}

/// The cause of a failed request, from wherever it hides in the chain.
fn trouble(error: &(dyn std::error::Error + 'static)) -> Trouble {
    let mut link = Some(error);
    let mut last = error.to_string();
    while let Some(error) = link {
        if let Some(dial) = error.downcast_ref::<Dial>() {
            return dial.trouble();
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Trouble::Tls(tls.to_string());
        }
        let inner = error.downcast_ref::<io::Error>().and_then(|io| io.get_ref());
        last = error.to_string();
        link = inner.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| error.source());
    }
    Trouble::Broken(last)
}

/// Looks up, filters and connects.
#[derive(Clone)]
pub(crate) struct Dialer {
    private: bool,
    network: Arc<dyn Network>,
}

/// Why there is no connection.
#[derive(Debug, Error)]
enum Dial {
    #[error("the address is not allowed")]
    Prohibited { allowable: bool },
    #[error("lookup: {0}")]
    Name(io::Error),
    #[error("no address")]
    NoAddress,
    #[error("connect: {0}")]
    Connect(io::Error),
    #[error("connect: timeout")]
    Timeout,
}

impl Dial {
    fn trouble(&self) -> Trouble {
        let again = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
        match self {
            Self::Prohibited { allowable } => Trouble::Prohibited { allowable: *allowable },
            Self::Name(error) => Trouble::Name(again(error)),
            Self::NoAddress => Trouble::NoAddress,
            Self::Connect(error) => Trouble::Connect(again(error)),
            Self::Timeout => Trouble::ConnectTimeout,
        }
    }
}

impl tower_service::Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { private, network } = self.clone();
        async move { dial(&*network, &uri, private).await.map(TokioIo::new).map_err(Into::into) }.boxed()
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

async fn dial(network: &dyn Network, uri: &Uri, private: bool) -> Result<TcpStream, Dial> {
    let host = uri.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    let found: Vec<SocketAddr> = network.lookup(host, port).await.map_err(Dial::Name)?;
    if found.is_empty() {
        return Err(Dial::NoAddress);
    }
    let allowed = |address: &&SocketAddr| match Reach::of(address.ip()) {
        Reach::Public => true,
        Reach::Private => private,
        Reach::Never => false,
    };
    let allowable = !private && found.iter().any(|address| Reach::of(address.ip()) == Reach::Private);
    let mut last = Dial::Prohibited { allowable };
    for address in found.iter().filter(allowed) {
        last = match tokio::time::timeout(limits::CONNECT, network.connect(*address)).await {
            Ok(Ok(stream)) => {
                // Small requests and small answers: waiting to fill a packet only costs time.
                stream.set_nodelay(true).map_err(Dial::Connect)?;
                return Ok(stream);
            }
            Ok(Err(error)) => Dial::Connect(error),
            Err(_) => Dial::Timeout,
        };
    }
    Err(last)
}

/// Who may connect to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Any granted plugin.
    Public,
    /// With `private_network`.
    Private,
    /// Nobody: it is no address of a server, or it hands out the machine's own credentials.
    Never,
}

/// Addresses at which clouds hand credentials to whoever asks: AWS, Google, Azure and most others; Alibaba; Oracle;
/// Azure's wire server.
const METADATA: [Ipv4Addr; 4] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];

/// The same of AWS on IPv6.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

impl Reach {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    /// By the IANA registry of special-purpose addresses.
    fn of_v4(address: Ipv4Addr) -> Self {
        if METADATA.contains(&address) || address.is_multicast() || address.is_broadcast() {
            return Self::Never;
        }
        match address.octets() {
            [0, ..] | [240..=255, ..] => Self::Never,
            // Private, carrier-grade NAT, loopback, link-local, protocol assignments, documentation, 6to4 relays,
            // benchmarks.
            [10 | 127, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _] => Self::Private,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let embedded = |high: u16, low: u16| {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Self::of_v4(Ipv4Addr::new(a, b, c, d))
        };
        if address == METADATA_V6 || address.is_unspecified() || address.is_multicast() {
            return Self::Never;
        }
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Private,
            // An IPv4 address in disguise counts as what it is: mapped, compatible, translated (NAT64), 6to4.
            [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
            [0x2002, high, low, ..] => embedded(high, low).max(Self::Private),
            // Local NAT64, Teredo and other protocol assignments, documentation, discard, unique local, link-local,
            // site-local, segment routing.
            [0x64, 0xff9b, 1, ..]
            | [0x2001, 0..=0x1ff, ..]
            | [0x2001, 0xdb8, ..]
            | [0x100, 0, 0, ..]
            | [0xfc00..=0xfdff, ..]
            | [0xfe80..=0xfeff, ..]
            | [0x3fff | 0x5f00, ..] => Self::Private,
            // Global unicast is 2000::/3; the rest is not assigned.
            [0x2000..=0x3fff, ..] => Self::Public,
            _ => Self::Private,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::SystemNetwork;

    #[test]
    fn where_an_address_leads() {
        let reach = |text: &str| Reach::of(text.parse().unwrap());
        for public in ["8.8.8.8", "185.12.80.1", "2a00:1450:4001:80b::200e", "::ffff:8.8.8.8", "64:ff9b::808:808"] {
            assert_eq!(reach(public), Reach::Public, "{public}");
        }
        for private in [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "::1",
            "fe80::1",
            "fd12::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::a00:1",
            "2002:808:808::1",
            "2001::1",
            "2001:db8::1",
            "fec0::1",
        ] {
            assert_eq!(reach(private), Reach::Private, "{private}");
        }
        for never in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fd00:ec2::254",
            "100.100.100.200",
            "168.63.129.16",
            "224.0.0.1",
            "255.255.255.255",
            "250.0.0.1",
            "::",
            "ff02::1",
        ] {
            assert_eq!(reach(never), Reach::Never, "{never}");
        }
    }

    #[tokio::test]
    async fn a_literal_address_goes_through_the_same_filter() {
        for uri in ["http://127.0.0.1:1/", "http://[::1]:1/", "http://[::ffff:127.0.0.1]:1/", "http://localhost:1/"] {
            let refused = dial(&SystemNetwork, &uri.parse().unwrap(), false).await.err().unwrap();
            assert!(matches!(refused, Dial::Prohibited { allowable: true }), "{uri}: {refused}");
        }
        let refused = dial(&SystemNetwork, &"http://169.254.169.254/".parse().unwrap(), true).await.err().unwrap();
        assert!(matches!(refused, Dial::Prohibited { allowable: false }), "{refused}");
    }
}
