//! What accepting costs before the store is asked: the signature and normalising, on one thread.
//!
//! `cargo bench -p patchbay-whatsapp` measures; without `--bench` each case runs once, as a test that it works.

use std::hint::black_box;
use std::time::{Duration, Instant};

use patchbay_model::{Channel, Timestamp};
use patchbay_whatsapp::normalise::{Channels, normalise};
use patchbay_whatsapp::signature::{self, AppSecrets};
use secrecy::SecretString;
use serde_json::{Value, json};

const NUMBER: &str = "106540352242922";

/// For one case: long enough that a pause of the machine is a small part of it.
const MEASURED: Duration = Duration::from_secs(2);

fn main() {
    let measure = std::env::args().any(|argument| argument == "--bench");
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    let secrets = AppSecrets::new(vec![secret.clone()]);
    let channel = Channel {
        id: "support".into(),
        platform: "whatsapp".into(),
        account: "102290129340398".into(),
        address: NUMBER.into(),
    };
    let channels = Channels::new([channel]);

    for (name, messages) in [("one text", 1), ("1000 texts", 1000)] {
        let body = webhook(messages);
        let header = signature::sign(&secret, &body);
        let received_at = Timestamp::from_millis(1_764_000_000_000);
        let cases: [(&str, &dyn Fn() -> bool); 2] = [
            ("verify", &|| secrets.verify(Some(header.as_bytes()), black_box(&body)).is_ok()),
            ("normalise", &|| normalise(black_box(&body), &channels, received_at).arrivals.len() == messages),
        ];
        for (step, case) in cases {
            assert!(case(), "{name}: {step} does not do its work");
            if measure {
                println!("{name} ({} bytes): {step} {:.2} µs", body.len(), micros(case));
            }
        }
    }
}

/// The median time of a call.
fn micros(case: &dyn Fn() -> bool) -> f64 {
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < MEASURED {
        let before = Instant::now();
        black_box(case());
        times.push(before.elapsed());
    }
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, |median| median.as_secs_f64() * 1e6)
}

/// A webhook as Meta sends it; with one message it has about 1.4 KB.
fn webhook(messages: usize) -> Vec<u8> {
    let text = "Good morning, my parcel was to come yesterday between ten and twelve and nobody rang. ".repeat(10);
    let message = |at: usize| -> Value {
        json!({
            "from": "447700900001", "from_user_id": "GB.8841023371",
            "id": format!("wamid.HBgMNDQ3NzAwOTAwMDAxFQIAEhggRDRBNzE0QjJFMDg5OUY1{at:020}"),
            "timestamp": "1764000000", "type": "text", "text": { "body": text },
        })
    };
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "447700900999", "phone_number_id": NUMBER },
        "contacts": [{ "profile": { "name": "Renée O'Neil" }, "wa_id": "447700900001", "user_id": "GB.8841023371" }],
        "messages": (0..messages).map(message).collect::<Vec<_>>(),
    });
    let envelope = json!({
        "object": "whatsapp_business_account",
        "entry": [{ "id": "102290129340398", "changes": [{ "field": "messages", "value": value }] }],
    });
    envelope.to_string().into_bytes()
}
