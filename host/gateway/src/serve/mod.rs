//! A gateway from its configuration: built, running, stopped.
//!
//! # Layout
//! - [`build`]: the configuration's sections become plugins, chains, desks and numbers
//! - [`deploy`]: how plugins come into their slots
//! - [`reload`]: the configuration, read again
//! - `lazy`: a store that does not answer yet

pub mod build;
mod credentials;
pub mod deploy;
mod lazy;
pub mod reload;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use patchbay_media::Blobs;
use patchbay_runtime::EngineOptions as RuntimeOptions;
use patchbay_store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::deploy::Deployments;
use crate::deploy::keyvalue::ShelfKeyValue;
use crate::deploy::tokens::ShelfTokens;
use crate::engine::lanes::Targets;
use crate::engine::media::StoredMedia;
use crate::engine::slot::Slots;
use crate::engine::{Engine, EngineOptions};
use crate::http::{Surface, router};

use self::deploy::Deploy;
use self::reload::{Reading, Reloader};

/// Latency buckets, seconds: from a decision that takes tens of microseconds to a desk that takes its whole minute.
const SECONDS: [f64; 16] =
    [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 20.0, 60.0];

/// How long it may take to tell the other nodes that this one stops.
const FOLLOWING_GRACE: std::time::Duration = std::time::Duration::from_secs(2);

/// How long a token that is on its way is waited for: as long as its server has to answer.
const TOKEN_GRACE: std::time::Duration = patchbay_runtime::limits::TOKEN;

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    addr: SocketAddr,
    surface: Arc<Surface>,
    store: Arc<dyn Store>,
    server: JoinHandle<std::io::Result<()>>,
    /// Ends with [`Gateway::closing`].
    following: JoinHandle<()>,
    closing: CancellationToken,
}

