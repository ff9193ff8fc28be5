//! `ykt user`: the people of a data directory, for the first one and for emergencies; day-to-day work is done at
//! the consoles.

use crate::installation::{self, Place};
use crate::machine::{SystemClock, SystemRng};
use crate::who;
use anyhow::Context;
use clap::{Args as ClapArgs, Subcommand};
use std::process::ExitCode;
use ykt_base::Clock;
use ykt_office::Act;
use ykt_office::people::{self, FirstPassword, NewUser, Password, People, Role, StaffNumber, UserFilter};
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
    /// Disable a user and end all its sessions
    Disable {
        /// Sign-in name
        name: String,
    },
    /// Enable a disabled user
    Enable {
        /// Sign-in name
        name: String,
    },
    /// Give a user of an earlier release the staff number, once
    StaffNumber {
        /// Sign-in name
        name: String,
        /// The person's staff number
        number: StaffNumber,
    },
    /// Take a user's authenticator away; the next sign-in enrols another one
    ResetSecondFactor {
        /// Sign-in name
        name: String,
    },
    /// Change the own password
    ChangePassword {
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
    let config = args.place.config()?;
    let store = installation::open_store(&config)?;
    let people = People::new(store.clone(), config.sign_in_rules(), &mut SystemRng)?;
    let act = Act::of("<command line>", "local", SystemClock.now());
    match &args.act {
        UserAct::Add { name, role, staff_number, full_name } => {
            let role = role_of(role)?;
            let full_name = full_name.clone().unwrap_or_else(|| name.clone());
            let first_password = FirstPassword::MustBeChanged;
            let staff_number = staff_number.clone();
            let user = NewUser { name: name.clone(), full_name, role, staff_number, first_password };
            people.add(&user, &typed_first(name)?, &mut SystemRng, &act)?;
            println!("added {name} ({role})");
        }
        UserAct::List => list(&store)?,
        UserAct::Unlock { name } => {
            people.unlock(name, &act)?;
            println!("unlocked {name}");
        }
        UserAct::Disable { name } => {
            people.disable(name, &act)?;
            println!("disabled {name}");
        }
        UserAct::Enable { name } => {
            people.enable(name, &act)?;
            println!("enabled {name}");
        }
        UserAct::StaffNumber { name, number } => {
            people.give_staff_number(name, number, &act)?;
            println!("{name} has the staff number {number}");
        }
        UserAct::ResetSecondFactor { name } => {
            people.reset_second_factor(name, &act)?;
            println!("{name} enrols an authenticator at the next sign-in");
        }
        UserAct::ChangePassword { name } => {
            change_password(&people, name)?;
            println!("changed the password of {name}");
        }
        UserAct::ResetPassword { name } => {
            people.reset_password(name, &typed_first(name)?, &mut SystemRng, &act)?;
            println!("{name} signs in with the new password and changes it then");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn role_of(word: &str) -> anyhow::Result<Role> {
    let known = || Role::ALL.iter().map(|role| role.word()).collect::<Vec<_>>().join(", ");
    Role::from_word(word).with_context(|| format!("role `{word}` is unknown: expected one of {}", known()))
}

fn typed_first(name: &str) -> anyhow::Result<Password> {
    Ok(Password::new(who::new_secret(&format!("first password of {name}"))?))
}

/// The user's own change of password.
fn change_password(people: &People, name: &str) -> anyhow::Result<()> {
    let rng = &mut SystemRng;
    let (token, _) = who::enter(people, name)?;
    let old = Password::new(who::secret("present password once more")?);
    let new = Password::new(who::new_secret("new password")?);
    let changed = people.change_password(&token, &old, &new, who::FROM, SystemClock.now(), rng)?;
    people.sign_out(&token, who::FROM, SystemClock.now())?;
    Ok(changed?)
}

fn list(store: &Store) -> anyhow::Result<()> {
    let page = store.read(|tx| people::list(tx, &UserFilter::default(), Paging::first(1_000)))?;
    let width = page.rows.iter().map(|user| user.name.len()).max().unwrap_or_default();
    for user in &page.rows {
        let (state, until) = match (user.disabled, user.locked_until) {
            (true, _) => ("disabled", String::new()),
            (false, Some(until)) => ("locked", format!(", until {until}")),
            (false, None) if user.must_change_password => ("active", ", first password".to_owned()),
            (false, None) => ("active", String::new()),
        };
        let number = user.staff_number.as_ref().map_or("-", StaffNumber::as_str);
        println!("{:<width$} {:<17} {number:<10} {state:<8} {}{until}", user.name, user.role, user.full_name);
    }
    Ok(())
}
