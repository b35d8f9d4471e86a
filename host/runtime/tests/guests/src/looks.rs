//! What the inspector answers, in every version of the contract that has a file beside this one: it does what the media's
//! caption says, good and bad.

use crate::exports::patchbay::plugin::inspector::{Failure, Guest, Media, Verdict};
use crate::patchbay::plugin::blobs::{self, Blob};
use crate::patchbay::plugin::types::{Decision, Finding, Retry};

/// The inspector.
pub struct Inspector;

/// Bytes that are asked for at a time.
const PIECE: u32 = 1000;

impl Guest for Inspector {
    fn inspect(info: Media, bytes: &Blob) -> Result<Verdict, Failure> {
        let mut verdict = plain(&info, bytes);
        let caption = info.caption.as_deref().unwrap_or_default();
        match caption.split_once(' ').unwrap_or((caption, "")) {
            ("nan", "label") => verdict.labels[0].1 = f32::NAN,
            ("nan", "finding") => verdict.findings[0].score = f32::NAN,
            ("nan", "measure") => verdict.measures[0].1 = f64::NAN,
            ("beyond", "label") => verdict.labels[0].1 = 1.5,
            ("beyond", "finding") => verdict.findings[0].score = -0.1,
            ("beyond", "measure") => verdict.measures[0].1 = f64::INFINITY,
            ("quarantine", _) => verdict.decision = Decision::Quarantine,
            ("retry", why) => return Err(Failure::Retry(Retry { after_ms: Some(5), reason: why.to_owned() })),
            ("permanent", why) => return Err(Failure::Permanent(why.to_owned())),
            ("open", id) => {
                verdict.text = Some(match blobs::open(id) {
                    Ok(blob) => format!("{} bytes", blob.size()),
                    Err(why) => why,
                });
            }
            ("beyond", "end") => {
                let at_the_end = [bytes.size(), bytes.size() + 7, u64::MAX];
                let read = at_the_end.map(|offset| bytes.read(offset, u32::MAX).map(|piece| piece.len()));
                verdict.text = Some(format!("{read:?}"));
            }
            ("many", _) => verdict.labels = vec![("a word".repeat(1000), 0.5); 3_000],
            ("spin", _) => loop {
                std::hint::black_box(bytes.read(0, 1).ok());
            },
            ("panic", why) => panic!("{why}"),
            _ => {}
        }
        Ok(verdict)
    }
}

/// All that it was given, and read.
fn plain(info: &Media, bytes: &Blob) -> Verdict {
    let (mut read, mut sum) = (0_u64, 0_u64);
    loop {
        let piece = bytes.read(read, PIECE).unwrap();
        if piece.is_empty() {
            break;
        }
        read += piece.len() as u64;
        sum += piece.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    }
    Verdict {
        decision: Decision::Warn,
        labels: vec![(format!("{:?}", info.kind), 0.9), (info.mime.clone(), 1.0)],
        text: info.file_name.clone(),
        measures: vec![("size".into(), bytes.size() as f64), ("read".into(), read as f64), ("sum".into(), sum as f64)],
        findings: vec![Finding { code: "id".into(), detail: info.id.clone(), score: 0.25 }],
    }
}
