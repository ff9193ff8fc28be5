//! Keys and certificates of a token, with OpenSSL as the referee of signatures and as the CA.

use crate::image_cards::{KEYS, ok};
use crate::token::{Server, in_order, token};
use std::path::Path;
use std::process::Command;
use ykt_base::Rng;
use ykt_base::hex::decode_into;
use ykt_card::{Blank, Card, IMAGE_LEN_DEMO};
use ykt_crypto::Key16;
use ykt_terminal::transport::image::FileMemory;

const DIALOGUE: &str = include_str!("../../../ykt-card/tests/dialogues/token-card.apdu");
/// Two pairs that the holder makes: PIN each time, and none at all.
const HOLDERS_OWN: &str = "
> 80E0000E07320102F1F1FFFF
< 9000
> 80E0000D07320100F0F1FFFF
< 9000";
/// Signer id of every SM2 signature that names no other (`keys-and-ca.md` 7.3).
const SIGNER: &str = "distid:1234567812345678";

fn bytes(text: &str) -> Vec<u8> {
    let text: String = text.split_whitespace().collect();
    let mut bytes = vec![0; text.len() / 2];
    decode_into(&text, &mut bytes).unwrap();
    bytes
}

/// The random bytes of a dialogue.
struct Recorded(Vec<u8>);

impl Rng for Recorded {
    fn fill(&mut self, out: &mut [u8]) {
        out.copy_from_slice(&self.0.drain(..out.len()).collect::<Vec<_>>());
    }
}

/// A card in a new image file, made by the commands of a dialogue.
pub fn made(file: &Path, serial: [u8; 8], dialogue: &str) {
    let memory = FileMemory::create(file, IMAGE_LEN_DEMO).unwrap();
    let transport = Key16::from_bytes(*b"WINNER123456789\xAA");
    let mut card = Card::blank(memory, &Blank::user_card(serial, &transport)).unwrap();
    let (mut random, mut command) = (Recorded(Vec::new()), Vec::new());
    for line in dialogue.lines() {
        let line = line.split('#').next().unwrap();
        if let Some(text) = line.strip_prefix("@ random") {
            random = Recorded(bytes(text));
        } else if let Some(text) = line.strip_prefix('>') {
            command = bytes(text);
        } else if let Some(text) = line.strip_prefix('<') {
            assert_eq!(card.process(&mut random, &command).as_bytes(), bytes(text), "{line}");
        }
    }
}

/// `token.img`: pairs 0A without PIN, 0B with the PIN once, 0C with it each time; places of 512 bytes for two
/// certificates; PIN 123456.
fn desk() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    made(&folder.path().join("token.img"), *b"12345678", &[DIALOGUE, HOLDERS_OWN].concat());
    std::fs::write(folder.path().join("contract"), vec![0x5A; 1000]).unwrap();
    folder
}

