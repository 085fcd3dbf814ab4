//! What an answer says, besides its status.

use reqwest::Response;

use super::error::PushError;

/// The most that is read of an error's message, and of a token server's answer.
const MAX_BODY: usize = 64 * 1024;

/// The error that a response means.
pub(super) async fn refused(response: Response) -> PushError {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = body(response).await.unwrap_or_default();
    PushError::status(status, &String::from_utf8_lossy(&body)).wait(&headers)
}

/// The beginning of a response's body.
pub(super) async fn body(mut response: Response) -> Result<Vec<u8>, PushError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= MAX_BODY {
            bytes.truncate(MAX_BODY);
            break;
        }
    }
    Ok(bytes)
}
