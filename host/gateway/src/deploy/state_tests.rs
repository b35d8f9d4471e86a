use std::collections::BTreeSet;

use patchbay_artefact::manifest::WantedHost;
use proptest::prelude::*;

use super::*;

fn by(at: u64) -> By {
    By { who: "ada".into(), at: Timestamp::from_millis(at) }
}

fn draft(component: u8, hosts: &[&str], origin: Origin) -> Draft {
    let wanted = |host: &&str| WantedHost {
        host: (*host).to_owned(),
        methods: Vec::new(),
        paths: Vec::new(),
        about: String::new(),
    };
    Draft {
        digest: Digest::of(&[component]),
        size: 1,
        source: format!("file:{component}.wasm"),
        verified: String::new(),
        trust: Trust::Sent,
        manifest: None,
        section: Section::default(),
        asks: Asks { http: hosts.iter().map(wanted).collect(), ..Asks::default() },
        origin,
    }
}

fn operator(component: u8, hosts: &[&str]) -> Draft {
    draft(component, hosts, Origin::Operator { subject: "ada".into() })
}

/// A deployment whose first generation came from the configuration.
fn begun() -> Record {
    let draft = draft(1, &["a.com"], Origin::Configuration);
    let configured = Configured { source: draft.source.clone(), digest: draft.digest, hash: draft.section.hash() };
    Record::default().configured(draft, configured, &by(1))
}

fn share(percent: f64) -> Share {
    Share::percent(percent).unwrap()
}

#[test]
fn a_generation_takes_the_place_of_the_one_before_and_goes_back() {
    let record = begun().deployed(operator(2, &["a.com"]), Rollout::Full, &by(2)).unwrap();
    assert_eq!((record.active, record.previous, record.next), (Some(2), Some(1), 3));
    assert_eq!(record.generation(1).unwrap().state, State::Retired);
    let back = record.rolled_back(None, "it is wrong", &by(3)).unwrap();
    assert_eq!((back.active, back.previous), (Some(1), None));
    assert_eq!(back.generation(2).unwrap().state, State::RolledBack { why: "it is wrong".into() });
    assert!(back.rolled_back(None, "", &by(4)).unwrap_err().to_string().contains("no generation before"));
    let forth = back.rolled_back(Some(2), "it was right", &by(5)).unwrap();
    assert_eq!((forth.active, forth.active_since), (Some(2), Some(Timestamp::from_millis(5))));
    let what: Vec<&str> = forth.history.iter().map(|entry| entry.what.as_str()).collect();
    assert_eq!(what, ["deployed", "deployed", "rolled-back", "active", "rolled-back", "active"]);
}

#[test]
fn asking_for_more_is_held_until_somebody_approves() {
    let more = || operator(2, &["a.com", "b.com"]);
    let held = begun().deployed(more(), Rollout::Canary { share: share(10.0) }, &by(2)).unwrap();
    assert_eq!(held.active, Some(1), "the old one goes on");
    let State::Held { missing, .. } = &held.held().unwrap().state else { panic!("not held") };
    assert_eq!(missing.lines(), ["https://b.com"]);
    assert!(held.promoted(2, None, &by(3)).unwrap_err().to_string().contains("generation 2 is held"));
    assert!(held.rolled_back(Some(2), "", &by(3)).is_err(), "it has never run");
    let approved = held.approved_by(2, &by(3)).unwrap();
    assert_eq!(approved.canary().map(|(canary, of)| (canary.number, of)), Some((2, share(10.0))));
    assert_eq!(approved.generation(2).unwrap().approved.lines(), ["https://b.com"]);
    assert!(approved.approved_by(2, &by(4)).is_err());
    // What was approved stays approved for those who come after.
    let promoted = approved.promoted(2, None, &by(4)).unwrap();
    let later = promoted.deployed(more(), Rollout::Full, &by(5)).unwrap();
    assert_eq!(later.active, Some(3));
    assert_eq!(later.active().unwrap().approved.lines(), ["https://b.com"]);
    // A newer one takes the place of one that waits.
    let twice = held.deployed(operator(3, &["c.com"]), Rollout::Full, &by(6)).unwrap();
    assert_eq!(twice.held().unwrap().number, 3);
    assert!(matches!(twice.generation(2).unwrap().state, State::Failed { .. }));
    assert!(twice.rolled_back(Some(2), "", &by(7)).is_err(), "it was never approved");
}

