//! The C interface as issuing programs see it: its header, and a C program that makes a card with it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says by panicking what went wrong")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use ykt_base::hex::{self, Hex};
use ykt_card::{Blank, Card, IMAGE_LEN_DEMO};
use ykt_crypto::{CardKey, Key16, sm};
use ykt_purse::command::{ChallengeLen, authentication_cryptogram};
use ykt_purse::write_key::{self, KeyTarget, KeyUsage, control_key_header};
use ykt_terminal::transport::image::FileMemory;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");
const TRANSPORT: [u8; 16] = *b"transport key 16";
const MASTER: [u8; 16] = *b"card master key.";

/// The header is what the functions say; `UPDATE_HEADER=1` writes it.
#[test]
fn the_header_is_that_of_the_functions() {
    let config = cbindgen::Config::from_file(Path::new(CRATE).join("cbindgen.toml")).unwrap();
    let bindings = cbindgen::Builder::new().with_crate(CRATE).with_config(config).generate().unwrap();
    let mut written = Vec::new();
    bindings.write(&mut written);
    let written = String::from_utf8(written).unwrap().replace("# Safety", "Pointers:");
    let path = Path::new(CRATE).join("include/ykt_issuing.h");
    if std::env::var_os("UPDATE_HEADER").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, written, "run with UPDATE_HEADER=1");
}

/// The C program over one card image.
struct Program {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Program {
    /// Compiles and starts it; the number is what `opencomm` returned.
    fn start(folder: &Path, place: &str) -> (Program, String) {
        let test = std::env::current_exe().unwrap();
        let libraries = test.parent().unwrap();
        let program = folder.join("issuing");
        if !program.exists() {
            let mut cc = Command::new("cc");
            cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&program);
            cc.arg(format!("{CRATE}/tests/it/issuing.c")).arg(format!("-I{CRATE}/include"));
            cc.arg("-L").arg(libraries).arg("-lykt_issuing");
            assert!(cc.status().unwrap().success(), "the C program does not compile");
        }
        let mut child = Command::new(&program)
            .arg(place)
            .env("LD_LIBRARY_PATH", libraries)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut program =
            Program { to: child.stdin.take(), from: BufReader::new(child.stdout.take().unwrap()), child };
        let opened = program.line();
        (program, opened)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }

    /// Calls a function: code, status word, data.
    fn call(&mut self, step: &str) -> (i32, u16, Vec<u8>) {
        writeln!(self.to.as_mut().unwrap(), "{step}").unwrap();
        let line = self.line();
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("{step}: {line}"));
        let (code, sw, data) = (word().parse().unwrap(), word(), word());
        let mut bytes = vec![0; data.len() / 2];
        hex::decode_into(data, &mut bytes).unwrap();
        (code, u16::from_str_radix(sw, 16).unwrap(), bytes)
    }

    /// Calls a function that must succeed.
    fn ok(&mut self, step: &str) -> Vec<u8> {
        let (code, sw, data) = self.call(step);
        assert_eq!((code, sw), (0, 0x9000), "{step}");
        data
    }

    fn end(mut self) -> i32 {
        drop(self.to.take());
        self.child.wait().unwrap().code().unwrap()
    }
}

fn blank_image(folder: &Path) -> (PathBuf, String) {
    let path = folder.join("card.img");
    let key = Key16::from_bytes(TRANSPORT);
    let memory = FileMemory::create(&path, IMAGE_LEN_DEMO).unwrap();
    Card::blank(memory, &Blank::user_card([0x21, 0x44, 0, 0, 0, 0, 0, 7], &key)).unwrap();
    let place = format!("image:{}", path.display());
    (path, place)
}

/// Data field of the WRITE KEY that puts the card master key on, under the transport key.
fn master_key_data(challenge: &[u8]) -> String {
    let control = CardKey::Tdes(Key16::from_bytes(TRANSPORT));
    let target = KeyTarget::Add { id: 0, usage: KeyUsage::ExternalAuthentication };
    let header = control_key_header(ykt_base::KeyVersion(1));
    let iv = sm::iv_from_challenge(challenge).unwrap();
    let apdu = write_key::command(&control, iv, target.header(), &header.to_bytes(), &MASTER).unwrap();
    Hex(&apdu[5..]).to_string()
}

