//! Ctrl-C, SIGTERM, and SIGHUP when the terminal is closed: what is done then changes as a command goes on.

use crate::keyboard;
use anyhow::Context;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Exit code of a program that Ctrl-C ended, as shells have it: 128 and the number of the signal.
pub const INTERRUPTED: i32 = 130;

/// What is done at an interrupt.
type Act = Box<dyn FnMut() + Send>;
static ACT: Mutex<Option<Act>> = Mutex::new(None);

fn act() -> MutexGuard<'static, Option<Act>> {
    ACT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does this at an interrupt from now on, in place of what was said before. It runs on a thread of its own.
///
/// # Errors
/// When the system does not let the program hear of interrupts.
pub fn does(work: impl FnMut() + Send + 'static) -> anyhow::Result<()> {
    let is_first = act().replace(Box::new(work)).is_none();
    if !is_first {
        return Ok(());
    }
    let heard = ctrlc::set_handler(|| {
        if let Some(work) = act().as_mut() {
            work();
        }
    });
    heard.context("take over Ctrl-C")
}

/// At an interrupt the terminal shows again what is typed, and the program ends; unless something else was said.
pub fn restore_terminal() {
    if act().is_none() {
        // Without a handler an interrupt ends the program all the same.
        let _unheard = does(|| {
            keyboard::restore();
            process::exit(INTERRUPTED);
        });
    }
}
