//! The ceremony at one keyboard: each person signs in, does his part, and leaves an empty screen to the next.
//!
//! A slip while typing is typed again: a wrong password or code, a wrong component, a card that is not the one, a printer
//! without paper. Whatever else goes wrong, Ctrl-C and a closed terminal abort the ceremony and wipe what was given. What
//! is secret is typed without being shown, or comes as a line of standard input; between two questions nothing is shown.

use super::paper::Paper;
use crate::interrupt;
use crate::keyboard::{self, Gone, Nothing, line, say};
use crate::machine::{SystemClock, SystemRng};
use crate::slot::{Slot, make_image};
use crate::token::screen::Words;
use crate::who::{self, FROM};
use anyhow::{Context, anyhow, bail};
use std::path::Path;
use std::process;
use std::sync::Arc;
use ykt_base::hex::{self, Hex};
use ykt_base::{CardChannel, Clock};
use ykt_issue::Profile;
use ykt_kmc::Centre;
use ykt_kmc::ceremonies::{CeremoniesError, NewCeremony, cards};
use ykt_office::Act;
use ykt_office::people::{CodeError, People, Permission, Refusal};
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
    centre: &Arc<Centre>,
    act: &Act,
    new: NewCeremony,
    paper: Option<&Paper>,
) -> anyhow::Result<Ended> {
    let (algorithm, custodians) = (new.algorithm, new.custodians.clone());
    let shares_come = matches!(new.purpose, Purpose::Recovery { .. });
    let _quiet = keyboard::quiet()?;
    let number = centre.ceremonies.begin(act, new)?;
    abort_at_interrupt(centre, act, &number)?;
    say(format_args!("{} {number}", Words("ceremony", "仪式编号")));
    let room = Room { centre, people, number: number.clone(), algorithm, shares_come, paper };
    let held = room.go(&act.who, &custodians);
    if held.is_err() && centre.ceremonies.view(&number).is_some() {
        abort(centre, act, &number)?;
    }
    Ok(Ended { number, right: held? })
}

/// Aborts the ceremony and says so.
fn abort(centre: &Centre, act: &Act, number: &str) -> anyhow::Result<()> {
    let now = Act { at: SystemClock.now(), ..act.clone() };
    centre.ceremonies.abort(&now, number, &centre.vault.status())?;
    let words = Words("aborted, everything given is wiped", "已中止，全部分量已清除");
    say(format_args!("{number}: {words}"));
    Ok(())
}

