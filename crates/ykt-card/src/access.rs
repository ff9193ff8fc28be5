//! Rights and states (`epurse.md` 3.1): a right is a byte XY in a file or key; a state is a number 0 to F that an
//! authentication leaves behind, one for the MF and one for the selected application, both volatile.

/// A right as CREATE FILE and WRITE KEY give it: XY with X ≥ Y allows states Y to X of the current directory;
/// 0Y (Y < F) allows states of the MF from Y on; every other byte allows nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessRight(
    /// The byte of the command.
    pub u8,
);

/// The security states an access is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct States {
    /// State of the MF.
    pub(crate) mf: u8,
    /// State of the current directory; that of the MF while the MF is current.
    pub(crate) current: u8,
}

impl AccessRight {
    /// Everybody, always (F0).
    pub const ALWAYS: AccessRight = AccessRight(0xF0);
    /// Nobody, ever (0F).
    pub const NEVER: AccessRight = AccessRight(0x0F);
    /// After any authentication in the current directory (F1).
    pub const AUTHENTICATED: AccessRight = AccessRight(0xF1);

    /// Whether the right is given in these states.
    pub(crate) const fn allows(self, states: States) -> bool {
        match (self.0 >> 4, self.0 & 0x0F) {
            (0, 0x0F) => false,
            (0, from) => states.mf >= from,
            (to, from) => from <= states.current && states.current <= to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_right_in_every_state() {
        for right in 0..=u8::MAX {
            let (x, y) = (right >> 4, right & 15);
            for mf in 0..16 {
                for current in 0..16 {
                    let expected = match x {
                        0 => y < 15 && mf >= y,
                        _ => x >= y && (y..=x).contains(&current),
                    };
                    assert_eq!(AccessRight(right).allows(States { mf, current }), expected);
                }
            }
        }
        let nobody = States { mf: 15, current: 15 };
        assert!(!AccessRight::NEVER.allows(nobody));
        assert!(!AccessRight(0xEF).allows(nobody));
        assert!(AccessRight::ALWAYS.allows(States::default()));
        assert!(!AccessRight::AUTHENTICATED.allows(States::default()));
    }
}
