//! One bank card: InitMC, ReadMC, Transmit_Consume_Note, Read_Share_Sign.
//!
//! Body of EF 0004: counter (2).

use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::command::Wanted;
use crate::files::{File, FileId, FileKind, Sfi, append, file, file_by_sfi, record};
use crate::memory::{Memory, ShortBatch, Store};
use crate::purse::draw;
use crate::security::{KeyName, KeySlot};
use crate::session::Pending;
use ykt_base::apdu::RESPONSE_DATA_LEN_MAX;
use ykt_base::{CardCounter, Random4, Rng, StatusWord};
use ykt_crypto::sm::Bytes;
use ykt_crypto::{CardKey, SessionKey};
use ykt_purse::bank::{
    self, CARD_FID, InitAnswer, InitMc, NOTE_LEN, ReadMc, ReadSign, TRACKS_LEN_MAX, Terms, Tracks,
    TransmitNote,
};
use ykt_purse::create::{Access, Structure};
use ykt_purse::write_key::KeyUsage;

/// Length of the body.
pub(crate) const BODY_LEN: usize = 2;
/// Bytes of a signature file before the picture: its length.
const PICTURE_AT: usize = 2;

/// A conversation with the bank, from InitMC until another command.
pub(crate) struct PendingBank {
    terms: Terms,
    session: SessionKey,
    random: Random4,
    counter: CardCounter,
    key: KeySlot,
    /// Whether ReadMC brought the bank's MAC.
    authorised: bool,
}

/// The bank card of the current application.
#[derive(Clone, Copy)]
struct BankCard {
    file: File,
    tracks: Sfi,
    signature: Option<Sfi>,
    log: Sfi,
}

