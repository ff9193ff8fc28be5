//! Who does something, from where, and when: what every change of a register carries into the audit log.

use ykt_base::DateTime;

/// One act of a person or a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// The user's name, or the name of the program's own job in angle brackets.
    pub who: String,
    /// Address of the machine, or the desk, it came from.
    pub from: String,
    /// When.
    pub at: DateTime,
}

impl Act {
    /// An act of a signed-in person.
    #[must_use]
    pub fn of(who: &str, from: &str, at: DateTime) -> Act {
        Act { who: who.to_owned(), from: from.to_owned(), at }
    }

    /// An act of the program itself, such as a nightly job or the black-list distribution.
    #[must_use]
    pub fn of_system(job: &str, at: DateTime) -> Act {
        Act { who: format!("<{job}>"), from: "local".to_owned(), at }
    }
}
