//! What the host does for a plugin, each behind its grant. Nothing here knows a contract's version.

pub(crate) mod blobs;
mod body;
pub(crate) mod config;
pub(crate) mod denials;
pub(crate) mod egress;
mod exchange;
pub(crate) mod http;
pub(crate) mod keyvalue;
pub(crate) mod lengths;
pub(crate) mod logging;
pub(crate) mod policy;
pub(crate) mod recorder;
pub(crate) mod redact;
pub(crate) mod script;
mod scrub;
pub(crate) mod stdio;
pub(crate) mod uploads;
pub(crate) mod verify;