/// Runs OpenSSL: whether it was content, and what it said.
fn openssl(at: &Path, args: &str) -> (bool, String) {
    let output =
        Command::new("openssl").current_dir(at).args(args.split(' ')).output().expect("install openssl");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn openssl_ok(at: &Path, args: &str) -> String {
    let (is_content, said) = openssl(at, args);
    assert!(is_content, "openssl {args}: {said}");
    said
}

/// `ykt token` must end so, with something said.
fn ends(at: &Path, args: &str, lines: &str, code: i32, expected: &[&str]) {
    let (found, said) = token(at, &args.split(' ').collect::<Vec<_>>(), lines);
    assert_eq!(found, code, "{args}: {said}");
    in_order(&said, expected);
    assert!(!said.contains("123456"), "the PIN is never shown: {said}");
}

#[test]
fn openssl_accepts_what_a_token_signs() {
    let folder = desk();
    let at = folder.path();
    let refuse = |args: &str| assert!(!openssl(at, args).0, "openssl accepts {args}");
    // (pair, what is typed, how often the PIN is asked)
    for (pair, typed, asked) in [("0A", "", 0), ("0B", "123456 ", 1), ("0C", "000000 123456 ", 2)] {
        ends(
            at,
            &format!("key show --key {pair} --out {pair}.der token.img"),
            "",
            0,
            &[&format!("{pair}  04")],
        );
        let sign = format!("sign --key {pair} --out {pair}.sig token.img contract");
        let pins = ["PIN (Enter cancels)", "PIN (Enter cancels)"];
        ends(at, &sign, typed, 0, &[&pins[..asked], &["contract is signed with key pair"]].concat());
        let verify = format!(
            "pkeyutl -verify -pubin -keyform DER -inkey {pair}.der -rawin -digest sm3 -sigfile {pair}.sig -pkeyopt \
             {SIGNER} -in"
        );
        assert!(openssl_ok(at, &format!("{verify} contract")).contains("Verified Successfully"));
        refuse(&format!("{verify} token.img"));
        let verify = format!("verify --key {pair} --sig {pair}.sig token.img");
        ends(at, &format!("{verify} contract"), "", 0, &["The signature is right"]);
        ends(at, &format!("{verify} {pair}.der"), "", 3, &["Declined: the signature is wrong"]);
    }
    ends(at, "sign --key 0A --form raw token.img contract", "", 0, &["contract.sig"]);
    assert_eq!(std::fs::read(at.join("contract.sig")).unwrap().len(), 64);
    ends(at, "verify --key 0A token.img contract", "", 0, &["The signature is right"]);
    ends(at, "verify --key 0B token.img contract", "", 3, &["Declined: the signature is wrong"]);
    ends(at, "sign --key 0A token.img contract", "", 1, &["make contract.sig"]);
}

#[test]
fn what_a_token_does_not_sign() {
    let folder = desk();
    let at = folder.path();
    std::fs::write(at.join("empty"), "").unwrap();
    let sign = |pair: &str| format!("sign --key {pair} token.img contract");
    ends(at, &sign("09"), "", 1, &["the token has no key pair 09; `ykt token key show` lists"]);
    ends(at, &sign("05"), "", 1, &["the token has no key pair 05"]);
    ends(at, &sign("0D"), "", 1, &["key pair 0D is not made yet; `ykt token key new`"]);
    ends(at, &sign("1F"), "", 2, &["expected the id of a key pair's file"]);
    ends(at, "sign --key 0A token.img empty", "", 1, &["empty is empty"]);
    ends(at, "verify --key 0A --sig contract token.img contract", "", 1, &["contract is no signature"]);
    ends(at, &sign("0C"), " ", 5, &["PIN (Enter cancels)", "Cancelled"]);
    ends(
        at,
        &sign("0C"),
        "111111 222222 333333 ",
        3,
        &["2 tries left", "1 tries left", "the PIN is blocked"],
    );
    ends(at, &sign("0C"), "123456 ", 3, &["Declined: the PIN is blocked"]);
    assert!(!at.join("contract.sig").exists());
    ends(at, &sign("0A"), "", 0, &["contract is signed"]);
}

#[test]
fn a_holder_makes_a_key_pair() {
    let folder = desk();
    let at = folder.path();
    let shown = |lines: &[&str]| ends(at, "key show token.img", "", 0, lines);
    shown(&["0A  04", "0B  04", "0C  04", "0D  not made yet", "0E  not made yet"]);
    ends(at, "key new --key 0E token.img", "123456 ", 0, &["PIN (Enter", "0E  04"]);
    shown(&["0D  not made yet", "0E  04"]);
    ends(at, "key new --key 0E token.img", "", 1, &["with --replace it makes a new one"]);
    ends(at, "key show --key 0E --out old.der token.img", "", 0, &["0E  04"]);
    ends(at, "key new --key 0E --replace token.img", "123456 ", 0, &["0E  04"]);
    ends(at, "key show --key 0E --out new.der token.img", "", 0, &["0E  04"]);
    let key = |file: &str| std::fs::read(at.join(file)).unwrap();
    assert_ne!(key("old.der"), key("new.der"));
    let only_issuer = "a pair that only the issuer makes needs the control key";
    ends(at, "key new --key 0A --replace token.img", "123456 ", 1, &[only_issuer]);
    ends(at, "key new --key 09 token.img", "", 1, &["the token has no key pair 09"]);
}

/// The profile's pairs are made by the issuer only; its key file has what that takes.
#[test]
fn an_issuer_makes_a_key_pair() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    ok(at, &["card", "new", "--profile", "token", "--keys", KEYS, "token.img"]);
    let new = "key new --key 0C --replace token.img";
    ends(at, "key show --key 0C --out old.der token.img", "", 0, &["0C  04"]);
    ends(at, new, "123456 ", 1, &["only the issuer makes"]);
    ends(at, &format!("{new} --keys {KEYS}"), "", 0, &["0C  04"]);
    ends(at, "key show --key 0C --out new.der token.img", "", 0, &["0C  04"]);
    let key = |file: &str| std::fs::read(at.join(file)).unwrap();
    assert_ne!(key("old.der"), key("new.der"));
    std::fs::write(at.join("contract"), "a contract").unwrap();
    ends(at, "sign --key 0C token.img contract", "123456 ", 0, &["PIN (Enter", "contract is signed"]);
    ends(at, "verify --key 0C token.img contract", "", 0, &["The signature is right"]);
}

