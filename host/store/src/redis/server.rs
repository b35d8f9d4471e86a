//! One server: a few connections that many callers share, made anew when they break.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo, Pipeline, ProtocolVersion,
    PushInfo, RedisConnectionInfo, RedisError, RedisResult, ServerErrorKind, TlsCertificates, Value,
};
use secrecy::ExposeSecret;
use tokio::sync::mpsc::UnboundedSender;

use super::options::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT, RedisOptions, WAIT_TIMEOUT};
use super::scripts;
use crate::StoreError;

/// Connections for requests: on one, a long answer holds up those behind it.
const LANES: usize = 3;

/// How long no new connection is tried after one was refused, so that callers get their answer at once.
const REFUSED_FOR: Duration = Duration::from_millis(100);

/// Why a request was not answered.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// The slot is elsewhere.
    Moved,
    /// The slot is on its way, and this key is at that node already.
    Ask(String),
    /// The server does not know a script.
    NoScript,
    /// The Cluster is busy with itself: a moment later it may be done.
    Later(String),
    /// This is not the master.
    NotMaster,
    /// The connection broke; whether the request was carried out is not known.
    Dropped(String),
    /// There is no connection, or no answer in time.
    Away(String),
    /// The script's own word: the lease is worth nothing.
    Fenced,
    /// The server refuses.
    Refused(String),
}

impl Trouble {
    fn of(error: &RedisError) -> Self {
        // An error's text may hold arguments; a server's error holds its code and its own sentence.
        let text = error.to_string();
        match error.kind() {
            ErrorKind::Server(kind) => match kind {
                ServerErrorKind::Moved => Self::Moved,
                ServerErrorKind::Ask => {
                    error.redirect_node().map_or(Self::Moved, |(address, _)| Self::Ask(address.to_owned()))
                }
                ServerErrorKind::NoScript => Self::NoScript,
                ServerErrorKind::TryAgain | ServerErrorKind::ClusterDown => Self::Later(text),
                ServerErrorKind::ReadOnly => Self::NotMaster,
                ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading => Self::Away(text),
                _ => Self::Refused(text),
            },
            ErrorKind::Extension if error.code() == Some("FENCED") => Self::Fenced,
            ErrorKind::Extension if error.code() == Some("UNBLOCKED") => Self::NotMaster,
            _ if error.is_timeout() => Self::Away("no answer in time".into()),
            _ if error.is_connection_dropped() => Self::Dropped(text),
            _ if error.is_io_error() => Self::Away(text),
            _ => Self::Refused(text),
        }
    }

    /// As the contract's error; a fence's partition is the caller's to say.
    pub(super) fn into_error(self) -> StoreError {
        StoreError::Unavailable(match self {
            Self::Moved | Self::Ask(_) => "the Cluster moves this slot to and fro".into(),
            Self::NoScript => "Redis forgets its scripts".into(),
            Self::NotMaster => "Redis has no master that takes writes".into(),
            Self::Fenced => "the lease is worth nothing".into(),
            Self::Later(text) | Self::Dropped(text) | Self::Away(text) | Self::Refused(text) => text,
        })
    }
}

/// What a server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    /// Drawn when its process started.
    pub(super) run: String,
    /// Of the history that it writes; another one after each failover.
    pub(super) history: String,
}

/// One connection that many share.
#[derive(Debug, Default)]
struct Lane {
    /// And how many there have been before it.
    connection: Mutex<(u64, Option<MultiplexedConnection>)>,
    /// Who has it makes the connection.
    making: tokio::sync::Mutex<()>,
}

/// One server.
pub(super) struct Server {
    /// `host:port`.
    pub(super) address: String,
    client: Client,
    lanes: [Lane; LANES],
    next: AtomicUsize,
    /// For `WAIT`, which holds up whatever comes behind it.
    settling: Lane,
    /// When the last connection was refused, and why.
    refused: Mutex<Option<(Instant, Trouble)>>,
    identity: Mutex<Option<Identity>>,
    /// Grows with each connection to any server.
    connects: Arc<AtomicU64>,
    pub(super) settler: super::settle::Settler,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(address: &str, options: &RedisOptions, connects: &Arc<AtomicU64>) -> Result<Self, StoreError> {
        let mut login = RedisConnectionInfo::default().set_db(i64::from(options.database)).set_skip_set_lib_name();
        if let Some(username) = &options.username {
            login = login.set_username(username);
        }
        if let Some(password) = &options.password {
            login = login.set_password(password.expose_secret());
        }
        Ok(Self {
            address: address.to_owned(),
            client: client(address, options, login)?,
            lanes: Default::default(),
            next: AtomicUsize::new(0),
            settling: Lane::default(),
            refused: Mutex::default(),
            identity: Mutex::default(),
            connects: Arc::clone(connects),
            settler: super::settle::Settler::default(),
        })
    }

