//! What `wit-bindgen` makes of the contract: one module for each world, the shared types generated once.
//!
//! The worlds are generated here, without their exports; the attribute macros add the export of one role to the plugin's
//! own crate. Imports that a plugin does not call are not in its component.

/// The handler's world, and the interfaces that all worlds share.
pub mod handler {
    wit_bindgen::generate!({
        path: "../../wit/0.2",
        world: "handler-plugin",
        pub_export_macro: true,
        export_macro_name: "export_handler",
        default_bindings_module: "patchbay_plugin::__private::handler",
        additional_derives: [PartialEq],
        generate_all,
    });
}

/// The desk's world.
pub mod desk {
    wit_bindgen::generate!({
        path: "../../wit/0.2",
        world: "desk-plugin",
        pub_export_macro: true,
        export_macro_name: "export_desk",
        default_bindings_module: "patchbay_plugin::__private::desk",
        additional_derives: [PartialEq],
        with: {
            "patchbay:plugin/types@0.2.0": super::handler::patchbay::plugin::types,
            "patchbay:plugin/context@0.2.0": super::handler::patchbay::plugin::context,
            "patchbay:plugin/blobs@0.2.0": super::handler::patchbay::plugin::blobs,
            "patchbay:plugin/uploads@0.2.0": super::handler::patchbay::plugin::uploads,
            "wasi:config/store@0.2.0-rc.1": super::handler::wasi::config::store,
            "wasi:keyvalue/store@0.2.0-draft": super::handler::wasi::keyvalue::store,
        },
    });
}

/// The inspector's world.
pub mod inspector {
    wit_bindgen::generate!({
        path: "../../wit/0.2",
        world: "inspector-plugin",
        pub_export_macro: true,
        export_macro_name: "export_inspector",
        default_bindings_module: "patchbay_plugin::__private::inspector",
        with: {
            "patchbay:plugin/types@0.2.0": super::handler::patchbay::plugin::types,
            "patchbay:plugin/context@0.2.0": super::handler::patchbay::plugin::context,
            "patchbay:plugin/blobs@0.2.0": super::handler::patchbay::plugin::blobs,
            "patchbay:plugin/uploads@0.2.0": super::handler::patchbay::plugin::uploads,
            "wasi:config/store@0.2.0-rc.1": super::handler::wasi::config::store,
            "wasi:keyvalue/store@0.2.0-draft": super::handler::wasi::keyvalue::store,
        },
    });
}