/// The counter of a bank card's file.
pub(crate) fn counter<M: Memory>(store: &Store<M>, file: &File) -> CardCounter {
    CardCounter::from_bytes(store.read(file.body))
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6985 no bank card, 6982 without its right, 9403 no such key, 6983 key locked, 9402 counter used up.
    #[inline(never)]
    pub(super) fn init_mc(&mut self, rng: &mut dyn Rng, init: InitMc) -> Outcome {
        let InitMc { key_index, terms } = init;
        let card = self.bank_card()?;
        self.session.require(card.file.read)?;
        let key = self.usable_key(KeyName::User(KeyUsage::BankCard, key_index), StatusWord::KEY_INDEX)?;
        let counter = counter(&self.store, &card.file);
        counter.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;

        let random = draw(rng);
        let session = bank::session_key(&key.material(&self.store), random, counter);
        let given = InitAnswer {
            counter,
            key_version: key.attributes.version,
            algorithm: key.attributes.algorithm,
            random,
            mac1: bank::mac1(&session, counter, &terms),
        };
        self.talk_on(PendingBank { terms, session, random, counter, key, authorised: false });
        self.answer(&given.to_bytes())
    }

    /// Counts the transaction, then gives the tracks away.
    ///
    /// # Errors
    /// 6901 when they were given already, 9302 wrong MAC, 6985 no tracks or tracks that others may read, 6Cxx,
    /// 9402, 6581.
    #[inline(never)]
    pub(super) fn read_mc(&mut self, read: ReadMc, wanted: Wanted, mut pending: PendingBank) -> Outcome {
        if pending.authorised {
            return Err(StatusWord::NOT_INITIALIZED);
        }
        let expected = bank::authorisation(&pending.session, &pending.terms);
        let mut batch = ShortBatch::new();
        self.check_mac(&pending.key, expected, read.mac, &mut batch)?;
        let card = self.bank_card()?;
        let key = bank::track_key(&pending.key.material(&self.store), pending.random, pending.counter);
        self.answer_tracks(&card, &key)?;
        let mac2 = bank::mac2(&pending.session, pending.counter, &self.session.answer);
        self.session.answer.push(mac2.as_bytes()).ok_or(StatusWord::NO_DIAGNOSIS)?;
        wanted.exact(self.session.answer.len())?;
        let next = pending.counter.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        batch.write(card.file.body, &[&next.to_bytes()])?;
        self.store.commit(&batch)?;
        pending.authorised = true;
        self.talk_on(pending);
        done()
    }

    /// Keeps a note in the log. The same note again is answered alike and kept once: the answer to the first may
    /// have been lost.
    ///
    /// # Errors
    /// 9302 wrong MAC, 6985 a note of a transaction that has not been, or no log, 6581.
    #[inline(never)]
    pub(super) fn take_note(&mut self, command: &TransmitNote, pending: PendingBank) -> Outcome {
        let TransmitNote { note, mac } = command;
        let mut batch = ShortBatch::new();
        self.check_mac(&pending.key, bank::note_mac(&pending.session, note), *mac, &mut batch)?;
        let card = self.bank_card()?;
        if note.counter >= counter(&self.store, &card.file) {
            return Err(StatusWord::CONDITIONS);
        }
        let log = file_by_sfi(&self.store, &self.session.directory, card.log);
        let log = log.filter(|log| is_log(log.kind)).ok_or(StatusWord::CONDITIONS)?;
        let bytes = note.to_bytes();
        let mut notes = (1..=u8::MAX).map_while(|number| record(&self.store, &log, number));
        let is_new = !notes.any(|(at, _)| self.store.read::<NOTE_LEN>(at) == bytes);
        if is_new {
            append(&mut batch, &self.store, &log, &bytes)?;
        }
        if !batch.is_empty() {
            self.store.commit(&batch)?;
        }
        if is_new && self.session.directory.switches.state_ends_with_transaction {
            self.session.drop_application_state();
        }
        let mac3 = bank::mac3(&pending.session, note);
        self.talk_on(pending);
        self.answer(mac3.as_bytes())
    }

    /// # Errors
    /// 6982 before ReadMC, 6A82 without a picture, 6B00 past its end, 6Cxx.
    #[inline(never)]
    pub(super) fn read_sign(&mut self, read: ReadSign, wanted: Wanted, pending: PendingBank) -> Outcome {
        if !pending.authorised {
            return Err(StatusWord::SECURITY_STATUS);
        }
        let file = self.bank_card()?.signature.ok_or(StatusWord::NOT_FOUND)?;
        let file = self.hidden_file(file).ok_or(StatusWord::NOT_FOUND)?;
        let len = usize::from(u16::from_be_bytes(self.store.read(file.body)));
        let len = len.min(file.len.saturating_sub(PICTURE_AT));
        let offset = usize::from(read.offset);
        let there = len.checked_sub(offset).filter(|there| *there > 0).ok_or(StatusWord::WRONG_OFFSET)?;
        let len = wanted.up_to(there.min(RESPONSE_DATA_LEN_MAX))?;
        self.talk_on(pending);
        self.answer_stored(file.body.saturating_add(PICTURE_AT).saturating_add(offset), len)
    }

    fn talk_on(&mut self, pending: PendingBank) {
        self.session.pending = Some(Pending::Bank(pending));
    }

    /// # Errors
    /// 6985 outside of a bank card's application.
    fn bank_card(&self) -> Result<BankCard, StatusWord> {
        let found = file(&self.store, &self.session.directory, FileId(CARD_FID));
        match found.map(|file| (file.kind, file)) {
            Some((FileKind::BankCard { tracks, signature, log }, file)) => {
                Ok(BankCard { file, tracks, signature, log })
            }
            _ => Err(StatusWord::CONDITIONS),
        }
    }

    /// Answers the tracks, sealed.
    ///
    /// # Errors
    /// As [`Card::tracks`].
    #[inline(never)]
    fn answer_tracks(&mut self, card: &BankCard, key: &CardKey) -> Outcome {
        self.tracks(card)?.seal_into(key, &mut self.session.answer).ok_or(StatusWord::CONDITIONS)?;
        done()
    }

    /// # Errors
    /// 6985 when the track file is missing, empty or not closed to READ BINARY.
    fn tracks(&self, card: &BankCard) -> Result<Tracks, StatusWord> {
        let file = self.hidden_file(card.tracks).ok_or(StatusWord::CONDITIONS)?;
        let mut content = Bytes::<TRACKS_LEN_MAX>::new();
        content.resize(file.len.min(TRACKS_LEN_MAX)).ok_or(StatusWord::CONDITIONS)?;
        self.store.read_into(file.body, content.as_mut_bytes());
        Tracks::of_file(&content).ok_or(StatusWord::CONDITIONS)
    }

    /// A binary file that READ BINARY never reads.
    fn hidden_file(&self, sfi: Sfi) -> Option<File> {
        file_by_sfi(&self.store, &self.session.directory, sfi)
            .filter(|file| file.is_binary() && file.read == Access::NEVER)
    }
}

fn is_log(kind: FileKind) -> bool {
    matches!(kind, FileKind::Data(Structure::CyclicRecords { len, .. }) if usize::from(len) == NOTE_LEN)
}
