//! The handler, for version 0.2 of the contract.

mod answers;

wit_bindgen::generate!({
    path: "../../../../wit/0.2",
    world: "handler-plugin",
    generate_all,
});

use answers::Handler;

export!(Handler);
