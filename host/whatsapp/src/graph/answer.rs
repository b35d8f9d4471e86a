//! Answers, read up to a limit.

use patchbay_model::Failure;
use reqwest::{RequestBuilder, Response};

use super::errors::{self, Purpose};

/// Bytes of an answer that are read. Meta's are a few hundred; a page of HTML on the way is some thousand.
const MAX_ANSWER: usize = 256 * 1024;

/// The body of a successful answer.
///
/// # Errors
/// By Meta's code, or because no whole answer came.
pub(super) async fn successful(request: RequestBuilder, purpose: Purpose) -> Result<Vec<u8>, Failure> {
    let response = request.send().await.map_err(|error| errors::transport(error, purpose))?;
    if !response.status().is_success() {
        return Err(failure(response, purpose).await);
    }
    read(response).await.map_err(|error| errors::transport(error, purpose))
}

/// What an answer other than success means. A body that breaks off does not change what its status says.
pub(super) async fn failure(response: Response, purpose: Purpose) -> Failure {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read(response).await.unwrap_or_default();
    errors::failure(purpose, status, &headers, &body)
}

async fn read(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MAX_ANSWER - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if chunk.len() >= room {
            break;
        }
    }
    Ok(body)
}
