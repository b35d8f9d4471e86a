//! Finds files that are not what they say they are.

use patchbay_plugin::{
    Context, Decision, Failure, Finding, Inspector, Media, MediaReader, NoSettings, Verdict, inspector,
};

/// How files of a media type begin.
const BEGINNINGS: [(&str, &[u8]); 4] =
    [("image/jpeg", b"\xff\xd8\xff"), ("image/png", b"\x89PNG"), ("image/webp", b"RIFF"), ("application/pdf", b"%PDF-")];

/// The inspector.
pub struct ExamplePlugin;

#[inspector]
impl Inspector for ExamplePlugin {
    type Settings = NoSettings;

    fn inspect(
        _settings: &NoSettings,
        info: &Media,
        bytes: &mut MediaReader<'_>,
        _cx: &Context,
    ) -> Result<Verdict, Failure> {
        let mut verdict = Verdict {
            decision: Decision::Pass,
            labels: Vec::new(),
            text: None,
            measures: vec![("bytes".into(), bytes.size() as f64)],
            findings: Vec::new(),
        };
        let Some((_, beginning)) = BEGINNINGS.iter().find(|(mime, _)| *mime == info.mime) else { return Ok(verdict) };
        let first = bytes.read_at(0, 8).map_err(|error| Failure::retry(error.to_string()))?;
        if !first.starts_with(beginning) {
            verdict.decision = Decision::Warn;
            let detail = format!("the file does not begin as {} does", info.mime);
            verdict.findings.push(Finding { code: "wrong-type".into(), detail, score: 1.0 });
        }
        Ok(verdict)
    }
}

#[cfg(test)]
mod tests {
    use patchbay_plugin::testing::{FakeHost, media};
    use patchbay_plugin::{Decision, Inspector, MediaKind, MediaReader, NoSettings};

    use super::ExamplePlugin;

    #[test]
    fn a_picture_that_is_none_is_found() {
        let host = FakeHost::new();
        for (bytes, decision) in [(b"\x89PNG\r\n".as_slice(), Decision::Pass), (b"MZ", Decision::Warn)] {
            let mut reader = MediaReader::of_bytes(bytes);
            let info = media(MediaKind::Image, "image/png");
            let verdict = ExamplePlugin::inspect(&NoSettings {}, &info, &mut reader, &host.context()).unwrap();
            assert_eq!(verdict.decision, decision);
        }
    }
}
