//! `ykt user`: the people of a data directory, for the first one and for emergencies; day-to-day work is done at
//! the consoles.

use crate::installation::{self, Place};
use crate::machine::{SystemClock, SystemRng};
use anyhow::{Context, bail};
use clap::{Args as ClapArgs, Subcommand};
use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;
use ykt_base::Clock;
use ykt_office::Act;
use ykt_office::people::{
    self, FirstPassword, NewUser, Password, People, Role, SignInRules, StaffNumber, UserFilter,
};
use ykt_store::{Paging, Store};

/// Add and unlock the people who sign in at the consoles
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    act: UserAct,
}

#[derive(Debug, Subcommand)]
enum UserAct {
    /// Add a user; the first password is read from standard input and must be changed at the first sign-in
    Add {
        /// Sign-in name: 2 to 32 signs of a-z 0-9 . _ -
        name: String,
        /// What the user is here for: operator, finance, security, auditor, read-only, custodian, key-administrator
        #[arg(long)]
        role: String,
        /// The person's staff number; by it one person never gets two roles that exclude each other
        #[arg(long, value_name = "NO")]
        staff_number: Option<StaffNumber>,
        /// The person's name
        #[arg(long)]
        full_name: Option<String>,
    },
    /// List the users
    List,
    /// End a lock-out
    Unlock {
        /// Sign-in name
        name: String,
    },
    /// Set a new first password, read from standard input
    ResetPassword {
        /// Sign-in name
        name: String,
    },
}

/// Runs the command.
///
/// # Errors
/// When the data directory cannot be used, or what was asked is refused.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let store = installation::open_store(&args.place.config()?)?;
    let people = People::new(store.clone(), SignInRules::default(), &mut SystemRng)?;
    let act = Act::of("<command line>", "local", SystemClock.now());
    match &args.act {
        UserAct::Add { name, role, staff_number, full_name } => {
            let role = role_of(role)?;
            let full_name = full_name.clone().unwrap_or_else(|| name.clone());
            let first_password = FirstPassword::MustBeChanged;
            let staff_number = staff_number.clone();
            let user = NewUser { name: name.clone(), full_name, role, staff_number, first_password };
            people.add(&user, &password()?, &mut SystemRng, &act)?;
            println!("added {name} ({role})");
        }
        UserAct::List => list(&store)?,
        UserAct::Unlock { name } => {
            people.unlock(name, &act)?;
            println!("unlocked {name}");
        }
        UserAct::ResetPassword { name } => {
            people.reset_password(name, &password()?, &mut SystemRng, &act)?;
            println!("{name} signs in with the new password and changes it then");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A role as one word of a command line.
fn role_word(role: Role) -> String {
    role.name().replace(' ', "-")
}

fn role_of(word: &str) -> anyhow::Result<Role> {
    match Role::ALL.iter().find(|role| role_word(**role) == word) {
        Some(role) => Ok(*role),
        None => {
            let known: Vec<String> = Role::ALL.iter().map(|role| role_word(*role)).collect();
            bail!("role `{word}` is unknown: expected one of {}", known.join(", "))
        }
    }
}

/// The first line of standard input; never an argument, which every user of the machine could see.
fn password() -> anyhow::Result<Password> {
    let input = std::io::stdin();
    if input.is_terminal() {
        eprintln!("first password (it will be visible while you type):");
    }
    let mut line = String::new();
    input.lock().read_line(&mut line).context("reading the password from standard input")?;
    let typed = line.trim_end_matches(['\r', '\n']).to_owned();
    if typed.is_empty() {
        bail!("no password came on standard input");
    }
    Ok(Password::new(typed))
}

fn list(store: &Store) -> anyhow::Result<()> {
    let page = store.read(|tx| people::list(tx, &UserFilter::default(), Paging::first(1_000)))?;
    for user in &page.rows {
        let state = match (user.disabled, user.locked_until) {
            (true, _) => "disabled".to_owned(),
            (false, Some(until)) => format!("locked until {until}"),
            (false, None) => "active".to_owned(),
        };
        let number = user.staff_number.as_ref().map_or("-", StaffNumber::as_str);
        println!("{:<20} {:<17} {:<10} {:<28} {}", user.name, user.role, number, state, user.full_name);
    }
    Ok(())
}
