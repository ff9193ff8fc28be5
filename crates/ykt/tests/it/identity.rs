//! A person's data on a card, read at a counter: genuine, unknown, altered, out of date.

use crate::token::in_order;
use crate::token_keys::made;
use std::path::Path;
use std::process::{Command, Stdio};
use ykt_crypto::sm2::PrivateKey;

const DIALOGUE: &str = include_str!("../../../ykt-card/tests/dialogues/identity-card.apdu");
const ISSUER: &str = "--issuer=2144FF0000000000=issuer.der";
/// SubjectPublicKeyInfo of an SM2 key, up to the point.
const INFO: [u8; 26] = *b"\x30\x59\x30\x13\x06\x07\x2A\x86\x48\xCE\x3D\x02\x01\x06\x08\x2A\x81\x1C\xCF\x55\x01\x82\x2D\x03\x42\x00";

/// Exit code and what was said, with the PIN typed in.
fn read(at: &Path, args: &[&str], pin: &str) -> (i32, String) {
    std::fs::write(at.join("typed"), pin).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ykt"));
    command.current_dir(at).args(["identity", "read", "--day", "2026-05-01"]).args(args).arg("id.img");
    let typed = std::fs::File::open(at.join("typed")).unwrap();
    let output = command.stdin(typed).stdout(Stdio::piped()).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), said)
}

#[test]
fn a_counter_reads_who_somebody_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    made(&at.join("id.img"), *b"ABCDEFGH", DIALOGUE);
    let signer = [[0x12, 0x34, 0x56, 0x78, 0x90, 0xAB, 0xCD, 0xEF]; 4].concat();
    let signer = PrivateKey::from_bytes(&signer.try_into().unwrap()).unwrap().public_key();
    std::fs::write(at.join("issuer.der"), [&INFO[..], signer.as_bytes()].concat()).unwrap();

    let (code, said) =
        read(at, &[ISSUER, "--pin", "--photo", "photo.jpg", "--context", "gate 3"], "123456\n");
    in_order(&said, &["card 2144000000000001", "name           张三", "id number      110101199003078515"]);
    in_order(&said, &["photo          600 bytes", "address        not given", "genuine"]);
    assert_eq!((code, std::fs::read(at.join("photo.jpg")).unwrap().len()), (0, 600), "{said}");

    let (code, said) = read(at, &[ISSUER], "");
    in_order(
        &said,
        &["name           张三", "id number      not given", "photo          not given", "genuine"],
    );
    assert_eq!(code, 0, "{said}");

    let (code, said) = read(at, &[], "");
    in_order(&said, &["FAULT", "issuer 2144FF0000000000 is not known here", "not to be believed"]);
    assert_eq!(code, 3);
    let (code, said) = read(at, &["--issuer=2144FF0000000000=photo.jpg"], "");
    assert_eq!((code, said.contains("photo.jpg is no public key of SM2")), (1, true), "{said}");
    let (code, said) = read(at, &[ISSUER, "--pin"], "000000\n");
    assert_eq!((code, said.contains("wrong PIN, 2 tries left")), (3, true), "{said}");

    // Somebody who can write the chip gives the card another name.
    let mut image = std::fs::read(at.join("id.img")).unwrap();
    let name = "张三".as_bytes();
    let place = image.windows(name.len()).position(|part| part == name).unwrap();
    image[place..place + name.len()].copy_from_slice("李四".as_bytes());
    std::fs::write(at.join("id.img"), image).unwrap();
    let (code, said) = read(at, &[ISSUER], "");
    in_order(
        &said,
        &["name           李四", "FAULT          name: other than what was signed", "not to be believed"],
    );
    assert_eq!(code, 3);
}
