//! The border between line and centre: many cards at once with few questions, and a centre that makes the commands
//! of a profile's steps and nothing else.

use crate::desk::{Desk, card_data, key_card_data, pin, psam_data, vault};
use ykt_base::Asn8;
use ykt_card::CardKind;
use ykt_crypto::sm::CommandBytes;
use ykt_issue::profile::{Action, Content};
use ykt_issue::{
    CardData, CommandMaker, DownloadError, IssueError, KeyDownload, Personalisation, Profile, Stage,
    StepRequest, Subject, personalise_card_with,
};
use ykt_purse::files::PublicDataLayout;
use ykt_vault::{SoftVault, VaultError};

const IV: [u8; 8] = [1, 2, 3, 4, 0, 0, 0, 0];

fn subject(profile: &Profile) -> Subject {
    match profile.kind {
        CardKind::User => card_data().subject(profile.layout),
        CardKind::Psam => psam_data(PublicDataLayout::City).subject(),
        CardKind::KeyCard => key_card_data(profile).subject(),
    }
}

/// The number of the first step whose action is like this.
fn step_of(profile: &Profile, wanted: impl Fn(&Action) -> bool) -> u16 {
    let before = profile.steps.iter().position(|step| wanted(&step.action)).unwrap();
    u16::try_from(before + 1 + usize::from(profile.preset.is_some())).unwrap()
}

/// A line runs three cards abreast; each gets the very commands it would get alone.
#[test]
fn cards_side_by_side_are_made_as_alone() {
    let (vault, profile) = (vault(), Profile::city_cpu());
    let data: Vec<CardData> = (1..=3)
        .map(|number| {
            let mut data = card_data();
            data.asn.0[7] = number;
            data
        })
        .collect();
    let mut alone = Vec::new();
    for data in &data {
        let mut desk = Desk::blank(&profile);
        ykt_issue::personalise_card(&mut desk, &vault, &profile, data, &mut |_| {}).unwrap();
        alone.push(desk.dialogue.take());
    }
    let mut abreast: Vec<_> =
        data.iter().map(|data| (Desk::blank(&profile), Personalisation::card(&profile, data))).collect();
    let mut stages: Vec<_> =
        abreast.iter_mut().map(|(desk, card)| card.begin(desk, &mut |_| {}).unwrap()).collect();
    let mut rounds = 0;
    while stages.contains(&Stage::Asks) {
        rounds += 1;
        for (((desk, card), stage), data) in abreast.iter_mut().zip(&mut stages).zip(&data) {
            let subject = data.subject(profile.layout);
            let maker = CommandMaker { vault: &vault, profile: &profile, subject: &subject };
            let command = maker.make(&card.request().unwrap()).unwrap();
            *stage = card.go_on(desk, &command, &mut |_| {}).unwrap();
        }
    }
    let questions = profile.steps.iter().filter(|step| step.action.needs_key()).count();
    assert_eq!(rounds, questions, "one question a step, whatever the number of cards");
    for ((desk, card), alone) in abreast.iter_mut().zip(alone) {
        assert_eq!(desk.dialogue.take(), alone);
        assert!(card.request().is_none());
        let again = card.go_on(desk, &[0, 0, 0, 0], &mut |_| {}).unwrap_err();
        assert!(again.to_string().contains("a command came that no step asks for"), "{again}");
    }
}

