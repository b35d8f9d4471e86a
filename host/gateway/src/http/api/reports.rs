//! What plugins did that they should not have done.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::{Asked, Bearer, Limit, Refusal};
use crate::http::Surface;

/// `GET /v1/reports?limit=`: newest first.
pub(super) async fn list(
    _: Bearer,
    State(surface): State<Arc<Surface>>,
    Asked(limit): Asked<Limit>,
) -> Result<Json<Vec<Value>>, Refusal> {
    let reports = surface.shared().store.reports(limit.get()).await?;
    let rows = reports.into_iter().map(|report| {
        let at = report.at.to_string();
        let mut row = serde_json::to_value(report).unwrap_or_default();
        if let Some(object) = row.as_object_mut() {
            object.insert("at".into(), Value::String(at));
        }
        row
    });
    Ok(Json(rows.collect()))
}
