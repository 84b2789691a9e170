use super::*;
use crate::contract::Version;
use crate::plan::{Sequence, build};

fn planned(profile: Profile) -> Vec<Sequence> {
    let contract = Contract::embedded(Version::NEWEST).unwrap();
    let facts = Facts { may_change_settings: true, channels: vec![MessageKind::Email], ..Facts::default() };
    let plan = build(&contract, &facts, 1, profile, &["races/*".into()]).plan;
    plan.sequences().cloned().collect()
}

#[test]
fn each_round_sends_one_group_whose_members_do_not_wait_for_each_other() {
    let sequences = planned(Profile::Standard);
    assert_eq!(sequences.len(), 2 * RACES.len());
    for sequence in &sequences {
        let raced: Vec<usize> = (0..sequence.steps.len()).filter(|step| sequence.steps[*step].together.is_some()).collect();
        let group = sequence.group(raced[0]);
        assert!(group.len() > 1 && group.clone().collect::<Vec<_>>() == raced, "{}", sequence.id);
        let given: Vec<&str> = sequence.steps[group.clone()].iter().flat_map(|step| step.gives()).collect();
        assert!(sequence.steps[group.clone()].iter().all(|step| step.needs().iter().all(|need| !given.contains(need))), "{}", sequence.id);
        assert!(sequence.steps[..group.start].iter().all(|step| step.purpose == Purpose::Setup), "{}", sequence.id);
        for (index, step) in sequence.steps.iter().enumerate().skip(group.end) {
            let looks = matches!(step.purpose, Purpose::Look(of) if of == group.start);
            assert_eq!((looks, !looks), (sequence.is_race(index), step.purpose == Purpose::Setup), "{}", sequence.id);
        }
    }
}

#[test]
fn profiles_differ_in_rounds() {
    assert_eq!((planned(Profile::Quick).len(), planned(Profile::Deep).len()), (RACES.len(), 10 * RACES.len()));
}

#[test]
fn a_plan_of_races_is_read_as_it_was_written() {
    let sequences = planned(Profile::Quick);
    let text = serde_json::to_string(&sequences).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Sequence>>(&text).unwrap(), sequences);
    assert!(text.contains("\"together\":1"));
}