#[test]
fn the_configuration_is_never_held() {
    let draft = draft(2, &["b.com", "c.com"], Origin::Configuration);
    let configured = Configured { source: draft.source.clone(), digest: draft.digest, hash: draft.section.hash() };
    let record = begun().configured(draft, configured.clone(), &by(2));
    assert_eq!((record.active, record.configured), (Some(2), Some(configured)));
}

#[test]
fn a_canary_grows_ends_and_is_promoted() {
    let record = begun().deployed(operator(2, &[]), Rollout::Canary { share: share(1.0) }, &by(2)).unwrap();
    let wider = record.promoted(2, Some(share(50.0)), &by(3)).unwrap();
    assert_eq!(wider.canary().map(|(_, share)| share), Some(share(50.0)));
    let ended = wider.rolled_back(None, "slow", &by(4)).unwrap();
    assert_eq!((ended.active, ended.canary(), ended.previous), (Some(1), None, None));
    let promoted = wider.promoted(2, None, &by(4)).unwrap();
    assert_eq!((promoted.active, promoted.previous, promoted.canary()), (Some(2), Some(1), None));
    let nothing = Record::default().deployed(operator(1, &[]), Rollout::Shadow, &by(1));
    assert!(nothing.unwrap_err().to_string().contains("deploy it in full"));
}

#[test]
fn a_shadow_stands_beside_and_ends_with_a_rollback_to_the_active() {
    let record = begun().deployed(operator(2, &[]), Rollout::Shadow, &by(2)).unwrap();
    assert_eq!((record.active, record.shadow().map(|shadow| shadow.number)), (Some(1), Some(2)));
    let ended = record.rolled_back(Some(1), "seen enough", &by(3)).unwrap();
    assert_eq!((ended.active, ended.shadow()), (Some(1), None));
    assert!(ended.rolled_back(Some(1), "", &by(4)).is_err());
}

#[test]
fn a_failure_leaves_what_runs() {
    let record = begun().failed(operator(2, &[]), "a golden event differs", &by(2));
    assert_eq!((record.active, record.next), (Some(1), 3));
    assert!(matches!(&record.generation(2).unwrap().state, State::Failed { why } if why.contains("golden")));
    assert!(!record.components().contains(&Digest::of(&[2])));
}

#[test]
fn old_generations_are_forgotten_and_the_history_has_an_end() {
    let mut record = begun();
    for number in 2..=200_u8 {
        record = record.deployed(operator(number, &["a.com"]), Rollout::Full, &by(u64::from(number))).unwrap();
        record = record.rolled_back(None, "no", &by(u64::from(number))).unwrap();
    }
    assert!(record.generations.len() <= KEPT + 2, "{:?}", record.generations.len());
    assert_eq!((record.history.len(), record.active, record.next), (HISTORY_MOST, Some(1), 201));
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
}

#[test]
fn what_failed_pushes_nothing_out_that_one_goes_back_to() {
    let mut record = begun();
    for number in 2..=4_u8 {
        record = record.deployed(operator(number, &["a.com"]), Rollout::Full, &by(u64::from(number))).unwrap();
    }
    for number in 5..=50_u8 {
        record = record.failed(operator(number, &[]), "a golden event differs", &by(u64::from(number)));
    }
    let numbers: Vec<u64> = record.generations.iter().map(|one| one.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 48, 49, 50]);
    assert_eq!(record.rolled_back(Some(1), "", &by(60)).unwrap().active, Some(1));
}

#[test]
fn what_is_refused_stands_in_the_history_and_pushes_nothing_out() {
    let record = begun().refused(None, "it is not signed", &by(2)).refused(None, "it is not signed", &by(3));
    let Entry { at, generation, what, who, why } = record.history.last().unwrap().clone();
    assert_eq!((generation, what.as_str(), who.as_str(), why.as_str()), (None, "refused", "ada", "it is not signed"));
    assert_eq!((record.history.len(), at), (2, Timestamp::from_millis(3)), "the same again is the same line");
    let mut record = record;
    for number in 0..500_u64 {
        record = record.refused(None, &format!("{number}: {}", "x".repeat(1 << 16)), &by(number));
    }
    assert_eq!(record.history.len(), 1 + REFUSED_MOST);
    assert_eq!(record.history.first().map(|first| first.what.as_str()), Some("deployed"));
    assert_eq!((record.active, record.next, record.generations.len()), (Some(1), 2, 1));
    // Whatever people write as a reason: the record fits into a document.
    for number in 0..300_u64 {
        record = record.deployed(operator(2, &["a.com"]), Rollout::Full, &by(number)).unwrap();
        record = record.rolled_back(None, &"é".repeat(1 << 16), &by(number)).unwrap();
    }
    assert!(serde_json::to_vec(&record).unwrap().len() < patchbay_store::DOCUMENT_MOST / 2);
}

