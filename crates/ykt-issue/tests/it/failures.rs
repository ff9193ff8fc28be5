//! What goes wrong on the line: a card that leaves, a card that says no, keys that are missing, a card of another sort.

use crate::desk::{Desk, card_data, made, personalise, vault};
use ykt_base::{CardChannel, ChannelError, Response, StatusWord};
use ykt_card::CardKind;
use ykt_issue::{CardData, IssueError, Profile, personalise_card};
use ykt_vault::{Levels, Origin, SoftVault};

/// Answers that a card gave, up to a command at which something happens.
struct Replay<'a> {
    answers: &'a [Response],
    at: usize,
    end: End,
}

#[derive(Clone, Copy)]
enum End {
    Removed,
    Refused,
}

impl CardChannel for Replay<'_> {
    fn transmit(&mut self, _: &[u8]) -> Result<Response, ChannelError> {
        let Some((answer, rest)) = self.answers.split_first() else {
            return match self.end {
                End::Removed => Err(ChannelError::Removed),
                End::Refused => Ok(Response::status(StatusWord::CONDITIONS)),
            };
        };
        (self.answers, self.at) = (rest, self.at + 1);
        Ok(*answer)
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }
}

/// Keeps every answer with the step it was given in.
struct Keeping {
    desk: Desk,
    answers: Vec<Response>,
}

impl CardChannel for Keeping {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        let answer = self.desk.transmit(command)?;
        self.answers.push(answer);
        Ok(answer)
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        self.desk.reset()
    }
}

/// Whatever the command, a card that is gone or refuses it stops the work, and the error names the step.
#[test]
fn each_command_taken_away_or_refused_names_its_step() {
    let vault = vault();
    for profile in Profile::shipped() {
        let mut kept = Keeping { desk: Desk::blank(&profile), answers: Vec::new() };
        let commands = personalise(&mut kept, &vault, &profile, &mut |_| {}).unwrap();
        assert_eq!(kept.answers.len(), commands);
        for (at, end) in (0..commands).flat_map(|at| [(at, End::Removed), (at, End::Refused)]) {
            let mut replay = Replay { answers: &kept.answers[..at], at: 0, end };
            let mut last = (0, String::new());
            let mut tell = |step: ykt_issue::Progress<'_>| last = (step.number, step.title.to_owned());
            let error = personalise(&mut replay, &vault, &profile, &mut tell).unwrap_err();
            let found = match (end, &error) {
                (End::Removed, IssueError::Silent { number, title, source: ChannelError::Removed, .. }) => {
                    (*number, title.clone())
                }
                (End::Refused, IssueError::Answer { number, title, found, .. }) => {
                    assert_eq!(*found, StatusWord::CONDITIONS);
                    (*number, title.clone())
                }
                _ => panic!("{}, command {at}: {error}", profile.name),
            };
            assert_eq!((replay.at, found), (at, last), "{}, command {at}", profile.name);
            assert!(error.to_string().starts_with("step "), "{error}");
        }
    }
}

/// Answers that cannot be are an error too, also where a card says yes.
#[test]
fn answers_that_cannot_be_are_refused() {
    let (vault, profile) = (vault(), Profile::named("token").unwrap());
    let mut kept = Keeping { desk: Desk::blank(&profile), answers: Vec::new() };
    personalise(&mut kept, &vault, &profile, &mut |_| {}).unwrap();
    let mut expected = Vec::new();
    for at in 0..kept.answers.len() {
        if kept.answers[at].data().is_empty() {
            continue;
        }
        let mut answers = kept.answers.clone();
        answers[at] = Response::new(&[0x04, 0x05, 0x06], StatusWord::OK).unwrap();
        let mut replay = Replay { answers: &answers, at: 0, end: End::Removed };
        match personalise(&mut replay, &vault, &profile, &mut |_| {}) {
            Err(IssueError::Unreadable { expected: wanted, found: 3, .. }) => expected.push(wanted),
            // SELECT answers what nobody here reads.
            Ok(_) => {}
            Err(error) => panic!("command {at}: {error}"),
        }
    }
    expected.sort_unstable();
    expected.dedup();
    assert_eq!(expected, ["a challenge of 4 bytes", "a challenge of 8 bytes", "a public key of 65 bytes"]);
}

#[test]
fn a_wrong_answer_names_step_command_and_status_words() {
    let profile = Profile::city_cpu();
    let mut desk = Desk::blank_with(&profile, [0x55; 16]);
    let error = personalise(&mut desk, &vault(), &profile, &mut |_| {}).unwrap_err();
    let IssueError::Answer { number, title, command, expected, found } = &error else { panic!("{error}") };
    assert_eq!((*number, title.as_str(), command.as_str()), (2, "card master key", "84D48039"));
    assert_eq!((*expected, *found), (StatusWord::OK, StatusWord::MAC_WRONG));
    let text = error.to_string();
    assert!(text.contains("expected 9000 (ok), found 6988 (secure messaging MAC wrong)"), "{text}");
}

#[test]
fn profiles_and_cards_of_two_sorts_do_not_meet() {
    for name in ["psam", "key-card"] {
        let profile = Profile::named(name).unwrap();
        assert_ne!(profile.kind, CardKind::User);
        let mut desk = Desk::blank(&profile);
        let error = personalise_card(&mut desk, &vault(), &profile, &card_data(), &mut |_| {}).unwrap_err();
        assert!(matches!(error, IssueError::Profile { .. }), "{error}");
    }
    let profile = Profile::city_cpu();
    let empty = SoftVault::empty(Levels::nation_city_card(), Origin::Demo);
    let error = personalise(&mut Desk::blank(&profile), &empty, &profile, &mut |_| {}).unwrap_err();
    assert!(matches!(error, IssueError::Vault { number: 2, .. }), "{error}");
    // A personalised card takes no second personalisation.
    let error = personalise(&mut made("city-cpu"), &vault(), &profile, &mut |_| {}).unwrap_err();
    assert!(matches!(error, IssueError::Answer { number: 1, .. }), "{error}");
}

/// A profile that asks for more than the holder has says which step wanted what.
#[test]
fn what_the_holder_has_not_is_named() {
    let (vault, profile) = (vault(), Profile::named("citizen").unwrap());
    for (change, what) in [
        ((|data| data.banks.clear()) as fn(&mut CardData), "no bank card of this number"),
        (|data| data.banks.truncate(1), "no bank card of this number"),
        (|data| data.identity = None, "no identity of the holder"),
    ] {
        let mut data = card_data();
        change(&mut data);
        let mut desk = Desk::blank(&profile);
        let error = personalise_card(&mut desk, &vault, &profile, &data, &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        assert!(matches!(error, IssueError::Profile { number: 1.., .. }));
    }
    let mut early = profile;
    early.steps.retain(|step| !step.title.contains("the card makes its key pair"));
    let error = personalise(&mut Desk::blank(&early), &vault, &early, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("no step before this one made the key pair"), "{error}");
}
