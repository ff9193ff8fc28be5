//! Chips the targets begin with; made once, then copied.

use std::sync::{Arc, OnceLock};
use ykt_base::Date;
use ykt_card::{ArrayMemory, Blank, Card, IMAGE_LEN_DEMO};
use ykt_city::factory::Factory;
use ykt_city::rng::SeededRng;
use ykt_crypto::Key16;
use ykt_purse::create::Access;
use ykt_vault::{DEMO_TRANSPORT_KEY, Levels, Origin, SoftVault};

/// Memory of a chip.
pub(crate) type Chip = ArrayMemory<IMAGE_LEN_DEMO>;

/// The keys of all targets.
pub(crate) fn vault() -> Arc<SoftVault> {
    static MADE: OnceLock<Arc<SoftVault>> = OnceLock::new();
    let generate = |levels| {
        let mut rng = SeededRng::stream(1, "fuzz keys");
        Arc::new(SoftVault::generate(levels, &mut rng, Origin::Demo))
    };
    MADE.get_or_init(|| generate(Levels::nation_city_card())).clone()
}

/// First day of the cards.
pub(crate) fn first_day() -> Date {
    Date::new(2026, 3, 2).expect("a day")
}

/// Two personalised user cards and a PSAM.
pub(crate) fn personalised() -> &'static [Chip; 3] {
    static MADE: OnceLock<[Chip; 3]> = OnceLock::new();
    MADE.get_or_init(|| {
        let vault = vault();
        let factory = Factory::new(&*vault, first_day(), 1);
        let card = |index| factory.card_in(Chip::new(), index).expect("a card").into_memory();
        let psam = factory.psam_in(Chip::new(), 0).expect("a PSAM");
        [card(0), card(1), psam.into_memory()]
    })
}

/// Blank chips of every kind, the last one open: files may be made in it by anybody.
pub(crate) fn blank() -> &'static [Chip; 4] {
    static MADE: OnceLock<[Chip; 4]> = OnceLock::new();
    MADE.get_or_init(|| {
        let key = Key16::from_bytes(DEMO_TRANSPORT_KEY);
        let made = |blank: &Blank<'_>| Card::blank(Chip::new(), blank).expect("a chip").into_memory();
        let user = || Blank::user_card([1; 8], &key);
        [
            made(&user()),
            made(&Blank::psam([2; 8], &key)),
            made(&Blank::key_card([3; 8], &key)),
            made(&Blank { mf_create: Access::ALWAYS, ..user() }),
        ]
    })
}
