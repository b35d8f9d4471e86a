//! Stores on a Redis that all tests of a file share, each with a prefix of its own.
#![allow(dead_code, reason = "each file of tests needs some of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use patchbay_store::{RedisOptions, RedisStore, Store};
use patchbay_test_redis::Redis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::conformance::Instance;

/// A prefix that no other test has.
pub(crate) fn prefix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Opens a store; what it warns of is not looked at.
pub(crate) async fn open(options: &RedisOptions) -> Arc<RedisStore> {
    let (store, _) = RedisStore::connect(options.clone()).await.unwrap();
    Arc::new(store)
}

/// A store on some servers.
pub(crate) struct OnRedis {
    pub(crate) options: RedisOptions,
    servers: Vec<&'static Redis>,
    store: Arc<RedisStore>,
}

impl OnRedis {
    pub(crate) async fn new(options: RedisOptions, servers: Vec<&'static Redis>) -> Self {
        let options = RedisOptions { prefix: prefix(), ..options };
        let store = open(&options).await;
        Self { options, servers, store }
    }
}

/// Lets the time of all leases pass.
pub(crate) fn lapse(servers: &[&Redis], prefix: &str, partitions: u16) {
    for partition in 0..partitions {
        let key = format!("{{{prefix}:{partition}}}:owner");
        // Only the master that has the slot takes it.
        let taken = servers.iter().any(|server| server.try_ask::<u64>(&["HSET", &key, "until", "0"]).is_ok());
        assert!(taken, "no server has {key}");
    }
}

#[async_trait]
impl Instance for OnRedis {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }

    async fn reopen(&mut self) {
        lapse(&self.servers, &self.options.prefix, self.store.partitions());
        self.store = open(&self.options).await;
    }
}

/// Waits until something is so.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < until, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A way to a server that breaks once: instead of the answer to a request that has `word` in it. Gives its address, and
/// whether that has happened.
pub(crate) async fn losing_an_answer(server: String, word: &'static [u8]) -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, lost) = (listener.local_addr().unwrap().to_string(), Arc::new(AtomicBool::new(false)));
    let told = Arc::clone(&lost);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (server, lost) = (TcpStream::connect(&server).await.unwrap(), Arc::clone(&lost));
            tokio::spawn(async move { pass_on(client, server, word, &lost).await });
        }
    });
    (address, told)
}

async fn pass_on(mut client: TcpStream, mut server: TcpStream, word: &[u8], lost: &AtomicBool) -> std::io::Result<()> {
    let (mut there, mut back) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            asked = client.read(&mut there) => {
                let asked = &there[..asked?];
                server.write_all(asked).await?;
                if asked.windows(word.len()).any(|some| some == word) && !lost.swap(true, Ordering::SeqCst) {
                    return server.readable().await;
                }
                if asked.is_empty() {
                    return Ok(());
                }
            }
            answered = server.read(&mut back) => {
                let answered = &back[..answered?];
                client.write_all(answered).await?;
                if answered.is_empty() {
                    return Ok(());
                }
            }
        }
    }
}
