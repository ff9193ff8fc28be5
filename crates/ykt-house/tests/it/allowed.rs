//! Exceptions from the rules, as data: which rule, which file, what its finding contains, and why.

use crate::house::Finding;

struct Allowed {
    rule: &'static str,
    path: &'static str,
    finding: &'static str,
    reason: &'static str,
}

const ALLOWED: &[Allowed] = &[
    Allowed {
        rule: "words",
        path: "crates/ykt-house/tests/it/files.rs",
        finding: "",
        reason: "the list of banned words itself",
    },
    Allowed {
        rule: "words",
        path: "Cargo.toml",
        finding: "= \"deny\"",
        reason: "lints are called by the words they deny",
    },
    Allowed {
        rule: "homes",
        path: "crates/ykt-clearing/Cargo.toml",
        finding: "imports rusqlite",
        reason: "the benchmark runs the same work on SQLite alone beside ours",
    },
    Allowed {
        rule: "homes",
        path: "crates/ykt-ledger/Cargo.toml",
        finding: "imports rusqlite",
        reason: "the benchmark runs the same work on SQLite alone beside ours",
    },
    Allowed {
        rule: "awake",
        path: "crates/ykt/tests/it/pcsc_desk.rs",
        finding: "sleeps",
        reason: "a foreign daemon says nowhere when it is ready: it is asked again until it is, for a bounded time",
    },
];

fn applies(allowed: &Allowed, rule: &str, finding: &Finding) -> bool {
    allowed.rule == rule && allowed.path == finding.path && finding.what.contains(allowed.finding)
}

/// The findings of `rule` that no exception excuses.
pub fn strip(rule: &str, findings: Vec<Finding>) -> Vec<Finding> {
    let excused = |finding: &Finding| ALLOWED.iter().any(|allowed| applies(allowed, rule, finding));
    findings.into_iter().filter(|finding| !excused(finding)).collect()
}

/// Exceptions from `rule` that excuse none of its findings.
pub fn unused(rule: &str, findings: &[Finding]) -> Vec<String> {
    ALLOWED
        .iter()
        .filter(|allowed| allowed.rule == rule)
        .filter(|allowed| !findings.iter().any(|finding| applies(allowed, rule, finding)))
        .map(|allowed| format!("  {rule} in {} ({})", allowed.path, allowed.reason))
        .collect()
}

/// Exceptions from rules that do not exist.
pub fn unknown_rules<'a>(rules: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    ALLOWED
        .iter()
        .filter(|allowed| !rules.clone().any(|rule| rule == allowed.rule))
        .map(|allowed| format!("  no rule is called {} ({})", allowed.rule, allowed.reason))
        .collect()
}
