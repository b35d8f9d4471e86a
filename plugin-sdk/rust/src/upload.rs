//! Requests with stored media in the body: the host streams the bytes, the plugin never holds them.

use crate::Failure;
use crate::bindings::handler::patchbay::plugin::uploads::Part;
use crate::host::Host;
use crate::http::{self, Response, encode};

/// A request whose body is its parts in order, from [`Context::upload`](crate::Context::upload).
#[derive(Debug)]
#[must_use = "an upload does nothing until it is sent"]
pub struct Upload<'a> {
    host: &'a Host,
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) parts: Vec<Part>,
}

impl<'a> Upload<'a> {
    pub(crate) const fn new(host: &'a Host, method: String, url: String) -> Self {
        Self { host, method, url, headers: Vec::new(), parts: Vec::new() }
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a parameter to the URL's query, percent-encoded.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.url.push(if self.url.contains('?') { '&' } else { '?' });
        self.url.push_str(&encode(name));
        self.url.push('=');
        self.url.push_str(&encode(value));
        self
    }

    /// Bytes of the plugin's own, such as a part's header in a multipart body.
    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.parts.push(Part::Bytes(bytes.into()));
        self
    }

    /// A stored media's bytes as they are, by its id.
    pub fn media(mut self, id: impl Into<String>) -> Self {
        self.parts.push(Part::Media(id.into()));
        self
    }

    /// A stored media's bytes in standard base64 with padding, by its id.
    pub fn media_base64(mut self, id: impl Into<String>) -> Self {
        self.parts.push(Part::MediaBase64(id.into()));
        self
    }

    /// Sends it and waits for the whole answer. Any status is an answer; see [`Response::ok`].
    ///
    /// # Errors
    /// [`Failure::Retry`] if no answer came.
    pub fn send(self) -> Result<Response, Failure> {
        let subject = http::subject(&self.method, &self.url);
        let host = self.host;
        match host.upload(self) {
            Ok(answer) => Ok(answer.into_response(host.now(), subject)),
            Err(why) => Err(Failure::retry(format!("{subject}: {why}"))),
        }
    }
}
