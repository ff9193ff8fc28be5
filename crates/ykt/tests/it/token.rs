//! A holder with a token: the whole dialogue typed in, and what a person does wrong; the same over USB/IP, with a
//! server that is killed in the middle.

use crate::image_cards::{KEYS, desk, ok};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const PROFILE: &str = include_str!("../../../ykt-issue/profiles/city-cpu.toml");

/// A desk whose card asks for the PIN before a load, and has a deposit beside its purse.
fn desk_with_pin() -> tempfile::TempDir {
    let folder = desk();
    let application = "aid = \"A00000000386980701\"\n";
    let deposit = "[[step]]\ntitle = \"deposit\"\ndo = \"create-purse\"\nfid = \"0001\"\nlog = \"18\"\n\n";
    let purse = "[[step]]\ntitle = \"electronic purse (EF 0002)\"";
    assert!(PROFILE.contains(application) && PROFILE.contains(purse));
    let profile = PROFILE
        .replace(application, &format!("{application}load_needs_pin = true\n"))
        .replace(purse, &format!("{deposit}{purse}"));
    std::fs::write(folder.path().join("pin.toml"), profile).unwrap();
    let new =
        ["card", "new", "--keys", KEYS, "--profile", "pin.toml", "--serial", "2144000000000042", "token.img"];
    ok(folder.path(), &new);
    folder
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ykt"));
    command.current_dir(folder).arg("token").args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A holder's dialogue with these lines typed, and no more.
fn typed(folder: &Path, args: &[&str], lines: &str) -> (i32, String) {
    token(folder, &[&["use"], args].concat(), lines)
}

/// `ykt token` with these lines typed, and no more: exit code and all that was said.
pub fn token(folder: &Path, args: &[&str], lines: &str) -> (i32, String) {
    let mut child = command(folder, args).spawn().unwrap();
    // A dialogue that ends early leaves the rest unread.
    let _unread = child.stdin.take().unwrap().write_all(lines.replace(' ', "\n").as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

/// Each of `expected` is said, in this order.
pub fn in_order(said: &str, expected: &[&str]) {
    let mut rest = said;
    for text in expected {
        let at = rest.find(text).unwrap_or_else(|| panic!("`{text}` is missing, or too early, in {said}"));
        rest = &rest[at + text.len()..];
    }
}

const ALL: [&str; 5] = ["token.img", "--keys", KEYS, "--psam", "psam.img"];

#[test]
fn the_whole_dialogue() {
    let folder = desk_with_pin();
    let lines = "9 1 1 1 x 50 12 000000 123456 3 2 2.5 4 0 ";
    let (code, said) = typed(folder.path(), &ALL, lines);
    in_order(
        &said,
        &[
            "Token inserted / 设备已插入",
            "Application / 请选择应用",
            "1  City card / 城市一卡通  A00000000386980701",
            "Enter a number of the list",
            "卡号 2144000000000042",
            "1  Electronic purse (EP) / 电子钱包",
            "2  Electronic deposit (ED) / 电子存折",
            "1  Load, online / 联机圈存",
            "at most two decimals",
            "PIN (Enter cancels) / 个人密码（回车取消）",
            "A PIN has 4 to 12 digits",
            "Wrong PIN, 2 tries left / 密码错误，还可试 2 次",
            "Loaded / 圈存成功 50.00, balance / 余额 50.00",
            "Electronic purse (EP) / 电子钱包: 50.00",
            "Paid / 消费成功 2.50, balance / 余额 47.50; record / 流水 1, terminal / 终端 214400000041",
            "purchase / 消费  2.50  counter / 序号 1",
            "load / 圈存  50.00",
            "Ended. Take the token out",
        ],
    );
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("123456"), "the PIN is never shown");
}

#[test]
fn the_deposit_asks_for_the_pin_for_everything() {
    let folder = desk_with_pin();
    let (code, said) = typed(folder.path(), &ALL, "1 2 1 20 123456 2 5 3 0 ");
    in_order(
        &said,
        &["Loaded / 圈存成功 20.00", "Paid / 消费成功 5.00, balance / 余额 15.00", "电子存折: 15.00"],
    );
    assert_eq!((code, said.matches("PIN (Enter").count()), (0, 1), "proven once for the visit: {said}");

    let (code, said) = typed(folder.path(), &ALL, "1 2 2 5  0 ");
    assert_eq!(
        (code, said.contains("Paid")),
        (0, false),
        "Enter instead of a PIN goes back to the menu: {said}"
    );
    let journal = [&ALL[..], &["--records", "pos.records"]].concat();
    let (_, said) = typed(folder.path(), &journal, "1 2 2 5 0 ");
    assert!(said.contains("The journal is for the purse (EP) only"), "{said}");
    let (_, said) = typed(folder.path(), &journal, "1 1 2 5 0 ");
    assert!(said.contains("Declined / 拒绝: balance 0.00 yuan is too small"), "{said}");
}

#[test]
fn three_wrong_pins_end_it() {
    let folder = desk_with_pin();
    let (code, said) = typed(folder.path(), &ALL, "1 1 1 50 111111 222222 333333 ");
    in_order(&said, &["2 tries left", "1 tries left", "Declined: the PIN is blocked"]);
    assert_eq!(code, 3);
    let (code, said) = typed(folder.path(), &ALL, "1 1 1 50 123456 ");
    assert_eq!((code, said.contains("Declined: the PIN is blocked")), (3, true), "{said}");
    assert!(typed(folder.path(), &ALL, "1 1 3 0 ").1.contains("电子钱包: 0.00"), "what needs no PIN goes on");
}

#[test]
fn what_is_not_valid_is_declined() {
    let folder = desk();
    let at = folder.path();
    for (dates, file) in [(["20200101", "20211231"], "old.img"), (["99980101", "99991231"], "new.img")] {
        let [start, expiry] = dates;
        ok(at, &["card", "new", "--keys", KEYS, "--start", start, "--expiry", expiry, file]);
        let (code, said) = typed(at, &[file], "1 1 3 ");
        in_order(&said, &["valid / 有效期", "Declined: the card is not valid today"]);
        assert_eq!(code, 3);
    }
    let (code, said) = typed(at, &["psam.img"], "1 ");
    assert_eq!((code, said.contains("no purse application on this token")), (3, true), "{said}");
}

#[test]
fn a_person_may_stop_anywhere() {
    let folder = desk_with_pin();
    let at = folder.path();
    let (code, said) = typed(at, &["nowhere.img"], " 0 ");
    in_order(&said, &["nowhere.img", "Insert the token, then Enter", "nowhere.img", "Cancelled"]);
    assert_eq!(code, 5);
    let whole = "1 1 1 50 123456 2 2.5 ";
    for lines in (0..=7).map(|count| whole.split_inclusive(' ').take(count).collect::<String>()) {
        let (code, said) = typed(at, &ALL, &lines);
        assert_eq!((code, said.contains("Cancelled / 已取消")), (5, true), "{lines}: {said}");
    }
    for zero in ["0 ", "1 0 "] {
        assert_eq!(typed(at, &ALL, zero).0, 5);
    }
    let (code, said) = typed(at, &["token.img"], "1 1 1 2 0 ");
    in_order(&said, &["No host: start with", "No PSAM: start with"]);
    assert_eq!(code, 0);
    let (code, said) = typed(at, &ALL, "1 1 2 1000.01 1 9999999999 1 0 0 ");
    in_order(&said, &["At most / 单笔上限 1,000.00", "More than a purse can hold"]);
    assert_eq!(code, 0);
}

/// `ykt token serve`, killed when the test lets go of it.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    pub fn start(folder: &Path, listen: &str) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ykt"))
            .current_dir(folder)
            .args(["token", "serve", "--image", "token.img", "--listen", listen])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut first).unwrap();
        let address = first.split(" at ").nth(1).and_then(|rest| rest.split(';').next());
        let address = address.unwrap_or_else(|| panic!("no address in {first}")).to_owned();
        Server { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A dialogue that is watched while it is typed.
struct Watched {
    child: Child,
    typing: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Watched {
    fn start(folder: &Path, args: &[&str]) -> Watched {
        let mut child = command(folder, &[&["use"], args].concat()).spawn().unwrap();
        let (typing, said) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Watched { child, typing, said }
    }

    fn type_until(&mut self, lines: &str, expected: &str) {
        self.typing.write_all(lines.replace(' ', "\n").as_bytes()).unwrap();
        let mut line = String::new();
        while !line.contains(expected) {
            line.clear();
            assert_ne!(self.said.read_line(&mut line).unwrap(), 0, "ended before it said {expected}");
        }
    }
}

#[test]
fn a_token_over_the_wire_is_killed_and_comes_back() {
    let folder = desk_with_pin();
    let at = folder.path();
    let server = Server::start(at, "127.0.0.1:0");
    let address = server.address.clone();
    let token = format!("usbip:{address}");
    let args = [token.as_str(), "--keys", KEYS, "--psam", "psam.img"];

    let mut holder = Watched::start(at, &args);
    holder.type_until("1 1 1 50 123456 ", "Loaded / 圈存成功 50.00");
    let (code, said) = typed(at, &args, "0 ");
    assert_eq!((code, said.contains("another host has it")), (5, true), "{said}");

    drop(server);
    holder.type_until("3 ", "The token was pulled out");
    let _server = Server::start(at, &address);
    // Enter for the token that is back; its PIN again; then the balance that was asked for.
    holder.type_until(" 123456 ", "电子钱包: 50.00");
    holder.type_until("2 2.5 ", "Paid / 消费成功 2.50, balance / 余额 47.50");
    holder.type_until("0 ", "Ended. Take the token out");
    assert!(holder.child.wait().unwrap().success());
}

#[test]
fn every_command_takes_a_token_for_a_card() {
    let folder = desk_with_pin();
    let server = Server::start(folder.path(), "127.0.0.1:0");
    let token = format!("usbip:{}", server.address);
    let said = ok(folder.path(), &["pos", "balance", "--card", &token]);
    assert!(said.starts_with("card 2144000000000042, valid"), "{said}");
}
