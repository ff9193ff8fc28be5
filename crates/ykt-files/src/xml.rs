//! A small closed subset of XML for bank files: elements and text, no attributes that matter, no document types,
//! no entities beyond the five of the standard and character references. Depth and size are bounded.

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::Event;

/// Largest file, in bytes.
pub(crate) const XML_LEN_MAX: usize = 64 * 1024 * 1024;
/// Deepest nesting of elements.
const DEPTH_MAX: usize = 8;

/// A bank file is not what its shape says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, {element}: expected {expected}, found {found}")]
pub struct XmlError {
    /// Line, from 1.
    pub line: u32,
    /// Element, or `file` for what is no XML at all.
    pub element: String,
    /// What the shape wants there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// An element with its text and its children, in order.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    pub(crate) fn error(&self, expected: impl Into<String>, found: impl Into<String>) -> XmlError {
        XmlError {
            line: self.line,
            element: self.name.clone(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// The only child of that name.
    pub(crate) fn child(&self, name: &str) -> Result<&Element, XmlError> {
        let mut named = self.children.iter().filter(|child| child.name == name);
        match (named.next(), named.next()) {
            (Some(child), None) => Ok(child),
            (None, _) => Err(self.error(format!("an element {name}"), "none")),
            (Some(_), Some(second)) => Err(second.error("the element once", "it again")),
        }
    }

    /// The text of the only child of that name.
    pub(crate) fn text_of(&self, name: &str) -> Result<String, XmlError> {
        self.child(name).map(|child| child.text.clone())
    }

    /// The text of the only child of that name as a value.
    pub(crate) fn value_of<T>(
        &self,
        name: &str,
        expected: &str,
        value: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, XmlError> {
        let child = self.child(name)?;
        value(&child.text).ok_or_else(|| child.error(expected, format!("\"{}\"", shorten(&child.text))))
    }

    /// Refuses a child whose name is not in the list.
    pub(crate) fn only(&self, names: &[&str]) -> Result<(), XmlError> {
        match self.children.iter().find(|child| !names.contains(&child.name.as_str())) {
            Some(child) => {
                Err(child.error(format!("one of {} in {}", names.join(" "), self.name), "another element"))
            }
            None => Ok(()),
        }
    }
}

/// The root element named `root`.
pub(crate) fn parse(bytes: &[u8], root: &str) -> Result<Element, XmlError> {
    let file = |line, expected: &str, found: String| XmlError {
        line,
        element: "file".to_owned(),
        expected: expected.to_owned(),
        found,
    };
    if bytes.len() > XML_LEN_MAX {
        return Err(file(1, &format!("up to {XML_LEN_MAX} bytes"), format!("{} bytes", bytes.len())));
    }
    let text = core::str::from_utf8(bytes).map_err(|error| {
        file(line_at(bytes, error.valid_up_to()), "UTF-8 text", "a byte that is none".to_owned())
    })?;
    let mut reader = Reader::from_str(text);
    // The holder of the root stands at the bottom of the stack.
    let mut stack = vec![Element::default()];
    let mut counted = LineCount::default();
    loop {
        let event = reader.read_event();
        let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let line = counted.up_to(bytes, at);
        let event = event.map_err(|error| file(line, "well-formed XML", error.to_string()))?;
        match event {
            Event::Start(start) => {
                if stack.len() > DEPTH_MAX {
                    return Err(file(line, &format!("at most {DEPTH_MAX} levels"), "one more".to_owned()));
                }
                stack.push(Element { name: start.name().as_ref().to_owned(), line, ..Element::default() });
            }
            Event::Empty(start) => {
                let name = start.name().as_ref().to_owned();
                if let Some(parent) = stack.last_mut() {
                    parent.children.push(Element { name, line, ..Element::default() });
                }
            }
            Event::End(_) => {
                let done = stack.pop().unwrap_or_default();
                match stack.last_mut() {
                    Some(parent) => parent.children.push(done),
                    None => return Err(file(line, "an open element", "an end".to_owned())),
                }
            }
            Event::Text(part) => push_text(&mut stack, &part.xml10_content()),
            Event::CData(part) => push_text(&mut stack, &part.xml10_content()),
            Event::GeneralRef(reference) => {
                let unknown = || file(line, "a known reference", format!("&{};", &*reference));
                match reference.resolve_char_ref().map_err(|_| unknown())? {
                    Some(sign) => push_text(&mut stack, sign.encode_utf8(&mut [0; 4])),
                    None => push_text(&mut stack, resolve_predefined_entity(&reference).ok_or_else(unknown)?),
                }
            }
            Event::DocType(_) => return Err(file(line, "no document type", "one".to_owned())),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    let line = counted.up_to(bytes, bytes.len());
    let mut holder = stack.pop().unwrap_or_default();
    if !stack.is_empty() {
        return Err(file(line, &format!("the end of {}", holder.name), "the end of the file".to_owned()));
    }
    match (holder.children.pop(), holder.children.is_empty() && holder.text.trim().is_empty()) {
        (Some(element), true) if element.name == root => Ok(element),
        (Some(element), true) => Err(element.error(format!("the root {root}"), element.name.clone())),
        (None, true) => Err(file(line, &format!("the root {root}"), "nothing".to_owned())),
        _ => Err(file(line, &format!("one root {root}"), "something beside it".to_owned())),
    }
}

fn push_text(stack: &mut [Element], text: &str) {
    if let Some(element) = stack.last_mut() {
        element.text.push_str(text);
    }
}

/// Counts lines while the reader moves on, so that a file of a million lines is walked once.
#[derive(Default)]
struct LineCount {
    at: usize,
    ends: u32,
}

impl LineCount {
    fn up_to(&mut self, bytes: &[u8], to: usize) -> u32 {
        let to = to.min(bytes.len());
        let ends = bytes.get(self.at..to).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count();
        self.at = self.at.max(to);
        self.ends = self.ends.saturating_add(u32::try_from(ends).unwrap_or(u32::MAX));
        self.ends.saturating_add(1)
    }
}

fn line_at(bytes: &[u8], at: usize) -> u32 {
    LineCount::default().up_to(bytes, at)
}

fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

/// A document that is written, two spaces a level.
pub(crate) struct Writer {
    out: String,
    depth: usize,
}

impl Writer {
    pub(crate) fn new() -> Writer {
        Writer { out: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(), depth: 0 }
    }

    /// An element with elements inside.
    pub(crate) fn element(
        &mut self,
        name: &str,
        inside: impl FnOnce(&mut Writer) -> Result<(), XmlError>,
    ) -> Result<(), XmlError> {
        self.indent();
        self.out.push_str(&format!("<{name}>\n"));
        self.depth = self.depth.saturating_add(1);
        inside(self)?;
        self.depth = self.depth.saturating_sub(1);
        self.indent();
        self.out.push_str(&format!("</{name}>\n"));
        Ok(())
    }

    /// An element of text; a control character cannot stand in XML and is refused.
    pub(crate) fn text(&mut self, name: &str, text: &str) -> Result<(), XmlError> {
        if text.chars().any(char::is_control) {
            let line = u32::try_from(self.out.lines().count()).unwrap_or(u32::MAX).saturating_add(1);
            return Err(XmlError {
                line,
                element: name.to_owned(),
                expected: "text without control characters".to_owned(),
                found: format!("\"{}\"", shorten(text).escape_debug()),
            });
        }
        self.indent();
        self.out.push_str(&format!("<{name}>{}</{name}>\n", escape(text)));
        Ok(())
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }

    fn indent(&mut self) {
        for _ in 0..self.depth {
            self.out.push_str("  ");
        }
    }
}
