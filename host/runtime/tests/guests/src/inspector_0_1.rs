//! The same inspector, for version 0.1 of the contract.

mod looks;

wit_bindgen::generate!({
    path: "../../../../wit/0.1",
    world: "inspector-plugin",
    generate_all,
});

use looks::Inspector;

export!(Inspector);
