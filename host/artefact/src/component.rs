//! Manifest and golden events inside of a component: custom sections at its outermost level, read and written without
//! looking at anything between them.

use patchbay_model::golden::Golden;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasmparser::{Parser, Payload, Validator};

pub use crate::digest::{Digest, NoDigest};
use crate::manifest::{self, GOLDEN_SECTION, Manifest, SECTION};

/// The largest component, bytes: what the gateway loads at most.
pub const COMPONENT_MOST: usize = 64 << 20;

/// How every component begins: the magic word, version 13 of the binary format, layer 1 (a core module has layer 0).
const HEADER: [u8; 8] = *b"\0asm\x0d\0\x01\0";
/// The id of a custom section.
const CUSTOM: u8 = 0;

/// Why bytes are no artefact.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArtefactError {
    /// They are something else.
    #[error("this is no WebAssembly component: build the plugin for the target wasm32-wasip2")]
    Foreign,
    /// A core module.
    #[error(
        "this is a core WebAssembly module and no component: build the plugin for the target wasm32-wasip2, or wrap it \
         with `wasm-tools component new`"
    )]
    Module,
    /// It begins well and cannot be read.
    #[error("this component is damaged ({0}): build it again, or fetch it again")]
    Damaged(String),
    /// It is larger than [`COMPONENT_MOST`].
    #[error(
        "this component has {0} bytes, and the gateway loads at most {COMPONENT_MOST}: leave out what it does not need"
    )]
    Large(usize),
    /// A section is there more than once.
    #[error(
        "this component has the section `{0}` more than once, so that nobody can say which one counts: pack it again"
    )]
    Twice(&'static str),
    /// A section's content is not what it should be.
    #[error("the section `{section}` of this component cannot be read: {problem}")]
    Section {
        /// The section's name.
        section: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The manifest says what cannot be.
    #[error("the manifest of this component is wrong: {0}")]
    Manifest(#[from] manifest::ManifestError),
}

/// The manifest in a component; `None` for a plugin that was built without.
///
/// # Errors
/// When it is no component, or the manifest cannot be read or is wrong.
pub fn manifest(bytes: &[u8]) -> Result<Option<Manifest>, ArtefactError> {
    let manifest: Option<Manifest> = section(bytes, SECTION)?;
    if let Some(manifest) = &manifest {
        manifest.check()?;
    }
    Ok(manifest)
}

/// The golden events in a component; none for a plugin that was built without.
///
/// # Errors
/// When it is no component, or the golden events cannot be read.
pub fn golden(bytes: &[u8]) -> Result<Vec<Golden>, ArtefactError> {
    Ok(section(bytes, GOLDEN_SECTION)?.unwrap_or_default())
}

/// Puts a manifest and golden events into a component, in the place of those that it has. Doing it again changes nothing.
///
/// # Errors
/// When it is no valid component, when the manifest is wrong, or when the result would be too large.
pub fn pack(component: &[u8], manifest: &Manifest, golden: &[Golden]) -> Result<Vec<u8>, ArtefactError> {
    manifest.check()?;
    let sections = sections(component)?;
    Validator::new().validate_all(component).map_err(|error| ArtefactError::Damaged(error.to_string()))?;
    let mut packed = HEADER.to_vec();
    for section in sections {
        if !matches!(section.name()?, Some(SECTION | GOLDEN_SECTION)) {
            packed.extend_from_slice(section.whole);
        }
    }
    append(&mut packed, SECTION, manifest)?;
    if !golden.is_empty() {
        append(&mut packed, GOLDEN_SECTION, golden)?;
    }
    if packed.len() > COMPONENT_MOST {
        return Err(ArtefactError::Large(packed.len()));
    }
    Ok(packed)
}

/// What a component needs from outside and gives, by the names of interfaces, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// `wasi:http/types@0.2.0`
    pub imports: Vec<String>,
    /// `patchbay:plugin/handler@0.1.0`
    pub exports: Vec<String>,
}

/// What a component needs from outside and gives.
///
/// # Errors
/// When it is no component, or damaged.
pub fn outside(bytes: &[u8]) -> Result<Outside, ArtefactError> {
    check_header(bytes)?;
    let damaged = |error: wasmparser::BinaryReaderError| ArtefactError::Damaged(error.to_string());
    let mut outside = Outside::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    outside.imports.push(import.map_err(damaged)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    outside.exports.push(export.map_err(damaged)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(outside)
}

fn check_header(bytes: &[u8]) -> Result<&[u8], ArtefactError> {
    if bytes.len() > COMPONENT_MOST {
        return Err(ArtefactError::Large(bytes.len()));
    }
    match bytes.strip_prefix(&HEADER) {
        Some(rest) => Ok(rest),
        None if Parser::is_core_wasm(bytes) => Err(ArtefactError::Module),
        None => Err(ArtefactError::Foreign),
    }
}

/// The JSON in the custom section of this name.
fn section<T: DeserializeOwned>(bytes: &[u8], name: &'static str) -> Result<Option<T>, ArtefactError> {
    let mut found = None;
    for section in sections(bytes)? {
        if let Some((its, content)) = section.custom()?
            && its == name
            && found.replace(content).is_some()
        {
            return Err(ArtefactError::Twice(name));
        }
    }
    let Some(content) = found else { return Ok(None) };
    let mut json = serde_json::Deserializer::from_slice(content);
    let value = serde_path_to_error::deserialize(&mut json);
    value.map(Some).map_err(|error| ArtefactError::Section { section: name, problem: error.to_string() })
}

/// One section of the outermost level.
struct Section<'a> {
    id: u8,
    /// With its id and length.
    whole: &'a [u8],
    body: &'a [u8],
}

impl<'a> Section<'a> {
    fn name(&self) -> Result<Option<&'a str>, ArtefactError> {
        Ok(self.custom()?.map(|(name, _)| name))
    }

    /// The name and the content of a custom section.
    fn custom(&self) -> Result<Option<(&'a str, &'a [u8])>, ArtefactError> {
        if self.id != CUSTOM {
            return Ok(None);
        }
        let (name, content) = sized(self.body).ok_or_else(broken_off)?;
        let name = std::str::from_utf8(name).map_err(|_| damaged("a custom section's name is no text"))?;
        Ok(Some((name, content)))
    }
}

/// The sections of the outermost level.
fn sections(bytes: &[u8]) -> Result<Vec<Section<'_>>, ArtefactError> {
    let mut rest = check_header(bytes)?;
    let mut sections = Vec::new();
    while let Some((&id, after)) = rest.split_first() {
        let (body, next) = sized(after).ok_or_else(broken_off)?;
        let whole = rest.split_at_checked(rest.len() - next.len()).ok_or_else(broken_off)?.0;
        sections.push(Section { id, whole, body });
        rest = next;
    }
    Ok(sections)
}

