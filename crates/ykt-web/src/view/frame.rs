//! What stands around every page: navigation by task, search, language, theme, and who is signed in.

use crate::config::Environment;
use crate::i18n::Lang;
use crate::view::url;
use ykt_office::people::{Permission, Role};

/// Light, dark, or what the system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// As the system says.
    #[default]
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// All themes in the order the button goes through.
    pub const ALL: [Theme; 3] = [Theme::Auto, Theme::Light, Theme::Dark];

    /// The theme of a `?theme=` parameter or cookie.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Theme> {
        Theme::ALL.into_iter().find(|theme| theme.code() == code)
    }

    /// `auto`, `light` or `dark`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Theme {
        match self {
            Theme::Auto => Theme::Light,
            Theme::Light => Theme::Dark,
            Theme::Dark => Theme::Auto,
        }
    }

    /// Key of its name.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Theme::Auto => "frame.theme_auto",
            Theme::Light => "frame.theme_light",
            Theme::Dark => "frame.theme_dark",
        }
    }
}

/// The signed-in person as the frame shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// Sign-in name.
    pub user: String,
    /// The person's name.
    pub full_name: String,
    /// Role.
    pub role: Role,
}

impl Who {
    /// Key of the role's name.
    #[must_use]
    pub const fn role_key(&self) -> &'static str {
        match self.role {
            Role::Operator => "role.operator",
            Role::Finance => "role.finance",
            Role::Security => "role.security",
            Role::Auditor => "role.auditor",
            Role::ReadOnly => "role.read_only",
            Role::Custodian => "role.custodian",
            Role::KeyAdministrator => "role.key_administrator",
        }
    }
}

/// The frame of one page.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Language.
    pub lang: Lang,
    /// Theme.
    pub theme: Theme,
    /// Title of the window.
    pub title: String,
    /// Path of the navigation entry this page belongs to.
    pub here: &'static str,
    /// Who is signed in.
    pub who: Option<Who>,
    /// Token every form of this session carries.
    pub csrf: String,
    /// Path of the page.
    pub path: String,
    /// Query string of the page.
    pub query: String,
    /// What the installation is for.
    pub environment: Environment,
    /// The words in the search box.
    pub search: String,
    /// What the act that led here has done.
    pub flash: Option<String>,
}

/// An entry of the navigation.
#[derive(Debug)]
pub struct NavEntry {
    /// Key of its name.
    pub title: &'static str,
    /// Name of its sign.
    pub icon: &'static str,
    /// Where it leads.
    pub href: &'static str,
    /// The page is this one.
    pub current: bool,
    /// The page is this one or one below.
    pub open: bool,
    /// What is below.
    pub below: Vec<NavEntry>,
}

/// Title, icon, what it takes, and the entries below: path, title and what they take.
struct Section {
    title: &'static str,
    icon: &'static str,
    below: &'static [(&'static str, &'static str, Option<Permission>)],
}

const READ: Option<Permission> = Some(Permission::ReadBusiness);
const KEYS: Option<Permission> = Some(Permission::ReadKeys);

const SECTIONS: [Section; 6] = [
    Section { title: "nav.today", icon: "today", below: &[("/", "nav.today", READ)] },
    Section {
        title: "nav.cards",
        icon: "cards",
        below: &[
            ("/cards", "nav.card_list", READ),
            ("/loads", "nav.loads", READ),
            ("/terminals", "nav.terminals", READ),
            ("/merchants", "nav.merchants", READ),
            ("/blacklist", "nav.blacklist", READ),
            ("/key-cards", "nav.key_cards", READ),
            ("/psam-batches", "nav.psam_batches", READ),
            ("/download-batches", "nav.download_batches", READ),
            ("/download-cards", "nav.download_cards", READ),
            ("/download-lines", "nav.download_lines", READ),
            ("/download-rights", "nav.download_rights", READ),
        ],
    },
    Section {
        title: "nav.clearing",
        icon: "clearing",
        below: &[
            ("/days", "nav.days", READ),
            ("/files", "nav.files", READ),
            ("/records", "nav.records", READ),
            ("/refusals", "nav.refusals", READ),
            ("/bills", "nav.bills", READ),
            ("/payments", "nav.payments", READ),
        ],
    },
    Section {
        title: "nav.books",
        icon: "books",
        below: &[("/trial", "nav.trial", READ), ("/entries", "nav.entries", READ)],
    },
    Section {
        title: "nav.keys",
        icon: "keys",
        below: &[
            ("/keys", "nav.key_tree", KEYS),
            ("/key-groups", "nav.key_groups", KEYS),
            ("/key-requests", "nav.key_requests", KEYS),
            ("/ceremonies", "nav.ceremonies", KEYS),
            ("/campaigns", "nav.campaigns", KEYS),
            ("/vault", "nav.vault", KEYS),
        ],
    },
    Section {
        title: "nav.system",
        icon: "system",
        below: &[
            ("/system", "nav.state", None),
            ("/users", "nav.users", Some(Permission::ManagePeople)),
            ("/audit", "nav.audit", Some(Permission::ReadAudit)),
            ("/account", "nav.account", None),
        ],
    },
];