    /// What it said of itself last; none: it was never reached.
    pub(super) fn identity(&self) -> Option<Identity> {
        lock(&self.identity).clone()
    }

    /// Sends a request on one of the shared connections.
    pub(super) async fn send(&self, request: &Cmd) -> Result<Value, Trouble> {
        let lane = self.lane();
        let (number, mut connection) = self.connection(lane).await?;
        let answer = connection.send_packed_command(request).await.and_then(Value::extract_error);
        self.judge(lane, number, answer)
    }

    /// Sends a request for a slot that is on its way to this server.
    pub(super) async fn send_asking(&self, request: &Cmd) -> Result<Value, Trouble> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("ASKING").add_command(request.clone());
        let answers = self.send_together(self.lane(), &pipeline).await?;
        Ok(answers.into_iter().nth(1).unwrap_or(Value::Nil))
    }

    /// Writes a mark and waits until so many replicas have it, and so everything before it. Gives how many have it.
    pub(super) async fn wait(&self, mark: &str, replicas: u8) -> Result<u64, Trouble> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("SET").arg(mark).arg(1).cmd("WAIT").arg(replicas).arg(millis(WAIT_TIMEOUT));
        let answers = self.send_together(&self.settling, &pipeline).await?;
        let count = answers.into_iter().nth(1).unwrap_or(Value::Nil);
        ::redis::from_redis_value(count).map_err(|error| Trouble::Refused(error.to_string()))
    }

    /// Opens the lanes, so that nobody has to wait for them, and reads anew what the server says of itself.
    pub(super) async fn probe(&self) -> Result<Identity, Trouble> {
        let info = self.send(::redis::cmd("INFO").arg("server")).await?;
        let more = self.send(::redis::cmd("INFO").arg("replication")).await?;
        self.introduce(&text(info), &text(more))
    }

    fn introduce(&self, server: &str, replication: &str) -> Result<Identity, Trouble> {
        if field(replication, "role") == Some("slave") {
            self.disconnect();
            return Err(Trouble::NotMaster);
        }
        let of = |text: &str, name| field(text, name).unwrap_or_default().to_owned();
        let identity = Identity { run: of(server, "run_id"), history: of(replication, "master_replid") };
        let mut known = lock(&self.identity);
        if known.as_ref() != Some(&identity) {
            *known = Some(identity.clone());
            self.connects.fetch_add(1, Ordering::AcqRel);
        }
        Ok(identity)
    }

    /// Gives this server the scripts that it has forgotten.
    pub(super) async fn load_scripts(&self) -> Result<(), Trouble> {
        for script in scripts::ALL {
            self.send(::redis::cmd("SCRIPT").arg("LOAD").arg(script.source())).await?;
        }
        Ok(())
    }

    /// A connection of its own, which hands what is published to `sink`.
    pub(super) async fn listen(
        &self,
        channel: &str,
        sink: UnboundedSender<PushInfo>,
    ) -> RedisResult<MultiplexedConnection> {
        let info = self.client.get_connection_info().clone();
        let login = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        // The address holds the TLS parameters that the client was made with.
        let client = Client::open(info.set_redis_settings(login))?;
        let config = timeouts().set_push_sender(sink);
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        connection.subscribe(channel).await?;
        Ok(connection)
    }

    /// Asks on a connection that is not kept, also a replica.
    pub(super) async fn ask_once(&self, request: &Cmd) -> Result<Value, Trouble> {
        let connection = self.client.get_multiplexed_async_connection_with_config(&timeouts()).await;
        let mut connection = connection.map_err(|error| Trouble::of(&error))?;
        let answer = connection.send_packed_command(request).await.and_then(Value::extract_error);
        answer.map_err(|error| Trouble::of(&error))
    }

    /// Lets go of all connections.
    pub(super) fn disconnect(&self) {
        for lane in self.lanes.iter().chain(std::iter::once(&self.settling)) {
            lock(&lane.connection).1 = None;
        }
    }

    fn lane(&self) -> &Lane {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % LANES;
        self.lanes.get(next).unwrap_or(&self.settling)
    }

    async fn send_together(&self, lane: &Lane, pipeline: &Pipeline) -> Result<Vec<Value>, Trouble> {
        let (number, mut connection) = self.connection(lane).await?;
        let answer = connection.send_packed_commands(pipeline, 0, pipeline.len()).await;
        let answers = self.judge(lane, number, answer)?;
        answers.into_iter().map(|answer| answer.extract_error().map_err(|error| Trouble::of(&error))).collect()
    }

    /// Sets a broken connection aside.
    fn judge<T>(&self, lane: &Lane, number: u64, answer: RedisResult<T>) -> Result<T, Trouble> {
        answer.map_err(|error| {
            let trouble = Trouble::of(&error);
            if matches!(trouble, Trouble::Dropped(_) | Trouble::Away(_) | Trouble::NotMaster) {
                let mut kept = lock(&lane.connection);
                if kept.0 == number {
                    kept.1 = None;
                }
            }
            trouble
        })
    }

    async fn connection(&self, lane: &Lane) -> Result<(u64, MultiplexedConnection), Trouble> {
        if let Some(found) = existing(lane) {
            return Ok(found);
        }
        let _making = lane.making.lock().await;
        if let Some(found) = existing(lane) {
            return Ok(found);
        }
        if let Some((when, why)) = &*lock(&self.refused)
            && when.elapsed() < REFUSED_FOR
        {
            return Err(why.clone());
        }
        let made = self.connect().await;
        *lock(&self.refused) = made.as_ref().err().map(|why| (Instant::now(), why.clone()));
        let connection = made?;
        let mut kept = lock(&lane.connection);
        kept.0 += 1;
        kept.1 = Some(connection.clone());
        Ok((kept.0, connection))
    }

    /// Makes a connection; one to a replica is none.
    async fn connect(&self) -> Result<MultiplexedConnection, Trouble> {
        // A connection that could not be made is no broken one: nothing was asked yet.
        let away = |error: RedisError| match Trouble::of(&error) {
            Trouble::Dropped(text) | Trouble::Refused(text) => Trouble::Away(text),
            other => other,
        };
        let config = timeouts();
        let made = self.client.get_multiplexed_async_connection_with_config(&config);
        let made = tokio::time::timeout(CONNECT_TIMEOUT * 2, made).await;
        let mut connection = made.map_err(|_| Trouble::Away("no connection in time".into()))?.map_err(away)?;
        let mut pipeline = Pipeline::new();
        pipeline.cmd("INFO").arg("server").cmd("INFO").arg("replication");
        for script in scripts::ALL {
            pipeline.cmd("SCRIPT").arg("LOAD").arg(script.source());
        }
        let answers = connection.send_packed_commands(&pipeline, 0, pipeline.len()).await.map_err(away)?;
        let mut answers = answers.into_iter();
        let mut next = || {
            let answer = answers.next().unwrap_or(Value::Nil);
            answer.extract_error().map(text).map_err(|error| Trouble::of(&error))
        };
        let (server, replication) = (next()?, next()?);
        self.introduce(&server, &replication)?;
        Ok(connection)
    }
}

