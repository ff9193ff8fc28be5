//! Forms: fields with labels, what is wrong beside them, and a summary of a critical act in words.

use crate::act::Filled;
use crate::view::cell::Cell;
use crate::web::Asked;

/// A form of a page; it posts to `action`.
#[derive(Debug)]
pub struct Form {
    /// Title of its panel.
    pub title: String,
    /// Where it posts to.
    pub action: String,
    /// The session's token.
    pub csrf: String,
    /// A line under the title.
    pub lead: Option<String>,
    /// What will happen, by name: people read it before they press the button.
    pub summary: Vec<(String, Cell)>,
    /// Its fields.
    pub fields: Vec<Field>,
    /// Why it was refused, when the reason belongs to no field.
    pub refusal: Option<String>,
    /// Words of the button.
    pub button: String,
    /// How the button is meant.
    pub weight: Weight,
}

/// How the button of a form is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The usual thing to do.
    Usual,
    /// Critical: it cannot be taken back.
    Critical,
}

impl Weight {
    /// The class of the style sheet.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Weight::Usual => "primary",
            Weight::Critical => "primary critical",
        }
    }
}

/// A field of a form.
#[derive(Debug)]
pub struct Field {
    /// Its name in the body of the request.
    pub name: &'static str,
    /// Its id on the page, where several forms may have a field of this name.
    pub id: String,
    /// Words before it.
    pub label: String,
    /// What it takes.
    pub kind: FieldKind,
    /// What is in it.
    pub value: String,
    /// A line under it.
    pub hint: Option<String>,
    /// What is wrong with it.
    pub error: Option<String>,
    /// Whether it may stay empty.
    pub need: Need,
}

/// Whether a field may stay empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It must be filled.
    Must,
    /// It may stay empty.
    May,
}

/// What a field takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldKind {
    /// A line of text.
    Text,
    /// A line of code, in fixed-width letters.
    Code,
    /// Several lines.
    Long,
    /// Many lines of code, in fixed-width letters.
    Lines,
    /// A text file: chosen, or pasted as many lines.
    Document,
    /// A secret: never shown, never filled in again.
    Secret,
    /// A number.
    Number,
    /// A day.
    Day,
    /// Six digits of an authenticator.
    OneTime,
    /// One of several: value and words.
    Choice(Vec<(String, String)>),
    /// Not shown.
    Hidden,
}

impl FieldKind {
    /// The word by which the template tells them apart.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            FieldKind::Text => "text",
            FieldKind::Code => "code",
            FieldKind::Long => "long",
            FieldKind::Lines => "lines",
            FieldKind::Document => "document",
            FieldKind::Secret => "secret",
            FieldKind::Number => "number",
            FieldKind::Day => "day",
            FieldKind::OneTime => "one-time",
            FieldKind::Choice(_) => "choice",
            FieldKind::Hidden => "hidden",
        }
    }

    pub(crate) fn choices(&self) -> &[(String, String)] {
        match self {
            FieldKind::Choice(choices) => choices,
            _ => &[],
        }
    }
}

impl Form {
    /// An empty form of a page: `title` and `button` are keys of the catalogue.
    #[must_use]
    pub fn new(asked: &Asked, title: &str, action: impl Into<String>, button: &str) -> Form {
        let lang = asked.prefs.lang;
        Form {
            title: lang.t(title).to_owned(),
            action: action.into(),
            csrf: asked.signed.csrf.clone(),
            lead: None,
            summary: Vec::new(),
            fields: Vec::new(),
            refusal: None,
            button: lang.t(button).to_owned(),
            weight: Weight::Usual,
        }
    }

    /// How its fields are sent: a file needs parts of its own.
    pub(crate) fn encoding(&self) -> &'static str {
        let has_file = self.fields.iter().any(|field| field.kind == FieldKind::Document);
        if has_file { "multipart/form-data" } else { "application/x-www-form-urlencoded" }
    }

    /// The same with a line under its title.
    #[must_use]
    pub fn lead(mut self, words: impl Into<String>) -> Form {
        self.lead = Some(words.into());
        self
    }

    /// The same as a critical act: what will happen, in words and figures, stands before the button.
    #[must_use]
    pub fn critical(mut self, summary: impl IntoIterator<Item = (String, Cell)>) -> Form {
        self.summary = summary.into_iter().collect();
        self.weight = Weight::Critical;
        self
    }

    /// The same with one more field.
    #[must_use]
    pub fn field(mut self, mut field: Field) -> Form {
        let act = self.action.rsplit('/').next().unwrap_or_default();
        field.id = format!("{act}-{}", field.name);
        self.fields.push(field);
        self
    }

    /// The same with what was filled in and refused. Secrets stay empty.
    #[must_use]
    pub(crate) fn filled(mut self, filled: &Filled) -> Form {
        if filled.action != self.action {
            return self;
        }
        for field in &mut self.fields {
            if let Some(value) = filled.value(field.name).filter(|_| field.kind != FieldKind::Secret) {
                value.clone_into(&mut field.value);
            }
            field.error = filled.error_of(field.name).map(str::to_owned);
        }
        let named = self.fields.iter().any(|field| field.error.is_some());
        self.refusal = filled.words().filter(|_| !named).map(str::to_owned);
        self
    }
}

impl Field {
    /// An empty field that must be filled; `label` is words.
    #[must_use]
    pub fn new(name: &'static str, label: &str, kind: FieldKind) -> Field {
        Field {
            name,
            id: name.to_owned(),
            label: label.to_owned(),
            kind,
            value: String::new(),
            hint: None,
            error: None,
            need: Need::Must,
        }
    }

    /// A value that is carried, not shown.
    #[must_use]
    pub fn hidden(name: &'static str, value: impl Into<String>) -> Field {
        Field::new(name, "", FieldKind::Hidden).value(value)
    }

    /// The same with a value in it.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Field {
        self.value = value.into();
        self
    }

    /// The same with a line under it.
    #[must_use]
    pub fn hint(mut self, words: &str) -> Field {
        self.hint = Some(words.to_owned());
        self
    }

    /// The same, may stay empty.
    #[must_use]
    pub fn optional(mut self) -> Field {
        self.need = Need::May;
        self
    }

    /// Whether it must be filled.
    #[must_use]
    pub fn required(&self) -> bool {
        self.need == Need::Must
    }
}
