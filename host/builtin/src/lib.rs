//! The shipped plugins, compiled to components and embedded, so that `patchbay` is one file that works by itself.
//!
//! The build script builds the workspace in `plugins/` for `wasm32-wasip2`, and packs each plugin's manifest and golden events
//! into its component. A configuration names a shipped plugin as
//! `builtin:NAME`.

#[allow(missing_docs, reason = "written by the build script, documented here")]
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// The names of the shipped plugins, sorted.
#[must_use]
pub fn names() -> &'static [&'static str] {
    embedded::NAMES
}

/// A shipped plugin's component with its manifest and golden events, by its name.
#[must_use]
pub fn component(name: &str) -> Option<&'static [u8]> {
    embedded::COMPONENTS.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}
