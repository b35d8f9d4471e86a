//! Types and calls generated from `wit/0.2`.
//!
//! One world of the host's own has every interface, so that a type is one Rust type whichever role uses it. No component
//! is matched against this world: each role is looked up by itself.
#![allow(missing_docs, unreachable_pub, reason = "generated; the contract documents itself")]
#![allow(clippy::all, clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../../wit/0.2",
    inline: "
        package patchbay:host;

        world every-role {
            import patchbay:plugin/context@0.2.0;
            import patchbay:plugin/blobs@0.2.0;
            import patchbay:plugin/uploads@0.2.0;
            export patchbay:plugin/handler@0.2.0;
            export patchbay:plugin/desk@0.2.0;
            export patchbay:plugin/inspector@0.2.0;
        }
    ",
    world: "patchbay:host/every-role",
    imports: { default: async | trappable },
    exports: { default: async },
    with: { "patchbay:plugin/blobs.blob": crate::capabilities::blobs::Blob },
});
