//! The audit log: who did what, chained and signed, and every alteration found.

use crate::{Count, act, at, new_merchant, office, read};
use ykt_base::{DateTime, Rng};
use ykt_crypto::chain::Hash32;
use ykt_crypto::sm2::{PrivateKey, PublicKey, Signature, SignerId};
use ykt_office::audit::checkpoint::{self, CHECKPOINT_RECORDS};
use ykt_office::audit::{
    self, AuditFilter, AuditRow, ChainReport, Checkpoint, CheckpointError, CheckpointSigner, Fingerprint,
    Outcome, SignerGone, Trust, Verifier, file,
};
use ykt_office::{Paging, merchants};
use ykt_store::{Store, StoreError, params};

/// A key that signs, or a vault that is gone.
struct Key(Option<PrivateKey>);

impl Key {
    fn new(no: u8) -> Key {
        Key(Some(PrivateKey::generate(&mut Count(no))))
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.public_key().as_bytes())
    }
}

impl CheckpointSigner for Key {
    fn public_key(&self) -> PublicKey {
        self.0.as_ref().unwrap().public_key()
    }

    fn sign(&self, message: &[u8], rng: &mut dyn Rng) -> Result<Signature, SignerGone> {
        let key = self.0.as_ref().ok_or_else(|| SignerGone("the vault is locked".to_owned()))?;
        Ok(key.sign(SignerId::DEFAULT, &[message], rng))
    }
}

fn append(store: &Store, no: i64, now: DateTime) {
    let outcome = if no % 3 == 0 { Outcome::Refused } else { Outcome::Done };
    let act = ykt_office::Act { at: now, ..act(0) };
    store.write(|tx| audit::append(tx, &act, "test", &format!("object {no}"), outcome, "why")).unwrap();
}

fn log_of(records: i64) -> Store {
    let store = office();
    (0..records).for_each(|no| append(&store, no, at(no)));
    store
}

fn sign(store: &Store, key: &Key, minutes: i64) -> Option<Checkpoint> {
    checkpoint::make(store, key, at(minutes), &mut Count(1)).unwrap()
}

/// Ten records, signed after the third, the seventh and the last.
fn signed(key: &Key) -> (Vec<AuditRow>, Vec<Checkpoint>) {
    let store = office();
    for no in 0..10 {
        append(&store, no, at(no));
        if matches!(no, 2 | 6 | 9) {
            sign(&store, key, no);
        }
    }
    let rows = (1..=10).map(|seq| read(&store, |tx| audit::record(tx, seq)).unwrap()).collect();
    (rows, read(&store, audit::checkpoints))
}

fn judge(rows: &[AuditRow], checkpoints: &[Checkpoint], trust: Trust<'_>) -> ChainReport {
    let mut verifier = Verifier::new(checkpoints.to_vec(), trust);
    for row in rows {
        if !verifier.take(row) {
            break;
        }
    }
    verifier.report()
}

type Flip = fn(&mut AuditRow);

/// Every way to alter one field of a record, its link too.
fn flips() -> Vec<(&'static str, Flip)> {
    vec![
        ("at", |row| row.at = row.at.plus_seconds(1).unwrap()),
        ("who", |row| row.who.push('x')),
        ("from", |row| row.from.clear()),
        ("what", |row| row.what = "tesT".to_owned()),
        ("object", |row| row.object = row.object.replace(' ', "")),
        ("outcome", |row| {
            row.outcome = if row.outcome == Outcome::Done { Outcome::Refused } else { Outcome::Done };
        }),
        ("detail", |row| row.detail = "Why".to_owned()),
        ("link", |row| row.link.0[31] ^= 1),
    ]
}

/// Writes the links of all records anew, as somebody does who knows how the chain is made.
fn chain_anew(rows: &mut [AuditRow]) {
    let mut before = Hash32::START;
    for row in rows {
        row.link = row.link_after(&before);
        before = row.link;
    }
}

#[test]
fn a_log_as_it_was_written_is_whole() {
    let key = Key::new(1);
    let (rows, checkpoints) = signed(&key);
    let (last, signers) = (rows[9].link, vec![key.fingerprint()]);
    let whole = ChainReport::Whole { from: 1, records: 10, last, checkpoints: 3, covered: 10, signers };
    assert_eq!(judge(&rows, &checkpoints, Trust::Named), whole);
    assert_eq!(judge(&rows, &checkpoints, Trust::Keys(&[key.fingerprint()])), whole);
    let unsigned = judge(&rows, &[], Trust::Named);
    assert!(matches!(unsigned, ChainReport::Whole { checkpoints: 0, covered: 0, .. }), "{unsigned}");
}

