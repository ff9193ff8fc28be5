//! The desk of a token: signatures of any length, and certificates that come, are listed, and go.

use crate::desk::{Hand, token};
use ykt_crypto::sm2::SignerId;
use ykt_purse::token::KeyPairId;
use ykt_purse::write_key::Pin;
use ykt_terminal::card::PinError;
use ykt_terminal::token::{Token, TokenError};

fn pin() -> Pin {
    Pin::from_digits("123456").unwrap()
}

fn pair(sfi: u8) -> KeyPairId {
    KeyPairId::new(sfi).unwrap()
}

#[test]
fn messages_of_every_length_are_signed() {
    let mut token = Token::open(Hand::new(token())).unwrap();
    let free = pair(0x0A);
    let public = token.public_key(free).unwrap();
    for len in [1, 239, 240, 241, 480, 481, 1000] {
        let message = vec![0x5A; len];
        let signature = token.sign(free, &message).unwrap();
        assert!(public.verify(SignerId::DEFAULT, &[&message], &signature), "{len} bytes");
    }
    let each_time = pair(0x0C);
    assert_eq!(token.sign(each_time, b"a"), Err(TokenError::PinWanted));
    token.verify(&pin()).unwrap();
    assert!(token.sign(each_time, &[7; 300]).is_ok());
    assert_eq!(token.sign(each_time, b"a"), Err(TokenError::PinWanted));
    let wrong = Pin::from_digits("000000").unwrap();
    for left in [2, 1, 0] {
        assert_eq!(token.verify(&wrong), Err(PinError::Wrong { left }));
    }
    assert_eq!(token.verify(&pin()), Err(PinError::Blocked));
}

#[test]
fn certificates_come_and_go() {
    let mut token = Token::open(Hand::new(token())).unwrap();
    assert_eq!(token.certificates().unwrap(), []);
    let (first, second) = (vec![0x30; 500], vec![0x31; 512]);
    let refused = token.store_certificate(None, "issuer", &first);
    assert_eq!(refused, Err(TokenError::PinWanted), "the holder stores them");
    token.verify(&pin()).unwrap();
    let signing = token.store_certificate(Some(pair(0x0C)), "signing", &first).unwrap();
    let label = "城市卡公司根证书";
    let issuer = token.store_certificate(None, label, &second).unwrap();
    assert_eq!((signing.number, signing.entry.file, issuer.number, issuer.entry.file), (1, 5, 2, 6));
    assert_eq!(token.certificates().unwrap(), [signing, issuer]);
    assert_eq!(token.certificate(&signing).unwrap(), first);
    assert_eq!(token.certificate(&issuer).unwrap(), second);
    assert!(label.starts_with(std::str::from_utf8(&issuer.entry.label[..18]).unwrap()), "whole characters");
    assert_eq!(token.store_certificate(None, "third", &first), Err(TokenError::NoPlace { len: 500 }));

    token.delete_certificate(&signing).unwrap();
    assert_eq!(token.certificates().unwrap(), [issuer]);
    let too_long = vec![0; 513];
    assert_eq!(token.store_certificate(None, "long", &too_long), Err(TokenError::NoPlace { len: 513 }));
    let again = token.store_certificate(None, "again", &second).unwrap();
    assert_eq!((again.number, again.entry.file), (1, 5), "the place that was left");
}

/// The token is pulled out at every command of storing: the directory names whole certificates only.
#[test]
fn a_certificate_is_stored_or_it_is_not() {
    use crate::desk::Pull;
    let certificate = vec![0x30; 500];
    let mut stored = 0;
    for command in 0..14 {
        for pull in [Pull::Before(command), Pull::After(command)] {
            let mut hand = Hand::new(token());
            hand.pull = Some(pull);
            let outcome = Token::open(&mut hand).map_err(TokenError::Step).and_then(|mut token| {
                token.verify(&pin())?;
                token.store_certificate(None, "mine", &certificate)
            });
            let mut again = Token::open(hand.put_back()).unwrap();
            let listed = again.certificates().unwrap();
            assert!(outcome.is_err() || listed.len() == 1, "{pull:?}");
            for entry in &listed {
                stored += 1;
                assert_eq!(again.certificate(entry).unwrap(), certificate, "{pull:?}");
            }
        }
    }
    assert!(stored > 0);
}
