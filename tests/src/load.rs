//! Webhooks as fast as they are taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::house::{sign, text_webhook};

/// Connections of the load generator: Meta delivers concurrently.
pub const CONNECTIONS: usize = 64;
/// How long a run lasts.
const RUN: Duration = Duration::from_secs(8);

/// Posts messages as fast as they are taken, to these webhook addresses in turn, and gives how many a second were.
///
/// # Errors
/// When a message is not taken.
pub async fn pour(urls: &[String]) -> Result<f64> {
    let client = reqwest::Client::builder().pool_max_idle_per_host(CONNECTIONS).build()?;
    let taken = Arc::new(AtomicU64::new(0));
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut workers = Vec::new();
    for _ in 0..CONNECTIONS {
        let (client, taken, next, urls) = (client.clone(), Arc::clone(&taken), Arc::clone(&next), urls.to_vec());
        workers.push(tokio::spawn(async move {
            while started.elapsed() < RUN {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let from = format!("44770090{:04}", number % 5_000);
                let body = text_webhook(&format!("wamid.{number}"), &from, "my invoice is wrong", &Value::Null);
                let signature = sign(&body)?;
                let turn = usize::try_from(number).unwrap_or_default() % urls.len().max(1);
                let url = urls.get(turn).context("an address to post to")?;
                let answer = client.post(url).header("x-hub-signature-256", signature).body(body).send().await?;
                anyhow::ensure!(answer.status() == 200, "{}", answer.status());
                taken.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }));
    }
    for worker in workers {
        worker.await??;
    }
    Ok(count(taken.load(Ordering::Relaxed)) / started.elapsed().as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
const fn count(number: u64) -> f64 {
    number as f64
}
