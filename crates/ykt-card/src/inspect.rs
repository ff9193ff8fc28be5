//! A look into the card from outside, for engineers with an image on their desk: directories, files with their
//! rights, purses, and which keys there are. Never the bytes of a key or PIN.

use crate::bank;
use crate::card::Card;
use crate::files::{BlockState, Directory, Entry, File, FileKind, entries, master};
use crate::memory::{Memory, Store};
use crate::purse;
use crate::security::{KeySlot, key_slots};
use crate::ticket;
use crate::token;
use ykt_base::{CardCounter, KeyVersion};
use ykt_crypto::sm2::PublicKey;
use ykt_purse::PurseFen;
use ykt_purse::create::{Access, Protection, Structure};
use ykt_purse::token::{PinPolicy, Purpose};
use ykt_purse::write_key::ErrorCounter;

/// One thing on a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight<'a> {
    /// The MF or an application; what follows is inside it.
    Directory {
        /// File id.
        fid: [u8; 2],
        /// Application name; empty for the MF.
        name: &'a [u8],
        /// Right to create files.
        create: Access,
        /// Whether it is blocked.
        block: BlockState,
        /// Bytes in use.
        used: usize,
        /// Bytes of room.
        size: usize,
    },
    /// A file with data.
    File {
        /// File id.
        fid: [u8; 2],
        /// What it holds.
        structure: Structure,
        /// How changes must come.
        protection: Protection,
        /// Right to read.
        read: Access,
        /// Right to change.
        write: Access,
    },
    /// A purse.
    Purse {
        /// File id.
        fid: [u8; 2],
        /// Balance, online and offline counter; `None` when its bytes are no purse.
        state: Option<(PurseFen, CardCounter, CardCounter)>,
    },
    /// A ticket store.
    Tickets {
        /// File id.
        fid: [u8; 2],
        /// Tickets it holds at most.
        places: u8,
        /// Bytes of the longest ticket.
        len: u8,
        /// Tickets in it.
        stored: usize,
    },
    /// A bank card.
    BankCard {
        /// File id.
        fid: [u8; 2],
        /// Its counter.
        counter: CardCounter,
    },
    /// An SM2 key pair.
    KeyPair {
        /// File id.
        fid: [u8; 2],
        /// What it signs.
        purpose: Purpose,
        /// When the holder's PIN is asked for.
        pin: PinPolicy,
        /// The public key; `None` before the card made one.
        public: Option<PublicKey>,
    },
    /// The key file of the directory; its keys follow.
    Keys {
        /// Right to add keys.
        add: Access,
        /// Bytes of room.
        size: usize,
    },
    /// A key, or a PIN.
    Key {
        /// Usage byte.
        usage: u8,
        /// Id.
        id: u8,
        /// Version.
        version: KeyVersion,
        /// Algorithm byte; length of a PIN.
        algorithm: u8,
        /// Right to use it.
        use_right: Access,
        /// State it leads to.
        leads_to: u8,
        /// Right to change it.
        change_right: Access,
        /// Tries.
        tries: ErrorCounter,
    },
}

impl<M: Memory> Card<M> {
    /// Shows everything on the card to `see`, directory by directory.
    pub fn inspect(&self, see: &mut dyn FnMut(Sight<'_>)) {
        let mf = master(&self.store, &self.factory);
        inspect_directory(&self.store, &mf, see);
        for entry in entries(&self.store, &mf) {
            if let Entry::Directory(directory) = entry {
                inspect_directory(&self.store, &directory, see);
            }
        }
    }
}

fn inspect_directory<M: Memory>(store: &Store<M>, directory: &Directory, see: &mut dyn FnMut(Sight<'_>)) {
    see(Sight::Directory {
        fid: directory.id.0,
        name: directory.name(),
        create: directory.create,
        block: directory.block,
        used: directory.used(store),
        size: directory.room(),
    });
    for entry in entries(store, directory) {
        if let Entry::File(file) = entry {
            inspect_file(store, &file, see);
        }
    }
}

fn inspect_file<M: Memory>(store: &Store<M>, file: &File, see: &mut dyn FnMut(Sight<'_>)) {
    let fid = file.id.0;
    match file.kind {
        FileKind::Data(structure) => see(Sight::File {
            fid,
            structure,
            protection: file.protection,
            read: file.read,
            write: file.write,
        }),
        FileKind::Purse { .. } => see(Sight::Purse { fid, state: purse::stored(store, file) }),
        FileKind::Tickets { places, len } => {
            see(Sight::Tickets { fid, places, len, stored: ticket::occupied(store, file) });
        }
        FileKind::BankCard { .. } => see(Sight::BankCard { fid, counter: bank::counter(store, file) }),
        FileKind::KeyPair { purpose, pin } => {
            see(Sight::KeyPair { fid, purpose, pin, public: token::public_key(store, file) });
        }
        FileKind::Keys => {
            see(Sight::Keys { add: file.write, size: file.len });
            for KeySlot { usage, id, attributes, .. } in key_slots(store, file) {
                see(Sight::Key {
                    usage,
                    id,
                    version: attributes.version,
                    algorithm: attributes.algorithm,
                    use_right: attributes.use_right,
                    leads_to: attributes.leads_to,
                    change_right: attributes.change_right,
                    tries: attributes.tries.0,
                });
            }
        }
    }
}