fn damaged(what: &str) -> ArtefactError {
    ArtefactError::Damaged(what.to_owned())
}

fn broken_off() -> ArtefactError {
    damaged("it breaks off within a section")
}

/// What a length in front says, and what comes after it.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_u64;
    // An unsigned LEB128 of 32 bits: at most five bytes of seven bits, the lowest first.
    for place in 0..5_usize {
        let byte = *bytes.get(place)?;
        length |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return bytes.get(place + 1..)?.split_at_checked(usize::try_from(length).ok()?);
        }
    }
    None
}

/// Appends a custom section with this content as JSON.
fn append(bytes: &mut Vec<u8>, name: &'static str, content: &(impl Serialize + ?Sized)) -> Result<(), ArtefactError> {
    let unfit = |problem: String| ArtefactError::Section { section: name, problem };
    let json = serde_json::to_vec(content).map_err(|error| unfit(error.to_string()))?;
    let mut body = Vec::with_capacity(json.len() + name.len() + 5);
    push_length(&mut body, name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(&json);
    if body.len() > COMPONENT_MOST {
        return Err(ArtefactError::Large(body.len()));
    }
    bytes.push(CUSTOM);
    push_length(bytes, body.len());
    bytes.append(&mut body);
    Ok(())
}

fn push_length(bytes: &mut Vec<u8>, mut length: usize) {
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}
