//! A reason to end a call, on its way through wasmtime's errors.

use std::borrow::Cow;

use thiserror::Error;

use crate::report::Cause;

/// Ends a call with this cause.
#[derive(Clone, Debug, Error)]
#[error("{detail}")]
pub(crate) struct Stop {
    pub(crate) cause: Cause,
    pub(crate) detail: Cow<'static, str>,
}

impl Stop {
    pub(crate) fn new(cause: Cause, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { cause, detail: detail.into() }
    }
}