#[test]
fn the_first_altered_record_is_named() {
    let (rows, checkpoints) = signed(&Key::new(1));
    let found = |rows: &[AuditRow]| judge(rows, &checkpoints, Trust::Named);
    for at in 0..rows.len() {
        let seq = u64::try_from(at + 1).unwrap();
        for (field, flip) in flips() {
            let mut altered = rows.clone();
            flip(&mut altered[at]);
            assert_eq!(found(&altered), ChainReport::Changed { seq }, "{field} of {seq}");
        }
        let mut altered = rows.clone();
        altered.remove(at);
        assert_eq!(found(&altered), ChainReport::Missing { seq }, "without {seq}");
        let mut altered = rows.clone();
        altered.insert(at, rows[at].clone());
        assert_eq!(found(&altered), ChainReport::Missing { seq: seq + 1 }, "{seq} twice");
        if at > 0 {
            let mut altered = rows.clone();
            altered.swap(at - 1, at);
            assert_eq!(found(&altered), ChainReport::Missing { seq: seq - 1 }, "{seq} swapped");
            // Places changed, numbers kept in order: the content stands in the wrong place.
            let mut altered = rows.clone();
            altered.swap(at - 1, at);
            (altered[at - 1].seq, altered[at].seq) = (seq - 1, seq);
            assert_eq!(found(&altered), ChainReport::Changed { seq: seq - 1 }, "{seq} renumbered");
        }
    }
    for left in 0..rows.len() {
        let seq = u64::try_from(left + 1).unwrap();
        assert_eq!(found(&rows[..left]), ChainReport::Missing { seq }, "cut off behind {left}");
    }
}

#[test]
fn a_log_written_anew_is_given_away_by_its_checkpoints() {
    let (rows, checkpoints) = signed(&Key::new(1));
    for (at, (from, until, no)) in (0..rows.len()).map(|at| {
        (
            at,
            match at {
                0..3 => (1, 3, 1),
                3..7 => (4, 7, 2),
                _ => (8, 10, 3),
            },
        )
    }) {
        for (field, flip) in flips().into_iter().filter(|(field, _)| *field != "link") {
            let mut altered = rows.clone();
            flip(&mut altered[at]);
            chain_anew(&mut altered);
            let report = judge(&altered, &checkpoints, Trust::Named);
            assert_eq!(report, ChainReport::Rewritten { from, until, no }, "{field} of record {}", at + 1);
        }
        let mut altered = rows.clone();
        altered.remove(at);
        for (seq, row) in (1..).zip(&mut altered) {
            row.seq = seq;
        }
        chain_anew(&mut altered);
        let report = judge(&altered, &checkpoints, Trust::Named);
        let gone = at == 9 || until == 10;
        let expected =
            if gone { ChainReport::Missing { seq: 10 } } else { ChainReport::Rewritten { from, until, no } };
        assert_eq!(report, expected, "without record {}", at + 1);
    }
}

#[test]
fn an_altered_checkpoint_is_named() {
    let key = Key::new(1);
    let (rows, checkpoints) = signed(&key);
    type Forge = fn(&mut Checkpoint);
    let forges: [(&str, Forge); 6] = [
        ("records", |it| it.records += 1),
        ("at", |it| it.at = it.at.plus_seconds(1).unwrap()),
        ("link", |it| it.link.0[0] ^= 1),
        ("key", |it| it.public_key = *Key::new(9).public_key().as_bytes()),
        ("no key", |it| it.public_key = [0; 65]),
        ("signature", |it| it.signature.0[63] ^= 1),
    ];
    for (at, no) in [(0, 1), (1, 2), (2, 3)] {
        for (field, forge) in forges {
            let mut altered = checkpoints.clone();
            forge(&mut altered[at]);
            let report = judge(&rows, &altered, Trust::Named);
            assert_eq!(report, ChainReport::CheckpointForged { no }, "{field} of {no}");
        }
    }
    for (gone, no) in [(0, 1), (1, 2)] {
        let mut altered = checkpoints.clone();
        altered.remove(gone);
        assert_eq!(judge(&rows, &altered, Trust::Named), ChainReport::CheckpointMissing { no });
    }
    let mut swapped = checkpoints.clone();
    swapped.swap(0, 1);
    assert_eq!(judge(&rows, &swapped, Trust::Named), ChainReport::CheckpointMissing { no: 1 });
    let other = Key::new(9);
    let found = key.fingerprint();
    let report = judge(&rows, &checkpoints, Trust::Keys(&[other.fingerprint()]));
    assert_eq!(report, ChainReport::CheckpointBySomebodyElse { no: 1, found });
    assert!(report.to_string().contains(&found.to_string()), "{report}");
}