fn existing(lane: &Lane) -> Option<(u64, MultiplexedConnection)> {
    let kept = lock(&lane.connection);
    kept.1.clone().map(|connection| (kept.0, connection))
}

/// A client for an address; makes no connection.
pub(super) fn client(address: &str, options: &RedisOptions, login: RedisConnectionInfo) -> Result<Client, StoreError> {
    let (host, port) = split(address)?;
    let wrong = |error: RedisError| StoreError::Unsuitable(format!("Redis at {address}: {error}"));
    match &options.tls {
        None => {
            let info = ConnectionAddr::Tcp(host, port).into_connection_info().map_err(wrong)?;
            Client::open(info.set_redis_settings(login)).map_err(wrong)
        }
        Some(tls) => {
            let to = ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
            let info = to.into_connection_info().map_err(wrong)?.set_redis_settings(login);
            let certificates = TlsCertificates { client_tls: None, root_cert: tls.ca.clone() };
            Client::build_with_tls(info, certificates).map_err(wrong)
        }
    }
}

/// Waits for nothing without an end.
pub(super) fn timeouts() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
}

fn split(address: &str) -> Result<(String, u16), StoreError> {
    let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.ok_or_else(|| {
        StoreError::Unsuitable(format!(
            "{address} is no address of a Redis: write host:port, as in redis.internal:6379"
        ))
    })?;
    Ok((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
}

/// A field of an `INFO` answer.
pub(super) fn field<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end)
}

/// An answer that is text; empty if it is something else.
pub(super) fn text(value: Value) -> String {
    ::redis::from_redis_value(value).unwrap_or_default()
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
