//! Starting, serving and stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::Json;
use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::faults::{Fault, FaultTarget};
use crate::options::SimulatorOptions;
use crate::serve::{CuttableListener, Cutter};
use crate::shared::{Hooks, Shared};
use crate::state::SimulatorState;
use crate::whatsapp::error as graph_error;
use crate::whatsapp::spec::GraphSpec;
use crate::{control, whatsapp, zendesk};

/// The largest request: a document of 100 MB with its form around it.
const REQUEST_LIMIT: usize = 110 * 1024 * 1024;
/// How long open connections get to finish when stopping.
const STOP_PATIENCE: Duration = Duration::from_millis(500);

/// A running simulator. Dropping it stops it too, without waiting.
pub struct Simulator {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator").field("addr", &self.shared.addr).finish_non_exhaustive()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.stopping.cancel();
        self.server.abort();
    }
}

impl Simulator {
    /// Starts listening.
    ///
    /// # Errors
    /// When the address is not on loopback or is taken, or when Meta's description cannot be read.
    pub async fn start(options: SimulatorOptions) -> anyhow::Result<Self> {
        ensure!(
            options.listen.ip().is_loopback(),
            "the simulator listens on loopback only, not on {}: it has no access control. Write 127.0.0.1:PORT",
            options.listen
        );
        let spec = match options.graph_spec.clone() {
            // Parsing a megabyte of YAML is no work for the threads that serve.
            Some(path) => Some(tokio::task::spawn_blocking(move || GraphSpec::load(&path)).await??),
            None => None,
        };
        let listener = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("the simulator cannot listen on {}", options.listen))?;
        let addr = listener.local_addr()?;
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // Webhooks and links go to loopback; a proxy of the environment has no business there.
            .no_proxy()
            .build()?;
        let shared = Arc::new(Shared::new(options, addr, client, spec));
        let app = router(shared.clone()).into_make_service_with_connect_info::<Cutter>();
        let stopping = shared.stopping.clone();
        let server = tokio::spawn(async move {
            let serving =
                axum::serve(CuttableListener(listener), app).with_graceful_shutdown(stopping.cancelled_owned());
            if let Err(error) = serving.await {
                tracing::error!(%error, "the simulator has stopped serving");
            }
        });
        Ok(Self { shared, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.shared.addr
    }

    /// Its base address, such as `http://127.0.0.1:18081`.
    #[must_use]
    pub fn url(&self) -> String {
        self.shared.url()
    }

    /// Says where webhooks go from now on, also those that wait to be delivered again.
    pub fn set_webhooks(&self, whatsapp: String, zendesk: String) {
        self.shared.hooks.send_replace(Hooks { whatsapp: Some(whatsapp), zendesk: Some(zendesk) });
    }

    /// What a test in the same process may look at and do.
    #[must_use]
    pub fn state(&self) -> SimulatorState {
        SimulatorState::new(self.shared.clone())
    }

    /// Stops serving and delivering.
    pub async fn stop(mut self) {
        self.shared.stopping.cancel();
        self.shared.tasks.close();
        if tokio::time::timeout(STOP_PATIENCE, &mut self.server).await.is_err() {
            self.server.abort();
        }
        tokio::time::timeout(STOP_PATIENCE, self.shared.tasks.wait()).await.ok();
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/graph/{*rest}", any(graph))
        .route("/lookaside/{*rest}", get(lookaside))
        .route("/zendesk/{*rest}", any(desk))
        .merge(control::router())
        .layer(middleware::from_fn(local_only))
        .layer(DefaultBodyLimit::max(REQUEST_LIMIT))
        .with_state(shared)
}

/// Refuses what a web page of somebody else could make a browser send: names that merely resolve to loopback, and
/// requests that come from another origin.
async fn local_only(request: Request, next: Next) -> Response {
    let local = |value: &str| {
        let host = value.split_once("://").map_or(value, |(_, rest)| rest);
        let host = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(host, _)| host);
        host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    };
    let foreign = [header::HOST, header::ORIGIN]
        .iter()
        .any(|name| request.headers().get(name).is_some_and(|value| !value.to_str().is_ok_and(local)));
    if foreign {
        return (StatusCode::FORBIDDEN, "The simulator answers to loopback only.\n").into_response();
    }
    next.run(request).await
}

async fn graph(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    request: Request,
) -> Response {
    let path = request.uri().path().strip_prefix("/graph").unwrap_or_default().to_owned();
    faulted(&shared, FaultTarget::Whatsapp, &path, &cutter, request, async |request| {
        whatsapp::graph(&shared, &path, request).await
    })
    .await
}

async fn lookaside(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    request: Request,
) -> Response {
    let path = request.uri().path().to_owned();
    faulted(&shared, FaultTarget::Whatsapp, &path, &cutter, request, async |request| {
        whatsapp::lookaside(&shared, &request)
    })
    .await
}

async fn desk(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    request: Request,
) -> Response {
    let path = request.uri().path().strip_prefix("/zendesk").unwrap_or_default().to_owned();
    faulted(&shared, FaultTarget::Zendesk, &path, &cutter, request, async |request| {
        zendesk::serve(&shared, &path, request).await
    })
    .await
}

/// Serves a request, unless a fault has something else in mind.
async fn faulted(
    shared: &Arc<Shared>,
    target: FaultTarget,
    path: &str,
    cutter: &Cutter,
    request: Request,
    serve: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let method = request.method().as_str().to_owned();
    let Some(fault) = shared.faults.strike(target, &method, path, Fault::acts) else { return serve(request).await };
    if let Some(delay) = fault.delay_ms {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    if fault.answer.is_some() || fault.code.is_some() {
        return answer(target, &fault);
    }
    if fault.hang {
        shared.faults.until_cleared(fault.id).await;
        cutter.cut();
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let response = serve(request).await;
    if fault.hang_after_commit {
        shared.faults.until_cleared(fault.id).await;
    }
    if fault.drop_after_commit || fault.hang_after_commit {
        cutter.cut();
    }
    response
}

/// The answer that a fault asks for, in the vendor's words.
fn answer(target: FaultTarget, fault: &Fault) -> Response {
    let status = fault.answer.and_then(|status| StatusCode::from_u16(status).ok());
    let code = fault.code.or_else(|| status.map(|status| graph_error::default_code(status.as_u16())));
    let status = status.unwrap_or_else(|| graph_error::default_status(code.unwrap_or(131_000)));
    let body = match (&fault.body, target) {
        (Some(body), _) => Some(body.clone()),
        (None, FaultTarget::Whatsapp) => {
            let code = code.unwrap_or(131_000);
            Some(graph_error::GraphError::new(code, graph_error::title(code)).body())
        }
        (None, _) => zendesk::error::fault_body(status.as_u16()),
    };
    let mut response = match body {
        Some(Value::String(text)) => (status, text).into_response(),
        Some(body) => (status, Json(body)).into_response(),
        None => (status, "Internal Server Error\n").into_response(),
    };
    if let Some(seconds) = fault.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    }
    response
}

/// What the pages show about the simulator itself.
pub(crate) fn about(shared: &Shared) -> Value {
    let hooks = shared.hooks.borrow();
    json!({
        "phone_number_id": shared.options.whatsapp.phone_number_id,
        "display_number": shared.options.whatsapp.display_number,
        "webhooks": {"whatsapp": hooks.whatsapp, "zendesk": hooks.zendesk}, "desks": ["zendesk"],
    })
}
