//! Files on Meta's side: where they are, and their bytes.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, stream};
use patchbay_model::{Failure, Private};
use reqwest::{RequestBuilder, Response};
use url::Url;

use super::errors::{self, Purpose};
use super::{Graph, answer};
use crate::digest;
use crate::normalise::media::mime;
use crate::wire::Fields;

/// Where Meta's files are: only these hosts, and the one that the number is configured with, are given the token.
const FILE_HOSTS: [&str; 3] = ["fbsbx.com", "facebook.com", "whatsapp.net"];

/// A file on Meta's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteMedia {
    /// Where its bytes are, for five minutes. Whoever has it and a token has the file.
    pub url: Private<String>,
    /// Media type in lower case and without parameters.
    pub mime: String,
    /// SHA-256 of the file in lower-case hex, where Meta told it and it could be read.
    pub sha256: Option<String>,
    /// Bytes, where Meta told it.
    pub size: Option<u64>,
}

impl Graph {
    /// Where a file is that came with a message. The answer is good for five minutes; the id for seven days.
    ///
    /// # Errors
    /// By Meta's code. A file that is gone is a permanent failure. Never uncertain: asking changes nothing.
    pub async fn media(&self, platform_id: &str) -> Result<RemoteMedia, Failure> {
        let plain = platform_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if platform_id.is_empty() || !plain {
            return Err(Failure::permanent("the media id is not one of WhatsApp's"));
        }
        let mut url = self.url(&[platform_id]);
        url.query_pairs_mut().append_pair("phone_number_id", &self.options.phone_number_id);
        let request = self.authorised(self.client.get(url)).timeout(self.options.timeout);
        let body = answer::successful(request, Purpose::File).await?;
        let remote = serde_json::from_slice(&body).ok().and_then(Fields::of).and_then(|file| remote(&file));
        remote.ok_or_else(|| Failure::retry("WhatsApp's answer about the file does not say where it is"))
    }

    /// A file's bytes as they arrive. The length is not limited here: whoever stores them does that.
    ///
    /// Follows no redirects, and gives up when nothing comes for [`super::GraphOptions::timeout`]. A stream that fails has
    /// ended.
    ///
    /// # Errors
    /// By Meta's code. A link that has ended is worth another try, from [`Graph::media`] on. Never uncertain.
    pub async fn download(
        &self,
        remote: &RemoteMedia,
    ) -> Result<impl Stream<Item = Result<Bytes, Failure>> + Send + use<>, Failure> {
        let url = Url::parse(remote.url.reveal()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| Failure::permanent("WhatsApp's link to the file is not a web address"))?;
        let trusted = may_have_token(&url, &self.options.base_url);
        let request = self.client.get(url);
        let request = if trusted { self.authorised(request) } else { request };
        let silence = self.options.timeout;
        let response = within(silence, begin(request)).await?;
        Ok(stream::try_unfold(response, move |mut response| async move {
            let chunk = within(silence, async {
                response.chunk().await.map_err(|error| errors::transport(error, Purpose::File))
            });
            Ok(chunk.await?.map(|chunk| (chunk, response)))
        }))
    }
}

async fn begin(request: RequestBuilder) -> Result<Response, Failure> {
    let response = request.send().await.map_err(|error| errors::transport(error, Purpose::File))?;
    if response.status().is_success() { Ok(response) } else { Err(answer::failure(response, Purpose::File).await) }
}

async fn within<T>(silence: Duration, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match tokio::time::timeout(silence, work).await {
        Ok(done) => done,
        Err(_) => Err(Failure::retry(format!("nothing came of the file for {} s", silence.as_secs_f32()))),
    }
}

fn remote(file: &Fields<'_>) -> Option<RemoteMedia> {
    Some(RemoteMedia {
        url: Private::new(file.text("url")?),
        mime: mime(file.text("mime_type")),
        sha256: file.text("sha256").and_then(|text| digest::hex(&text)),
        size: file.text("file_size").and_then(|size| size.parse().ok()),
    })
}

/// The link comes from an answer: the token goes along to Meta and to nobody else, and in the clear only to a host that is
/// configured so.
fn may_have_token(url: &Url, base: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    if base.host_str() == Some(host) {
        return url.scheme() == "https" || url.scheme() == base.scheme();
    }
    let of = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    url.scheme() == "https" && FILE_HOSTS.iter().any(|domain| of(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_to_meta_and_nobody_else() {
        let base = Url::parse("https://graph.facebook.com").unwrap();
        let local = Url::parse("http://127.0.0.1:9000/graph").unwrap();
        for (link, with_meta, with_local) in [
            ("https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1", true, true),
            ("https://fbsbx.com/", true, true),
            ("https://mmg.whatsapp.net/v/1", true, true),
            ("https://graph.facebook.com/x", true, true),
            ("http://lookaside.fbsbx.com/", false, false),
            ("http://graph.facebook.com/", false, false),
            ("https://fbsbx.com.example.org/", false, false),
            ("https://evilfbsbx.com/", false, false),
            ("https://example.org/fbsbx.com", false, false),
            ("https://fbsbx.com@example.org/", false, false),
            ("http://127.0.0.1:9001/file", false, true),
            ("http://127.0.0.2:9000/file", false, false),
        ] {
            let link = Url::parse(link).unwrap();
            assert_eq!(may_have_token(&link, &base), with_meta, "{link}");
            assert_eq!(may_have_token(&link, &local), with_local, "{link}");
        }
    }
}
