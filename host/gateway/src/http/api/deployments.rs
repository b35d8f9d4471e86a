//! Deployments: what runs, and what an operator orders about it.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use patchbay_artefact::Signature;
use patchbay_artefact::component::COMPONENT_MOST;
use serde::Deserialize;
use serde_json::Value;

use super::{Asked, Bearer, Given, Refusal};
use crate::config::{Share, Source};
use crate::deploy::record::Rollout;
use crate::deploy::{self, Deployments, Refused, view};
use crate::http::Surface;

/// The header in which signatures come along with a component: the lines of its `FILE.sig`, with commas between them.
pub const SIGNATURES_HEADER: &str = "patchbay-signatures";
/// The share of a canary when none is said.
const SHARE: f64 = 10.0;

/// `GET /v1/deployments`: one row for each.
pub(super) async fn list(_: Bearer, State(surface): State<Arc<Surface>>) -> Result<Json<Vec<Value>>, Refusal> {
    let (records, nodes) = surface.deployments.list().await?;
    Ok(Json(records.iter().map(|(name, record)| view::row(name, record, &nodes)).collect()))
}

/// `GET /v1/deployments/{name}`: its generations, its history, and what each node runs.
pub(super) async fn show(
    _: Bearer,
    State(surface): State<Arc<Surface>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let (kept, nodes) = surface.deployments.show(&name).await?;
    Ok(Json(view::whole(&name, &kept, &nodes)))
}

/// How a new generation begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DeployQuery {
    /// `full`, `canary` or `shadow`.
    mode: Option<String>,
    /// Of a canary, in percent: `10`, `0.5`.
    share: Option<f64>,
}

impl DeployQuery {
    fn rollout(&self) -> Result<Rollout, Refusal> {
        match (self.mode.as_deref().unwrap_or("full"), self.share) {
            ("canary", share) => {
                let share = Share::percent(share.unwrap_or(SHARE)).filter(|share| *share > Share::NONE);
                let share =
                    share.ok_or_else(|| Refusal::bad("a share is a number of percent above 0 and up to 100"))?;
                Ok(Rollout::Canary { share })
            }
            (_, Some(_)) => Err(Refusal::bad("only a canary has a share: write ?mode=canary&share=10")),
            ("full", None) => Ok(Rollout::Full),
            ("shadow", None) => Ok(Rollout::Shadow),
            (other, None) => Err(Refusal::bad(format!("`{other}` is no mode: write full, canary or shadow"))),
        }
    }
}

/// Where a component lies, in the body of a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    source: Source,
}

/// `POST /v1/deployments/{name}/generations?mode=full|canary|shadow&share=10`: a component's bytes, with its signatures in
/// the header `Patchbay-Signatures`; or JSON, `{"source":"oci:…"}`.
pub(super) async fn deploy(
    Bearer(claims): Bearer,
    State(surface): State<Arc<Surface>>,
    Path(name): Path<String>,
    Asked(query): Asked<DeployQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let rollout = query.rollout()?;
    // Who sends it has a token: it may take its time.
    let body = axum::body::to_bytes(body, COMPONENT_MOST).await.map_err(|_| {
        let most = COMPONENT_MOST >> 20;
        let say = format!("the component did not arrive whole, or has more than {most} MiB: build it in release mode");
        Refusal(StatusCode::PAYLOAD_TOO_LARGE, say)
    })?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let given = if kind.starts_with("application/json") {
        let named: Named = serde_json::from_slice(&body)
            .map_err(|error| Refusal::bad(format!("{error}; write {{\"source\":\"oci:HOST/REPOSITORY:TAG\"}}")))?;
        deploy::Given::Source(named.source)
    } else {
        deploy::Given::Component(body, signatures(&headers)?)
    };
    let by = claims.sub;
    tracing::info!(deployment = name, ?rollout, by, "a new generation is deployed");
    let done = surface.deployments.deploy(&name, given, rollout, &by).await?;
    Ok((StatusCode::CREATED, Json(view::outcome(&name, &done))))
}

fn signatures(headers: &HeaderMap) -> Result<Vec<Signature>, Refusal> {
    let lines = headers.get(SIGNATURES_HEADER).map(|value| value.to_str().unwrap_or_default()).unwrap_or_default();
    let lines = lines.split(',').map(str::trim).filter(|line| !line.is_empty());
    let read = |line: &str| {
        Signature::from_line(line)
            .ok_or_else(|| Refusal::bad(format!("the header {SIGNATURES_HEADER} holds no signature")))
    };
    lines.map(read).collect()
}

/// Which generation, and why.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Order {
    generation: Option<u64>,
    reason: Option<String>,
    /// Of a promotion to a canary, in percent.
    share: Option<Share>,
}

/// `POST /v1/deployments/{name}/approve` with `{"generation":4}`: it gets what it asks for.
pub(super) async fn approve(
    Bearer(claims): Bearer,
    State(surface): State<Arc<Surface>>,
    Path(name): Path<String>,
    Given(order): Given<Order>,
) -> Result<Json<Value>, Refusal> {
    let by = claims.sub;
    tracing::info!(deployment = name, generation = order.generation, by, "a generation is approved");
    let done = deployments(&surface).approve(&name, order.generation, &by).await?;
    Ok(Json(view::outcome(&name, &done)))
}

/// `POST /v1/deployments/{name}/promote` with `{"generation":4,"share":"50%"}`: it becomes the active one, or with a share
/// the canary.
pub(super) async fn promote(
    Bearer(claims): Bearer,
    State(surface): State<Arc<Surface>>,
    Path(name): Path<String>,
    Given(order): Given<Order>,
) -> Result<Json<Value>, Refusal> {
    let by = claims.sub;
    tracing::info!(deployment = name, generation = order.generation, by, "a generation is promoted");
    let done = deployments(&surface).promote(&name, order.generation, order.share, &by).await?;
    Ok(Json(view::outcome(&name, &done)))
}

/// `POST /v1/deployments/{name}/rollback` with `{"generation":3,"reason":"…"}`: back to it, or to the one before.
pub(super) async fn rollback(
    Bearer(claims): Bearer,
    State(surface): State<Arc<Surface>>,
    Path(name): Path<String>,
    Given(order): Given<Order>,
) -> Result<Json<Value>, Refusal> {
    let (by, reason) = (claims.sub, order.reason.unwrap_or_default());
    tracing::info!(deployment = name, generation = order.generation, by, "a deployment is rolled back");
    let done = deployments(&surface).roll_back(&name, order.generation, &reason, &by).await?;
    Ok(Json(view::outcome(&name, &done)))
}

fn deployments(surface: &Surface) -> &Deployments {
    &surface.deployments
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::Store(error) => return error.into(),
            Refused::Absent(_) => StatusCode::NOT_FOUND,
            Refused::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Refused::Forbidden(_) => StatusCode::FORBIDDEN,
            Refused::Conflict(_) => StatusCode::CONFLICT,
        };
        Self(status, refused.to_string())
    }
}
