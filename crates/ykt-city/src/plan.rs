//! The day, planned: who goes where, when, and what goes wrong. Drawn from the seed before anything happens,
//! so that the plan does not depend on how the programs under it answer.

use crate::names::{self, Industry};
use crate::rng::SeededRng;
use ykt_base::{Date, DateTime, Fen, Time};

/// How large a city, how long, from which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// User cards issued.
    pub cards: usize,
    /// Terminals (POS) with a PSAM each.
    pub terminals: usize,
    /// Merchants.
    pub merchants: usize,
    /// Days of trade; the books also close the day after the last one.
    pub days: usize,
    /// Seed of everything.
    pub seed: u64,
    /// First day of trade.
    pub first_day: Date,
}

impl Scale {
    /// The day the company is founded and its cards are sold: the one before trade begins. `None` before the
    /// calendar's first day.
    #[must_use]
    pub fn founding_day(&self) -> Option<Date> {
        self.first_day.plus_days(-1)
    }
}

/// The largest city the simulation takes.
pub const CARDS_MAX: usize = 100_000;
/// Most terminals.
pub const TERMINALS_MAX: usize = 10_000;
/// Most merchants.
pub const MERCHANTS_MAX: usize = 2_000;
/// Most days of trade.
pub const DAYS_MAX: usize = 31;

/// When a card leaves the field during a purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pull {
    /// Before INITIALIZE FOR PURCHASE.
    BeforeInitialize,
    /// After INITIALIZE, before DEBIT.
    AfterInitialize,
    /// Inside DEBIT, at the next memory write in turn.
    InDebit,
    /// After DEBIT was committed, before its answer.
    AnswerLost,
}

/// When a card leaves, or the line to the host drops, during a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoadBreak {
    /// Paid, then the card leaves before INITIALIZE FOR LOAD.
    BeforeInitialize,
    /// The card leaves after INITIALIZE, before the host was asked.
    AfterInitialize,
    /// The host froze its MAC2, its answer is lost.
    HostAnswerLost,
    /// Inside CREDIT FOR LOAD, at the next memory write in turn.
    InCredit,
    /// CREDIT was committed, its answer is lost.
    AnswerLost,
    /// The card has credited; the confirmation to the host is lost.
    ConfirmLost,
    /// The citizen pays and never comes to the load terminal.
    NeverComes,
}

impl Pull {
    /// In a few words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Pull::BeforeInitialize => "before INITIALIZE",
            Pull::AfterInitialize => "after INITIALIZE",
            Pull::InDebit => "inside DEBIT",
            Pull::AnswerLost => "DEBIT done, answer lost",
        }
    }
}

impl LoadBreak {
    /// In a few words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            LoadBreak::BeforeInitialize => "before INITIALIZE",
            LoadBreak::AfterInitialize => "after INITIALIZE",
            LoadBreak::HostAnswerLost => "MAC2 frozen, host's answer lost",
            LoadBreak::InCredit => "inside CREDIT",
            LoadBreak::AnswerLost => "CREDIT done, answer lost",
            LoadBreak::ConfirmLost => "TAC taken, host's answer lost",
            LoadBreak::NeverComes => "paid, never came",
        }
    }
}

/// Something a citizen, a terminal or the counter does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// A load at a load terminal, paid before at the gateway.
    Load {
        /// Card number, from 0.
        card: usize,
        /// What is paid and loaded.
        amount: Fen,
        /// What goes wrong, if anything.
        fault: Option<LoadBreak>,
    },
    /// A purchase at a terminal.
    Purchase {
        /// Card number, from 0.
        card: usize,
        /// Terminal number, from 0.
        terminal: usize,
        /// The price.
        amount: Fen,
        /// What goes wrong, if anything.
        fault: Option<Pull>,
        /// Whether the citizen presents the card again at once after a pull.
        comes_back: bool,
    },
    /// The holder reports the card lost at the counter.
    ReportLoss {
        /// Card number, from 0.
        card: usize,
    },
    /// The terminal fetches the black list.
    FetchList {
        /// Terminal number, from 0.
        terminal: usize,
    },
}

/// An errand and its moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// When it happens.
    pub at: DateTime,
    /// What happens.
    pub errand: Errand,
}

/// What is seeded into the batch files of one day, per terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileFaults {
    /// The terminal sends its records a day late.
    pub late: bool,
    /// The same file comes twice under the same name.
    pub repeated_name: bool,
    /// The same content comes again under a new name.
    pub repeated_content: bool,
    /// One record stands twice in the file.
    pub repeated_record: bool,
    /// One record of an earlier file comes again in this one.
    pub old_record: bool,
    /// One record's TAC has a flipped bit.
    pub wrong_tac: bool,
    /// A record of a card that nobody issued.
    pub unknown_card: bool,
    /// The file is cut off in its last line.
    pub broken: bool,
}

