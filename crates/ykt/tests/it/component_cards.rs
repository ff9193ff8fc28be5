//! Component cards in readers: written in a ceremony at a terminal and read in a rehearsal, through pcscd.

use crate::ceremony::{PASSWORD, room};
use crate::pcsc_desk::{Desk, run};
use crate::typist::{Ended, answer, at_terminal, see};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const CHOICE: &str = "q break off";
const PINS: [&str; 2] = ["13579024", "86420"];

fn held(desk: &Desk, folder: &Path, args: &[&str], steps: &[Value]) -> Ended {
    let mut python = desk.tool("python3");
    python.current_dir(folder).env("YKT_VAULT_PASSPHRASE", "correct horse battery");
    let program = [env!("CARGO_BIN_EXE_ykt"), "ceremony", "--config", "first.toml"];
    let meeting = ["--as", "keys1", "--custodian", "li", "--custodian", "wang", "--room", "Room 7"];
    let ended = at_terminal(&mut python, &[&program, args, &meeting].concat(), steps);
    for secret in [PASSWORD, PINS[0], PINS[1]] {
        assert!(!ended.shown.contains(secret), "{secret} is shown: {}", ended.shown);
    }
    assert!(ended.echo);
    ended
}

#[test]
fn component_cards_are_written_and_read_in_readers() {
    let folder = room();
    let at = folder.path();
    let blanks = ["one.img", "two.img"].map(|name| at.join(name));
    for blank in &blanks {
        let mut make = Command::new(env!("CARGO_BIN_EXE_ykt"));
        run(make.args(["card", "blank", "--profile", "component-card"]).arg(blank));
    }
    let desk = Desk::of_psams(&blanks);

    // Each draws, takes the sheet, and has a card written: Li in the first reader, Wang in the second.
    let mut steps = vec![answer("password of keys1:", PASSWORD)];
    for name in ["li", "wang"] {
        steps.extend([answer(&format!("password of {name}:"), PASSWORD), answer(CHOICE, "d")]);
        steps.push(answer("clears the screen", ""));
    }
    for (name, pin) in ["li", "wang"].into_iter().zip(PINS) {
        steps.extend([answer(&format!("password of {name}:"), PASSWORD), answer("is it good?", "y")]);
        let reader = if name == "li" { "0" } else { "1" };
        // A reader that is not there, and for Wang one whose card is no blank one any more.
        if name == "li" {
            steps.extend([answer("component card?", "7"), see("neither a card image file nor a reader")]);
        } else {
            steps.extend([answer("component card?", "0"), answer("PIN", pin), answer("PIN", pin)]);
        }
        steps.extend([answer("component card?", reader), answer("PIN", pin), answer("PIN", pin)]);
        steps.extend([see("the card is written"), answer("clears the screen", "")]);
    }
    steps.push(answer("password of keys1:", PASSWORD));
    let made = held(&desk, at, &["new", "--sheets", "paper", "--roots", "load"], &steps);
    assert_eq!(made.code, 0, "{}", made.shown);
    assert_eq!(made.shown.matches("the component card was not made").count(), 1, "{}", made.shown);

    // Wrong PIN, an image for a card, and the other one's card; then each one's own.
    let card = |reader: &str, pin: &str| {
        [answer(CHOICE, "c"), answer("reader, or image", reader), answer("PIN", pin)]
    };
    let mut steps = vec![answer("password of keys1:", PASSWORD), answer("password of li:", PASSWORD)];
    steps.extend(card("0", "0000"));
    steps.push(see("wrong PIN, 2 tries left"));
    steps.extend(card("0", PINS[0]));
    steps.extend([answer("clears the screen", ""), answer("password of wang:", PASSWORD)]);
    steps.extend(card("0", PINS[0]));
    steps.push(see("given by another custodian already"));
    steps.extend(card("1", PINS[1]));
    steps.extend([answer("clears the screen", ""), answer("password of keys1:", PASSWORD)]);
    let rehearsed = held(&desk, at, &["rehearse"], &steps);
    assert_eq!(rehearsed.code, 0, "{}", rehearsed.shown);
    assert!(rehearsed.shown.contains("nothing is changed"), "{}", rehearsed.shown);
}