/// At Ctrl-C, and when the terminal is closed, the ceremony is aborted and the screen empty. One that is just ending
/// ends: its keys are in the vault.
fn abort_at_interrupt(centre: &Arc<Centre>, act: &Act, number: &str) -> anyhow::Result<()> {
    let (centre, act, number) = (Arc::clone(centre), act.clone(), number.to_owned());
    interrupt::does(move || {
        if centre.ceremonies.view(&number).is_none() {
            return;
        }
        keyboard::clear();
        // What the database does not take is aborted by the next start; the components are gone with this process.
        if let Err(error) = abort(&centre, &act, &number) {
            say(format_args!("{error:#}"));
        }
        keyboard::restore();
        process::exit(interrupt::INTERRUPTED);
    })
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

/// Whether somebody who was not let in may try again: a slip, and not yet locked out.
fn is_slip(error: &anyhow::Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    let wrong = [Refusal::WrongNameOrPassword, Refusal::WrongCode, Refusal::CodeUsed];
    refusal.is_some_and(|refusal| wrong.contains(refusal)) || error.is::<CodeError>() || error.is::<Nothing>()
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
        let act = self.sign_in(administrator, Permission::ManageKeys)?;
        loop {
            let finished = self.centre.ceremonies.finish(&act, &self.number, self.centre, &mut SystemRng);
            match finished {
                Ok(keys) => {
                    keys.iter().for_each(say);
                    // The list is longer than a screen; what stands on the board comes last.
                    say(format_args!(
                        "{} {}",
                        Words("finished, combined KCV", "仪式完成，合成 KCV"),
                        Hex(&combined)
                    ));
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
                    line(format_args!("{}:", Words("Enter tries again", "回车重试")))?;
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
        self.sign_in(name, Permission::GiveComponent)
    }

    /// Signs in somebody without whom the ceremony does not go on. The fifth wrong password or code ends it, by the
    /// lock-out.
    fn sign_in(&self, name: &str, needs: Permission) -> anyhow::Result<Act> {
        loop {
            match enter(&self.people, name, needs) {
                Err(error) if is_slip(&error) => say(format_args!("{error:#}")),
                entered => return entered,
            }
        }
    }

    /// Takes one custodian's part; slips are typed again.
    fn give(&self, act: &Act) -> anyhow::Result<[u8; 3]> {
        loop {
            let draw = if self.can_draw() { "d draw 生成, " } else { "" };
            let asked = format!("t type 录入, {draw}c card 读卡, q break off 中止:");
            let taken = match line(&asked)?.as_str() {
                "t" => self.typed().and_then(|part| self.take(act, part, Way::Typed)),
                "c" => self.read_card().and_then(|part| self.take(act, part, Way::Card)),
                "d" if self.can_draw() => {
                    Ok(self.centre.ceremonies.draw(act, &self.number, &mut SystemRng)?)
                }
                "q" => return Err(anyhow!(Gone)),
                _ => continue,
            };
            match taken {
                Ok(kcv) => return Ok(kcv),
                Err(error) if error.is::<Gone>() => return Err(error),
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
                // What did not come out is not good, whatever is answered.
                Err(error) => {
                    say(format_args!("{what}: {error:#}"));
                    line(format_args!("{}:", Words("mend it; Enter tries again", "请排除故障；回车重试")))?;
                    continue;
                }
            }
            if is_good()? {
                break;
            }
            paper.take_back(sheet)?;
        }
        loop {
            let place = line("component card? reader or new .img; Enter: none / 分量卡（无则回车）:")?;
            if place.is_empty() {
                return Ok(());
            }
            match self.write_card(&place, sheet) {
                Ok(()) => {
                    say(Words("the card is written", "卡片已写入"));
                    return Ok(());
                }
                Err(error) if error.is::<Gone>() => return Err(error),
                Err(error) => say(format_args!("{error:#}")),
            }
        }
    }

    fn write_card(&self, place: &str, sheet: &Sheet) -> anyhow::Result<()> {
        let is_image = Path::new(place).extension().is_some_and(|ending| ending == "img");
        // A reader that is not there is said before anybody thinks of a PIN.
        let reader = if is_image { None } else { Some(Slot::open(place)?) };
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
        if let Some(mut reader) = reader {
            write(&mut reader)?;
        } else {
            let profile =
                Profile::named(cards::PROFILE).context("the profile of component cards is missing")?;
            let serial = [0, 0, 0, 0, 0, 0, 0, sheet.position()];
            make_image(Path::new(place), &profile, serial, |card| Ok(write(card)?))?;
        }
        // The custodian goes with a card that gives back what it got.
        let mut slot = Slot::open(place)?;
        slot.reset()?;
        if cards::read(slot, &chosen)?.component != *sheet.component() {
            bail!("the card gives back another component; take another blank one / 卡片校验不符，请换卡");
        }
        Ok(())
    }
}

fn pin() -> anyhow::Result<Pin> {
    let digits = secret("PIN of the card, 4 to 12 digits / 卡片密码")?;
    Pin::from_digits(&digits).context("a PIN has 4 to 12 digits / 密码为 4 到 12 位数字")
}

fn secret(what: &str) -> anyhow::Result<Zeroizing<String>> {
    who::secret(what).map(Zeroizing::new)
}

/// Whether the custodian takes the sheet; only y and n are answers.
fn is_good() -> anyhow::Result<bool> {
    loop {
        match line("is it good? y, or n for another try / 码单可用？y 或 n:")?.as_str() {
            "y" => return Ok(true),
            "n" => return Ok(false),
            _ => {}
        }
    }
}

/// Waits for Enter and clears the screen for the next person.
fn next(question: Words) -> anyhow::Result<()> {
    line(format_args!("{question}:"))?;
    keyboard::clear();
    Ok(())
}