const PULLS: [Pull; 4] = [Pull::BeforeInitialize, Pull::AfterInitialize, Pull::InDebit, Pull::AnswerLost];
const LOAD_BREAKS: [LoadBreak; 7] = [
    LoadBreak::BeforeInitialize,
    LoadBreak::AfterInitialize,
    LoadBreak::HostAnswerLost,
    LoadBreak::InCredit,
    LoadBreak::AnswerLost,
    LoadBreak::ConfirmLost,
    LoadBreak::NeverComes,
];

/// Purchases in a thousand during which the card is pulled.
const PULLED_PER_THOUSAND: u32 = 25;
/// Of those, in a thousand, where the citizen does not come back.
const GONE_PER_THOUSAND: u32 = 300;
/// Loads in a thousand that break.
const LOAD_BREAKS_PER_THOUSAND: u32 = 60;
/// What people load, in fen.
const LOAD_AMOUNTS: [u32; 4] = [5_000, 10_000, 10_000, 20_000];
/// Seconds between two errands of one card, so that a pulled card's recovery is over before the next.
const ERRAND_GAP_S: u32 = 300;
/// One card in this many is reported lost on the first day.
const LOST_ONE_IN: usize = 125;

/// Deals out faults in turn, so that each kind comes up in every city of some size.
struct Turn {
    next: usize,
}

impl Turn {
    fn take<T: Copy>(&mut self, kinds: &[T]) -> Option<T> {
        let kind = kinds.get(self.next.checked_rem(kinds.len())?).copied();
        self.next = self.next.wrapping_add(1);
        kind
    }
}

/// Which terminal belongs to which merchant: in turn.
#[must_use]
pub fn merchant_of(terminal: usize, merchants: usize) -> usize {
    terminal.checked_rem(merchants).unwrap_or(0)
}

/// Whether the terminal has the fault of acknowledging a new black list and going on with its old one: one in nine.
#[must_use]
pub fn ignores_list(terminal: usize) -> bool {
    terminal.checked_rem(9) == Some(4)
}

/// The cards that are lost on the first day, spread over the city.
#[must_use]
pub fn lost_cards(scale: &Scale) -> Vec<usize> {
    (0..scale.cards).skip(LOST_ONE_IN.saturating_sub(1)).step_by(LOST_ONE_IN).collect()
}

/// Plans day number `day` (from 0): all errands in order of time.
#[must_use]
pub fn plan_day(scale: &Scale, day: usize) -> Vec<Planned> {
    let mut rng = SeededRng::stream(scale.seed, &format!("plan day {day}"));
    let mut pulls = Turn { next: rng.index(PULLS.len()) };
    let mut breaks = Turn { next: rng.index(LOAD_BREAKS.len()) };
    let Some(date) = i64::try_from(day).ok().and_then(|days| scale.first_day.plus_days(days)) else {
        return Vec::new();
    };
    let lost = lost_cards(scale);
    let mut planned: Vec<(u32, Errand)> = Vec::new();
    for card in 0..scale.cards {
        let is_lost = lost.binary_search(&card).is_ok();
        // Everybody loads on the first morning, some again later; on further days only who wants.
        let mut second = rng.between(5 * 3_600, 6 * 3_600);
        if day == 0 || rng.chance(300) {
            planned.push((second, load(card, day, &mut rng, &mut breaks)));
        }
        let visits = if is_lost { 4 } else { rng.between(1, 5) };
        let mut moments: Vec<(u32, usize)> = (0..visits).map(|_| visit(scale, &mut rng)).collect();
        moments.sort_unstable();
        for (number, (moment, terminal)) in moments.iter().enumerate() {
            second = (*moment).max(second.saturating_add(ERRAND_GAP_S));
            if number == 2 && rng.chance(350) {
                planned.push((second, load(card, day, &mut rng, &mut breaks)));
                second = second.saturating_add(ERRAND_GAP_S);
            }
            let industry = industry_of(*terminal, scale);
            let amount = industry.price_at(rng.below(100_000));
            let fault = (!is_lost && rng.chance(PULLED_PER_THOUSAND)).then(|| pulls.take(&PULLS)).flatten();
            let comes_back = !rng.chance(GONE_PER_THOUSAND);
            let purchase = Errand::Purchase { card, terminal: *terminal, amount, fault, comes_back };
            planned.push((second, purchase));
        }
    }
    // Holders miss their cards around noon; whoever found one goes on using it (the visits above).
    if day == 0 {
        for card in lost {
            planned.push((rng.between(11 * 3_600, 13 * 3_600), Errand::ReportLoss { card }));
        }
    }
    for terminal in 0..scale.terminals {
        planned.push((rng.between(4 * 3_600, 5 * 3_600), Errand::FetchList { terminal }));
        // Two thirds of the terminals are in reach in the afternoon, the others wait for the next morning.
        if !rng.chance(333) {
            planned.push((rng.between(13 * 3_600, 16 * 3_600), Errand::FetchList { terminal }));
        }
    }
    // A stable sort keeps errands of one moment in the order they were drawn.
    planned.sort_by_key(|(second, _)| *second);
    planned
        .into_iter()
        .filter_map(|(second, errand)| {
            let time = Time::from_second_of_day(second.min(23 * 3_600 + 1_800))?;
            Some(Planned { at: DateTime { date, time }, errand })
        })
        .collect()
}

