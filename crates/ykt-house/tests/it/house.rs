//! The tree as the rules see it: the crates from `cargo metadata`, the text files from the disk.

use crate::source::Source;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Folders that hold nothing written by hand.
const NOT_OURS: &[&str] = &[".git", "target", "node_modules", "data", "demo-data", "__pycache__"];
/// Endings of the text files that the rules read.
const TEXT: &[&str] = &["rs", "toml", "md", "html", "css", "js", "mjs", "py", "sh", "yml", "svg", "json"];
/// Text files without an ending.
const TEXT_NAMES: &[&str] = &[
    "Makefile",
    "LICENSE",
    "run",
    "setup",
    "need",
    "clean-room",
    "check-demo",
    ".gitignore",
    ".gitattributes",
];

/// Something a rule found.
pub struct Finding {
    /// File, relative to the root.
    pub path: String,
    /// Line from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl Finding {
    /// A finding at a line.
    pub fn new(path: &str, line: usize, what: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}:{}: {}", self.path, self.line, self.what)
    }
}

/// One crate of the workspace.
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its folder, relative to the root.
    pub folder: String,
    /// Names of what it depends on, in builds and in tests alike.
    pub imports: BTreeSet<String>,
}

/// A text file.
pub struct TextFile {
    /// Its path, relative to the root, with `/`.
    pub path: String,
    /// What is in it.
    pub text: String,
    whole: OnceLock<Source>,
    without_tests: OnceLock<Source>,
}

impl TextFile {
    /// The file as Rust, taken apart once.
    pub fn rust(&self) -> &Source {
        self.whole.get_or_init(|| Source::parse(&self.text))
    }

    /// The same without its unit tests.
    pub fn rust_without_tests(&self) -> &Source {
        self.without_tests.get_or_init(|| self.rust().clone().without_tests())
    }

    /// Whether its name ends in `.ending`.
    pub fn is(&self, ending: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, found)| found == ending)
    }

    /// Whether it is Rust that only tests use.
    pub fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| matches!(part, "tests" | "tests.rs" | "benches" | "examples"))
    }
}

/// The whole tree.
pub struct House {
    /// Where it stands.
    pub root: PathBuf,
    /// Its crates, sorted by name.
    pub crates: Vec<Crate>,
    /// Its text files, sorted by path.
    pub files: Vec<TextFile>,
}

impl House {
    /// Reads the tree this crate stands in.
    pub fn open() -> House {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        let crates = crates(&root);
        let mut files = Vec::new();
        read_folder(&root, &root, &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(!crates.is_empty() && !files.is_empty(), "there is a tree to judge");
        House { root, crates, files }
    }

    /// The file at `path`, which must be there.
    pub fn file(&self, path: &str) -> &TextFile {
        self.files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{path} is missing"))
    }

    /// The Rust files of one crate.
    pub fn rust_of<'a>(&'a self, krate: &'a Crate) -> impl Iterator<Item = &'a TextFile> {
        let folder = format!("{}/", krate.folder);
        self.files.iter().filter(move |file| file.is("rs") && file.path.starts_with(&folder))
    }
}

fn crates(root: &Path) -> Vec<Crate> {
    let answer = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let metadata: Value = serde_json::from_slice(&answer.stdout).unwrap();
    let mut crates: Vec<Crate> = list(&metadata, "packages")
        .map(|package| {
            let manifest = Path::new(text(package, "manifest_path"));
            Crate {
                name: text(package, "name").to_owned(),
                folder: relative(root, manifest.parent().unwrap()),
                imports: list(package, "dependencies")
                    .map(|import| text(import, "name").to_owned())
                    .collect(),
            }
        })
        .collect();
    crates.sort_by(|a, b| a.name.cmp(&b.name));
    crates
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().unwrap_or_else(|| panic!("cargo metadata has a list {key}")).iter()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("cargo metadata has a text {key}"))
}

fn relative(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn read_folder(root: &Path, folder: &Path, files: &mut Vec<TextFile>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            if !NOT_OURS.contains(&name.as_str()) {
                read_folder(root, &path, files);
            }
            continue;
        }
        let ending = path.extension().map(|ending| ending.to_string_lossy().into_owned()).unwrap_or_default();
        if TEXT.contains(&ending.as_str()) || TEXT_NAMES.contains(&name.as_str()) {
            let text =
                std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let path = relative(root, &path);
            files.push(TextFile { path, text, whole: OnceLock::new(), without_tests: OnceLock::new() });
        }
    }
}