impl Frame {
    /// The text of a key.
    #[must_use]
    pub fn t<'a>(&self, key: &'a str) -> &'a str {
        self.lang.t(key)
    }

    /// Version of the program.
    #[must_use]
    pub fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// Address of an asset, with its version.
    #[must_use]
    pub fn asset(&self, name: &str) -> String {
        crate::assets::href(name)
    }

    /// Whether this is a demonstration.
    #[must_use]
    pub fn demo(&self) -> bool {
        self.environment == Environment::Demo
    }

    /// This page in another language or theme.
    #[must_use]
    pub fn again(&self, name: &str, value: &str) -> String {
        let pairs = url::pairs(&self.query);
        let kept = pairs.iter().filter(|(key, _)| key != name).map(|(k, v)| (k.as_str(), v.as_str()));
        url::with_query(&self.path, kept.chain([(name, value)]))
    }

    /// This page in the other language.
    #[must_use]
    pub fn other_lang(&self) -> String {
        self.again("lang", self.lang.other().code())
    }

    /// This page in the next theme.
    #[must_use]
    pub fn next_theme(&self) -> String {
        self.again("theme", self.theme.next().code())
    }

    /// The navigation, with what this person may see.
    #[must_use]
    pub fn nav(&self) -> Vec<NavEntry> {
        let Some(who) = &self.who else { return Vec::new() };
        let may = |needed: Option<Permission>| needed.is_none_or(|what| who.role.may(what));
        SECTIONS
            .iter()
            .filter_map(|section| {
                let below: Vec<NavEntry> = section
                    .below
                    .iter()
                    .filter(|(_, _, needed)| may(*needed))
                    .map(|(href, title, _)| {
                        let current = *href == self.here;
                        NavEntry { title, icon: "", href, current, open: current, below: Vec::new() }
                    })
                    .collect();
                let href = below.first()?.href;
                let open = below.iter().any(|entry| entry.current);
                let single = below.len() == 1;
                Some(NavEntry {
                    title: section.title,
                    icon: section.icon,
                    href,
                    current: single && open,
                    open,
                    below: if single { Vec::new() } else { below },
                })
            })
            .collect()
    }

    /// The entries beside this page, for narrow screens.
    #[must_use]
    pub fn tabs(&self) -> Vec<NavEntry> {
        self.nav().into_iter().find(|entry| entry.open).map(|entry| entry.below).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(role: Role) -> Frame {
        Frame {
            lang: Lang::En,
            theme: Theme::Auto,
            title: String::new(),
            here: "/bills",
            who: Some(Who { user: "u".into(), full_name: "U".into(), role }),
            csrf: String::new(),
            path: "/bills".into(),
            query: "day=2026-11-22&lang=en".into(),
            environment: Environment::Demo,
            search: String::new(),
            flash: None,
        }
    }

    #[test]
    fn people_see_what_they_may() {
        let hrefs = |role| {
            frame(role)
                .nav()
                .into_iter()
                .flat_map(|e| {
                    if e.below.is_empty() { vec![e.href] } else { e.below.iter().map(|b| b.href).collect() }
                })
                .collect::<Vec<_>>()
        };
        assert!(hrefs(Role::Operator).contains(&"/cards"));
        assert!(!hrefs(Role::Operator).contains(&"/audit"));
        assert!(hrefs(Role::Auditor).contains(&"/audit"));
        let keys = ["/keys", "/key-groups", "/key-requests", "/ceremonies", "/campaigns", "/vault"];
        let security: Vec<_> = keys.into_iter().chain(["/system", "/users", "/account"]).collect();
        assert_eq!(hrefs(Role::Security), security);
    }

    #[test]
    fn language_and_theme_keep_the_view() {
        assert_eq!(frame(Role::Operator).other_lang(), "/bills?day=2026-11-22&lang=zh");
        assert_eq!(frame(Role::Operator).next_theme(), "/bills?day=2026-11-22&lang=en&theme=light");
    }
}
