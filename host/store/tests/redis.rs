//! The store on one Redis keeps the contract, and what it promises besides.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod conformance;
mod redis_support;

use std::sync::LazyLock;

use patchbay_store::RedisOptions;
use patchbay_test_redis::{Options, Redis};
use redis_support::OnRedis;

static REDIS: LazyLock<Redis> = LazyLock::new(|| Redis::start(Options { shared: true, ..Options::default() }));

fn options() -> RedisOptions {
    RedisOptions { addresses: vec![REDIS.addr()], ..RedisOptions::default() }
}

async fn make() -> OnRedis {
    OnRedis::new(options(), vec![&REDIS]).await
}

conformance!(make);
