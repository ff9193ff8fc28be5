//! Who acts at the command line: a person of the house, by password and, where the rules ask for one, a code.
//!
//! A command that keys or audit depend on takes `--as NAME` and calls [`Person::act`]; what the person may do is then
//! judged by the room that acts. On a terminal the password is typed without being shown; otherwise password and
//! code come as lines of standard input, never as arguments, which every user of the machine could read.

use crate::machine::{SystemClock, SystemRng};
use anyhow::{Context, bail};
use clap::Args as ClapArgs;
use console::Term;
use std::io::{BufRead, IsTerminal};
use ykt_base::Clock;
use ykt_office::Act;
use ykt_office::people::{Code, Entry, Password, People, Permission, Session, Token};
use ykt_store::Store;
use ykt_web::Config;

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
            eprintln!("{name} needs an authenticator. Type this secret into it; it is shown this once:");
            eprintln!("  {}\n  {}", shown.secret(), shown.uri());
            drop(shown);
            let code = code("the code it shows now")?;
            Ok(people.confirm_enrolment(&half, &code, FROM, SystemClock.now(), rng)??)
        }
    }
}

fn code(what: &str) -> anyhow::Result<Code> {
    Ok(secret(what)?.parse()?)
}

/// A line that is typed without being shown, or the next line of standard input.
///
/// # Errors
/// When there is none.
pub fn secret(what: &str) -> anyhow::Result<String> {
    let input = std::io::stdin();
    let typed = if input.is_terminal() {
        eprint!("{what}: ");
        let typed = Term::stderr().read_secure_line();
        typed.with_context(|| format!("reading {what}"))?
    } else {
        let mut line = String::new();
        input.lock().read_line(&mut line).with_context(|| format!("reading {what} from standard input"))?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    if typed.is_empty() {
        bail!("{what}: nothing came on standard input");
    }
    Ok(typed)
}
