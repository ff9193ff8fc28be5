//! Challenges, proofs of keys, PINs and secure messaging, right or wrong on purpose.

use super::{ANSWER, Bench, Finding, Stop, Usage, encoded, lacks_key};
use crate::action::{KeyName, PinChoice, ProofFault, SecureFault};
use crate::template::{Masked, Pattern, Secrecy, Template};
use crate::words::{Text, Words};
use ykt_base::hex::Hex;
use ykt_base::{KeyIndex, Mac4, StatusWord};
use ykt_crypto::CardKey;
use ykt_crypto::sm::{Padding, iv_from_challenge};
use ykt_purse::command::{self, ChallengeLen};
use ykt_purse::pin::{self, ReloadPin};
use ykt_purse::write_key::Pin;

/// Length of a MAC.
const MAC_LEN: usize = 4;

const CHALLENGE: (&str, &str) = ("challenge", "随机数");
const CRYPTOGRAM: (&str, &str) = ("cryptogram", "认证密文");
const ANSWER_MAC: (&str, &str) = ("MAC of the answer", "响应 MAC");

/// A PIN whose first digit is `by` higher, modulo ten.
pub(super) fn changed_pin(pin: &[u8], by: u8) -> Vec<u8> {
    let mut changed = pin.to_vec();
    if let Some(first) = changed.first_mut() {
        let digit = (*first >> 4).saturating_add(by) % 10;
        *first = digit << 4 | *first & 0x0F;
    }
    changed
}

