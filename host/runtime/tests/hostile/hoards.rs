//! What the host holds for a plugin outside of its memory: each thing has an end, and so have all of them together.

use patchbay_runtime::{HostPattern, HttpGrant, Plugin};

use super::common::*;

async fn hoarder() -> Plugin {
    let engine = engine_with(|options| options.concurrent_calls = 2);
    let mut spec = spec("hoarder", "hoarder");
    spec.grants.http.push(HttpGrant::https(HostPattern::parse("example.com").unwrap()));
    engine.load(spec).await.unwrap()
}

async fn said(plugin: &Plugin, words: &str) -> usize {
    let outcome = plugin.handle(&text(words), &call("ev_1")).await.unwrap();
    attributes(&outcome)["said"].parse().unwrap()
}

#[tokio::test]
async fn words_of_requests_that_are_never_sent() {
    let plugin = hoarder().await;
    for (word, most) in [("method", 32), ("authority", 512), ("path", 32 * 1024 - 1)] {
        assert_eq!(said(&plugin, &format!("{word} {most}")).await, 200, "{word}");
        for more in [most + 1, 4 << 20] {
            assert_eq!(said(&plugin, &format!("{word} {more}")).await, 0, "{word} of {more} bytes");
        }
    }
}

#[tokio::test]
async fn bodies_of_requests_that_are_never_sent() {
    let plugin = hoarder().await;
    let taken = said(&plugin, &format!("body {}", 4 << 20)).await;
    // One chunk waits in each, and one on its way into it.
    assert!((1..=200 * 2 * 64 * 1024).contains(&taken), "{taken} bytes");
}
