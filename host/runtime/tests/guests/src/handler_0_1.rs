//! The same handler, for version 0.1 of the contract.

mod answers;

wit_bindgen::generate!({
    path: ["../../../../wit/0.1", "wit/config.wit"],
    inline: "
        package test:handler;
        world guest {
            import wasi:config/store@0.2.0-rc.1;
            include patchbay:plugin/handler-plugin@0.1.0;
        }
    ",
    world: "test:handler/guest",
    generate_all,
});

use answers::Handler;

export!(Handler);