/// One thing that somebody does.
#[derive(Clone, Debug)]
enum Step {
    Deploy(u8, bool, Rollout),
    Configure(u8),
    Fail(u8),
    Approve(u64),
    Promote(u64, bool),
    Back(Option<u64>),
}

fn step() -> impl Strategy<Value = Step> {
    let rollout = prop_oneof![Just(Rollout::Full), Just(Rollout::Canary { share: share(20.0) }), Just(Rollout::Shadow)];
    prop_oneof![
        (any::<u8>(), any::<bool>(), rollout).prop_map(|(component, more, how)| Step::Deploy(component, more, how)),
        any::<u8>().prop_map(Step::Configure),
        any::<u8>().prop_map(Step::Fail),
        (1_u64..20).prop_map(Step::Approve),
        (1_u64..20, any::<bool>()).prop_map(|(number, canary)| Step::Promote(number, canary)),
        prop::option::of(1_u64..20).prop_map(Step::Back),
    ]
}

fn take(record: &Record, step: &Step, at: u64) -> Next {
    let by = by(at);
    let host = format!("{at}.com");
    match step {
        Step::Deploy(component, more, rollout) => {
            let hosts: &[&str] = if *more { &[host.as_str()] } else { &[] };
            record.deployed(operator(*component, hosts), *rollout, &by)
        }
        Step::Configure(component) => {
            let draft = draft(*component, &[], Origin::Configuration);
            let configured =
                Configured { source: draft.source.clone(), digest: draft.digest, hash: draft.section.hash() };
            Ok(record.configured(draft, configured, &by))
        }
        Step::Fail(component) => Ok(record.failed(operator(*component, &[]), "no", &by)),
        Step::Approve(number) => record.approved_by(*number, &by),
        Step::Promote(number, canary) => record.promoted(*number, canary.then(|| share(50.0)), &by),
        Step::Back(target) => record.rolled_back(*target, "no", &by),
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_record_holds_together(steps in prop::collection::vec(step(), 0..60)) {
        let mut record = Record::default();
        let mut numbers = BTreeSet::new();
        for (at, step) in (1..).zip(&steps) {
            let Ok(next) = take(&record, step, at) else { continue };
            let count = |which: fn(&State) -> bool| next.generations.iter().filter(|one| which(&one.state)).count();
            let active = count(|state| *state == State::Active);
            prop_assert_eq!(active, usize::from(next.active.is_some()), "exactly one active: {:?}", step);
            prop_assert!(active == 1 || record.active.is_none(), "what was active once has a successor");
            prop_assert_eq!(next.active().map(|one| one.state.clone()), next.active.map(|_| State::Active));
            prop_assert!(count(|state| matches!(state, State::Canary { .. })) <= 1, "at most one canary");
            prop_assert!(count(|state| *state == State::Shadow) <= 1);
            prop_assert!(count(|state| matches!(state, State::Held { .. })) <= 1, "at most one is held");
            // Nothing runs that was not let through: it asked for nothing more, or somebody approved it.
            for one in next.generations.iter().filter(|one| one.state.has_run()) {
                let approved = next.history.iter().any(|line| line.generation == Some(one.number) && line.what == "approved");
                let held = next.history.iter().any(|line| line.generation == Some(one.number) && line.what == "held");
                prop_assert!(approved || !held, "{} ran and was never approved", one.number);
            }
            for one in next.loaded() {
                prop_assert!(!matches!(one.state, State::Held { .. } | State::Failed { .. }), "{:?}", one.state);
            }
            let back = next.previous.map(|number| next.generation(number).map(|one| one.state.has_run()));
            prop_assert!(back.is_none_or(|there| there == Some(true)), "{:?}", next.previous);
            prop_assert!(next.previous.is_none() || next.previous != next.active);
            for one in next.generations.iter().filter(|one| one.number >= record.next) {
                prop_assert!(numbers.insert(one.number), "{} was given twice", one.number);
            }
            prop_assert!(next.generations.iter().all(|one| one.number < next.next));
            prop_assert!(next.generations.is_sorted_by_key(|one| one.number));
            record = next;
        }
    }
}
