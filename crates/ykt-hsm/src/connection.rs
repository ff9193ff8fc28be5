//! A connection with one token: found by its name, signed in, with a bounded pool of sessions.
//!
//! Object handles are good for one connection only. When the token is pulled out, or its module is restarted by
//! somebody else, the connection is lost as a whole; its owner makes a new one and reads the token again.

use crate::fault::{Fault, Outage};
use crate::module::{Epoch, Inside, Module};
use crate::settings::{Settings, TokenName};
use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// A signed-in token.
pub(crate) struct Connection {
    module: Arc<Module>,
    epoch: Epoch,
    slot: Slot,
    /// What the token said of itself: model and firmware.
    version: String,
    /// Owns the derived keys that are kept in the token, so that they outlive the sessions of the pool.
    /// There until the connection is closed.
    keeper: Mutex<Option<Session>>,
    pool: Mutex<Pool>,
    returned: Condvar,
    sessions_max: usize,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Session>,
    lent: usize,
}

/// One call's way into the token: a session, and the module that cannot be restarted meanwhile.
pub(crate) struct Line<'a> {
    pub(crate) session: &'a Session,
    pub(crate) connection: &'a Connection,
    pub(crate) module: &'a Module,
}

/// The PIN the token refused last. It is not shown again: a few wrong PINs lock a token for good.
#[derive(Default)]
pub(crate) struct RefusedPin(Option<Zeroizing<String>>);

impl Connection {
    /// Finds the token and signs in. When it does not answer, its module is restarted once: perhaps it is back.
    pub(crate) fn open(settings: &Settings, refused: &mut RefusedPin) -> Result<Connection, Outage> {
        let loaded = Module::load(&settings.module);
        let module = loaded.map_err(|error| {
            Outage::Gone(format!("PKCS#11 module {}: {error}", settings.module.display()))
        })?;
        let seen = *module.enter();
        match Connection::at(&module, settings, refused) {
            Err(Outage::Gone(_)) => {}
            done => return done,
        }
        let restarted = module.restart(seen);
        restarted.map_err(|error| gone(settings, &error))?;
        Connection::at(&module, settings, refused)
    }

    fn at(module: &Arc<Module>, settings: &Settings, refused: &mut RefusedPin) -> Result<Connection, Outage> {
        let inside = module.enter();
        let failed = |error: Error| gone(settings, &error);
        let (slot, info) = find(module, &settings.token)?;
        // Sessions are closed by hand: the handle of one that a restart has ended may by now be another's.
        let keeper = module.pkcs11.open_rw_session_no_drop(slot).map_err(failed)?;
        if let Err(outage) = sign_in(&keeper, settings, refused) {
            let _ = keeper.close();
            return Err(outage);
        }
        Ok(Connection {
            module: Arc::clone(module),
            epoch: *inside,
            slot,
            version: format!("{} {}", info.model(), info.firmware_version()),
            keeper: Mutex::new(Some(keeper)),
            pool: Mutex::default(),
            returned: Condvar::new(),
            sessions_max: settings.sessions_max.max(1),
        })
    }

