//! Who acts at the command line: a person of the house, by password and, where the rules ask for one, a code.
//!
//! A command that keys or audit depend on takes `--as NAME` and calls [`Person::act`]; what the person may do is then
//! judged by the room that acts. On a terminal the password is typed without being shown; otherwise password and
//! code come as lines of standard input, never as arguments, which every user of the machine could read.

use crate::keyboard;
use crate::machine::{SystemClock, SystemRng};
use anyhow::{Context, anyhow, bail};
use clap::Args as ClapArgs;
use std::io::{self, IsTerminal};
use ykt_base::Clock;
use ykt_office::Act;
use ykt_office::people::{Code, Enrolment, Entry, Password, People, Permission, Session, Token};
use ykt_store::Store;
use ykt_web::Config;
use zeroize::Zeroizing;

/// What acts at the command line come from, in the audit log.
pub const FROM: &str = "command line";

/// The person who gives a command.
#[derive(Debug, Clone, ClapArgs)]
pub struct Person {
    /// Sign-in name of who gives this command; password and code are asked for, or read as lines of standard input
    #[arg(id = "person", long = "as", value_name = "NAME")]
    name: String,
}

impl Person {
    /// The person of this sign-in name.
    #[must_use]
    pub fn named(name: &str) -> Person {
        Person { name: name.to_owned() }
    }

    /// The sign-in name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks for password and code, and answers with the act of this person, whose role may do `needs`.
    ///
    /// # Errors
    /// When the person is not let in, must change the password first, or may not do it.
    pub fn act(&self, config: &Config, store: &Store, needs: Permission) -> anyhow::Result<Act> {
        let people = People::new(store.clone(), config.sign_in_rules(), &mut SystemRng)?;
        let (token, session) = enter(&people, &self.name)?;
        people.sign_out(&token, FROM, SystemClock.now())?;
        if session.must_change_password {
            bail!("{}: change the password first, with `ykt user change-password {0}`", self.name);
        }
        if !session.role.may(needs) {
            bail!("{} may not {needs}: the role {} does not allow it", self.name, session.role);
        }
        Ok(Act::of(&self.name, FROM, SystemClock.now()))
    }
}

/// Signs a person in, by all the steps the rules want.
///
/// # Errors
/// When the person is not let in.
pub fn enter(people: &People, name: &str) -> anyhow::Result<(Token, Session)> {
    let rng = &mut SystemRng;
    let typed = Password::new(secret(&format!("password of {name}"))?);
    match people.sign_in(name, &typed, FROM, SystemClock.now(), rng)?? {
        Entry::Open(token, session) => Ok((token, session)),
        Entry::Code(half) => {
            let code = code(&format!("code of {name}'s authenticator"))?;
            Ok(people.enter_code(&half, &code, FROM, SystemClock.now(), rng)??)
        }
        Entry::Enrol(half) => {
            let shown = people.enrol(&half, SystemClock.now(), rng)??;
            let typed = enrol(name, &shown)?;
            drop(shown);
            Ok(people.confirm_enrolment(&half, &typed, FROM, SystemClock.now(), rng)??)
        }
    }
}

/// Shows the secret of an authenticator until its first code is typed.
fn enrol(name: &str, shown: &Enrolment) -> anyhow::Result<Code> {
    let _shown = keyboard::OnScreen::begin();
    eprintln!("{name} needs an authenticator. Type this secret into it; it is shown this once.");
    eprintln!("{name} 需绑定动态口令器。请录入以下密钥，仅显示这一次：\n");
    if io::stdin().is_terminal() {
        let secret = shown.secret();
        let groups = (0..secret.len()).step_by(4).filter_map(|at| secret.get(at..secret.len().min(at + 4)));
        groups.for_each(|group| eprint!("  {group}"));
        eprintln!("\n\nSHA-1, 6 digits, 30 s; Yikatong:{name}\n");
    } else {
        eprintln!("  {}\n  {}", shown.secret(), shown.uri());
    }
    code("the code it shows now / 当前动态码")
}

fn code(what: &str) -> anyhow::Result<Code> {
    Ok(secret(what)?.parse()?)
}

/// A line that is typed without being shown, or the next line of standard input.
///
/// # Errors
/// [`keyboard::Gone`] when no line comes, [`keyboard::Nothing`] when it is empty.
pub fn secret(what: &str) -> anyhow::Result<String> {
    let mut typed = keyboard::secret(what).with_context(|| what.to_owned())?;
    if typed.is_empty() {
        return Err(anyhow!(keyboard::Nothing).context(what.to_owned()));
    }
    Ok(std::mem::take(&mut *typed))
}

/// A new password or passphrase. At a terminal it is typed twice, so that nobody locks himself out by a slip of the
/// finger; a script gives one line.
///
/// # Errors
/// As [`secret`].
pub fn new_secret(what: &str) -> anyhow::Result<String> {
    loop {
        let mut typed = Zeroizing::new(secret(what)?);
        if !io::stdin().is_terminal() || *typed == *Zeroizing::new(secret(&format!("{what}, once more"))?) {
            return Ok(std::mem::take(&mut *typed));
        }
        keyboard::say("the two are not the same: both again / 两次录入不一致，请重新录入");
    }
}
