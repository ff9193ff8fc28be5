//! PIN commands that need no challenge (`epurse.md` 2).

use super::Worked;
use ykt_base::KeyIndex;
use ykt_base::apdu::COMMAND_LEN_MAX;
use ykt_crypto::CardKey;
use ykt_purse::command;
use ykt_purse::pin::{ChangePin, ReloadPin, reload_mac};
use ykt_purse::write_key::Pin;

/// VERIFY.
pub(crate) fn verify_pin(id: KeyIndex, pin: &Pin) -> Worked {
    let mut worked = Worked::default();
    let command = command::verify(id.0, pin);
    worked.push("apdu", command.encode(&mut [0; COMMAND_LEN_MAX]), "00 20 00 id: PIN");
    worked
}

/// CHANGE PIN.
pub(crate) fn change_pin(id: KeyIndex, old: Pin, new: Pin) -> Worked {
    let mut worked = Worked::default();
    worked.push("apdu", &ChangePin { id, old, new }.to_apdu(), "80 5E 01 id: old PIN, FF, new PIN");
    worked
}

/// RELOAD PIN under the card's reload key DRPK.
pub(crate) fn reload_pin(id: KeyIndex, drpk: &CardKey, new: Pin) -> Worked {
    let mut worked = Worked::default();
    let key = drpk.tac_key();
    let how = match drpk {
        CardKey::Tdes(_) => "left half of DRPK XOR right half",
        CardKey::Des(_) | CardKey::Sm4(_) => "DRPK as it is",
    };
    worked.push("mac_key", key.expose(), how);
    let mac = reload_mac(&key, &new);
    worked.push("mac", &mac.0, "TMAC(MAC key) over the new PIN");
    worked.push("apdu", &ReloadPin { id, new, mac }.to_apdu(), "80 5E 00 id: new PIN, MAC");
    worked
}