    /// Model and firmware of the token.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Works with a session of the pool; waits while all are lent.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&Line<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let _inside = self.enter()?;
        let session = self.borrow()?;
        let done = work(&Line { session: &session, connection: self, module: &self.module });
        // After an error of the token nobody knows what the session has begun: it is not used again.
        let reusable = !matches!(done, Err(Fault::Token(_)));
        self.give_back(reusable.then_some(session));
        done
    }

    /// Works with the keeper: what it makes lives as long as the connection.
    pub(crate) fn with_keeper<T>(
        &self,
        work: impl FnOnce(&Line<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let _inside = self.enter()?;
        self.beside_keeper(|session| work(&Line { session, connection: self, module: &self.module }))
    }

    /// As [`Connection::with_keeper`], for whoever is inside already.
    pub(crate) fn beside_keeper<T>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        work(keeper.as_ref().ok_or_else(lost)?)
    }

    /// Whether the token answers at this moment.
    pub(crate) fn probe(&self) -> Result<(), Fault> {
        self.with_keeper(|line| Ok(line.session.get_session_info().map(drop)?))
    }

    fn enter(&self) -> Result<Inside<'_>, Fault> {
        let inside = self.module.enter();
        if *inside == self.epoch {
            return Ok(inside);
        }
        Err(lost())
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn borrow(&self) -> Result<Session, Fault> {
        let mut pool = self.pool();
        while pool.idle.is_empty() && pool.lent >= self.sessions_max {
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        pool.lent = pool.lent.saturating_add(1);
        if let Some(session) = pool.idle.pop() {
            return Ok(session);
        }
        drop(pool);
        self.module.pkcs11.open_rw_session_no_drop(self.slot).map_err(|error| {
            self.give_back(None);
            Fault::Token(error)
        })
    }

    fn give_back(&self, session: Option<Session>) {
        let mut pool = self.pool();
        pool.lent = pool.lent.saturating_sub(1);
        pool.idle.extend(session);
        drop(pool);
        self.returned.notify_one();
    }
}

impl Drop for Connection {
    /// Closes what is still open. A restart of the module has closed it already.
    fn drop(&mut self) {
        let inside = self.module.enter();
        if *inside == self.epoch {
            let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
            for session in self.pool().idle.drain(..).chain(keeper) {
                let _ = session.close();
            }
        }
    }
}

/// What a module says of a session that is no more.
fn lost() -> Fault {
    Fault::Token(Error::Pkcs11(RvError::SessionHandleInvalid, Function::GetSessionInfo))
}

/// The slot of the token, and what it says of itself.
fn find(module: &Module, name: &TokenName) -> Result<(Slot, TokenInfo), Outage> {
    let failed = |error: Error| Outage::Gone(format!("{name}: {error}"));
    let info = |slot| module.pkcs11.get_token_info(slot);
    match name {
        TokenName::Slot(number) => {
            let slot = Slot::try_from(*number).map_err(failed)?;
            Ok((slot, info(slot).map_err(failed)?))
        }
        TokenName::Label(label) => {
            let slots = module.pkcs11.get_slots_with_token().map_err(failed)?;
            // A slot that does not answer is not the one looked for.
            let tokens = slots.into_iter().filter_map(|slot| Some((slot, info(slot).ok()?)));
            let mut named = tokens.filter(|(_, info)| info.token_initialized() && info.label() == label);
            match (named.next(), named.next()) {
                (Some(found), None) => Ok(found),
                (None, _) => Err(Outage::Gone(format!("no slot has the {name}"))),
                (Some(_), Some(_)) => {
                    Err(Outage::Gone(format!("more than one slot has the {name}: name the slot instead")))
                }
            }
        }
    }
}

fn sign_in(session: &Session, settings: &Settings, refused: &mut RefusedPin) -> Result<(), Outage> {
    let token = &settings.token;
    let pin = settings.pin.read().map_err(|why| Outage::Locked(format!("{token}: {why}")))?;
    if refused.0.as_ref() == Some(&pin) {
        return Err(Outage::Locked(format!(
            "{token} has refused this PIN; it is not tried again before another one is configured"
        )));
    }
    match session.login(UserType::User, Some(&AuthPin::new((*pin).clone().into_boxed_str()))) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
            refused.0 = None;
            Ok(())
        }
        Err(Error::Pkcs11(code, _)) if is_about_pin(code) => {
            refused.0 = Some(pin);
            Err(Outage::Locked(format!("{token} does not let the user in: {code}")))
        }
        Err(error) => Err(gone(settings, &error)),
    }
}

fn is_about_pin(code: RvError) -> bool {
    use RvError::{PinExpired, PinIncorrect, PinInvalid, PinLenRange, PinLocked, UserPinNotInitialized};
    matches!(code, PinIncorrect | PinInvalid | PinLenRange | PinLocked | PinExpired | UserPinNotInitialized)
}

fn gone(settings: &Settings, error: &Error) -> Outage {
    Outage::Gone(format!("{}: {error}", settings.token))
}
