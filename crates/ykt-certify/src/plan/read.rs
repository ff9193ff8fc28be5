//! From text to [`Plan`]: parts are joined, parameters and rows put in place, then every table becomes a type.
//! What is wrong is named by file, line, case and step.

use super::{
    CASES_MAX, CardSort, Case, Feature, Harm, Overrides, Plan, PlanError, SECRET, Settings, Sign, Start,
    asks_the_card,
};
use crate::action::{Action, Need, Step};
use crate::bench::VALUES;
use crate::template::{self, Secrecy, Values};
use crate::words::{Text, Words};
use serde::Deserialize;
use std::collections::BTreeSet;
use toml::{Table, Value};

macro_rules! built_in {
    ($($name:literal,)+) => {
        const FILES: &[(&str, &str)] = &[$((
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/plans/", $name, ".toml")),
        ),)+];
    };
}

built_in! {
    "purse",
    "purse-files",
    "purse-security",
    "purse-load",
    "purse-purchase",
    "purse-proof",
    "purse-composite",
    "purse-deposit",
    "purse-grey",
    "purse-block",
    "psam",
    "m1",
}

/// The text of a built-in plan or part.
pub(super) fn built_in(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(file, _)| *file == name).map(|(_, text)| *text)
}

/// The text of a part of a built-in plan.
pub(super) fn built_in_part(file: &str) -> Result<String, PlanError> {
    let text = file.strip_suffix(".toml").and_then(built_in);
    text.map(str::to_owned).ok_or_else(|| PlanError::Unknown { name: file.to_owned() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    name: String,
    title: String,
    zh: String,
    version: String,
    card: CardSort,
    #[serde(default)]
    parts: Vec<String>,
    #[serde(default)]
    parameters: Table,
    #[serde(default, rename = "feature")]
    features: Vec<Table>,
    #[serde(default, rename = "case")]
    cases: Vec<Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    #[serde(default, rename = "feature")]
    features: Vec<Table>,
    #[serde(default, rename = "case")]
    cases: Vec<Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeatureTable {
    id: String,
    title: String,
    zh: String,
    probe: Option<Vec<Value>>,
    absent: Option<Words>,
    protocol: Option<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseTable {
    id: String,
    purpose: String,
    zh: String,
    clause: String,
    #[serde(default)]
    tags: BTreeSet<Tag>,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    start: Start,
    #[serde(default)]
    setup: Vec<Value>,
    steps: Vec<Value>,
    #[serde(default)]
    cleanup: Vec<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Tag {
    Destructive,
    Fatal,
}

/// A text that a table came from, for its name and lines.
struct Source {
    name: String,
    text: String,
}

impl Source {
    fn parse<T: for<'de> Deserialize<'de>>(&self) -> Result<T, PlanError> {
        toml::from_str(&self.text).map_err(|error| {
            let line = error.span().map(|span| line_of(&self.text, span.start));
            self.wrong(
                line.map_or_else(|| "whole file".to_owned(), |line| format!("line {line}")),
                error.message(),
            )
        })
    }

    fn wrong(&self, place: String, what: impl Into<String>) -> PlanError {
        PlanError::Wrong { file: self.name.clone(), place, what: what.into() }
    }

    /// `line 12, case purchase.good`: where the table with this id stands.
    fn place(&self, what: &str, id: &str) -> String {
        let line = self.text.lines().position(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some("id") && line.contains(&format!("\"{id}\""))
        });
        let line = line.map_or_else(String::new, |at| format!("line {}, ", at.saturating_add(1)));
        format!("{line}{what} {id}")
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count().saturating_add(1)
}

/// Reads a plan and its parts.
pub(super) fn plan(
    name: &str,
    text: &str,
    part: &dyn Fn(&str) -> Result<String, PlanError>,
    overrides: &Overrides,
) -> Result<Plan, PlanError> {
    let source = Source { name: name.to_owned(), text: text.to_owned() };
    let header: Header = source.parse()?;
    let mut parameters = overridden(&source, header.parameters, overrides)?;
    let secrets = secrets(&source, &mut parameters)?;
    let mut reader = Reader { parameters, used: BTreeSet::new(), features: Vec::new(), cases: Vec::new() };
    reader.take(&source, header.features, header.cases)?;
    for name in header.parts {
        let source = Source { text: part(&name)?, name };
        let Part { features, cases } = source.parse()?;
        reader.take(&source, features, cases)?;
    }
    let settings = reader.settings(&source)?;
    let plan = Plan {
        name: header.name,
        title: Text::new(header.title, header.zh),
        version: header.version,
        card: header.card,
        settings,
        secrets,
        features: reader.features,
        cases: reader.cases,
    };
    check(&source, &plan)?;
    Ok(plan)
}

/// The parameters, with those given in their place; a number stays a number.
fn overridden(source: &Source, mut parameters: Table, overrides: &Overrides) -> Result<Table, PlanError> {
    for (name, given) in overrides {
        let there: Vec<_> = parameters.keys().cloned().collect();
        let Some(value) = parameters.get_mut(name) else {
            let what = format!("expected one of the parameters {}, found `{name}`", there.join(", "));
            return Err(source.wrong("parameters".to_owned(), what));
        };
        *value = match value {
            Value::Integer(_) => given.parse().map(Value::Integer).map_err(|_| {
                source.wrong(format!("parameter {name}"), format!("expected a number, found {given:?}"))
            })?,
            _ => Value::String(given.clone()),
        };
    }
    Ok(parameters)
}

/// Takes the secret parameters out: they are put into commands only when these are sent.
fn secrets(source: &Source, parameters: &mut Table) -> Result<Values, PlanError> {
    let names: Vec<String> = parameters.keys().filter(|name| name.starts_with(SECRET)).cloned().collect();
    let mut secrets = Values::new();
    for name in names {
        let value = parameters.remove(&name);
        let digits: String =
            value.as_ref().and_then(Value::as_str).unwrap_or("-").split_whitespace().collect();
        let mut bytes = vec![0; digits.len().div_ceil(2)];
        // The text of a key stays out of the error.
        ykt_base::hex::decode_into(&digits, &mut bytes)
            .map_err(|_| source.wrong(format!("parameter {name}"), "expected hex digits"))?;
        secrets.insert(name, template::Value { bytes, secrecy: Secrecy::Secret });
    }
    Ok(secrets)
}

struct Reader {
    parameters: Table,
    used: BTreeSet<String>,
    features: Vec<Feature>,
    cases: Vec<Case>,
}

impl Reader {
    fn take(&mut self, source: &Source, features: Vec<Table>, cases: Vec<Table>) -> Result<(), PlanError> {
        for table in features {
            let feature = self.feature(source, table)?;
            self.features.push(feature);
        }
        for table in cases {
            self.rows(source, table)?;
        }
        Ok(())
    }

    /// The parameters with a meaning of their own; every other must be used somewhere.
    fn settings(&self, source: &Source) -> Result<Settings, PlanError> {
        let mut known = Table::new();
        for (name, value) in &self.parameters {
            let mut one = Table::new();
            one.insert(name.clone(), value.clone());
            match Settings::deserialize(one) {
                Ok(_) => _ = known.insert(name.clone(), value.clone()),
                Err(error) if error.message().starts_with("unknown field") => {
                    if !self.used.contains(name) {
                        let what =
                            "expected a parameter that a case uses or verbs know, found one that nobody uses";
                        return Err(source.wrong(format!("parameter {name}"), what));
                    }
                }
                Err(error) => return Err(source.wrong(format!("parameter {name}"), error.message())),
            }
        }
        Settings::deserialize(known).map_err(|error| source.wrong("parameters".to_owned(), error.message()))
    }

    fn feature(&mut self, source: &Source, table: Table) -> Result<Feature, PlanError> {
        let id = id_of(&table);
        let place = source.place("feature", &id);
        let table =
            self.substituted(&table, &Table::new()).map_err(|what| source.wrong(place.clone(), what))?;
        let table =
            FeatureTable::deserialize(table).map_err(|error| source.wrong(place.clone(), error.message()))?;
        let FeatureTable { id, title, zh, probe, absent, protocol } = table;
        let sign = match (probe, absent, protocol) {
            (Some(probe), absent, None) => {
                Sign::Probe { steps: steps(source, &place, "probe", probe)?, absent }
            }
            (None, None, Some(protocol)) => Sign::Protocol(protocol),
            _ => return Err(source.wrong(place, "expected either `probe` or `protocol`")),
        };
        Ok(Feature { id, title: Text::new(title, zh), sign })
    }

    /// One case, or one for every row of `with`.
    fn rows(&mut self, source: &Source, mut table: Table) -> Result<(), PlanError> {
        let id = id_of(&table);
        let place = source.place("case", &id);
        let rows = match table.remove("with") {
            None => return self.case(source, &place, &table, &Table::new()),
            Some(rows) => Vec::<Table>::deserialize(rows),
        };
        let rows =
            rows.map_err(|error| source.wrong(place.clone(), format!("`with`: {}", error.message())))?;
        for row in rows {
            let Some(Value::String(name)) = row.get("row") else {
                return Err(source.wrong(place, "expected `row = \"name\"` in every row of `with`"));
            };
            let mut table = table.clone();
            table.insert("id".to_owned(), Value::String(format!("{id}.{name}")));
            self.case(source, &format!("{place}, row {name}"), &table, &row)?;
        }
        Ok(())
    }

    fn case(&mut self, source: &Source, place: &str, table: &Table, row: &Table) -> Result<(), PlanError> {
        let wrong = |what: String| source.wrong(place.to_owned(), what);
        let table = self.substituted(table, row).map_err(wrong)?;
        let case = CaseTable::deserialize(table).map_err(|error| wrong(error.message().to_owned()))?;
        let harm = case.tags.iter().map(|tag| match tag {
            Tag::Destructive => Harm::Destructive,
            Tag::Fatal => Harm::Fatal,
        });
        let harm = harm.max().unwrap_or(Harm::None);
        let case = Case {
            purpose: Text::new(case.purpose, case.zh),
            clause: case.clause,
            harm,
            start: case.start,
            needs: case.needs.iter().map(|need| Need::parse(need)).collect(),
            setup: steps(source, place, "setup", case.setup)?,
            steps: steps(source, place, "steps", case.steps)?,
            cleanup: steps(source, place, "cleanup", case.cleanup)?,
            id: case.id,
        };
        if self.cases.iter().any(|other| other.id == case.id) {
            return Err(wrong("expected an id of its own, found that of another case".to_owned()));
        }
        self.cases.push(case);
        if self.cases.len() > CASES_MAX {
            return Err(wrong(format!("expected at most {CASES_MAX} cases")));
        }
        Ok(())
    }

    /// Puts the row and the parameters into a table; a row may name parameters itself.
    fn substituted(&mut self, table: &Table, row: &Table) -> Result<Table, String> {
        if let Some(name) = row.keys().find(|name| self.parameters.contains_key(*name)) {
            return Err(format!("the row gives `{name}`, which is a parameter of the plan"));
        }
        let mut used = BTreeSet::new();
        let mut names = put(row, &self.parameters, &mut used)?;
        names.extend(self.parameters.clone());
        let done = put(table, &names, &mut used)?;
        if let Some(idle) = row.keys().find(|name| *name != "row" && !used.contains(*name)) {
            return Err(format!("no step uses `{{{idle}}}` of the rows"));
        }
        self.used.extend(used);
        Ok(done)
    }
}

/// [`substitute`] for every value of a table.
fn put(table: &Table, names: &Table, used: &mut BTreeSet<String>) -> Result<Table, String> {
    table.iter().map(|(key, value)| Ok((key.clone(), substitute(value, names, used)?))).collect()
}

fn id_of(table: &Table) -> String {
    table.get("id").and_then(Value::as_str).unwrap_or("without id").to_owned()
}

/// Puts parameters and values of a row in the place of `{name}`. A text that is nothing but a name becomes the
/// value itself, so that numbers stay numbers.
fn substitute(value: &Value, names: &Table, used: &mut BTreeSet<String>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => {
            let whole = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            if let Some((name, value)) = whole.and_then(|name| names.get_key_value(name)) {
                used.insert(name.clone());
                return Ok(value.clone());
            }
            let mut text = text.clone();
            for (name, value) in names {
                let sign = format!("{{{name}}}");
                if text.contains(&sign) {
                    used.insert(name.clone());
                    let Value::String(value) = value else {
                        return Err(format!(
                            "`{sign}` is {}, and only a text can stand in a text",
                            value.type_str()
                        ));
                    };
                    text = text.replace(&sign, value);
                }
            }
            Value::String(text)
        }
        Value::Array(values) => {
            let values: Result<Vec<Value>, String> =
                values.iter().map(|value| substitute(value, names, used)).collect();
            Value::Array(values?)
        }
        Value::Table(table) => Value::Table(put(table, names, used)?),
        other => other.clone(),
    })
}

fn steps(source: &Source, place: &str, list: &str, steps: Vec<Value>) -> Result<Vec<Step>, PlanError> {
    let read = |(at, step): (usize, Value)| {
        let number = at.saturating_add(1);
        Step::read(step).map_err(|what| source.wrong(format!("{place}, {list} {number}"), what))
    };
    steps.into_iter().enumerate().map(read).collect()
}

/// What only the whole plan shows: features that exist, names that have a value when they are used.
fn check(source: &Source, plan: &Plan) -> Result<(), PlanError> {
    let features: BTreeSet<&str> = plan.features.iter().map(|feature| feature.id.as_str()).collect();
    let known = |need: &Need, place: String| {
        if features.contains(need.feature.as_str()) {
            return Ok(());
        }
        let list: Vec<&str> = features.iter().copied().collect();
        Err(source.wrong(
            place,
            format!("expected one of the features {}, found `{}`", list.join(", "), need.feature),
        ))
    };
    for feature in &plan.features {
        let place = format!("feature {}", feature.id);
        let Sign::Probe { steps, .. } = &feature.sign else { continue };
        if !steps.last().is_some_and(|step| asks_the_card(&step.action)) {
            return Err(source.wrong(place, "expected a probe that ends with a command"));
        }
        check_names(source, plan, &place, steps)?;
    }
    for case in &plan.cases {
        let place = format!("case {}", case.id);
        case.needs.iter().try_for_each(|need| known(need, place.clone()))?;
        for step in case.all_steps() {
            step.when.as_ref().map_or(Ok(()), |need| known(need, place.clone()))?;
        }
        let all: Vec<Step> = case.all_steps().cloned().collect();
        check_names(source, plan, &place, &all)?;
    }
    Ok(())
}

fn check_names(source: &Source, plan: &Plan, place: &str, steps: &[Step]) -> Result<(), PlanError> {
    let given = VALUES.iter().map(|name| (*name).to_owned());
    let mut names: BTreeSet<String> = given.chain(plan.secrets.keys().cloned()).collect();
    check_steps(steps, &mut names).map_err(|name| {
        let list: Vec<&str> = names.iter().map(String::as_str).collect();
        let what = format!("expected a name that has a value ({}), found `{{{name}}}`", list.join(", "));
        source.wrong(place.to_owned(), what)
    })
}

/// Adds what steps keep to `names`; the first name without a value is the error.
fn check_steps(steps: &[Step], names: &mut BTreeSet<String>) -> Result<(), String> {
    for Step { action, .. } in steps {
        let (templates, pattern) = match action {
            Action::Send { apdu, answer, .. } => (vec![apdu], answer.as_ref()),
            Action::Select { name, file, answer, .. } => (name.iter().chain(file).collect(), answer.as_ref()),
            Action::Secure { header, data, answer, .. } => (vec![header, data], answer.as_ref()),
            Action::Cipher { data, .. } => (vec![data], None),
            Action::Repeat { steps, .. } => {
                check_steps(steps, names)?;
                continue;
            }
            _ => continue,
        };
        let named = templates.into_iter().flat_map(|template| template.names());
        if let Some(name) = named.into_iter().find(|name| !names.contains(*name)) {
            return Err(name.to_owned());
        }
        names.extend(pattern.into_iter().flat_map(|pattern| pattern.captures()).map(str::to_owned));
        if let Some(name) =
            pattern.into_iter().flat_map(|pattern| pattern.names()).find(|name| !names.contains(*name))
        {
            return Err(name.to_owned());
        }
    }
    Ok(())
}
