//! An inspector that does what the media's caption says.

mod looks;

wit_bindgen::generate!({
    path: "../../../../wit/0.2",
    world: "inspector-plugin",
    generate_all,
});

use looks::Inspector;

export!(Inspector);
