use super::super::test_server::Scratch;
use super::*;
use serde_json::json;

fn header() -> Header {
    Header { run: "r1".into(), endpoint: "http://127.0.0.1".into(), started: "today".into() }
}

fn user(marker: &str) -> Intent {
    Intent::User { marker: marker.into() }
}

#[test]
fn what_is_written_is_read_back_and_repeats_are_skipped() {
    let scratch = Scratch::new("round");
    let ledger = Ledger::create(&scratch.0, &header()).unwrap();
    let center = Intent::AccountCenter { before: json!({"enabled": false}) };
    ledger.intend(&[user("lc_r1_a"), center.clone()]).unwrap();
    ledger.intend(&[user("lc_r1_a"), Intent::AccountCenter { before: json!({"enabled": true}) }]).unwrap();
    ledger.settle(&user("lc_r1_a"), "id1").unwrap();
    ledger.undone(&user("lc_r1_a")).unwrap();
    ledger.undone(&user("lc_r1_a")).unwrap();
    assert!(!ledger.is_settled_up());
    let (read, records) = Ledger::read(&scratch.0).unwrap();
    assert_eq!(read, header());
    assert_eq!(records, ledger.records());
    assert_eq!(
        records,
        [
            Record::Intend(user("lc_r1_a")),
            Record::Intend(center),
            Record::Settle { label: "user lc_r1_a".into(), id: "id1".into() },
            Record::Undone { label: "user lc_r1_a".into() },
        ]
    );
}

#[test]
fn lines_can_be_read_by_people() {
    let scratch = Scratch::new("people");
    let ledger = Ledger::create(&scratch.0, &header()).unwrap();
    ledger.intend(&[user("lc_r1_a")]).unwrap();
    let text = std::fs::read_to_string(&scratch.0).unwrap();
    assert_eq!(text.lines().nth(1).unwrap(), r#"{"intend":{"kind":"user","marker":"lc_r1_a"}}"#);
}

#[cfg(unix)]
#[test]
fn the_file_is_private_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::new("private");
    Ledger::create(&scratch.0, &header()).unwrap();
    assert_eq!(std::fs::metadata(&scratch.0).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(Ledger::create(&scratch.0, &header()), Err(LedgerError::Io { .. })));
}

#[test]
fn a_cut_off_last_line_is_left_out_and_overwritten_when_work_goes_on() {
    let scratch = Scratch::new("cut");
    Ledger::create(&scratch.0, &header()).unwrap().intend(&[user("lc_r1_a")]).unwrap();
    let mut text = std::fs::read(&scratch.0).unwrap();
    text.extend_from_slice(br#"{"intend":{"kind":"us"#);
    std::fs::write(&scratch.0, text).unwrap();
    assert_eq!(Ledger::read(&scratch.0).unwrap().1, [Record::Intend(user("lc_r1_a"))]);
    let (_, ledger) = Ledger::reopen(&scratch.0).unwrap();
    ledger.undone(&user("lc_r1_a")).unwrap();
    assert!(ledger.is_settled_up());
    assert_eq!(Ledger::read(&scratch.0).unwrap().1.len(), 2);
}

#[test]
fn a_whole_last_line_without_its_end_counts() {
    let scratch = Scratch::new("end");
    Ledger::create(&scratch.0, &header()).unwrap().intend(&[user("lc_r1_a")]).unwrap();
    let text = std::fs::read_to_string(&scratch.0).unwrap();
    std::fs::write(&scratch.0, text.trim_end()).unwrap();
    Ledger::reopen(&scratch.0).unwrap().1.undone(&user("lc_r1_a")).unwrap();
    assert_eq!(Ledger::read(&scratch.0).unwrap().1.len(), 2);
}

#[test]
fn a_broken_line_is_named() {
    let scratch = Scratch::new("broken");
    Ledger::create(&scratch.0, &header()).unwrap();
    let mut text = std::fs::read_to_string(&scratch.0).unwrap();
    text.push_str("{\"intend\":\n{\"undone\":{\"label\":\"x\"}}\n");
    std::fs::write(&scratch.0, text).unwrap();
    let error = Ledger::read(&scratch.0).unwrap_err().to_string();
    assert!(error.contains(".jsonl:2: "), "{error}");
    std::fs::write(&scratch.0, "").unwrap();
    assert!(matches!(Ledger::read(&scratch.0), Err(LedgerError::Empty(_))));
}
