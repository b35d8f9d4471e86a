//! What a component says about itself, read from its bytes before anything is compiled.

use wasmparser::{ComponentExternalKind, Encoding, Parser, Payload};

/// A component's outside, and how much memory it starts with.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    /// The initial sizes of all of its linear memories, bytes.
    pub(crate) memory: u64,
}

/// Why bytes are no component.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoComponent {
    /// They do not begin like WebAssembly.
    Foreign,
    /// A core module.
    Module,
    /// It begins well and cannot be read.
    Damaged(String),
}

/// Reads a component's outline. Whether the code in it is valid, the compiler says.
pub(crate) fn outside(bytes: &[u8]) -> Result<Outside, NoComponent> {
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
            _ => {}
        }
    }
    Ok(outside)
}
