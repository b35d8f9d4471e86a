//! What accepting costs before the store is asked: the signature and normalising, on one thread.
//!
//! `cargo bench -p patchbay-whatsapp` measures; without `--bench` each case runs once, as a test that it works.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use patchbay_model::{Channel, Timestamp};
use patchbay_whatsapp::normalise::{Channels, normalise};
use patchbay_whatsapp::signature::{self, AppSecrets};
use secrecy::SecretString;
use serde_json::{Value, json};

const NUMBER: &str = "106540352242922";

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .sample_size(50)
        .configure_from_args();
    accept(&mut criterion);
    criterion.final_summary();
}

fn accept(criterion: &mut Criterion) {
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    let secrets = AppSecrets::new(vec![secret.clone()]);
    let channel = Channel {
        id: "support".into(),
        platform: "whatsapp".into(),
        account: "102290129340398".into(),
        address: NUMBER.into(),
    };
    let channels = Channels::new([channel]);
    let received_at = Timestamp::from_millis(1_764_000_000_000);

    let mut group = criterion.benchmark_group("accept");
    for (name, messages) in [("one text", 1), ("1000 texts", 1000)] {
        let body = webhook(messages);
        let header = signature::sign(&secret, &body);
        assert!(secrets.verify(Some(header.as_bytes()), &body).is_ok(), "{name}: the signature is right");
        let arrivals = normalise(&body, &channels, received_at).arrivals.len();
        assert_eq!(arrivals as u64, messages, "{name}: every message arrives");

        group.throughput(Throughput::ElementsAndBytes { elements: messages, bytes: body.len() as u64 });
        group.bench_function(BenchmarkId::new("signature", name), |bencher| {
            bencher.iter(|| secrets.verify(Some(black_box(header.as_bytes())), black_box(&body)));
        });
        group.bench_function(BenchmarkId::new("normalise", name), |bencher| {
            bencher.iter(|| normalise(black_box(&body), &channels, received_at));
        });
    }
    group.finish();
}

/// A webhook as Meta sends it; with one message it has about 1.4 KB.
fn webhook(messages: u64) -> Vec<u8> {
    let text = "Good morning, my parcel was to come yesterday between ten and twelve and nobody rang. ".repeat(10);
    let message = |at: u64| -> Value {
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
