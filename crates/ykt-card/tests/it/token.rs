//! SM2 on the card, with OpenSSL as the referee on both sides.

use crate::bench::{Bench, Dialogue, hex_of, unhex};
use std::path::Path;
use std::process::{Command, Output};
use ykt_crypto::sm2::{Hasher, PublicKey, Signature, SignerId};

/// DER of an SM2 public key up to its point: SubjectPublicKeyInfo, ecPublicKey on sm2p256v1.
const PUBLIC_KEY_HEAD: &str = "3059301306072A8648CE3D020106082A811CCF5501822D034200";
const SIGNER: &str = "distid:1234567812345678";
const MESSAGE: &str = "signed by a token";

fn openssl(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("openssl").current_dir(folder).args(arguments).output().unwrap()
}

fn token() -> Bench {
    let mut bench = Dialogue::read("token-card").play();
    bench.ok("00A4000002DF04");
    bench
}

/// Key pair 0A signs the message in two blocks; OpenSSL, which knows nothing of us, verifies.
#[test]
fn openssl_verifies_what_the_card_signs() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut bench = token();
    let (first, last) = MESSAGE.split_at(7);
    let block = |step: &str, data: &str| format!("802A{step}0A{:02X}{}", data.len(), hex_of(data.as_bytes()));
    bench.ok(&block("90", first));
    let signature = Signature(bench.ok(&block("9B", last)).try_into().unwrap());
    std::fs::write(at("public"), [unhex(PUBLIC_KEY_HEAD), bench.ok("0046810A")].concat()).unwrap();
    std::fs::write(at("message"), MESSAGE).unwrap();
    std::fs::write(at("signature"), signature.to_der().as_bytes()).unwrap();
    let verify = || {
        let arguments = "pkeyutl -verify -pubin -keyform DER -inkey public -rawin -digest sm3 -in message \
                         -sigfile signature -pkeyopt";
        let arguments: Vec<&str> = arguments.split_whitespace().chain([SIGNER]).collect();
        openssl(folder.path(), &arguments)
    };
    let judged = verify();
    assert!(judged.status.success(), "{judged:?}");
    std::fs::write(at("message"), "signed by another").unwrap();
    assert!(!verify().status.success());
}

/// The card verifies what OpenSSL signed, by the digest that the terminal computes.
#[test]
fn the_card_verifies_what_openssl_signs() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("message"), MESSAGE).unwrap();
    for arguments in [
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:SM2 -outform DER -out private",
        "pkey -inform DER -in private -pubout -outform DER -out public",
        "pkeyutl -sign -keyform DER -inkey private -rawin -digest sm3 -in message -out signature -pkeyopt \
         distid:1234567812345678",
    ] {
        let made = openssl(folder.path(), &arguments.split_whitespace().collect::<Vec<_>>());
        assert!(made.status.success(), "{made:?}");
    }
    let public = std::fs::read(at("public")).unwrap();
    let point = public.strip_prefix(&unhex(PUBLIC_KEY_HEAD)[..]).unwrap();
    let mut hasher =
        Hasher::new(SignerId::DEFAULT, &PublicKey::from_bytes(point.try_into().unwrap()).unwrap());
    hasher.update(MESSAGE.as_bytes());
    let signature = Signature::from_der(&std::fs::read(at("signature")).unwrap()).unwrap();
    let mut data = [&point[1..], hasher.finish().as_bytes(), signature.as_bytes()].concat();
    let mut bench = token();
    assert_eq!(bench.sw(&format!("802AA800A0{}", hex_of(&data))), 0x9000);
    data[70] ^= 1;
    assert_eq!(bench.sw(&format!("802AA800A0{}", hex_of(&data))), 0x6300);
}

/// No command of any instruction gives a byte of a private key: their numbers are those the dice gave.
#[test]
fn no_private_key_comes_out() {
    let mut bench = token();
    let image = bench.card.memory().image().to_vec();
    let at = image.windows(65).position(|part| part == bench.ok("0046810A")).unwrap();
    let private = &image[at - 32..at];
    bench.ok("0020000003123456");
    for ins in 0..=u8::MAX {
        for p1 in [0x00, 0x0A, 0x80, 0x81, 0x8A, 0x90, 0x9A, 0x9B] {
            for p2 in [0x00, 0x0A, 0x54] {
                for cla in [0x00, 0x80] {
                    let answer = bench.send(&[cla, ins, p1, p2]);
                    let leaked =
                        answer.data().windows(8).any(|part| private.windows(8).any(|own| own == part));
                    assert!(!leaked, "{cla:02X}{ins:02X}{p1:02X}{p2:02X}");
                }
            }
        }
    }
}
