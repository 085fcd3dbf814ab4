//! What an answer says, besides its status.

use reqwest::Response;

use super::error::PushError;
use crate::answer::{AnswerFailure, AnswerLimits, BoundedAnswer, Pace};

/// The most bytes that are read of an error's message; the rest of it is left.
const MOST_OF_ERROR: usize = 64 << 10;

/// The error that a response means, with the beginning of its message.
pub(super) async fn refused(response: Response, pace: Pace) -> PushError {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut answer = BoundedAnswer::new(response, AnswerLimits { bytes: u64::MAX, pace });
    let mut message = Vec::new();
    while message.len() < MOST_OF_ERROR
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        message.extend_from_slice(&chunk);
    }
    message.truncate(MOST_OF_ERROR);
    PushError::status(status, &String::from_utf8_lossy(&message)).wait(&headers)
}

/// A body of at most `bytes`.
pub(super) async fn body(response: Response, bytes: usize, pace: Pace) -> Result<Vec<u8>, PushError> {
    let limits = AnswerLimits { bytes: bytes as u64, pace };
    BoundedAnswer::new(response, limits).whole().await.map_err(|failure| match failure {
        AnswerFailure::Torn(error) => error.into(),
        AnswerFailure::TooLarge(_) => PushError::permanent(format!("the registry {failure}"))
            .hint("check that `REGISTRY_URL` is the address of a registry"),
        AnswerFailure::TooSlow(_) => PushError::permanent(format!("the registry {failure}"))
            .hint("check the network and the proxy variables (`HTTPS_PROXY`), then try again"),
    })
}
