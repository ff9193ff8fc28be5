//! The ceremony at one keyboard: each person signs in, does his part, and leaves an empty screen to the next.
//!
//! Whatever goes wrong on the way aborts the ceremony and wipes what was given; a slip while typing does not, it is
//! typed again. What is secret is typed without being shown, or comes as a line of standard input.

use super::paper::Paper;
use crate::machine::{SystemClock, SystemRng};
use crate::slot::{Slot, make_image};
use crate::token::screen::{Words, say};
use crate::who::{self, FROM};
use anyhow::{Context, anyhow, bail};
use console::Term;
use std::io::{self, BufRead, Write};
use std::path::Path;
use ykt_base::hex::{self, Hex};
use ykt_base::{CardChannel, Clock};
use ykt_issue::Profile;
use ykt_kmc::Centre;
use ykt_kmc::ceremonies::{CeremoniesError, NewCeremony, cards};
use ykt_office::Act;
use ykt_office::people::{People, Permission};
use ykt_purse::write_key::Pin;
use ykt_vault::KeyAlgorithm;
use ykt_vault::ceremony::{CeremonyError, Component, Purpose, Sheet, SheetKind, Way};
use zeroize::Zeroizing;

/// How a ceremony ended.
pub struct Ended {
    /// Its number.
    pub number: String,
    /// Whether the key is the one wanted.
    pub right: bool,
}

struct Room<'a> {
    centre: &'a Centre,
    people: People,
    number: String,
    algorithm: KeyAlgorithm,
    shares_come: bool,
    /// Sheets can be put out.
    paper: Option<&'a Paper>,
}

/// Holds a ceremony from its beginning to its end.
///
/// # Errors
/// When somebody is not let in or breaks off; the ceremony is aborted then.
pub fn hold(
    people: People,
    centre: &Centre,
    act: &Act,
    new: NewCeremony,
    paper: Option<&Paper>,
) -> anyhow::Result<Ended> {
    let (algorithm, custodians) = (new.algorithm, new.custodians.clone());
    let shares_come = matches!(new.purpose, Purpose::Recovery { .. });
    let number = centre.ceremonies.begin(act, new)?;
    say(format_args!("{} {number}", Words("ceremony", "仪式编号")));
    let room = Room { centre, people, number: number.clone(), algorithm, shares_come, paper };
    let held = room.go(&act.who, &custodians);
    if held.is_err() && centre.ceremonies.view(&number).is_some() {
        centre.ceremonies.abort(act, &number, &centre.vault.status())?;
        say(format_args!(
            "{number}: {}",
            Words("aborted, everything given is wiped", "已中止，全部分量已清除")
        ));
    }
    Ok(Ended { number, right: held? })
}

/// Signs somebody in for one part of the ceremony, whose role may do `needs`.
///
/// # Errors
/// When the person is not let in, must change the password first, or may not do it.
pub fn enter(people: &People, name: &str, needs: Permission) -> anyhow::Result<Act> {
    let (token, session) = who::enter(people, name)?;
    people.sign_out(&token, FROM, SystemClock.now())?;
    if session.must_change_password {
        bail!("{name}: change the password first, with `ykt user change-password {name}`");
    }
    if !session.role.may(needs) {
        bail!("{name} is {}, whose role may not {needs}", session.role);
    }
    Ok(Act::of(name, FROM, SystemClock.now()))
}

