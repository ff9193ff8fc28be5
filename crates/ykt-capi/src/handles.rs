//! Open readers under numbers: a C caller holds a number, and a number that is not open is an error, never a wild
//! pointer. Readers are locked one by one, so two threads may use two readers at once.

use crate::reader::Reader;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Readers that may be open at once.
const OPEN_MAX: usize = 256;

type Shared = Arc<Mutex<Reader>>;

struct Handles {
    open: BTreeMap<i32, Shared>,
    last: i32,
}

static HANDLES: Mutex<Handles> = Mutex::new(Handles { open: BTreeMap::new(), last: 0 });

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic is caught at the border and leaves a reader at worst between two commands.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a reader and gives its number, from 1; `None` when too many are open or the numbers are used up.
pub(crate) fn keep(reader: Reader) -> Option<i32> {
    let mut handles = lock(&HANDLES);
    let number = handles.last.checked_add(1).filter(|_| handles.open.len() < OPEN_MAX)?;
    handles.last = number;
    handles.open.insert(number, Arc::new(Mutex::new(reader)));
    Some(number)
}

/// Lets a reader go; `false` when none is open under this number. A command in work ends first.
pub(crate) fn release(number: i32) -> bool {
    lock(&HANDLES).open.remove(&number).is_some()
}

/// Does something with a reader; `None` when none is open under this number.
pub(crate) fn with<T>(number: i32, work: impl FnOnce(&mut Reader) -> T) -> Option<T> {
    let shared = lock(&HANDLES).open.get(&number).cloned()?;
    let mut reader = lock(&shared);
    Some(work(&mut reader))
}
