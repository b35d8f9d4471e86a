//! One HTTP request, and everything that came of it.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, Method, OutgoingBody, OutgoingRequest, Scheme};
use wasip2::io::streams::StreamError;

/// Names and values, or what went wrong.
pub type Said = Result<Vec<(String, String)>, String>;

/// Sends a request; gives the status, the headers and the body.
pub fn http(method: &str, url: &str, headers: &[&str], body: &[u8]) -> Said {
    let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let fields = Fields::new();
    for header in headers {
        let (name, value) = header.split_once('=').ok_or("no value")?;
        fields.append(name, value.as_bytes()).map_err(|error| format!("header {name}: {error:?}"))?;
    }
    let request = OutgoingRequest::new(fields);
    let method = match method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        other => Method::Other(other.to_owned()),
    };
    request.set_method(&method).map_err(|()| "method")?;
    request.set_scheme(Some(&if scheme == "https" { Scheme::Https } else { Scheme::Http })).map_err(|()| "scheme")?;
    request.set_authority(Some(authority)).map_err(|()| "authority")?;
    request.set_path_with_query(Some(path)).map_err(|()| "path")?;
    let out = request.body().map_err(|()| "body")?;
    let future = outgoing_handler::handle(request, None).map_err(|error| format!("{error:?}"))?;
    {
        let stream = out.write().map_err(|()| "stream")?;
        for chunk in body.chunks(4096) {
            stream.blocking_write_and_flush(chunk).map_err(|error| format!("while writing: {error:?}"))?;
        }
    }
    OutgoingBody::finish(out, None).map_err(|error| format!("{error:?}"))?;
    future.subscribe().block();
    let response =
        future.get().ok_or("not ready")?.map_err(|()| "taken")?.map_err(|error| format!("no answer: {error:?}"))?;
    let mut said = vec![("status".to_owned(), response.status().to_string())];
    for (name, value) in response.headers().entries() {
        said.push((name, String::from_utf8_lossy(&value).into_owned()));
    }
    let incoming = response.consume().map_err(|()| "consumed")?;
    let stream = incoming.stream().map_err(|()| "streamed")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(format!("after {} bytes: {}", bytes.len(), error.to_debug_string()));
            }
        }
    }
    said.push(("body".to_owned(), String::from_utf8_lossy(&bytes).into_owned()));
    Ok(said)
}