#[test]
fn a_checkpoint_is_due_after_a_thousand_records_and_when_a_day_has_ended() {
    let store = office();
    let key = Key::new(1);
    let due = |now: DateTime| read(&store, |tx| checkpoint::is_due(tx, now));
    assert!(!due(at(0)) && sign(&store, &key, 0).is_none(), "nothing to sign");
    append(&store, 0, at(0));
    let tomorrow = at(12 * 60);
    assert!(!due(at(12 * 60 - 1)) && due(tomorrow), "the day has ended");
    let first = sign(&store, &key, 1).unwrap();
    assert!(!due(tomorrow));
    assert_eq!(sign(&store, &key, 2), Some(first.clone()), "nothing new to sign");
    for no in 1..i64::try_from(CHECKPOINT_RECORDS).unwrap() {
        append(&store, no, tomorrow);
    }
    assert!(!due(tomorrow));
    append(&store, 1, tomorrow);
    assert!(due(tomorrow));
    let gone = checkpoint::make(&store, &Key(None), tomorrow, &mut Count(1)).unwrap_err();
    assert!(matches!(gone, CheckpointError::Signer(_)));
    assert_eq!(gone.to_string(), "the checkpoint was not signed: the vault is locked");
    let second = sign(&store, &Key::new(2), 1).unwrap();
    assert_eq!((first.no, second.no, second.records), (1, 2, CHECKPOINT_RECORDS + 1));
    let report = read(&store, audit::verify);
    assert!(matches!(&report, ChainReport::Whole { signers, .. } if signers.len() == 2), "{report}");
}

#[test]
fn checkpoints_made_at_once_are_one_after_the_other() {
    let store = log_of(3);
    let key = Key::new(1);
    std::thread::scope(|scope| {
        for no in 0..4 {
            let (store, key) = (&store, &key);
            scope.spawn(move || {
                append(store, no, at(5));
                sign(store, key, 6).unwrap();
            });
        }
    });
    sign(&store, &key, 7).unwrap();
    let report = read(&store, audit::verify);
    assert!(matches!(report, ChainReport::Whole { records: 7, covered: 7, .. }), "{report}");
}

fn exported(store: &Store) -> String {
    let mut out = Vec::new();
    store.read(|tx| file::write(tx, at(60), &mut out)).unwrap();
    String::from_utf8(out).unwrap()
}

fn verified(text: &str) -> ChainReport {
    file::verify(text.as_bytes(), Trust::Named).unwrap()
}

#[test]
fn an_exported_log_proves_itself_without_the_house() {
    let (store, key) = (log_of(4), Key::new(1));
    sign(&store, &key, 4);
    append(&store, 4, at(5));
    sign(&store, &key, 6);
    let text = exported(&store);
    let report = verified(&text);
    assert_eq!(report, read(&store, audit::verify));
    assert!(report.is_whole() && text.contains(&key.fingerprint().to_string()));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 5 + 2);
    let without = |no: usize| {
        let kept: Vec<&str> =
            lines.iter().enumerate().filter(|(at, _)| *at != no).map(|(_, line)| *line).collect();
        kept.join("\n")
    };
    for seq in 1..=5_usize {
        assert_eq!(verified(&without(seq)), ChainReport::Missing { seq: seq.try_into().unwrap() });
    }
    assert_eq!(verified(&without(6)), ChainReport::CheckpointMissing { no: 1 });
    assert_eq!(verified(&without(7)), ChainReport::CheckpointMissing { no: 2 }, "the manifest counts them");
    assert_eq!(verified(&lines[..4].join("\n")), ChainReport::Missing { seq: 4 }, "broken off");
    for (found, put, report) in [
        ("object 2", "object 9", ChainReport::Changed { seq: 3 }),
        ("\"records\":4", "\"records\":3", ChainReport::CheckpointForged { no: 1 }),
    ] {
        assert!(text.contains(found));
        assert_eq!(verified(&text.replace(found, put)), report, "{found}");
    }
}

