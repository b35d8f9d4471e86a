//! What a component says about itself, read from its bytes: nothing is compiled, and nothing runs.

use sha2::{Digest as _, Sha256};
use thiserror::Error;
use wasmparser::{ComponentExternalKind, Encoding, Parser, Payload};

use crate::compile::hex;
use crate::contract::PACKAGE;
use crate::grants::{Grants, HostPattern, HttpGrant};
use crate::imports;
use crate::plugin::Role;

/// A component as it looks from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// What it can do for the gateway; empty: it is no plugin.
    pub roles: Vec<Role>,
    /// The versions of the plugin contract that its roles are of, as in `0.1.0`. One, if it can be loaded.
    pub contracts: Vec<String>,
    /// What it imports, in the order of the file.
    pub imports: Vec<Import>,
    /// Its file, bytes.
    pub size: usize,
    /// What its linear memories begin with, bytes.
    pub memory: u64,
    /// SHA-256 of its file, hexadecimal.
    pub digest: String,
}

/// An interface that a component imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// With its version: `wasi:http/types@0.2.4`.
    pub name: String,
    /// What has to be granted for it.
    pub need: Need,
}

/// What has to be granted for an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: every plugin may have it.
    Nothing,
    /// These together.
    Grants {
        /// A host, with `[[plugins.NAME.grants.http]]`.
        http: bool,
        /// `media`.
        media: bool,
        /// `keyvalue`.
        keyvalue: bool,
    },
    /// No grant opens it: a component with it is not loaded.
    Never {
        /// Why.
        why: String,
        /// What to do instead.
        remedy: String,
    },
}

/// Bytes that are no component: what they are, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("it is no WebAssembly component: {0}")]
pub struct InspectError(String);

/// Reads a component's outside. Whether the code in it is valid, the compiler says.
///
/// # Errors
/// If it is none.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, InspectError> {
    let outside = outside(bytes).map_err(|no| InspectError(no.sentence(bytes.len())))?;
    let own = |name: &String| {
        let (interface, version) = name.strip_prefix(PACKAGE)?.strip_prefix('/')?.split_once('@')?;
        Some((interface.to_owned(), version.to_owned()))
    };
    let exports: Vec<_> = outside.exports.iter().filter_map(own).collect();
    let roles: Vec<Role> =
        Role::ALL.into_iter().filter(|role| exports.iter().any(|(interface, _)| interface == role.as_str())).collect();
    let mut contracts: Vec<String> = exports.into_iter().map(|(_, version)| version).collect();
    contracts.sort();
    contracts.dedup();
    let imports = outside.imports.into_iter().map(|name| Import { need: need(&name), name }).collect();
    Ok(Inspection {
        roles,
        contracts,
        imports,
        size: bytes.len(),
        memory: outside.memory,
        digest: hex(&Sha256::digest(bytes)),
    })
}

/// The least that opens an import: the check itself is asked, with more and more granted.
fn need(import: &str) -> Need {
    let imports = [import.to_owned()];
    let some_host = HttpGrant::https(HostPattern::Exact("example.com".to_owned()));
    let granted = |http: bool, media: bool, keyvalue: bool| Grants {
        http: if http { vec![some_host.clone()] } else { Vec::new() },
        media,
        keyvalue: keyvalue.then_some(1),
    };
    let check = |http, media, keyvalue| imports::check("NAME", &imports, &granted(http, media, keyvalue));
    if check(false, false, false).is_ok() {
        return Need::Nothing;
    }
    if let Err(refused) = check(true, true, true) {
        return Need::Never { why: refused.why, remedy: refused.remedy };
    }
    Need::Grants {
        http: check(false, true, true).is_err(),
        media: check(true, false, true).is_err(),
        keyvalue: check(true, true, false).is_err(),
    }
}

/// A component's outside, and how much memory it starts with.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    /// The initial sizes of all of its linear memories, bytes.
    pub(crate) memory: u64,
    /// The initial size of the largest of its tables, elements.
    pub(crate) table: u64,
}

/// Why bytes are no component.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoComponent {
    /// Machine code, made from a component by this or another compiler.
    Compiled,
    /// They do not begin like WebAssembly.
    Foreign,
    /// A core module.
    Module,
    /// It begins well and cannot be read.
    Damaged(String),
}

impl NoComponent {
    /// What the bytes are instead, and what to do.
    pub(crate) fn sentence(self, size: usize) -> String {
        match self {
            Self::Compiled => {
                "it is compiled already, and the gateway runs no machine code but its own compiler's: take the component \
                 (the `.wasm`) that this was made from"
                    .to_owned()
            }
            Self::Foreign => format!("its {size} bytes do not begin like WebAssembly"),
            Self::Module => {
                "it is a core module: build it for the target wasm32-wasip2, or wrap it with `wasm-tools component new`"
                    .to_owned()
            }
            Self::Damaged(why) => format!("it cannot be read ({why}): copy it again"),
        }
    }
}

/// Reads a component's outline. Whether the code in it is valid, the compiler says.
pub(crate) fn outside(bytes: &[u8]) -> Result<Outside, NoComponent> {
    if bytes.starts_with(b"\x7fELF") || wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(NoComponent::Compiled);
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(NoComponent::Foreign);
    }
    if Parser::is_core_wasm(bytes) {
        return Err(NoComponent::Module);
    }
    let damaged = |error: wasmparser::BinaryReaderError| NoComponent::Damaged(error.to_string());
    let mut outside = Outside::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::Version { encoding, .. } => {
                if depth == 0 && encoding == Encoding::Module {
                    return Err(NoComponent::Module);
                }
                depth += 1;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    outside.imports.push(import.map_err(damaged)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    let export = export.map_err(damaged)?;
                    if export.kind == ComponentExternalKind::Instance {
                        outside.exports.push(export.name.name.to_owned());
                    }
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory.map_err(damaged)?;
                    let page = 1_u64 << memory.page_size_log2.unwrap_or(16).min(16);
                    outside.memory = outside.memory.saturating_add(memory.initial.saturating_mul(page));
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    outside.table = outside.table.max(table.map_err(damaged)?.ty.initial);
                }
            }
            _ => {}
        }
    }
    Ok(outside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_import_needs() {
        assert_eq!(need("wasi:cli/exit@0.2.6"), Need::Nothing);
        assert_eq!(
            need("wasi:http/outgoing-handler@0.2.4"),
            Need::Grants { http: true, media: false, keyvalue: false }
        );
        assert_eq!(need("patchbay:plugin/blobs@0.1.0"), Need::Grants { http: false, media: true, keyvalue: false });
        assert_eq!(need("patchbay:plugin/uploads@0.1.0"), Need::Grants { http: true, media: true, keyvalue: false });
        assert!(matches!(need("wasi:filesystem/types@0.3.0"), Need::Never { .. }));
    }

    #[test]
    fn what_is_no_component_is_named() {
        let said = |bytes: &[u8]| inspect(bytes).map(|_| ()).map_err(|error| error.to_string());
        assert!(said(b"\x7fELF\x02\x01\x01").unwrap_err().contains("compiled already"));
        assert!(said(b"hello").unwrap_err().contains("5 bytes do not begin like WebAssembly"));
        assert!(said(b"\0asm\x01\0\0\0").unwrap_err().contains("core module"));
        let empty = inspect(b"\0asm\x0d\0\x01\0").unwrap();
        assert!(empty.roles.is_empty() && empty.imports.is_empty() && empty.digest.len() == 64, "{empty:?}");
    }
}
