//! HTTP with stored media in the body: the bytes go from the storage to the server, never through the plugin.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use wasmtime_wasi_http::{Error, WasiBody};

use super::egress::Trouble;
use super::exchange::{NoAnswer, exchange};
use super::http::{Outgoing, refusal};
use crate::limits;
use crate::media::MediaHandle;
use crate::state::Facts;

/// A request whose body is made of parts.
pub(crate) struct Upload {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<Part>,
}

/// A piece of the body.
pub(crate) enum Part {
    Bytes(Bytes),
    /// By media id, as it is.
    Media(String),
    /// By media id, in standard base64 with padding.
    MediaBase64(String),
}

/// The server's answer, read whole.
pub(crate) struct UploadAnswer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

/// A part that is found, and how many bytes it makes.
enum Found {
    Bytes(Bytes),
    Media(MediaHandle),
    MediaBase64(MediaHandle),
}

impl Found {
    fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Media(handle) => handle.size,
            Self::MediaBase64(handle) => handle.size.div_ceil(3).saturating_mul(4),
        }
    }
}

impl Upload {
    /// Sends the request; the error is a sentence for the plugin.
    pub(crate) async fn send(self, facts: &Facts, outgoing: &mut Outgoing) -> Result<UploadAnswer, String> {
        if !facts.media_granted {
            return Err(format!("plugin `{}` is not granted media", facts.name));
        }
        if self.body.len() > limits::UPLOAD_PARTS {
            let (parts, most) = (self.body.len(), limits::UPLOAD_PARTS);
            return Err(format!("the body has {parts} parts; {most} are the most: join the bytes between two files"));
        }
        let mut request = Request::new(());
        *request.method_mut() = Method::from_bytes(self.method.as_bytes())
            .map_err(|_| format!("`{}` is not an HTTP method", self.method.escape_debug()))?;
        // The URL parser takes out what a request line cannot have, and gives international names their ASCII form.
        let url = url::Url::parse(&self.url).map_err(|error| format!("the URL cannot be read: {error}"))?;
        *request.uri_mut() =
            url.as_str().split('#').next().unwrap_or_default().parse::<Uri>().map_err(|error| error.to_string())?;
        for (name, value) in &self.headers {
            let name =
                HeaderName::try_from(name).map_err(|_| format!("`{}` is no header name", name.escape_debug()))?;
            let value =
                HeaderValue::try_from(value).map_err(|_| format!("the value of `{name}` is no header value"))?;
            request.headers_mut().append(name, value);
        }
        let (parts, ()) = request.into_parts();
        if let Some(script) = outgoing.script() {
            return read(script.answer(&parts.method, &parts.uri, None).await).await;
        }
        let Some(recorder) = outgoing.recorder() else {
            return read(self.answered(parts, facts, outgoing).await?).await;
        };
        let (place, method, uri) = (recorder.begin(), parts.method.clone(), parts.uri.clone());
        let got = self.answered(parts, facts, outgoing).await;
        let got = got.map_err(|why| Error::InternalError(Some(why)));
        let kept = recorder.keep(place, &method, &uri, None, got).await;
        read(kept.map_err(|error| error.to_string())?).await
    }

    /// The server's answer to a request that may leave, or the host's to one that may not.
    async fn answered(
        self,
        mut parts: Parts,
        facts: &Facts,
        outgoing: &mut Outgoing,
    ) -> Result<Response<WasiBody>, String> {
        let cleared = match outgoing.clear(&mut parts) {
            Ok(cleared) => cleared,
            Err(denial) => return Ok(refusal(&denial)),
        };
        let found = find(self.body, facts).await?;
        let size = found.iter().map(Found::size).fold(0, u64::saturating_add);
        if size > limits::UPLOAD_BODY {
            return Err(format!("the body has {size} bytes; {} are the most", limits::UPLOAD_BODY));
        }
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
        let uri = parts.uri.clone();
        let body = body(found, facts);
        // The body leaves before the answer comes: a second for each MiB on top.
        let budget = limits::FIRST_BYTE + std::time::Duration::from_secs(size >> 20);
        match exchange(facts, &cleared, parts, body, budget).await {
            Ok(response) => Ok(response),
            Err(NoAnswer::Trouble(Trouble::Prohibited { allowable })) => {
                let denial = facts.policy.private(&cleared.host, allowable);
                outgoing.denials().tell(&denial, Some(&uri));
                Ok(refusal(&denial))
            }
            Err(NoAnswer::Trouble(trouble)) => Err(trouble.to_string()),
            Err(NoAnswer::Credential(stand_in)) => Ok(stand_in),
        }
    }
}

async fn find(parts: Vec<Part>, facts: &Facts) -> Result<Vec<Found>, String> {
    let mut found = Vec::with_capacity(parts.len());
    for part in parts {
        found.push(match part {
            Part::Bytes(bytes) => Found::Bytes(bytes),
            Part::Media(media) => Found::Media(facts.media.open(&media).await?),
            Part::MediaBase64(media) => Found::MediaBase64(facts.media.open(&media).await?),
        });
    }
    Ok(found)
}

type Pieces = BoxStream<'static, Result<Bytes, std::io::Error>>;

/// The body; each piece of media is opened when its turn comes.
fn body(found: Vec<Found>, facts: &Facts) -> WasiBody {
    let media = facts.media.clone();
    let open = move |part: Found| {
        let media = media.clone();
        async move {
            let pieces: Result<Pieces, String> = match part {
                Found::Bytes(bytes) => Ok(stream::once(std::future::ready(Ok(bytes))).boxed()),
                Found::Media(handle) => media.stream(&handle).await,
                Found::MediaBase64(handle) => media.stream(&handle).await.map(base64),
            };
            pieces.unwrap_or_else(|why| stream::once(std::future::ready(Err(std::io::Error::other(why)))).boxed())
        }
    };
    let frames = stream::iter(found)
        .then(open)
        .flatten()
        .map(|piece| piece.map(Frame::data).map_err(|error| Error::InternalError(Some(error.to_string()))));
    StreamBody::new(frames).boxed_unsync()
}

/// The stream in base64. What does not fill a group of three waits for the next piece.
fn base64(raw: Pieces) -> Pieces {
    stream::unfold((raw, Vec::new(), false), |(mut raw, mut waiting, done)| async move {
        if done {
            return None;
        }
        match raw.next().await {
            Some(Ok(piece)) => {
                waiting.extend_from_slice(&piece);
                let rest = waiting.split_off(waiting.len() - waiting.len() % 3);
                Some((Ok(Bytes::from(BASE64.encode(&waiting))), (raw, rest, false)))
            }
            Some(Err(error)) => Some((Err(error), (raw, waiting, true))),
            None => Some((Ok(Bytes::from(BASE64.encode(&waiting))), (raw, Vec::new(), true))),
        }
    })
    // An empty chunk would end a chunked body.
    .filter(|piece| std::future::ready(!matches!(piece, Ok(bytes) if bytes.is_empty())))
    .boxed()
}

async fn read(response: Response<WasiBody>) -> Result<UploadAnswer, String> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| format!("the answer cannot be read: {error}"))?.to_bytes();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Ok(UploadAnswer { status: parts.status.as_u16(), headers, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn base64_does_not_depend_on_how_it_is_cut() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for size in [1, 2, 3, 7, 64, 999, 1000] {
            let pieces: Vec<_> = bytes.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            let encoded: Vec<Bytes> = base64(stream::iter(pieces).boxed()).map(|piece| piece.unwrap()).collect().await;
            assert_eq!(encoded.concat(), BASE64.encode(&bytes).into_bytes(), "pieces of {size}");
        }
    }
}