impl Bench<'_> {
    /// GET CHALLENGE; a challenge that came before in this case is wrong.
    pub(super) fn challenge(&mut self, len: u8) -> Result<[u8; 8], Stop> {
        let wanted = if len == 4 { ChallengeLen::Four } else { ChallengeLen::Eight };
        let response = self.demand("GET CHALLENGE", encoded(&command::challenge(wanted)), &Words::ok())?;
        let challenge = response.data().to_vec();
        let iv = iv_from_challenge(&challenge).filter(|_| challenge.len() == usize::from(len));
        let iv = iv.ok_or_else(|| Finding::new(CHALLENGE, format!("{len} bytes"), Hex(&challenge)))?;
        if self.challenges.contains(&challenge) {
            return Err(Finding::new(CHALLENGE, "another one each time", Hex(&challenge)).into());
        }
        self.keep("challenge", &challenge);
        self.challenges.push(challenge);
        Ok(iv)
    }

    /// The challenge that a proof with this fault answers, and whether one was asked for.
    fn challenge_for(&mut self, fault: ProofFault, len: u8) -> Result<[u8; 8], Stop> {
        match fault {
            ProofFault::None | ProofFault::WrongBit => self.challenge(len),
            ProofFault::OldChallenge => {
                let old = self.challenge(len)?;
                self.challenge(len).map(|_| old)
            }
            ProofFault::NoChallenge => {
                let last = self.challenges.last().and_then(|challenge| iv_from_challenge(challenge));
                Ok(last.unwrap_or_default())
            }
        }
    }

    fn card_key(&self, name: KeyName) -> Result<CardKey, Stop> {
        self.key(name, 1, self.desk.settings.version)
    }

    pub(super) fn external_authenticate(
        &mut self,
        name: KeyName,
        id: u8,
        fault: ProofFault,
        sw: &Words,
    ) -> Result<StatusWord, Stop> {
        let key = self.card_key(name)?;
        let challenge = self.challenge_for(fault, 8)?;
        let mut cryptogram = key.authenticate(challenge);
        if fault == ProofFault::WrongBit {
            cryptogram[7] ^= 1;
        }
        let command = encoded(&command::external_authenticate(id, &cryptogram));
        let usage = Usage::from(fault == ProofFault::None);
        self.prove("EXTERNAL AUTHENTICATE", command, sw, name, usage).map(|response| response.sw())
    }

    pub(super) fn internal_authenticate(
        &mut self,
        name: KeyName,
        id: u8,
        sw: &Words,
    ) -> Result<StatusWord, Stop> {
        const DATA: [u8; 8] = [0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6, 0x07, 0x18];
        let key = self.card_key(name)?;
        let command = encoded(&command::internal_authenticate(id, &DATA));
        let response = self.demand("INTERNAL AUTHENTICATE", command, sw)?;
        let expected = key.authenticate(DATA);
        if response.sw().is_ok() && response.data() != expected {
            return Err(Finding::new(CRYPTOGRAM, Hex(&expected), Hex(response.data())).into());
        }
        Ok(response.sw())
    }

    fn pin(&self, choice: PinChoice) -> Result<Vec<u8>, Stop> {
        let name = match choice {
            PinChoice::Right => "pin",
            PinChoice::Wrong => "wrong_pin",
            PinChoice::Other => "other_pin",
        };
        self.values.get(name).map(|pin| pin.bytes.clone()).ok_or_else(|| lacks_key(KeyName::Pin))
    }

    pub(super) fn verify(&mut self, choice: PinChoice, sw: &Words) -> Result<StatusWord, Stop> {
        let pin = self.pin(choice)?;
        let mut command = Masked::open(&[0x00, 0x20, 0x00, self.desk.settings.pin_id]);
        command.push(&[u8::try_from(pin.len()).unwrap_or(u8::MAX)], Secrecy::Open);
        command.push(&pin, Secrecy::Secret);
        // Only where it should be accepted is a PIN the right one: a case may have changed it.
        let usage = Usage::from(choice == PinChoice::Right && sw.accept(StatusWord::OK));
        self.prove("VERIFY", command, sw, KeyName::Pin, usage).map(|response| response.sw())
    }

    pub(super) fn reload_pin(
        &mut self,
        choice: PinChoice,
        fault: ProofFault,
        sw: &Words,
    ) -> Result<StatusWord, Stop> {
        let pin = self.pin(choice)?;
        let new = Pin::from_bytes(&pin).ok_or_else(|| lacks_key(KeyName::Pin))?;
        let Mac4([a, b, c, d]) = pin::reload_mac(&self.card_key(KeyName::Drpk)?.tac_key(), &new);
        let mac = Mac4([a, b, c, d ^ u8::from(fault == ProofFault::WrongBit)]);
        let id = KeyIndex(self.desk.settings.pin_id);
        let apdu = ReloadPin { id, new, mac }.to_apdu();
        let (head, rest) = apdu.as_bytes().split_at_checked(5).unwrap_or_default();
        let mut command = Masked::open(head);
        command.push(rest.get(..pin.len()).unwrap_or_default(), Secrecy::Secret);
        command.push(rest.get(pin.len()..).unwrap_or_default(), Secrecy::Open);
        let usage = Usage::from(fault == ProofFault::None);
        self.prove("RELOAD PIN", command, sw, KeyName::Drpk, usage).map(|response| response.sw())
    }

    pub(super) fn secure(
        &mut self,
        header: &Template,
        data: &Template,
        name: KeyName,
        fault: SecureFault,
        sw: &Words,
        answer: Option<&Pattern>,
    ) -> Result<StatusWord, Stop> {
        let header = self.fill(header)?;
        let Ok(header) = <[u8; 4]>::try_from(header.as_bytes()) else {
            let en = format!("expected CLA INS P1 P2 in `header`, found {header}");
            return Err(Stop::Unable(Text::new(en.clone(), en)));
        };
        let data = self.fill(data)?;
        let key = self.card_key(name)?;
        let iv = self.challenge_for(proof_fault(fault), 4)?;
        let body = self.body(&key, header[0], data.as_bytes(), fault)?;
        let mac = secure_mac(&key, iv, header, &body, fault);
        let len = u8::try_from(body.len().saturating_add(mac.len())).unwrap_or(u8::MAX);
        let mut command = Masked::open(&header);
        if len > 0 {
            command.push(&[len], Secrecy::Open);
        }
        // A cryptogram may be shown; data in clear only when they are not secret.
        if header[0] == 0x84 && !body.is_empty() {
            command.push(&body, Secrecy::Open);
        } else {
            command.append(&data);
        }
        command.push(&mac, Secrecy::Open);
        if answer.is_some() {
            command.push(&[0], Secrecy::Open);
        }
        let usage = Usage::from(fault == SecureFault::None && sw.accept(StatusWord::OK));
        let response = self.prove(&super::title_of(&header), command, sw, name, usage)?;
        match answer {
            Some(pattern) if response.sw().is_ok() => {
                self.protected_answer(&key, iv, response.data(), pattern)?;
            }
            _ => {}
        }
        Ok(response.sw())
    }

    /// What stands before the MAC: the data, or their cryptogram in class 84.
    fn body(&self, key: &CardKey, class: u8, data: &[u8], fault: SecureFault) -> Result<Vec<u8>, Stop> {
        if class != 0x84 || data.is_empty() {
            return Ok(data.to_vec());
        }
        let padding = Padding::from(self.desk.settings.padding);
        let text = key.plain_text(padding, &[data]);
        let Some(text) = text else {
            return Err(Stop::Unable(Text::new(
                "the data are too long for one command",
                "数据过长，一条命令放不下",
            )));
        };
        let mut text = text.as_bytes().to_vec();
        match fault {
            SecureFault::WrongLd => {
                if let Some(len) = text.first_mut() {
                    *len = len.wrapping_add(1);
                }
            }
            SecureFault::WrongPadding => {
                if let Some(last) = text.last_mut() {
                    *last ^= 1;
                }
            }
            _ => {}
        }
        key.encrypt_blocks(&mut text);
        Ok(text)
    }

    /// Data || MAC, or a cryptogram || MAC; key and IV are those of the command.
    fn protected_answer(
        &mut self,
        key: &CardKey,
        iv: [u8; 8],
        answer: &[u8],
        pattern: &Pattern,
    ) -> Result<(), Stop> {
        let Some((body, mac)) = answer.split_last_chunk::<MAC_LEN>() else {
            return Err(Finding::new(ANSWER, "data and MAC", Hex(answer)).into());
        };
        let expected = key.smac(iv, &[body]);
        if expected.0 != *mac {
            return Err(Finding::new(ANSWER_MAC, expected, Hex(mac)).into());
        }
        let opened = key.decipher(Padding::from(self.desk.settings.padding), body);
        let texts = [body.to_vec(), opened.map(|text| text.as_bytes().to_vec()).unwrap_or_default()];
        for text in texts {
            if pattern
                .matches(&text, &mut self.values)
                .map_err(|what| Stop::Unable(Text::new(what.clone(), what)))?
            {
                return Ok(());
            }
        }
        Err(Finding::new(ANSWER, pattern, Hex(body)).into())
    }
}