/// Whatever number and data a line comes with: a step that needs no key gives no command, and one that needs a key
/// takes no data but its own.
#[test]
fn a_line_gets_the_commands_of_the_steps_and_nothing_else() {
    let vault = vault();
    for profile in Profile::shipped() {
        let subject = subject(&profile);
        let maker = CommandMaker { vault: &vault, profile: &profile, subject: &subject };
        let ask = |step: usize, block: Option<u16>, data: &[u8]| {
            maker.make(&StepRequest { step: u16::try_from(step).unwrap(), block, iv: IV, data })
        };
        let refused = |step, block, data: &[u8]| {
            let found = ask(step, block, data);
            assert!(
                matches!(found, Err(DownloadError::Request { .. })),
                "{}, step {step}, {} bytes",
                profile.name,
                data.len()
            );
        };
        let presets = usize::from(profile.preset.is_some());
        for outside in [0, profile.steps_len() + 1, usize::from(u16::MAX)] {
            refused(outside, None, &[]);
        }
        for (number, step) in (1 + presets..).zip(&profile.steps) {
            match &step.action {
                action if !action.needs_key() => {
                    for data in [&[][..], &[0x12, 0x34, 0x56], &[0; 30]] {
                        refused(number, None, data);
                    }
                }
                Action::WritePin { .. } | Action::WriteOperatorPin { .. } => {
                    for data in [&[][..], &[0x12], &[0xAB, 0xCD], &[0x12; 7]] {
                        refused(number, None, data);
                    }
                    refused(number, Some(0), pin().as_bytes());
                    assert!(ask(number, None, pin().as_bytes()).is_ok());
                }
                Action::Write(new) => {
                    refused(number, None, &[0; 209]);
                    match &new.content {
                        Content::AuthenticationCode => refused(number, None, &[0; 9]),
                        Content::Bytes(bytes) => {
                            let mut other = bytes.clone();
                            other[0] ^= 1;
                            refused(number, None, &other);
                            refused(number, None, &bytes[1..]);
                            assert!(ask(number, None, bytes).is_ok());
                        }
                        Content::PublicData | Content::SamCardData => refused(number, None, &[0; 30]),
                        _ => refused(number, None, &[]),
                    }
                }
                _ => {
                    refused(number, None, &[0]);
                    refused(number, Some(0), &[]);
                    assert!(ask(number, None, &[]).is_ok(), "{}, step {number}", profile.name);
                }
            }
        }
    }
}

/// A line cannot put another card's number on a card.
#[test]
fn public_data_of_another_card_are_refused() {
    let (vault, profile) = (vault(), Profile::city_cpu());
    let step = step_of(
        &profile,
        |action| matches!(action, Action::Write(new) if new.content == Content::PublicData),
    );
    /// Lets another card's commands be made than the one that is asked for.
    struct Swapped<'a>(CommandMaker<'a>, u16);
    impl KeyDownload for Swapped<'_> {
        fn command(&mut self, request: &StepRequest<'_>) -> Result<CommandBytes, DownloadError> {
            if request.step == self.1 {
                return self.0.make(request);
            }
            let subject = card_data().subject(PublicDataLayout::City);
            CommandMaker { subject: &subject, ..self.0 }.make(request)
        }
    }
    let other = CardData { asn: Asn8([0x21, 0x44, 0, 0, 0, 0, 0, 0x18]), ..card_data() };
    let subject = other.subject(profile.layout);
    let maker = CommandMaker { vault: &vault, profile: &profile, subject: &subject };
    let mut desk = Desk::blank(&profile);
    let made =
        personalise_card_with(&mut desk, &mut Swapped(maker, step), &profile, &card_data(), &mut |_| {});
    let Err(IssueError::Download { number, source: DownloadError::Request { .. }, .. }) = made else {
        panic!("{made:?}")
    };
    assert_eq!(number, usize::from(step));
}

/// A centre that fails in the middle: the error names the step, and the step can be asked for again.
#[test]
fn a_command_that_does_not_come_names_its_step() {
    struct Failing(SoftVault, u32);
    impl KeyDownload for Failing {
        fn command(&mut self, request: &StepRequest<'_>) -> Result<CommandBytes, DownloadError> {
            self.1 += 1;
            if self.1 == 3 {
                return Err(DownloadError::NoAnswer("the wire is cut".to_owned()));
            }
            let (profile, subject) = (Profile::city_cpu(), card_data().subject(PublicDataLayout::City));
            CommandMaker { vault: &self.0, profile: &profile, subject: &subject }.make(request)
        }
    }
    let (profile, data) = (Profile::city_cpu(), card_data());
    let (mut desk, mut centre) = (Desk::blank(&profile), Failing(vault(), 0));
    let mut card = Personalisation::card(&profile, &data);
    let mut stage = card.begin(&mut desk, &mut |_| {}).unwrap();
    let mut failures = Vec::new();
    while stage == Stage::Asks {
        match centre.command(&card.request().unwrap()) {
            Ok(command) => stage = card.go_on(&mut desk, &command, &mut |_| {}).unwrap(),
            Err(error) => failures.push(card.failed(error).to_string()),
        }
    }
    assert_eq!(failures, ["step 4 (card maintenance key): no key was downloaded"]);
    let key = ykt_vault::KeyRef::new(ykt_vault::KeyKind::Load, 1, 1);
    let refused = card.failed(DownloadError::Vault(VaultError::NoSuchKey { key }));
    assert!(matches!(refused, IssueError::Vault { .. }), "{refused}");
}