impl Gateway {
    /// Builds everything that the configuration names, takes the partitions and opens the port. `reading` is how
    /// the configuration is read again at a reload.
    ///
    /// # Errors
    /// A sentence that says which part could not start, and why.
    pub async fn start(config: &Config, reading: Option<Reading>) -> anyhow::Result<Self> {
        let metrics = install_metrics()?;
        let data = &std::path::absolute(&config.gateway.data_dir).context("there is no current folder")?;
        make_private(data)
            .with_context(|| format!("cannot make the data folder {} (`data_dir` under [gateway])", data.display()))?;
        let store = build::store(config).await?;
        let blobs = Arc::new(Blobs::open(&data.join("media")).context("cannot open the media folder")?);
        let media = Arc::new(StoredMedia::new(Arc::clone(&store), Arc::clone(&blobs)));
        let mut options = RuntimeOptions::new(media);
        options.keyvalue = Arc::new(ShelfKeyValue::new(Arc::clone(&store)));
        options.tokens = Arc::new(ShelfTokens::new(Arc::clone(&store)));
        options.cache_dir = Some(data.join("compiled"));
        options.compiler = crate::cli::compile::compiler();
        let runtime = patchbay_runtime::Engine::new(options).context("cannot start the plugins' sandbox")?;
        let slots = Arc::new(Slots::default());
        let node = build::node(config);
        let (shelf, of_node) = (Arc::clone(&store), node.clone());
        let deployments = Arc::new(Deployments::new(shelf, runtime.clone(), of_node, Arc::clone(&slots)));
        let deploy: Arc<dyn Deploy> = Arc::new(Arc::clone(&deployments));
        let plugins = deploy.prepare(config).await?;
        let routing = build::routing(config, &*plugins)?;
        plugins.apply().await?;
        let live = build::live(config)?;
        let options = EngineOptions { node, effects: Arc::new(Targets), routing, slots };
        // Before the loop: what cannot start is to fail before any effect has begun.
        let listener = TcpListener::bind(config.gateway.listen)
            .await
            .with_context(|| format!("cannot listen on {} (`listen` under [gateway])", config.gateway.listen))?;
        let intake = build::intake(config, &store, data).await?;
        let engine = Engine::start(options, Arc::clone(&store), blobs).await.context("cannot read the store")?;
        let surface = Arc::new(Surface {
            deployments: Arc::clone(&deployments),
            runtime: runtime.clone(),
            engine,
            intake,
            data: data.clone(),
            live: ArcSwap::from_pointee(live),
            reloader: Reloader::new(reading, config.clone(), deploy),
            metrics,
        });
        let addr = listener.local_addr()?;
        let closing = CancellationToken::new();
        let following = tokio::spawn(deployments.run(closing.clone()));
        let server = axum::serve(listener, router(Arc::clone(&surface)));
        let closed = closing.clone().cancelled_owned();
        let server = tokio::spawn(async move { server.with_graceful_shutdown(closed).await });
        let owned = surface.engine.owned();
        let sandboxes = runtime.allocator();
        match surface.engine.status().problem {
            None => tracing::info!(%addr, partitions = owned, sandboxes, "the gateway is ready"),
            Some(problem) => tracing::warn!(
                %addr, partitions = owned, sandboxes, reason = problem.message,
                "the gateway runs, and is not ready: it goes on by itself when the store does"
            ),
        }
        Ok(Self { addr, surface, store, server, following, closing })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What a reload needs, in a task beside the gateway.
    pub(crate) fn surface(&self) -> Arc<Surface> {
        Arc::clone(&self.surface)
    }

    /// Stops accepting, finishes what was started or leaves it in the store, and closes the store. `true`: everything
    /// that was started was finished.
    pub async fn stop(self) -> bool {
        let grace = self.surface.live().grace;
        tracing::info!(?grace, "stopping");
        self.closing.cancel();
        // Side by side: a client that does not finish its request must not cost the effects their time.
        let until = tokio::time::Instant::now() + grace;
        let server = async {
            let server = tokio::time::timeout_at(until, self.server).await;
            // What is accepted by now goes to the store while that is open.
            self.surface.intake.stop(until.saturating_duration_since(tokio::time::Instant::now())).await;
            server
        };
        let (server, finished) = tokio::join!(server, self.surface.engine.stop(grace));
        if server.is_err() {
            tracing::warn!("requests were still open when the time to stop was over");
        }
        // Calls are over, but a call that gave up may have left a token on its way.
        if tokio::time::timeout(TOKEN_GRACE, self.surface.runtime.settle()).await.is_err() {
            tracing::warn!("a token was still on its way; if it was a new refresh token, it is lost");
        }
        // A generation that is being compiled is nobody's concern any more.
        let _in_time = tokio::time::timeout(FOLLOWING_GRACE, self.following).await;
        self.store.close().await;
        if finished {
            tracing::info!("stopped; nothing was left half done");
        } else {
            tracing::warn!("stopped with effects unfinished; they are in the store and go on at the next start");
        }
        finished
    }
}

/// Makes the data folder, for this user only: customers' files lie in it, and code that is run.
fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Serves until the process is told to stop. `file`, where the configuration was read from, is read again at each SIGHUP.
///
/// # Errors
/// When the gateway cannot start.
pub async fn run(config: Config, file: &Path) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    // Before the start: whoever sends one then must not end the process.
    let mut hangups = signal(SignalKind::hangup()).context("cannot listen to SIGHUP")?;
    let file = std::path::absolute(file).context("there is no current folder")?;
    let gateway = Gateway::start(&config, Some(Reading::of_file(file))).await?;
    let surface = Arc::clone(&gateway.surface);
    let reloads = tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            surface.reloader.reload_and_tell(&surface).await;
        }
    });
    stop.await;
    reloads.abort();
    gateway.stop().await;
    Ok(())
}

/// Is ready when the process is told to stop, by SIGINT or SIGTERM.
///
/// # Errors
/// When the signals cannot be listened to.
pub fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn install_metrics() -> anyhow::Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new().set_buckets(&SECONDS).context("no buckets for the metrics")?;
    builder.install_recorder().context("cannot install the metrics recorder")
}
