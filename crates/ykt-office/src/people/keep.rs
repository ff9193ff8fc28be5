//! Keeping users: who may work here, and as what (`toll.md` P-01, P-04). One person has one role; roles and names
//! are never changed.

use super::password::{self, DEMO_PASSWORD, Password, check_strength};
use super::store::{self, Account};
use super::{FirstPassword, NAME_LEN_MAX, NewUser, People, PeopleError, Role, StaffNumber, UserRow};
use crate::act::Act;
use crate::audit::{self, Outcome};
use crate::text::one_line;
use ykt_base::Rng;
use ykt_store::{StoreError, Tx};

impl People {
    /// Adds a user. The same user again is passed over, and keeps its password. The person's name is kept in one line.
    ///
    /// # Errors
    /// [`PeopleError`]: name impossible or taken, password too weak, staff number missing, or the person has a role
    /// that excludes this one.
    pub fn add(
        &self,
        new: &NewUser,
        first: &Password,
        rng: &mut dyn Rng,
        act: &Act,
    ) -> Result<(), PeopleError> {
        let name = &new.name;
        let fits = (2..=NAME_LEN_MAX).contains(&name.len())
            && name.bytes().all(|sign| matches!(sign, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
        if !fits {
            return Err(PeopleError::Name { name: name.clone() });
        }
        check_strength(first, name).map_err(|source| PeopleError::Weak { name: name.clone(), source })?;
        let password_hash = password::hash(first, self.rules.cost, rng)?;
        let full_name = one_line(&new.full_name);
        self.store.write(|tx| {
            if let Some(found) = store::account(tx, name)?.map(|account| account.user) {
                let same = found.full_name == full_name
                    && found.role == new.role
                    && found.staff_number == new.staff_number;
                return if same { Ok(()) } else { Err(PeopleError::Taken { name: name.clone() }) };
            }
            match &new.staff_number {
                Some(number) => one_role_each(tx, name, new.role, number)?,
                None if new.role.needs_staff_number() => {
                    return Err(PeopleError::StaffNumberMissing { name: name.clone(), role: new.role });
                }
                None => {}
            }
            let user = UserRow {
                name: name.clone(),
                full_name: full_name.clone(),
                role: new.role,
                staff_number: new.staff_number.clone(),
                must_change_password: new.first_password == FirstPassword::MustBeChanged,
                failures: 0,
                locked_until: None,
                disabled: false,
                password_changed_at: act.at,
                last_sign_in_at: None,
            };
            store::insert(tx, &Account { user, password_hash })?;
            let number = new.staff_number.as_ref().map(|number| format!(", staff number {number}"));
            let detail = format!("{}{}", new.role, number.unwrap_or_default());
            audit::append(tx, act, "user/add", name, Outcome::Done, &detail)?;
            Ok(())
        })
    }

    /// Gives a user of an earlier release a staff number, once.
    ///
    /// # Errors
    /// [`PeopleError`]: no such user, the user has a number, or the person has a role that excludes the user's.
    pub fn give_staff_number(&self, name: &str, number: &StaffNumber, act: &Act) -> Result<(), PeopleError> {
        self.store.write(|tx| {
            let user =
                store::user(tx, name)?.ok_or_else(|| PeopleError::Unknown { name: name.to_owned() })?;
            if let Some(found) = user.staff_number {
                return Err(PeopleError::StaffNumberKept { name: name.to_owned(), found });
            }
            one_role_each(tx, name, user.role, number)?;
            store::set_staff_number(tx, name, number)?;
            audit::append(tx, act, "user/staff number", name, Outcome::Done, number.as_str())?;
            Ok(())
        })
    }

    /// The users that can sign in with [`DEMO_PASSWORD`]: a production server must not start with any.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn with_demo_password(&self) -> Result<Vec<String>, StoreError> {
        let demo = Password::from(DEMO_PASSWORD);
        let accounts = self.store.read(store::enabled_accounts)?;
        let known = accounts.into_iter().filter(|account| password::matches(&demo, &account.password_hash));
        Ok(known.map(|account| account.user.name).collect())
    }

    /// Gives a user a new first password, which must be changed, and ends the lock-out and all sessions.
    ///
    /// # Errors
    /// [`PeopleError`]: no such user, password too weak.
    pub fn reset_password(
        &self,
        name: &str,
        first: &Password,
        rng: &mut dyn Rng,
        act: &Act,
    ) -> Result<(), PeopleError> {
        check_strength(first, name).map_err(|source| PeopleError::Weak { name: name.to_owned(), source })?;
        let hash = password::hash(first, self.rules.cost, rng)?;
        self.change_user(name, "user/reset password", act, |tx, user| {
            user.must_change_password = true;
            (user.failures, user.locked_until) = (0, None);
            store::set_password(tx, name, &hash, act.at)?;
            Ok(store::end_other_sessions(tx, name, None)?)
        })
    }

    /// Ends a lock-out.
    ///
    /// # Errors
    /// [`PeopleError::Unknown`].
    pub fn unlock(&self, name: &str, act: &Act) -> Result<(), PeopleError> {
        self.change_user(name, "user/unlock", act, |_, user| {
            (user.failures, user.locked_until) = (0, None);
            Ok(())
        })
    }

    /// Disables a user and ends all its sessions.
    ///
    /// # Errors
    /// [`PeopleError::Unknown`].
    pub fn disable(&self, name: &str, act: &Act) -> Result<(), PeopleError> {
        self.change_user(name, "user/disable", act, |tx, user| {
            user.disabled = true;
            Ok(store::end_other_sessions(tx, name, None)?)
        })
    }

    /// Enables a disabled user.
    ///
    /// # Errors
    /// [`PeopleError::Unknown`]; [`PeopleError::StaffNumberMissing`] for a user of an earlier release.
    pub fn enable(&self, name: &str, act: &Act) -> Result<(), PeopleError> {
        self.change_user(name, "user/enable", act, |_, user| {
            if user.role.needs_staff_number() && user.staff_number.is_none() {
                return Err(PeopleError::StaffNumberMissing { name: name.to_owned(), role: user.role });
            }
            user.disabled = false;
            Ok(())
        })
    }

    pub(super) fn change_user(
        &self,
        name: &str,
        what: &str,
        act: &Act,
        change: impl FnOnce(&Tx, &mut UserRow) -> Result<(), PeopleError>,
    ) -> Result<(), PeopleError> {
        self.store.write(|tx| {
            let found = store::account(tx, name)?;
            let mut user = found.ok_or_else(|| PeopleError::Unknown { name: name.to_owned() })?.user;
            change(tx, &mut user)?;
            store::update(tx, &user)?;
            audit::append(tx, act, what, name, Outcome::Done, "")?;
            Ok(())
        })
    }
}

/// Refuses a role that excludes another one of the same person.
fn one_role_each(tx: &Tx, name: &str, role: Role, number: &StaffNumber) -> Result<(), PeopleError> {
    let others = store::of_staff_number(tx, number, name)?;
    match others.into_iter().find(|(_, others_role)| role.excludes(*others_role)) {
        None => Ok(()),
        Some((other, others_role)) => Err(PeopleError::Excluded {
            name: name.to_owned(),
            number: number.clone(),
            role,
            other,
            others_role,
        }),
    }
}