#[test]
fn certificates_are_stored_and_read_back() {
    let folder = desk();
    let at = folder.path();
    openssl_ok(at, "ecparam -genkey -name SM2 -out ca.key");
    openssl_ok(
        at,
        &format!("req -new -x509 -key ca.key -sm3 -subj /CN=CA -days 1 -sigopt {SIGNER} -out ca.pem"),
    );
    openssl_ok(at, "x509 -in ca.pem -outform DER -out ca.der");
    for pair in ["0A", "0B"] {
        ends(at, &format!("key show --key {pair} --out {pair}.der token.img"), "", 0, &[pair]);
        let certify =
            format!("x509 -new -subj /CN=holder -force_pubkey {pair}.der -CA ca.pem -CAkey ca.key -sm3");
        openssl_ok(at, &format!("{certify} -days 1 -outform DER -out {pair}.cer"));
    }
    ends(at, "cert list token.img", "", 0, &[]);
    ends(at, "cert store --key 0B token.img 0A.cer", "", 1, &["0A.cer certifies another key than pair 0B"]);
    ends(at, "cert store token.img ca.pem", "", 1, &["ca.pem is no certificate in DER"]);
    ends(at, "cert store --key 0A --label 签名 token.img 0A.cer", "123456 ", 0, &["PIN", "1  0A  ", "签名"]);
    ends(at, "cert store --label CA token.img ca.der", "123456 ", 0, &["2  --  ", "CA"]);
    ends(at, "cert store token.img 0B.cer", "123456 ", 1, &["no place for a certificate", "delete one"]);
    ends(at, "cert list token.img", "", 0, &["1  0A  ", " bytes  签名", "2  --  ", " bytes  CA"]);

    // Over USB/IP as from the image; the certificate as OpenSSL made it.
    let server = Server::start(at, "127.0.0.1:0");
    for (number, file) in [(1, "0A.cer"), (2, "ca.der")] {
        let read = format!("cert read --out {number}.der usbip:{} {number}", server.address);
        ends(at, &read, "", 0, &[]);
        let content = |name: &str| std::fs::read(at.join(name)).unwrap();
        assert_eq!(content(&format!("{number}.der")), content(file));
    }
    drop(server);
    assert!(openssl_ok(at, "x509 -inform DER -in 1.der -noout -subject").contains("holder"));

    ends(at, "cert delete token.img 1", "123456 ", 0, &["certificate 1 is deleted"]);
    ends(at, "cert read --out gone token.img 1", "", 1, &["the token has no certificate 1"]);
    ends(at, "cert store --key 0B token.img 0B.cer", "123456 ", 0, &["1  0B  "]);
    ends(at, "cert list nowhere.img", "", 1, &["nowhere.img"]);
}

#[test]
fn a_card_without_the_application() {
    let folder = crate::image_cards::desk();
    ends(folder.path(), "cert list card.img", "", 1, &["it has no application YKT.TOKEN"]);
    ends(folder.path(), "key show card.img", "", 1, &["keeps no keys and certificates"]);
}