impl Room<'_> {
    fn go(&self, administrator: &str, custodians: &[String]) -> anyhow::Result<bool> {
        for name in custodians {
            let act = self.to_the_keyboard(name)?;
            let kcv = self.give(&act)?;
            let words = Words("your part is taken, KCV", "已接收，分量 KCV");
            say(format_args!("{name}: {words} {}", Hex(&kcv)));
            next(Words("note the KCV; Enter clears the screen", "请记下 KCV；回车清屏"))?;
        }
        let held = self.centre.ceremonies.view(&self.number).context("the ceremony is not held any more")?;
        let combined = held.combined.unwrap_or_default();
        say(format_args!("{} {}", Words("combined KCV", "合成 KCV"), Hex(&combined)));
        for name in held.sheets_wait.iter().filter(|_| self.paper.is_some()) {
            let act = self.to_the_keyboard(name)?;
            while self.waits(name) {
                let sheet = self.centre.ceremonies.hand_out(&act, &self.number, &mut SystemRng)?;
                self.put_out(&sheet)?;
            }
            next(Words("take sheet and card; Enter clears the screen", "请取走码单和卡片；回车清屏"))?;
        }
        say(format_args!(
            "{administrator}: {}",
            Words("the key administrator finishes", "密钥管理员结束仪式")
        ));
        let act = enter(&self.people, administrator, Permission::ManageKeys)?;
        loop {
            let finished = self.centre.ceremonies.finish(&act, &self.number, self.centre, &mut SystemRng);
            match finished {
                Ok(keys) => {
                    keys.iter().for_each(say);
                    return Ok(true);
                }
                Err(CeremoniesError::Rule(error @ CeremonyError::WrongKey { .. }))
                    if self.centre.ceremonies.view(&self.number).is_none() =>
                {
                    say(error);
                    return Ok(false);
                }
                Err(CeremoniesError::Rule(CeremonyError::Vault(error))) if error.is_outage() => {
                    say(error);
                    next(Words("Enter tries again", "回车重试"))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn waits(&self, name: &str) -> bool {
        let held = self.centre.ceremonies.view(&self.number);
        held.is_some_and(|held| held.sheets_wait.iter().any(|waiting| waiting == name))
    }

    fn to_the_keyboard(&self, name: &str) -> anyhow::Result<Act> {
        say(format_args!(
            "{name}: {}",
            Words("to the keyboard; everybody else looks away", "请到键盘前；其他人请回避")
        ));
        enter(&self.people, name, Permission::GiveComponent)
    }

    /// Takes one custodian's part; slips are typed again.
    fn give(&self, act: &Act) -> anyhow::Result<[u8; 3]> {
        loop {
            let drawn = if self.can_draw() { ", d = draw" } else { "" };
            let asked = format!("t = type{drawn}, c = card / 录入、生成或读卡:");
            let taken = match line(&asked)?.as_str() {
                "t" => self.typed().and_then(|part| self.take(act, part, Way::Typed)),
                "c" => self.read_card().and_then(|part| self.take(act, part, Way::Card)),
                "d" if self.can_draw() => {
                    Ok(self.centre.ceremonies.draw(act, &self.number, &mut SystemRng)?)
                }
                "" => return Err(broken_off()),
                _ => continue,
            };
            match taken {
                Ok(kcv) => return Ok(kcv),
                Err(error) if error.is::<Gone>() => return Err(broken_off()),
                Err(error) => say(format_args!("{error:#}")),
            }
        }
    }

    fn can_draw(&self) -> bool {
        self.paper.is_some_and(Paper::is_there)
    }

    fn take(&self, act: &Act, (share, component): (u8, Component), way: Way) -> anyhow::Result<[u8; 3]> {
        let ceremonies = &self.centre.ceremonies;
        Ok(match self.shares_come {
            true => ceremonies.give_share(act, &self.number, (share, component), way)?,
            false => ceremonies.give(act, &self.number, component, way)?,
        })
    }

    fn typed(&self) -> anyhow::Result<(u8, Component)> {
        let share = match self.shares_come {
            true => {
                line("number of the share / 份号:")?.parse().context("a number from 1 to 8 is expected")?
            }
            false => 0,
        };
        let typed = secret("all lines of the code, with or without check values / 逐行代码")?;
        let known = line("its KCV; Enter when it has none yet / 分量 KCV（新分量直接回车）:")?;
        if known.is_empty() {
            let component = Component::parse_unchecked(self.algorithm, &typed)?;
            if component != Component::parse_unchecked(self.algorithm, &secret("once more / 再录入一次")?)?
            {
                bail!("the two are not the same / 两次录入不一致");
            }
            return Ok((share, component));
        }
        let kcv = hex::decode(&known).context("a KCV has 6 hex digits")?;
        Ok((share, Component::parse(self.algorithm, &typed, kcv)?))
    }

    fn read_card(&self) -> anyhow::Result<(u8, Component)> {
        let mut slot = Slot::open(&line("reader, or image file of the card / 读卡器或卡片文件:")?)?;
        slot.reset()?;
        let part = cards::read(slot, &pin()?)?;
        if (part.label.needed > 0) != self.shares_come {
            bail!("the card of ceremony {} holds another sort of part", part.label.number());
        }
        say(format_args!(
            "{} {}, {}",
            Words("card of ceremony", "卡片所属仪式"),
            part.label.number(),
            part.label.position
        ));
        Ok((part.label.position, part.component))
    }

    /// One sheet onto paper, onto a card, or both.
    fn put_out(&self, sheet: &Sheet) -> anyhow::Result<()> {
        let what = match sheet.kind() {
            SheetKind::Component => Words("sheet of the component", "分量码单"),
            SheetKind::Share { .. } => Words("sheet of the recovery share", "恢复份额码单"),
        };
        let paper = self.paper.filter(|paper| paper.is_there());
        while let Some(paper) = paper {
            match paper.put_out(sheet) {
                Ok(place) => say(format_args!("{what}: {place}")),
                Err(error) => say(format_args!("{what}: {error:#}")),
            }
            if line("is it good? y, or n for another try / 码单可用？y 或 n:")? == "y" {
                break;
            }
            paper.take_back(sheet)?;
        }
        loop {
            let place =
                line("component card: reader or new image file; Enter for none / 分量卡（无则回车）:")?;
            if place.is_empty() {
                return Ok(());
            }
            match self.write_card(&place, sheet) {
                Ok(()) => {
                    say(Words("the card is written", "卡片已写入"));
                    return Ok(());
                }
                Err(error) if error.is::<Gone>() => return Err(broken_off()),
                Err(error) => say(format_args!("{error:#}")),
            }
        }
    }

    fn write_card(&self, place: &str, sheet: &Sheet) -> anyhow::Result<()> {
        let chosen = pin()?;
        if chosen.as_bytes() != pin()?.as_bytes() {
            bail!("the two PINs are not the same / 两次密码不一致");
        }
        let transport = self.paper.map_or_else(|| Ok(Paper::own_transport()), Paper::transport)?;
        let today = SystemClock.now().date;
        let write = |card: &mut dyn CardChannel| {
            let rng: &mut dyn ykt_base::Rng = &mut SystemRng;
            cards::write(card, &transport, sheet, chosen.clone(), (rng, today), &mut |_| {})
        };
        if Path::new(place).extension().is_some_and(|ending| ending == "img") {
            let profile =
                Profile::named(cards::PROFILE).context("the profile of component cards is missing")?;
            let serial = [0, 0, 0, 0, 0, 0, 0, sheet.position()];
            return make_image(Path::new(place), &profile, serial, |card| Ok(write(card)?));
        }
        Ok(write(&mut Slot::open(place)?)?)
    }
}

/// The person is gone: no more lines come.
#[derive(Debug)]
struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Words("broken off", "已中断").fmt(f)
    }
}

impl std::error::Error for Gone {}

fn broken_off() -> anyhow::Error {
    anyhow!(Gone)
}

fn pin() -> anyhow::Result<Pin> {
    Pin::from_digits(&secret("PIN of the card / 卡片密码")?).context("a PIN has 4 to 12 digits")
}

fn secret(what: &str) -> anyhow::Result<Zeroizing<String>> {
    who::secret(what).map(Zeroizing::new).map_err(|_| broken_off())
}

/// One line that may be seen.
fn line(question: &str) -> anyhow::Result<String> {
    print!("{question} ");
    io::stdout().flush()?;
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line)? {
        0 => Err(broken_off()),
        _ => Ok(line.trim().to_owned()),
    }
}

/// Waits for Enter and clears the screen for the next person.
fn next(question: Words) -> anyhow::Result<()> {
    line(&format!("{question}:"))?;
    let screen = Term::stdout();
    if screen.is_term() {
        screen.clear_screen()?;
    }
    Ok(())
}
