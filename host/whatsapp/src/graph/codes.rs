//! Meta's error codes, and what each of them means for the task that asked.

use std::ops::RangeInclusive;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Try again, no sooner than after so many seconds; 0 leaves the pace to the lane.
    Retry(u64),
    /// The token, the permissions, the number or the account: nothing can be sent until a person has done something.
    Credential,
    /// This message will never be taken.
    Permanent,
}

use Class::{Credential, Permanent, Retry};

/// Meta's error codes (its error code page of 11 September 2026, and what was met beyond it). A code that is not here is
/// judged by the HTTP status.
///
/// Codes of one template, flow or category (132015, 132016, 132068, 131063) are permanent for the message, though a person
/// has to act: the number's other messages still go.
const CODES: &[(RangeInclusive<i64>, Class)] = &[
    (0..=0, Credential),
    (1..=2, Retry(0)),
    (3..=3, Credential),
    // The application's calls of the Graph API are used up for a part of the hour.
    (4..=4, Retry(300)),
    (10..=10, Credential),
    (33..=33, Credential),
    (100..=100, Permanent),
    (190..=190, Credential),
    (200..=299, Credential),
    (368..=368, Credential),
    // The closed 24-hour window, as the on-premises API called it.
    (470..=470, Permanent),
    (613..=613, Retry(60)),
    (80007..=80007, Retry(300)),
    (130_403..=130_403, Permanent),
    // The number's messages per second.
    (130_429..=130_429, Retry(1)),
    (130_472..=130_472, Permanent),
    (130_497..=130_497, Permanent),
    (131_000..=131_000, Retry(0)),
    (131_005..=131_005, Credential),
    (131_008..=131_009, Permanent),
    (131_016..=131_016, Retry(0)),
    (131_021..=131_021, Permanent),
    (131_026..=131_026, Permanent),
    (131_030..=131_030, Permanent),
    (131_031..=131_031, Credential),
    (131_037..=131_037, Credential),
    (131_042..=131_042, Credential),
    (131_044..=131_045, Credential),
    (131_047..=131_047, Permanent),
    (131_048..=131_048, Credential),
    (131_049..=131_052, Permanent),
    // Mostly Meta failing to fetch a link.
    (131_053..=131_053, Retry(5)),
    (131_055..=131_055, Permanent),
    // Messages to one customer: one each six seconds.
    (131_056..=131_056, Retry(6)),
    // The number is moved to a higher throughput.
    (131_057..=131_057, Retry(60)),
    (131_060..=131_060, Permanent),
    (131_062..=131_063, Permanent),
    (131_064..=131_064, Credential),
    (131_208..=131_208, Retry(60)),
    (131_200..=131_299, Permanent),
    (132_000..=132_068, Permanent),
    // Ten messages of a throttled flow per hour.
    (132_069..=132_069, Retry(600)),
    (133_004..=133_004, Retry(0)),
    (133_000..=133_016, Credential),
    (134_011..=134_011, Credential),
    // A template that is still being copied.
    (134_101..=134_101, Retry(600)),
    (134_100..=134_102, Permanent),
    (135_000..=135_000, Permanent),
    (137_000..=137_000, Permanent),
    (138_000..=138_999, Permanent),
    (139_101..=139_101, Permanent),
    (2_388_019..=2_388_019, Permanent),
    (2_593_107..=2_593_109, Permanent),
];

/// What a code means; none where it is not known.
pub(super) fn by_number(code: i64) -> Option<Class> {
    CODES.iter().find(|(codes, _)| codes.contains(&code)).map(|(_, class)| *class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_never_hides_a_row_below_it() {
        for (at, (codes, _)) in CODES.iter().enumerate() {
            let hidden = CODES[..at].iter().any(|(above, _)| codes.clone().all(|code| above.contains(&code)));
            assert!(!hidden, "{codes:?}");
        }
    }
}
