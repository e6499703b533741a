//! Answers of the bench: JSON, and for a bad request what was wrong and what is allowed.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use serde::Serialize;

/// A refused request.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: StatusCode,
    pub error: String,
    pub allowed: Vec<String>,
}

pub(super) type Answer = Result<Response<Body>, Refusal>;

impl Refusal {
    /// The request is wrong: 400.
    pub fn bad(error: impl Into<String>, allowed: &[&str]) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, allowed.iter().map(ToString::to_string).collect())
    }

    /// There is no such thing: 404.
    pub fn missing(error: impl Into<String>, allowed: Vec<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error, allowed)
    }

    /// It cannot be done now: 409.
    pub fn conflict(error: impl Into<String>, allowed: &[&str]) -> Self {
        Self::new(StatusCode::CONFLICT, error, allowed.iter().map(ToString::to_string).collect())
    }

    pub fn new(status: StatusCode, error: impl Into<String>, allowed: Vec<String>) -> Self {
        Self { status, error: error.into(), allowed }
    }

    pub fn respond(&self) -> Response<Body> {
        #[derive(Serialize)]
        struct Wrong<'a> {
            error: &'a str,
            allowed: &'a [String],
        }
        let mut response = json(&Wrong { error: &self.error, allowed: &self.allowed });
        *response.status_mut() = self.status;
        response
    }
}

/// A JSON answer.
pub(super) fn json(value: &impl Serialize) -> Response<Body> {
    let bytes =
        serde_json::to_vec(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}").into_bytes());
    typed(bytes, "application/json; charset=utf-8")
}

/// An answer of this media type.
pub(super) fn typed(bytes: impl Into<Body>, media: &'static str) -> Response<Body> {
    let mut response = Response::new(bytes.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}