fn proof_fault(fault: SecureFault) -> ProofFault {
    match fault {
        SecureFault::NoChallenge => ProofFault::NoChallenge,
        SecureFault::OldChallenge => ProofFault::OldChallenge,
        _ => ProofFault::None,
    }
}

/// The MAC, as the fault spoils it; nothing when it is left out.
fn secure_mac(key: &CardKey, iv: [u8; 8], header: [u8; 4], body: &[u8], fault: SecureFault) -> Vec<u8> {
    let [cla, ins, p1, p2] = header;
    let covered_p2 = if fault == SecureFault::OtherHeader { p2 ^ 1 } else { p2 };
    let lc = u8::try_from(body.len().saturating_add(MAC_LEN)).unwrap_or(u8::MAX);
    let mut covered = body.to_vec();
    if let (SecureFault::OtherData, Some(first)) = (fault, covered.first_mut()) {
        *first ^= 1;
    }
    let Mac4([a, b, c, d]) = key.smac(iv, &[&[cla, ins, p1, covered_p2, lc], &covered]);
    match fault {
        SecureFault::NoMac => Vec::new(),
        SecureFault::WrongBit => vec![a, b, c, d ^ 1],
        _ => vec![a, b, c, d],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_pin_stays_a_pin() {
        assert_eq!(changed_pin(&[0x12, 0x3F], 1), [0x22, 0x3F]);
        assert_eq!(changed_pin(&[0x92], 2), [0x12]);
        assert!(changed_pin(&[], 1).is_empty());
    }
}