#[test]
fn what_is_no_exported_log_is_refused_with_its_line() {
    let (store, key) = (log_of(2), Key::new(1));
    sign(&store, &key, 2);
    let text = exported(&store);
    let reordered: Vec<&str> = {
        let lines: Vec<&str> = text.lines().collect();
        vec![lines[0], lines[3], lines[1], lines[2]]
    };
    for (text, words) in [
        (String::new(), "line 0 of the exported log: expected the manifest"),
        ("{}\n".to_owned(), "line 1 of the exported log: expected the manifest"),
        (
            text.replacen("audit log 1", "audit log 2", 1),
            "line 1 of the exported log: expected yikatong audit log 1",
        ),
        (text.replacen("\"done\"", "\"perhaps\"", 1), "expected an outcome, found perhaps"),
        (text.replacen("\"who\"", "\"whom\"", 1), "line 2 of the exported log: expected a record"),
        (reordered.join("\n"), "line 3 of the exported log: expected a checkpoint, found a record"),
        (format!("{text}{text}"), "found a second manifest"),
        (format!("{{\"line\":\"{}\"}}", "x".repeat(70_000)), "line 1"),
    ] {
        let error = file::verify(text.as_bytes(), Trust::Named).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn openssl_verifies_a_checkpoint() {
    let (store, key) = (log_of(2), Key::new(1));
    sign(&store, &key, 2);
    let text = exported(&store);
    let line: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let bytes = |field: &str| {
        let digits = line[field].as_str().unwrap();
        let mut bytes = vec![0; digits.len() / 2];
        ykt_base::hex::decode_into(digits, &mut bytes).unwrap();
        bytes
    };
    std::fs::write(dir.path().join("key.der"), bytes("public_key")).unwrap();
    std::fs::write(dir.path().join("signature.der"), bytes("signature")).unwrap();
    let message = line["message"].as_str().unwrap();
    let openssl = |message: &str| {
        std::fs::write(dir.path().join("message"), message).unwrap();
        let output = std::process::Command::new("openssl")
            .current_dir(dir.path())
            .args(["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key.der", "-rawin"])
            .args(["-digest", "sm3", "-pkeyopt", "distid:1234567812345678"])
            .args(["-in", "message", "-sigfile", "signature.der"])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(openssl(message).contains("Signature Verified Successfully"), "{}", openssl(message));
    assert!(!openssl(&message.replace("records 2", "records 1")).contains("Successfully"));
}

#[test]
fn the_database_itself_refuses_to_change_or_delete() {
    let (store, key) = (log_of(3), Key::new(1));
    sign(&store, &key, 3);
    for (sql, words) in [
        (
            "UPDATE office_audit SET who = 'nobody' WHERE seq = 2",
            "a record of the audit log is never changed",
        ),
        ("DELETE FROM office_audit WHERE seq = 3", "a record of the audit log is never deleted"),
        ("UPDATE office_audit_checkpoint SET records = 2", "a checkpoint of the audit log is never changed"),
        ("DELETE FROM office_audit_checkpoint", "a checkpoint of the audit log is never deleted"),
    ] {
        let error = store.write(|tx| tx.execute(sql, &[])).unwrap_err();
        assert!(error.to_string().contains(words), "{sql}: {error}");
    }
    assert!(read(&store, audit::verify).is_whole());
}

#[test]
fn what_goes_round_the_database_is_found_all_the_same() {
    for (sql, report) in [
        ("UPDATE office_audit SET detail = 'no' WHERE seq = 2", ChainReport::Changed { seq: 2 }),
        ("DELETE FROM office_audit WHERE seq >= 3", ChainReport::Missing { seq: 3 }),
        ("UPDATE office_audit_checkpoint SET records = 2", ChainReport::CheckpointForged { no: 1 }),
    ] {
        let (store, key) = (log_of(3), Key::new(1));
        sign(&store, &key, 3);
        tamper(&store, sql);
        assert_eq!(read(&store, audit::verify), report, "{sql}");
    }
}

/// Goes round the triggers, as somebody does who has the database file.
fn tamper(store: &Store, sql: &str) {
    store
        .write(|tx| {
            for trigger in ["_stays", "_is_kept", "_checkpoint_stays", "_checkpoint_is_kept"] {
                tx.execute(&format!("DROP TRIGGER office_audit{trigger}"), &[])?;
            }
            tx.execute(sql, params![])
        })
        .unwrap();
}

/// Ten records, signed after the third, the sixth and the ninth.
fn nine_of_ten_signed(key: &Key) -> (Store, Vec<Checkpoint>) {
    let store = log_of(3);
    for no in [3, 6, 9] {
        sign(&store, key, no);
        let more = if no == 9 { 1 } else { 3 };
        (no..no + more).for_each(|no| append(&store, no, at(no)));
    }
    let checkpoints = read(&store, audit::checkpoints);
    (store, checkpoints)
}

#[test]
fn a_verification_goes_on_behind_a_checkpoint() {
    let key = Key::new(1);
    let (store, checkpoints) = nine_of_ten_signed(&key);
    let behind = |start: &Checkpoint| read(&store, |tx| audit::verify_behind(tx, start, Trust::Named));
    for (start, left) in checkpoints.iter().zip([3, 2, 1]) {
        let last = read(&store, audit::head).unwrap().link;
        let signers = vec![key.fingerprint()];
        let from = start.records + 1;
        let whole = ChainReport::Whole { from, records: 10, last, checkpoints: left, covered: 9, signers };
        assert_eq!(behind(start), whole);
        assert!(whole.to_string().starts_with(&format!("records {from} to 10 are whole")), "{whole}");
    }
    let last = sign(&store, &key, 10).unwrap();
    let report = behind(&last);
    assert!(matches!(report, ChainReport::Whole { from: 11, records: 10, covered: 10, .. }), "{report}");
    assert!(report.to_string().starts_with("nothing follows record 10"), "{report}");
    let stranger = [Key::new(2).fingerprint()];
    let report = read(&store, |tx| audit::verify_behind(tx, &last, Trust::Keys(&stranger)));
    assert_eq!(report, ChainReport::CheckpointBySomebodyElse { no: 4, found: key.fingerprint() });
}

#[test]
fn what_was_altered_behind_a_checkpoint_is_found_from_there() {
    // The second checkpoint was verified once; it covers records 1 to 6.
    for (sql, report) in [
        ("UPDATE office_audit SET detail = 'no' WHERE seq = 7", Some(ChainReport::Changed { seq: 7 })),
        ("DELETE FROM office_audit WHERE seq = 8", Some(ChainReport::Missing { seq: 8 })),
        ("DELETE FROM office_audit WHERE seq > 7", Some(ChainReport::Missing { seq: 8 })),
        ("DELETE FROM office_audit WHERE seq > 4", Some(ChainReport::Missing { seq: 6 })),
        (
            "UPDATE office_audit SET link = zeroblob(32) WHERE seq = 6",
            Some(ChainReport::Rewritten { from: 1, until: 6, no: 2 }),
        ),
        ("DELETE FROM office_audit_checkpoint WHERE no = 2", Some(ChainReport::CheckpointMissing { no: 2 })),
        ("DELETE FROM office_audit_checkpoint WHERE no > 1", Some(ChainReport::CheckpointMissing { no: 2 })),
        (
            "UPDATE office_audit_checkpoint SET signature = zeroblob(64) WHERE no = 3",
            Some(ChainReport::CheckpointForged { no: 3 }),
        ),
        ("UPDATE office_audit SET detail = 'no' WHERE seq = 6", None),
    ] {
        let (store, checkpoints) = nine_of_ten_signed(&Key::new(1));
        tamper(&store, sql);
        let found = read(&store, |tx| audit::verify_behind(tx, &checkpoints[1], Trust::Named));
        match report {
            Some(report) => assert_eq!(found, report, "{sql}"),
            // Before the checkpoint nobody looks: the whole verification does.
            None => assert!(found.is_whole() && !read(&store, audit::verify).is_whole(), "{sql}: {found}"),
        }
    }
    // The house has another checkpoint of this number now, well signed: it is not the one that was verified.
    let (store, _) = nine_of_ten_signed(&Key::new(1));
    let (_, others) = nine_of_ten_signed(&Key::new(2));
    let found = read(&store, |tx| audit::verify_behind(tx, &others[1], Trust::Named));
    assert_eq!(found, ChainReport::CheckpointForged { no: 2 });
}

#[test]
fn an_act_and_its_record_stand_or_fall_together() {
    let store = office();
    let failed: Result<(), StoreError> = store.write(|tx| {
        merchants::register(tx, &new_merchant(1), &act(0)).unwrap();
        Err(StoreError::DiskFull)
    });
    assert!(failed.is_err());
    assert!(matches!(read(&store, audit::verify), ChainReport::Whole { records: 0, .. }));
    // An audit log that cannot be written: the act does not happen (D-03).
    let script =
        "CREATE TRIGGER full BEFORE INSERT ON office_audit BEGIN SELECT RAISE(ABORT, 'no room'); END";
    store.write(|tx| tx.execute(script, &[])).unwrap();
    let refused = store.write(|tx| merchants::register(tx, &new_merchant(1), &act(0)));
    assert!(refused.unwrap_err().to_string().contains("no room"));
    assert!(read(&store, |tx| merchants::merchant(tx, &crate::merchant_code(1))).is_none());
}

#[test]
fn lists_filter_by_time_person_text_and_outcome() {
    let store = log_of(10);
    let count = |filter: AuditFilter| read(&store, |tx| audit::list(tx, &filter, Paging::first(2))).totals;
    assert_eq!(count(AuditFilter::default()), 10);
    let span = AuditFilter { from: Some(at(2)), until: Some(at(5)), ..AuditFilter::default() };
    assert_eq!(count(span), 3);
    assert_eq!(count(AuditFilter { outcome: Some(Outcome::Refused), ..AuditFilter::default() }), 4);
    assert_eq!(count(AuditFilter { text: Some("OBJECT 7".to_owned()), ..AuditFilter::default() }), 1);
    assert_eq!(count(AuditFilter { who: Some("li".to_owned()), ..AuditFilter::default() }), 0);
}

/// However records are asked for, the ways through the indexes find what a look at each of them finds, newest first.
#[test]
fn every_way_of_asking_finds_the_same_records() {
    let store = office();
    for no in 0..60 {
        let who = ["wang", "Wang.li", "li", "50%"][no as usize % 4];
        let what = ["card/change", "key/activate", "sign-in"][no as usize % 3];
        let act = ykt_office::Act { at: at(no / 7), ..ykt_office::Act::of(who, "desk", at(0)) };
        store.write(|tx| audit::append(tx, &act, what, "", Outcome::Done, "")).unwrap();
    }
    let rows: Vec<AuditRow> =
        (1..=60).rev().map(|seq| read(&store, |tx| audit::record(tx, seq)).unwrap()).collect();
    let texts =
        [None, Some("WANG"), Some("li"), Some("g.l"), Some("%"), Some("nobody"), Some("/"), Some("key")];
    let moments = [None, Some(at(3)), Some(at(5)), Some(at(99))];
    let has = |text: Option<&str>, found: &str| {
        text.is_none_or(|text| found.to_ascii_lowercase().contains(&text.to_ascii_lowercase()))
    };
    for (who, what) in texts.iter().flat_map(|who| texts.iter().map(move |what| (*who, *what))) {
        for (from, until) in moments.iter().flat_map(|from| moments.iter().map(move |until| (*from, *until)))
        {
            let fits = |row: &&AuditRow| {
                has(who, &row.who)
                    && has(what, &row.what)
                    && from.is_none_or(|from| row.at >= from)
                    && until.is_none_or(|until| row.at < until)
            };
            let expected: Vec<u64> = rows.iter().filter(fits).map(|row| row.seq).collect();
            let (who, what) = (who.map(str::to_owned), what.map(str::to_owned));
            let filter = AuditFilter { who, what, from, until, ..AuditFilter::default() };
            for paging in [Paging::first(100), Paging::first(7), Paging::new(2, 7), Paging::new(3, 30)] {
                let page = read(&store, |tx| audit::list(tx, &filter, paging));
                let found: Vec<u64> = page.rows.iter().map(|row| row.seq).collect();
                let rows = paging.rows() as usize;
                let here: Vec<u64> =
                    expected.iter().copied().skip(paging.offset() as usize).take(rows).collect();
                assert_eq!((found, page.totals), (here, expected.len() as u64), "{filter:?}, {paging:?}");
            }
        }
    }
}
