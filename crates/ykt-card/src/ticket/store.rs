//! The ticket store in memory.
//!
//! Body: online counter (2), offline counter (2), then places. A place: state (1), issuer (1), uses left (1), length
//! of the ticket (1), last proof (29), the ticket. A place is free, or holds a ticket, or remembers one that was
//! deleted: then it is as good as free, but gives the proof until another ticket takes it.

use crate::card::Card;
use crate::files::{File, FileId, FileKind, file};
use crate::memory::{Batch, BatchFull, Memory, Store};
use ykt_base::{CardCounter, KeyIndex, StatusWord, TicketId};
use ykt_crypto::sm::Bytes;
use ykt_purse::ticket::{PROOF_LEN, Proof, Room, STORE_FID, TICKET_LEN_MAX, Terms, View};

const OFFLINE_AT: usize = 2;
const PLACES_AT: usize = 4;
/// Bytes of a place before its proof, and before its ticket.
const PLACE_HEAD_LEN: usize = 4;
const TICKET_AT: usize = PLACE_HEAD_LEN + PROOF_LEN;

/// Length of a store's body.
pub(crate) fn store_len(places: u8, len: u8) -> usize {
    usize::from(places).saturating_mul(place_len(len)).saturating_add(PLACES_AT)
}

fn place_len(len: u8) -> usize {
    usize::from(len).saturating_add(TICKET_AT)
}

/// Tickets in a store file.
pub(crate) fn occupied<M: Memory>(store: &Store<M>, file: &File) -> usize {
    TicketStore::of(*file).map_or(0, |tickets| tickets.stored(store).count())
}

/// Whether a place holds a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlaceState {
    Free,
    Stored,
    /// Free, but the last proof is still that of the ticket that was here.
    Deleted,
}

impl PlaceState {
    const fn code(self) -> u8 {
        match self {
            PlaceState::Free => 0x00,
            PlaceState::Stored => 0x01,
            PlaceState::Deleted => 0x02,
        }
    }

    const fn from_code(code: u8) -> PlaceState {
        match code {
            0x01 => PlaceState::Stored,
            0x02 => PlaceState::Deleted,
            _ => PlaceState::Free,
        }
    }
}

/// One place of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: usize,
    pub(super) state: PlaceState,
    pub(super) issuer: KeyIndex,
    /// Uses left.
    pub(super) uses: u8,
    /// Length of the ticket.
    pub(super) len: u8,
}

impl Place {
    fn read<M: Memory>(store: &Store<M>, at: usize) -> Place {
        let [state, issuer, uses, len] = store.read(at);
        Place { at, state: PlaceState::from_code(state), issuer: KeyIndex(issuer), uses, len }
    }

    /// Where the ticket begins.
    pub(super) const fn ticket_at(&self) -> usize {
        self.at.saturating_add(TICKET_AT)
    }

    pub(super) fn id<M: Memory>(&self, store: &Store<M>) -> TicketId {
        TicketId(store.read(self.ticket_at()))
    }

    /// The whole ticket.
    pub(super) fn ticket<M: Memory>(&self, store: &Store<M>) -> Bytes<TICKET_LEN_MAX> {
        let mut ticket = Bytes::new();
        if ticket.resize(usize::from(self.len)).is_some() {
            store.read_into(self.ticket_at(), ticket.as_mut_bytes());
        }
        ticket
    }

    /// # Errors
    /// 6985 when its bytes are no ticket: no command can bring that about.
    pub(super) fn view<M: Memory>(&self, store: &Store<M>) -> Result<View, StatusWord> {
        let terms = Terms::of_ticket(&self.ticket(store)).ok_or(StatusWord::CONDITIONS)?;
        Ok(View { issuer: self.issuer, uses: self.uses, len: self.len, terms })
    }

    pub(super) fn proof<M: Memory>(&self, store: &Store<M>) -> Option<Proof> {
        Proof::from_bytes(&store.read::<PROOF_LEN>(self.at.saturating_add(PLACE_HEAD_LEN)))
    }

