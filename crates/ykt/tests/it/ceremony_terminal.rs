//! Ceremonies at a real terminal: what is printed in the chapter on keys is done as it stands there, and nothing secret
//! is on the screen, at any moment; what is broken off leaves neither screen nor ceremony behind.

use crate::ceremony::{PASSWORD, TYPED, code_on, room};
use crate::typist::{Ended, ahead, answer, at_terminal, code, hang_up, press, see};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const KEYS_MD: &str = include_str!("../../../../docs/keys.md");
const FIRST_PASSWORD: &str = "First-Pass-1";
const PASSPHRASE: &str = "correct horse battery";
const PIN: &str = "13579024";
/// What may never be seen.
const SECRETS: [&str; 6] = [PASSWORD, FIRST_PASSWORD, PASSPHRASE, PIN, "01234567", "11223344"];

/// The commands of the chapter that begin like this, as a shell gets them.
fn printed(begin: &str) -> String {
    let blocks = KEYS_MD.split("```").skip(1).step_by(2);
    let found: Vec<_> = blocks
        .filter_map(|block| block.strip_prefix("sh\n"))
        .filter(|block| block.trim_start().starts_with(begin))
        .collect();
    assert_eq!(found.len(), 1, "blocks that begin with {begin}");
    let lines = found[0].lines().map(str::trim_start).filter(|line| !line.is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}

/// Runs shell commands in a terminal of the folder, in which `ykt` is ours and `lp` puts sheets into `paper`.
fn shell(folder: &Path, commands: &str, steps: &[Value]) -> Ended {
    let bin = folder.join("bin");
    if !bin.exists() {
        fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ykt"), bin.join("ykt")).unwrap();
        let count = "n=$(ls paper | wc -l); cat > paper/$n.html; echo printed sheet $n";
        fs::write(bin.join("lp"), format!("#!/bin/sh\n{count}\n")).unwrap();
        fs::set_permissions(bin.join("lp"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(folder.join("paper")).unwrap();
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut python = Command::new("python3");
    python.current_dir(folder).env("PATH", path).env("YKT_CONFIG", folder.join("ykt.toml"));
    // No half minute of an authenticator has two codes, and one person signs in three times here.
    python.env("YKT_SECOND_FACTOR", "off").env_remove("YKT_VAULT_PASSPHRASE");
    let ended = at_terminal(&mut python, &["sh", "-e", "-c", commands], steps);
    for secret in SECRETS {
        assert!(!ended.shown.contains(secret), "{secret} is shown: {}", ended.shown);
    }
    assert!(ended.echo, "the terminal shows again what is typed");
    ended
}

fn fits(shown: &str) {
    let width = |line: &str| line.chars().map(|sign| if sign as u32 > 0x2E80 { 2 } else { 1 }).sum::<usize>();
    for line in
        shown.replace("\u{1b}[H\u{1b}[2J\u{1b}[3J", "\n").lines().map(|line| line.trim_end_matches('\r'))
    {
        assert!(width(line) <= 80, "wider than 80 columns: {line}");
    }
}

/// The six digits behind the last of these words.
fn kcv_behind(shown: &str, words: &str) -> String {
    shown
        .rsplit_once(words)
        .unwrap_or_else(|| panic!("{words} in {shown}"))
        .1
        .trim()
        .chars()
        .take(6)
        .collect()
}

#[test]
fn the_first_ceremony_as_the_chapter_prints_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();

    // The installation. Whatever is new is typed twice.
    let twice = ["New passphrase", "The same again"].map(|text| answer(text, PASSPHRASE));
    let made = shell(at, &printed("cat > ykt.toml"), &[twice.clone(), twice].concat());
    assert_eq!(made.code, 0, "{}", made.shown);
    let people = printed("ykt user add keys1");
    let steps: Vec<_> = people
        .lines()
        .flat_map(|_| [answer("first password", FIRST_PASSWORD), answer("once more", FIRST_PASSWORD)])
        .collect();
    let added = shell(at, &people, &steps);
    assert_eq!(added.code, 0, "{}", added.shown);

    // Nobody begins a ceremony with somebody who cannot sign in.
    let new = printed("ykt ceremony new");
    let early = shell(at, &new, &[]);
    assert_eq!(early.code, 1);
    assert!(early.shown.contains("  ykt user change-password zhao"), "{}", early.shown);
    let change = printed("ykt user change-password");
    for name in ["li", "wang", "zhao", "keys1", "keys2"] {
        let steps = [
            answer("password of", FIRST_PASSWORD),
            answer("present password", FIRST_PASSWORD),
            answer("new password", PASSWORD),
            answer("once more", PASSWORD),
        ];
        let changed = shell(at, &change.replace(" li", &format!(" {name}")), &steps);
        assert_eq!(changed.code, 0, "{}", changed.shown);
    }

    // The script. Li mistypes his password and his component, and types too early: that is thrown away.
    let choice = "q break off 中止:";
    let code_asked = "逐行代码:";
    let kcv_asked = "分量 KCV";
    let mut steps = vec![answer("password of keys1:", PASSWORD)];
    steps.extend([answer("password of li:", "Wrong-Lamp-42"), see("the name or the password is wrong")]);
    steps.push(ahead("password of li:", PASSWORD, TYPED));
    steps.extend([
        answer(choice, ""),
        answer(choice, "t"),
        answer(code_asked, "0123"),
        answer(kcv_asked, ""),
    ]);
    steps.extend([answer(choice, "t"), answer(code_asked, ""), see("未录入内容")]);
    steps.extend([answer(choice, "t"), answer(code_asked, TYPED), answer(kcv_asked, "")]);
    steps.extend([answer("once more", &TYPED.replace('0', "1")), see("not the same")]);
    steps.extend([answer(choice, "t"), answer(code_asked, TYPED), answer(kcv_asked, "")]);
    steps.extend([answer("once more", TYPED), answer("clears the screen", "")]);
    // Wang gives the same component, is told, and draws another one.
    steps.extend([answer("password of wang:", PASSWORD), answer(choice, "t"), answer(code_asked, TYPED)]);
    steps.extend([
        answer(kcv_asked, ""),
        answer("once more", TYPED),
        see("given by another custodian already"),
    ]);
    for name in ["wang", "zhao"] {
        if name == "zhao" {
            steps.push(answer("password of zhao:", PASSWORD));
        }
        steps.extend([answer(choice, "d"), answer("clears the screen", "")]);
    }
    // Sheet and share for each; a card for Li, whose PIN is first mistyped.
    for name in ["li", "wang", "zhao"] {
        steps.push(answer(&format!("password of {name}:"), PASSWORD));
        steps.extend([answer("is it good?", ""), answer("is it good?", "n"), answer("is it good?", "y")]);
        if name == "li" {
            steps.extend([answer("component card?", "li.img"), answer("PIN", PIN), answer("PIN", "1234")]);
            steps.push(see("not the same"));
            steps.extend([answer("component card?", "li.img"), answer("PIN", PIN), answer("PIN", PIN)]);
            steps.push(see("the card is written"));
        } else {
            steps.push(answer("component card?", ""));
        }
        steps.extend([
            answer("is it good?", "y"),
            answer("component card?", ""),
            answer("clears the screen", ""),
        ]);
    }
    steps.push(answer("password of keys1:", PASSWORD));
    let held = shell(at, &new, &steps);
    assert_eq!(held.code, 0, "{}", held.shown);
    fits(&held.shown);
    assert!(
        !held.screen.contains("to the keyboard"),
        "the screen of the last person is cleared: {}",
        held.screen
    );
    let combined = kcv_behind(&held.shown, "combined KCV / 合成 KCV");
    assert!(held.screen.contains(&format!("finished, combined KCV / 仪式完成，合成 KCV {combined}")));
    assert!(fs::read_to_string(at.join("protocol.txt")).unwrap().contains("signature: "));
    assert_eq!(fs::read_dir(at.join("paper")).unwrap().count(), 9, "three of them were not good");

    // What is on the sheets was on no screen.
    let codes: Vec<_> = (0..9).map(|number| code_on(&at.join(format!("paper/{number}.html")))).collect();
    for line in codes.iter().flat_map(|code| [&code[..16], &code[20..36]]) {
        let spaced: Vec<_> = (0..4).map(|group| &line[group * 4..][..4]).collect();
        let is_shown = |text: &str| held.shown.to_uppercase().contains(text);
        assert!(!is_shown(line) && !is_shown(&spaced.join(" ")), "a line of a sheet is shown");
    }

    // The rehearsal from Li's card and the sheets of the others, with the check values of their lines.
    let kcv_of =
        |name: &str| kcv_behind(&held.shown, &format!("{name}: your part is taken, KCV / 已接收，分量 KCV"));
    let mut steps = vec![answer("password of keys1:", PASSWORD), answer("password of li:", PASSWORD)];
    steps.extend([answer("q break off", "c"), answer("reader, or image", "nowhere.img")]);
    steps.extend([answer("q break off", "c"), answer("reader, or image", "li.img"), answer("PIN", "0000")]);
    steps.extend([
        see("wrong PIN, 2 tries left"),
        answer("q break off", "c"),
        answer("reader, or image", "li.img"),
    ]);
    steps.extend([answer("PIN", PIN), answer("clears the screen", "")]);
    // Of each person's three sheets the first two are the component.
    for (name, sheet) in [("wang", 3), ("zhao", 6)] {
        steps.extend([answer(&format!("password of {name}:"), PASSWORD), answer("q break off", "t")]);
        steps.extend([answer(code_asked, &codes[sheet]), answer(kcv_asked, &kcv_of(name))]);
        steps.push(answer("clears the screen", ""));
    }
    steps.push(answer("password of keys1:", PASSWORD));
    let rehearsed = shell(at, &printed("ykt ceremony rehearse"), &steps);
    assert_eq!(rehearsed.code, 0, "{}", rehearsed.shown);
    assert!(rehearsed.shown.contains("nothing is changed"), "{}", rehearsed.shown);

    // Two people take the keys into use.
    let steps = [answer("password of keys1:", PASSWORD), answer("password of keys2:", PASSWORD)];
    let activated = shell(at, &printed("ykt keys request --as keys1 --reason \"first"), &steps);
    assert_eq!(activated.code, 0, "{}", activated.shown);
    fits(&activated.shown);
    let tree = shell(at, "ykt keys tree", &[]);
    assert!(tree.code == 0 && tree.shown.contains("load.1.1") && !tree.shown.contains("generated"));
    fits(&tree.shown);
    // Nobody gives a component for a key that is there.
    let again = shell(at, &new, &[]);
    assert!(again.code == 1 && again.shown.contains("the vault has this key already"), "{}", again.shown);
}

/// A ceremony in which Li has given and Wang is asked for the password.
fn half(folder: &Path) -> Vec<Value> {
    assert!(folder.join("first.toml").exists());
    vec![
        answer("password of keys1:", PASSWORD),
        answer("password of li:", PASSWORD),
        answer("q break off", "t"),
        answer("逐行代码:", TYPED),
        answer("分量 KCV", ""),
        answer("once more", TYPED),
        answer("clears the screen", ""),
    ]
}

#[test]
fn what_is_broken_off_leaves_neither_screen_nor_ceremony() {
    let folder = room();
    let at = folder.path();
    fs::copy(at.join("first.toml"), at.join("ykt.toml")).unwrap();
    let new = "YKT_VAULT_PASSPHRASE='correct horse battery' exec ykt ceremony new --as keys1 --custodian li --custodian wang --room R --sheets paper";
    let ways = [
        (press("password of wang:", "\u{3}"), Some(130)),
        (answer("password of wang:", PASSWORD), Some(1)),
        (hang_up("password of wang:"), None),
    ];
    for (step, code) in ways {
        let mut steps = half(at);
        steps.push(step);
        if code == Some(1) {
            steps.push(answer("q break off", "q"));
        }
        let ended = shell(at, new, &steps);
        if let Some(code) = code {
            assert_eq!(ended.code, code, "{}", ended.shown);
            assert!(ended.screen.contains("aborted, everything given is wiped"), "{}", ended.screen);
        }
        if code == Some(130) {
            assert!(!ended.screen.contains("keyboard"), "{}", ended.screen);
        }
        // The next command finds it aborted, and the database free.
        let list = shell(at, "ykt ceremony list", &[]);
        assert!(list.code == 0 && !list.shown.contains(" open "), "{}", list.shown);
    }
    let list = shell(at, "ykt ceremony list", &[]);
    assert_eq!(list.shown.matches("aborted").count(), 3, "{}", list.shown);
    // Without a folder for the sheets nobody begins.
    let nowhere = shell(at, &new.replace("paper", "nowhere"), &[]);
    assert!(nowhere.code == 1 && nowhere.shown.contains("there is no such folder"), "{}", nowhere.shown);
}

#[test]
fn the_secret_of_an_authenticator_stays_on_no_screen() {
    let folder = room();
    let at = folder.path();
    fs::copy(at.join("first.toml"), at.join("ykt.toml")).unwrap();
    let steps = [
        answer("password of li:", PASSWORD),
        code("当前动态码:"),
        answer("present password", PASSWORD),
        answer("new password", "Green-Door-77"),
        answer("once more", "Green-Door-77"),
    ];
    let changed = shell(at, "YKT_SECOND_FACTOR=required ykt user change-password li", &steps);
    assert_eq!(changed.code, 0, "{}", changed.shown);
    assert!(changed.shown.contains("shown this once") && !changed.screen.contains("shown this once"));
    let groups = changed.shown.split("仅显示这一次：").nth(1).unwrap();
    let group = groups.split_whitespace().next().unwrap();
    assert!(group.len() == 4 && !changed.screen.contains(group), "{group} in {}", changed.screen);
    fits(&changed.shown);

    // Nor when its owner breaks off.
    let steps = [answer("password of wang:", PASSWORD), press("当前动态码:", "\u{3}")];
    let broken = shell(at, "YKT_SECOND_FACTOR=required exec ykt user change-password wang", &steps);
    assert_eq!((broken.code, broken.screen.contains("shown this once")), (130, false), "{}", broken.screen);
}
