//! A master, its replicas, and Sentinels that watch them.

use std::time::Duration;

use rustix::process::Signal;

use crate::process::{Process, free_port, listens, wait_for, wait_longer_for};
use crate::server::{Options, Redis};

/// The name of the watched master.
const MASTER: &str = "mymaster";

/// Whom replicas and Sentinels log in as: users of their own, so that they can be shut out while others are served.
const INSIDERS: [&str; 2] = ["replica", "sentinel"];

/// How long a Sentinel may take to make a former master a replica: it looks for eight seconds in which nobody seemed to be
/// down, and looks at nothing for thirty when the machine was too busy to run it.
const FOLLOWING: Duration = Duration::from_secs(150);

/// How a group is started.
#[derive(Clone, Debug)]
pub struct SentinelOptions {
    /// How many replicas, 1 by default.
    pub replicas: usize,
    /// How many replicas a master must have to accept writes, 0 by default.
    pub min_replicas_to_write: u8,
    /// The servers' password for the default user. There is always one: who fails to log in must not pass for them.
    pub password: String,
    /// See [`Options::shared`].
    pub shared: bool,
    /// The Sentinels' password.
    pub sentinel_password: Option<String>,
}

impl Default for SentinelOptions {
    fn default() -> Self {
        Self {
            replicas: 1,
            min_replicas_to_write: 0,
            password: "outside".into(),
            shared: false,
            sentinel_password: None,
        }
    }
}

/// One master, replicas and three Sentinels, of which two must agree that the master has been away for a second.
#[derive(Debug)]
pub struct SentinelGroup {
    servers: Vec<Redis>,
    sentinels: Vec<(u16, Process)>,
    options: SentinelOptions,
    _folder: tempfile::TempDir,
}

impl SentinelGroup {
    /// Starts them all, and waits until the Sentinels know each other and the replicas follow.
    #[must_use]
    pub fn start(options: SentinelOptions) -> Self {
        let base = || {
            let mut server =
                Options { password: Some(options.password.clone()), shared: options.shared, ..Options::default() }
                    .with("masteruser", "replica")
                    .with("masterauth", "inside")
                    .with("min-replicas-to-write", options.min_replicas_to_write)
                    .with("min-replicas-max-lag", 2)
                    .with("repl-timeout", 5);
            server.more.push(("user".into(), "replica on >inside ~* &* +@all".into()));
            server
        };
        let master = Redis::start(base());
        let replicas = (0..options.replicas)
            .map(|_| Redis::start(base().with("replicaof", format!("127.0.0.1 {}", master.port()))))
            .collect::<Vec<_>>();
        let mut servers = vec![master];
        servers.extend(replicas);
        for server in &servers {
            let _: String = server.ask(&["ACL", "SETUSER", "sentinel", "on", ">inside", "~*", "&*", "+@all"]);
        }
        let folder = tempfile::tempdir().unwrap();
        let sentinels = (0..3).map(|number| sentinel(folder.path(), number, servers[0].port(), &options)).collect();
        let group = Self { servers, sentinels, options, _folder: folder };
        wait_for("replicas to follow", || (group.followers(0) == group.options.replicas).then_some(()));
        wait_for("Sentinels to know each other", || {
            let ready = |port| {
                let fields = group.ask_sentinel::<std::collections::HashMap<String, String>>(port, "master");
                let number = |fields: &std::collections::HashMap<String, String>, key: &str| {
                    fields.get(key).and_then(|text| text.parse::<usize>().ok()).unwrap_or_default()
                };
                fields.is_ok_and(|fields| {
                    number(&fields, "num-other-sentinels") == 2
                        && number(&fields, "num-slaves") == group.options.replicas
                })
            };
            group.sentinels.iter().all(|(port, _)| ready(*port)).then_some(())
        });
        group
    }

    fn ask_sentinel<T: redis::FromRedisValue>(&self, port: u16, what: &str) -> redis::RedisResult<T> {
        redis::cmd("SENTINEL").arg(what).arg(MASTER).query(&mut self.connect_to_sentinel(port)?)
    }

    fn connect_to_sentinel(&self, port: u16) -> redis::RedisResult<redis::Connection> {
        let password = self.options.sentinel_password.as_ref().map(|word| format!(":{word}@")).unwrap_or_default();
        redis::Client::open(format!("redis://{password}127.0.0.1:{port}/"))?.get_connection()
    }

    fn followers(&self, master: usize) -> usize {
        let info: String = self.servers[master].try_ask(&["INFO", "replication"]).unwrap_or_default();
        info.lines().filter(|line| line.starts_with("slave") && line.contains("state=online")).count()
    }

