//! Files: upload, description, download under an address that expires.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest as _, Multipart, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;

use crate::faults::FaultTarget;
use crate::ids;
use crate::shared::{Shared, lock};
use crate::whatsapp::error::GraphError;
use crate::whatsapp::world::{Media, World};

/// A form with one file.
#[derive(Debug, Default)]
pub(crate) struct Form {
    /// The other fields, in order.
    pub(crate) fields: Vec<(String, String)>,
    /// Name, MIME type and content of the file.
    pub(crate) file: Option<(Option<String>, String, Bytes)>,
}

impl Form {
    /// Reads a multipart request.
    pub(crate) async fn read(request: Request) -> Result<Self, String> {
        let mut multipart = Multipart::from_request(request, &()).await.map_err(|error| error.body_text())?;
        let mut form = Self::default();
        while let Some(field) = multipart.next_field().await.map_err(|error| error.body_text())? {
            let name = field.name().unwrap_or_default().to_owned();
            let file_name = field.file_name().map(str::to_owned);
            let mime = field.content_type().map(str::to_owned);
            if name == "file" || file_name.is_some() {
                let content = field.bytes().await.map_err(|error| error.body_text())?;
                form.file = Some((file_name, mime.unwrap_or_else(|| "application/octet-stream".into()), content));
            } else {
                form.fields.push((name, field.text().await.map_err(|error| error.body_text())?));
            }
        }
        Ok(form)
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// `POST /{version}/{phone_number_id}/media`.
pub(crate) async fn upload(shared: &Shared, request: Request) -> Result<Response, GraphError> {
    let form = Form::read(request).await.map_err(GraphError::parameter)?;
    if form.field("messaging_product") != Some("whatsapp") {
        return Err(GraphError::parameter("The parameter messaging_product is required."));
    }
    let declared = form.field("type").map(str::to_owned);
    let Some((name, mime, content)) = form.file else {
        return Err(GraphError::parameter("The parameter file is required."));
    };
    let mime = if mime == "application/octet-stream" { declared.unwrap_or(mime) } else { mime };
    let (allowed, limit) = limits(&mime);
    if !allowed {
        return Err(GraphError::parameter(format!(
            "Param file must be a file with one of the supported media types. Received file of type '{mime}'."
        )));
    }
    if content.is_empty() || content.len() > limit {
        return Err(GraphError::new(131_053, "File Size or the media content is not supported."));
    }
    let id = lock(&shared.whatsapp).store(mime, name, content);
    Ok(Json(json!({"id": id})).into_response())
}

/// Whether a MIME type may be sent, and up to which size in bytes.
fn limits(mime: &str) -> (bool, usize) {
    const MB: usize = 1024 * 1024;
    match mime.split(';').next().unwrap_or(mime).trim() {
        "audio/aac" | "audio/amr" | "audio/mpeg" | "audio/mp4" | "audio/ogg" | "audio/opus" => (true, 16 * MB),
        "image/jpeg" | "image/png" => (true, 5 * MB),
        "video/mp4" | "video/3gpp" => (true, 16 * MB),
        "image/webp" => (true, 500 * 1024),
        "text/plain"
        | "application/pdf"
        | "application/msword"
        | "application/vnd.ms-excel"
        | "application/vnd.ms-powerpoint" => (true, 100 * MB),
        other if other.starts_with("application/vnd.openxmlformats-officedocument.") => (true, 100 * MB),
        _ => (false, 0),
    }
}

/// A fresh download address.
pub(crate) fn download_url(shared: &Shared, world: &mut World, id: &str) -> String {
    let secret = ids::secret_text();
    let now = Timestamp::now();
    let expires = now.as_second() + i64::try_from(lifetime(shared).as_secs()).unwrap_or(300);
    world.downloads.insert(secret.clone(), (id.to_owned(), now));
    format!(
        "{}/lookaside/whatsapp_business/attachments/?mid={id}&source=getMedia&ext={expires}&hash={secret}",
        shared.url()
    )
}

fn lifetime(shared: &Shared) -> Duration {
    shared
        .faults
        .strike(FaultTarget::Whatsapp, "GET", "/lookaside", |fault| fault.media_url_lifetime_ms.is_some())
        .and_then(|fault| fault.media_url_lifetime_ms)
        .map_or(shared.options.whatsapp.media_url_lifetime, Duration::from_millis)
}

/// `GET /{version}/{media_id}`.
pub(crate) fn describe(shared: &Shared, media: &Media) -> Response {
    let url = download_url(shared, &mut lock(&shared.whatsapp), &media.id);
    Json(json!({
        "url": url, "mime_type": media.mime, "sha256": hex::encode(media.sha256), "file_size": media.content.len(),
        "id": media.id, "messaging_product": "whatsapp",
    }))
    .into_response()
}

/// `GET` of a download address. `hash` is its secret part.
pub(crate) fn download(shared: &Arc<Shared>, hash: &str) -> Response {
    let lifetime = lifetime(shared);
    let world = lock(&shared.whatsapp);
    let found = world.downloads.get(hash).and_then(|(id, issued)| {
        let age = Timestamp::now().duration_since(*issued);
        Duration::try_from(age).is_ok_and(|age| age < lifetime).then(|| world.media.get(id))?
    });
    match found {
        Some(media) => content(media),
        None => (StatusCode::NOT_FOUND, "URL signature expired").into_response(),
    }
}

/// The bytes with their type.
pub(crate) fn content(media: &Media) -> Response {
    Response::builder()
        .header(header::CONTENT_TYPE, &media.mime)
        .header(header::CONTENT_LENGTH, media.content.len())
        .body(Body::from(media.content.clone()))
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