#[test]
fn a_c_program_makes_a_card() {
    let folder = tempfile::tempdir().unwrap();
    let (_, place) = blank_image(folder.path());
    let (mut program, opened) = Program::start(folder.path(), &place);
    assert_eq!(opened, "0");
    let info = program.ok("GetHardInfo");
    assert_eq!(info[..8], [0x21, 0x44, 0, 0, 0, 0, 0, 7]);
    assert_eq!(info[13], 0x00, "blank");

    program.ok("CreateFile 0000 0 0 3F003001F0FFFF");
    let challenge = program.ok("GetChallenge 4");
    let (code, sw, _) = program.call(&format!("WriteKey 84 80 39 {}", master_key_data(&[1, 2, 3, 4])));
    assert_eq!((code, sw), (1, 0x6988), "a cryptogram for another challenge than {challenge:?}");
    let challenge = program.ok("GetChallenge 4");
    program.ok(&format!("WriteKey 84 80 39 {}", master_key_data(&challenge)));

    let master = CardKey::Tdes(Key16::from_bytes(MASTER));
    let challenge = program.ok("GetChallenge 8");
    let proof = authentication_cryptogram(&master, &challenge).unwrap();
    program.ok(&format!("External_Authentication 00 0 0 {}", Hex(&proof)));
    program.ok("CreateFile 0015 0 0 28001EF0F0FFFF");
    program.ok("UpdateBinary 00 95 00 0102030405");
    assert_eq!(program.ok("ReadBinary 00 95 00")[..6], [1, 2, 3, 4, 5, 0]);
    program.ok("CreateFile 0017 0 0 2A0304F0F0FFFF");
    program.ok("UpdateRecord 00 02 BC AABBCCDD");
    assert_eq!(program.ok("ReadRecord 00 02 BC"), [0xAA, 0xBB, 0xCC, 0xDD]);
    assert_eq!(program.call("ReadRecord 00 04 BC").1, 0x6A83);
    assert_eq!(program.ok("SelectFile 00 00 0 3F00")[0], 0x6F);
    assert_eq!(program.call("SelectFile 00 00 0 7777"), (1, 0x6A82, vec![]));
    assert_eq!(program.ok("GetHardInfo")[13], 0x01, "initialised");
    assert_eq!(program.call("small").0, 4, "a buffer that is too small");
    assert_eq!(program.call("null").0, 3, "a null pointer with a length");
    assert_eq!(program.call("GetChallenge 5").0, 3);
    assert_eq!(program.call("closed").0, 2);
    assert_eq!(program.end(), 1, "it was closed before");

    let (mut again, opened) = Program::start(folder.path(), &place);
    assert_eq!(opened, "0");
    assert_eq!(again.ok("ReadRecord 00 02 BC"), [0xAA, 0xBB, 0xCC, 0xDD], "the card kept it");
    assert_eq!(again.end(), 0);
}

#[test]
fn what_is_not_there_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    for (place, code) in [("image:nowhere.img", "5"), ("card.img", "3"), ("", "3")] {
        let (program, opened) = Program::start(folder.path(), place);
        assert_eq!(opened, code, "{place}");
        program.end();
    }
}

#[test]
fn the_interface_in_rust_sends_the_same_commands() {
    let folder = tempfile::tempdir().unwrap();
    let (_, place) = blank_image(folder.path());
    let mut reader = ykt_issuing::Reader::open(&place).unwrap();
    assert_eq!(reader.challenge(ChallengeLen::Eight).unwrap().data.len(), 8);
    assert_eq!(reader.hard_info().unwrap().data.len(), 22);
    assert_eq!(reader.response(0).unwrap().sw.0 >> 8, 0x69, "nothing waits");
    drop(reader);
    assert!(ykt_issuing::Reader::open("pcsc:no such reader at all").is_err());
}
