//! What `wit-bindgen` makes of the contract: one module for each world, the shared types generated once.
//!
//! The worlds are generated here, without their exports; the attribute macros add the export of one role to the plugin's
//! own crate. Imports that a plugin does not call are not in its component.

/// The handler's world, and the interfaces that all worlds share.
pub mod handler {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        world: "handler-plugin",
        pub_export_macro: true,
        export_macro_name: "export_handler",
        default_bindings_module: "patchbay_plugin::__private::handler",
        additional_derives: [PartialEq],
    });
}

/// The desk's world.
pub mod desk {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        world: "desk-plugin",
        pub_export_macro: true,
        export_macro_name: "export_desk",
        default_bindings_module: "patchbay_plugin::__private::desk",
        additional_derives: [PartialEq],
        with: {
            "patchbay:plugin/types@0.1.0": super::handler::patchbay::plugin::types,
            "patchbay:plugin/context@0.1.0": super::handler::patchbay::plugin::context,
            "patchbay:plugin/blobs@0.1.0": super::handler::patchbay::plugin::blobs,
            "patchbay:plugin/uploads@0.1.0": super::handler::patchbay::plugin::uploads,
        },
    });
}

/// The inspector's world.
pub mod inspector {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        world: "inspector-plugin",
        pub_export_macro: true,
        export_macro_name: "export_inspector",
        default_bindings_module: "patchbay_plugin::__private::inspector",
        with: {
            "patchbay:plugin/types@0.1.0": super::handler::patchbay::plugin::types,
            "patchbay:plugin/context@0.1.0": super::handler::patchbay::plugin::context,
            "patchbay:plugin/blobs@0.1.0": super::handler::patchbay::plugin::blobs,
            "patchbay:plugin/uploads@0.1.0": super::handler::patchbay::plugin::uploads,
        },
    });
}

/// Settings: the one part of `wasi:config` that a plugin uses.
#[cfg(target_arch = "wasm32")]
pub mod config {
    wit_bindgen::generate!({
        inline: r"
            package patchbay:settings;

            world settings {
                import wasi:config/store@0.2.0-rc.1;
            }
        ",
        path: "wit/config",
        world: "patchbay:settings/settings",
        generate_all,
    });
}
