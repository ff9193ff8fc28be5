//! PKCS#11 modules: each is loaded and initialised once in a process, whoever uses it.
//!
//! A token that was pulled out and put back is seen by some modules (SoftHSM2 is one) only after they have been
//! finalised and initialised again. Nobody may be inside the module then, so every call passes a gate.

use crate::ffi::Calls;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11};
use cryptoki::error::{Error, Result, RvError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

/// How often a module has been initialised: what was opened under another count is gone.
pub(crate) type Epoch = u64;

/// A module in this process.
pub(crate) struct Module {
    pub(crate) pkcs11: Pkcs11,
    pub(crate) calls: Calls,
    gate: RwLock<Epoch>,
}

/// Proof that the module is not being restarted.
pub(crate) type Inside<'a> = RwLockReadGuard<'a, Epoch>;

static MODULES: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());

impl Module {
    /// The module of a file; loaded when it is not yet.
    pub(crate) fn load(path: &Path) -> Result<Arc<Module>> {
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(path) {
            return Ok(Arc::clone(module));
        }
        let pkcs11 = Pkcs11::new(path)?;
        initialise(&pkcs11)?;
        let module = Arc::new(Module { pkcs11, calls: Calls::of(path)?, gate: RwLock::new(0) });
        modules.insert(path.to_owned(), Arc::clone(&module));
        Ok(module)
    }

    /// Enters; whoever is inside keeps restarts out.
    pub(crate) fn enter(&self) -> Inside<'_> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Initialises the module anew, unless somebody else has done it since `seen`. Every session of this process
    /// with any of its tokens is closed by that; their owners open new ones.
    pub(crate) fn restart(&self, seen: Epoch) -> Result<()> {
        let mut epoch = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        if *epoch == seen {
            *epoch = epoch.saturating_add(1);
            match self.pkcs11.clone().finalize() {
                Ok(()) | Err(Error::Pkcs11(RvError::CryptokiNotInitialized, Function::Finalize)) => {}
                Err(error) => return Err(error),
            }
            initialise(&self.pkcs11)?;
        }
        Ok(())
    }
}

/// Initialises; that another library of the process has done it already is no error.
fn initialise(pkcs11: &Pkcs11) -> Result<()> {
    match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, Function::Initialize)) => Ok(()),
        done => done,
    }
}