fn load(card: usize, day: usize, rng: &mut SeededRng, breaks: &mut Turn) -> Errand {
    let amount = rng.pick(&LOAD_AMOUNTS).copied().map_or(Fen::ZERO, Fen::from);
    let broken = rng.chance(LOAD_BREAKS_PER_THOUSAND);
    // On the first morning everybody needs money: nobody stays away then.
    let fault = broken
        .then(|| breaks.take(&LOAD_BREAKS))
        .flatten()
        .filter(|fault| day > 0 || *fault != LoadBreak::NeverComes || !card.is_multiple_of(3));
    Errand::Load { card, amount, fault }
}

/// A moment of the day and a terminal, by the terminal's hours.
fn visit(scale: &Scale, rng: &mut SeededRng) -> (u32, usize) {
    let terminal = rng.index(scale.terminals);
    let hours = industry_of(terminal, scale).hours;
    let total: u32 = hours.iter().copied().map(u32::from).sum();
    let mut left = rng.below(total);
    let mut hour = 0u32;
    for weight in hours {
        let weight = u32::from(weight);
        if left < weight {
            break;
        }
        left = left.saturating_sub(weight);
        hour = hour.saturating_add(1);
    }
    let second = hour.saturating_mul(3_600).saturating_add(rng.below(3_600));
    (second, terminal)
}

fn industry_of(terminal: usize, scale: &Scale) -> Industry {
    names::shop(merchant_of(terminal, scale.merchants)).2
}

/// The faults of the files of day number `day`, one entry per terminal. Each kind is dealt to some terminal
/// of a city with at least eight.
#[must_use]
pub fn plan_files(scale: &Scale, day: usize) -> Vec<FileFaults> {
    let mut rng = SeededRng::stream(scale.seed, &format!("plan files {day}"));
    let mut faults = vec![FileFaults::default(); scale.terminals];
    let marks: [fn(&mut FileFaults); 8] = [
        |fault| fault.late = true,
        |fault| fault.repeated_name = true,
        |fault| fault.repeated_content = true,
        |fault| fault.repeated_record = true,
        |fault| fault.old_record = true,
        |fault| fault.wrong_tac = true,
        |fault| fault.unknown_card = true,
        |fault| fault.broken = true,
    ];
    let offset = rng.index(scale.terminals);
    for (number, mark) in marks.iter().enumerate() {
        let spread = scale.terminals.checked_div(marks.len()).unwrap_or(0).max(1);
        let place = number.saturating_mul(spread).saturating_add(offset);
        if let Some(fault) = place.checked_rem(scale.terminals).and_then(|at| faults.get_mut(at)) {
            mark(fault);
        }
    }
    // A tenth of the terminals again, so that a larger city has more of everything.
    for fault in &mut faults {
        if rng.chance(100)
            && let Some(mark) = rng.pick(&marks)
        {
            mark(fault);
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale() -> Scale {
        Scale {
            cards: 1_000,
            terminals: 60,
            merchants: 20,
            days: 1,
            seed: 1,
            first_day: "20260302".parse().unwrap(),
        }
    }

    #[test]
    fn the_same_seed_plans_the_same_day() {
        assert_eq!(plan_day(&scale(), 0), plan_day(&scale(), 0));
        assert_ne!(plan_day(&scale(), 0), plan_day(&Scale { seed: 2, ..scale() }, 0));
        assert_eq!(plan_files(&scale(), 0), plan_files(&scale(), 0));
    }

    #[test]
    fn every_fault_comes_up() {
        let day = plan_day(&scale(), 0);
        for pull in PULLS {
            let is = |p: &&Planned| matches!(p.errand, Errand::Purchase { fault, .. } if fault == Some(pull));
            assert!(day.iter().filter(is).count() >= 3, "{pull:?}");
        }
        for kind in LOAD_BREAKS {
            let is = |p: &&Planned| matches!(p.errand, Errand::Load { fault, .. } if fault == Some(kind));
            assert!(day.iter().filter(is).count() >= 3, "{kind:?}");
        }
        let files = plan_files(&scale(), 0);
        assert!(files.iter().any(|f| f.late) && files.iter().any(|f| f.broken));
        assert!(files.iter().any(|f| f.wrong_tac) && files.iter().any(|f| f.unknown_card));
        assert!(day.windows(2).all(|pair| pair[0].at <= pair[1].at));
    }

    #[test]
    fn one_card_is_never_at_two_places_at_once() {
        let mut last = vec![0i64; 1_000];
        for planned in plan_day(&scale(), 0) {
            if let Errand::Purchase { card, .. } | Errand::Load { card, .. } = planned.errand {
                let now = planned.at.second_number();
                assert!(now - last[card] >= i64::from(ERRAND_GAP_S) || now % 86_400 == 84_600, "card {card}");
                last[card] = now;
            }
        }
    }
}