    /// Puts everything but the ticket itself, and but a proof when there is no new one.
    pub(super) fn put(&self, batch: &mut Batch, proof: Option<&Proof>) -> Result<(), BatchFull> {
        let head = [self.state.code(), self.issuer.0, self.uses, self.len];
        match proof {
            Some(proof) => batch.write(self.at, &[&head, &proof.to_bytes()]),
            None => batch.write(self.at, &[&head]),
        }
    }
}

/// The store of the current application.
#[derive(Debug, Clone, Copy)]
pub(super) struct TicketStore {
    pub(super) file: File,
    places: u8,
    /// Bytes of the longest ticket.
    pub(super) len: u8,
}

impl TicketStore {
    fn of(file: File) -> Option<TicketStore> {
        match file.kind {
            FileKind::Tickets { places, len } => Some(TicketStore { file, places, len }),
            _ => None,
        }
    }

    pub(super) fn online<M: Memory>(&self, store: &Store<M>) -> CardCounter {
        CardCounter::from_bytes(store.read(self.file.body))
    }

    pub(super) fn offline<M: Memory>(&self, store: &Store<M>) -> CardCounter {
        CardCounter::from_bytes(store.read(self.file.body.saturating_add(OFFLINE_AT)))
    }

    pub(super) fn put_online(&self, batch: &mut Batch, counter: CardCounter) -> Result<(), BatchFull> {
        batch.write(self.file.body, &[&counter.to_bytes()])
    }

    pub(super) fn put_offline(&self, batch: &mut Batch, counter: CardCounter) -> Result<(), BatchFull> {
        batch.write(self.file.body.saturating_add(OFFLINE_AT), &[&counter.to_bytes()])
    }

    fn places<M: Memory>(&self, store: &Store<M>) -> impl Iterator<Item = Place> {
        let first = self.file.body.saturating_add(PLACES_AT);
        let step = place_len(self.len);
        (0..usize::from(self.places))
            .map(move |index| Place::read(store, index.saturating_mul(step).saturating_add(first)))
    }

    /// The places that hold a ticket.
    pub(super) fn stored<M: Memory>(&self, store: &Store<M>) -> impl Iterator<Item = Place> {
        self.places(store).filter(|place| place.state == PlaceState::Stored)
    }

    /// The place that holds the ticket of an id.
    ///
    /// # Errors
    /// 6A83 without one.
    pub(super) fn find<M: Memory>(&self, store: &Store<M>, id: TicketId) -> Result<Place, StatusWord> {
        self.stored(store).find(|place| place.id(store) == id).ok_or(StatusWord::RECORD_NOT_FOUND)
    }

    /// The place that held the ticket of an id and was not taken by another.
    pub(super) fn find_deleted<M: Memory>(&self, store: &Store<M>, id: TicketId) -> Option<Place> {
        self.places(store).find(|place| place.state == PlaceState::Deleted && place.id(store) == id)
    }

    /// The place for a new ticket: the one that remembers its id, so that no id is remembered twice; else one
    /// that remembers nothing; else any that is free.
    pub(super) fn place_for<M: Memory>(&self, store: &Store<M>, id: TicketId) -> Option<Place> {
        self.find_deleted(store, id)
            .or_else(|| self.places(store).find(|place| place.state == PlaceState::Free))
            .or_else(|| self.places(store).find(|place| place.state == PlaceState::Deleted))
    }

    pub(super) fn room<M: Memory>(&self, store: &Store<M>) -> Room {
        Room {
            places: self.places,
            free: self.free(store),
            len: self.len,
            online: self.online(store),
            offline: self.offline(store),
        }
    }

    /// Places a new ticket can take.
    pub(super) fn free<M: Memory>(&self, store: &Store<M>) -> u8 {
        let taken = u8::try_from(self.stored(store).count()).unwrap_or(u8::MAX);
        self.places.saturating_sub(taken)
    }
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6985 outside of a ticket application.
    pub(super) fn tickets(&self) -> Result<TicketStore, StatusWord> {
        file(&self.store, &self.session.directory, FileId(STORE_FID))
            .and_then(TicketStore::of)
            .ok_or(StatusWord::CONDITIONS)
    }
}