    /// The name of the watched master.
    #[must_use]
    pub fn name(&self) -> &'static str {
        MASTER
    }

    /// `127.0.0.1:port` of each Sentinel.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.sentinels.iter().map(|(port, _)| format!("127.0.0.1:{port}")).collect()
    }

    /// `127.0.0.1:port` of the master, as most Sentinels say now.
    #[must_use]
    pub fn master_addr(&self) -> String {
        wait_for("two Sentinels that agree", || {
            let ports = self.sentinels.iter();
            let said = ports.filter_map(|(port, _)| {
                let said: (String, u16) = self.ask_sentinel(*port, "get-master-addr-by-name").ok()?;
                Some(format!("{}:{}", said.0, said.1))
            });
            let said: Vec<_> = said.collect();
            said.iter().find(|one| said.iter().filter(|other| other == one).count() >= 2).cloned()
        })
    }

    /// The servers, the first master first.
    #[must_use]
    pub fn servers(&self) -> &[Redis] {
        &self.servers
    }

    /// The server that the Sentinels call the master now.
    #[must_use]
    pub fn master(&self) -> &Redis {
        let address = self.master_addr();
        self.servers.iter().find(|server| server.addr() == address).expect("one of the group")
    }

    fn master_index(&self) -> usize {
        let address = self.master_addr();
        self.servers.iter().position(|server| server.addr() == address).expect("one of the group")
    }

    /// Kills the master as a power cut would, and gives its address.
    pub fn kill_master(&mut self) -> String {
        let index = self.master_index();
        self.servers[index].kill();
        self.servers[index].addr()
    }

    /// Starts a server again that was killed.
    pub fn restart(&mut self, address: &str) {
        let server = self.servers.iter_mut().find(|server| server.addr() == address);
        let server = server.expect("one of the group");
        server.restart();
        let _: String = server.ask(&["ACL", "SETUSER", "sentinel", "on", ">inside", "~*", "&*", "+@all"]);
    }

    /// Shuts replicas and Sentinels out of the master while its clients go on, as when the network is cut between them.
    /// Gives the master's address.
    pub fn cut_master_off(&self) -> String {
        let index = self.master_index();
        for user in INSIDERS {
            let _: String = self.servers[index].ask(&["ACL", "SETUSER", user, "off"]);
            let _: u64 = self.servers[index].ask(&["CLIENT", "KILL", "USER", user]);
        }
        self.servers[index].addr()
    }

    /// Lets them in again: the Sentinels make the server a replica of the master that they have chosen meanwhile.
    pub fn let_in_again(&self, address: &str) {
        let server = self.servers.iter().find(|server| server.addr() == address).expect("one of the group");
        for user in INSIDERS {
            let _: String = server.ask(&["ACL", "SETUSER", user, "on"]);
        }
    }

    /// Waits until the Sentinels have another master than `old` which says so itself, and gives its address.
    #[must_use]
    pub fn wait_for_another_master(&self, old: &str) -> String {
        wait_for("a failover", || {
            let address = self.master_addr();
            let server = self.servers.iter().find(|server| server.addr() == address)?;
            let info: String = server.try_ask(&["INFO", "replication"]).ok()?;
            (address != old && info.contains("role:master")).then_some(address)
        })
    }

    /// Waits until the server follows another one.
    pub fn wait_until_it_follows(&self, address: &str) {
        let server = self.servers.iter().find(|server| server.addr() == address).expect("one of the group");
        wait_longer_for("the server to follow", FOLLOWING, || {
            let info: String = server.try_ask(&["INFO", "replication"]).ok()?;
            (info.contains("role:slave") && info.contains("master_link_status:up")).then_some(())
        });
    }

    /// Kills a Sentinel.
    pub fn kill_sentinel(&mut self, number: usize) {
        self.sentinels.get(number).expect("three of them").1.signal(Signal::KILL);
    }
}

/// Starts a Sentinel.
fn sentinel(folder: &std::path::Path, number: usize, master: u16, options: &SentinelOptions) -> (u16, Process) {
    let port = free_port();
    let password = options.sentinel_password.as_ref();
    let password = password.map(|word| format!("requirepass {word}\nsentinel sentinel-pass {word}\n"));
    let configuration = format!(
        "port {port}\nbind 127.0.0.1\ndir {folder}\n\
         sentinel monitor {MASTER} 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds {MASTER} 1000\n\
         sentinel failover-timeout {MASTER} 3000\n\
         sentinel auth-user {MASTER} sentinel\n\
         sentinel auth-pass {MASTER} inside\n{password}",
        folder = folder.display(),
        password = password.unwrap_or_default(),
    );
    let file = folder.join(format!("sentinel-{number}.conf"));
    std::fs::write(&file, configuration).unwrap();
    let log = folder.join(format!("sentinel-{number}.log"));
    let process =
        Process::start("redis-sentinel", &log, &[file.display().to_string()], options.shared.then_some(folder));
    wait_for("a Sentinel to listen", || listens(port).then_some(()));
    (port, process)
}
