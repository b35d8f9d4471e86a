//! See [`patchbay_fuzz::body`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| patchbay_fuzz::body(data));
