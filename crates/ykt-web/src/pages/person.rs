//! A user of the house, and what a security officer does about one: add, unlock, disable, enable, new first
//! password. A role is never changed and a name never given again, so there is no form for either.

use super::crumb;
use crate::act::{Acted, Doing, Done, Fault, Filled, Work};
use crate::auth::weak_words;
use crate::i18n::Lang;
use crate::list::List;
use crate::lists::users::{self, Users};
use crate::problem::Problem;
use crate::view::cell::Cell;
use crate::view::detail::{Block, Detail};
use crate::view::form::{Field, FieldKind, Form};
use crate::view::url::segment;
use crate::web::{Asked, Shared};
use crate::words::Word;
use axum::extract::{Path, State};
use axum::response::Response;
use std::sync::Arc;
use ykt_office::people::{self, FirstPassword, NewUser, Password, PeopleError, Permission, Role, UserRow};

/// Where a user is added.
pub(crate) const NEW: &str = "/new-user";
const NEEDS: Permission = Permission::ManagePeople;

/// The address of a user.
pub(crate) fn href(name: &str) -> String {
    format!("/users/{}", segment(name))
}

/// The form for a new user.
pub(crate) async fn new_page(State(shared): State<Arc<Shared>>, asked: Asked) -> Result<Response, Problem> {
    asked.signed.must(NEEDS)?;
    new_view(&shared, &asked, &Filled::default())
}

fn new_view(shared: &Shared, asked: &Asked, filled: &Filled) -> Result<Response, Problem> {
    let lang = asked.prefs.lang;
    let roles = Role::ALL.iter().map(|role| (role.slug().to_owned(), role.in_words(lang).to_owned()));
    let form = Form::new(asked, "users.new", NEW, "users.new_go")
        .lead(lang.t("users.new_lead"))
        .field(Field::new("name", lang.t("users.name"), FieldKind::Code).hint(lang.t("users.name_rule")))
        .field(Field::new("full-name", lang.t("account.full_name"), FieldKind::Text))
        .field(Field::new("role", lang.t("account.role"), FieldKind::Choice(roles.collect())))
        .field(
            Field::new("staff-number", lang.t("users.staff_number"), FieldKind::Code)
                .hint(lang.t("users.staff_number_rule"))
                .optional(),
        )
        .field(first_password(lang))
        .filled(filled);
    filled.page(&Detail {
        crumbs: vec![crumb::<Users>(lang)],
        tag: None,
        actions: Vec::new(),
        blocks: vec![Block::Form(form)],
        f: asked.frame(shared, lang.t("users.new"), Users::PATH),
    })
}

fn first_password(lang: Lang) -> Field {
    Field::new("password", lang.t("users.first_password"), FieldKind::Secret).hint(lang.t("account.rule"))
}

/// Adds a user.
pub(crate) async fn add(doing: Doing) -> Result<Response, Problem> {
    let acted = doing
        .run(NEEDS, |work| {
            let lang = work.lang;
            let number = work.fields.text("staff-number").map(str::parse).transpose();
            let new = NewUser {
                name: work.fields.must("name", lang)?.to_owned(),
                full_name: work.fields.must("full-name", lang)?.to_owned(),
                role: Role::from_slug(work.fields.must("role", lang)?)
                    .ok_or_else(|| Fault::at("role", lang.t("form.missing")))?,
                staff_number: number
                    .map_err(|_| Fault::at("staff-number", lang.t("users.staff_number_rule")))?,
                first_password: FirstPassword::MustBeChanged,
            };
            let rng = &mut *(work.shared.app.rng)();
            let added = work.shared.people.add(&new, &password(work)?, rng, &work.act);
            added.map_err(|error| refused(lang, &error))?;
            Ok(Done::at(href(&new.name)).say("users.added", [("name", &new.name)]))
        })
        .await?;
    match acted {
        Acted::Done(answer) => Ok(answer),
        Acted::Refused(filled) => new_view(&doing.shared, &doing.asked, &filled),
    }
}

fn password(work: &Work<'_>) -> Result<Password, Fault> {
    work.fields.must("password", work.lang)?;
    Ok(Password::from(work.fields.raw("password").unwrap_or_default()))
}

/// A refusal of the people's room, at its field and in the reader's language.
fn refused(lang: Lang, error: &PeopleError) -> Fault {
    match error {
        PeopleError::Store(error) => Fault::ours(error),
        PeopleError::Hash(error) => Fault::ours(error),
        PeopleError::Weak { source, .. } => Fault::at("password", weak_words(lang, source)),
        PeopleError::Name { .. } => Fault::at("name", lang.t("users.name_rule")),
        PeopleError::Taken { .. } => Fault::at("name", lang.t("users.taken")),
        PeopleError::StaffNumberMissing { .. } => Fault::at("staff-number", lang.t("users.number_missing")),
        PeopleError::Excluded { number, role, other, others_role, .. } => Fault::at(
            "staff-number",
            lang.fill(
                "users.excluded",
                &[
                    ("number", number.as_str()),
                    ("other", other),
                    ("others", others_role.in_words(lang)),
                    ("role", role.in_words(lang)),
                ],
            ),
        ),
        PeopleError::StaffNumberKept { found, .. } => {
            Fault::at("staff-number", lang.fill("users.number_kept", &[("number", found.as_str())]))
        }
        PeopleError::Unknown { name } => Fault::Problem(Problem::not_found(name.as_str())),
    }
}

/// A user with what can be done about it.
pub(crate) async fn page(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.signed.must(NEEDS)?;
    view(&shared, &asked, name, &Filled::default()).await
}

async fn view(
    shared: &Arc<Shared>,
    asked: &Asked,
    name: String,
    filled: &Filled,
) -> Result<Response, Problem> {
    let lang = asked.prefs.lang;
    let user =
        shared.read(move |tx| people::user(tx, &name)?.ok_or_else(|| Problem::not_found(name))).await?;
    let look = asked.look();
    let coded = shared.people.rules().second_factor.asks(user.role);
    let facts = Users::columns().iter().map(|column| (column.title, (column.cell)(&user, look))).collect();
    let mut blocks = vec![Block::Facts(lang.t("users.facts").to_owned(), facts)];
    blocks.extend(forms(asked, &user, coded).into_iter().map(|form| Block::Form(form.filled(filled))));
    filled.page(&Detail {
        crumbs: vec![crumb::<Users>(lang)],
        tag: Some(users::state(&user, lang)),
        actions: vec![(
            lang.t("users.acts").to_owned(),
            crate::view::url::with_query("/audit", [("who", user.name.as_str())]),
        )]
        .into_iter()
        .filter(|_| asked.signed.who.role.may(Permission::ReadAudit))
        .collect(),
        blocks,
        f: asked.frame(shared, user.name.clone(), Users::PATH),
    })
}

fn forms(asked: &Asked, user: &UserRow, asked_for_code: bool) -> Vec<Form> {
    let lang = asked.prefs.lang;
    let to = |act: &str| format!("{}/{act}", href(&user.name));
    let whom = || {
        [
            (lang.t("users.name").to_owned(), Cell::text(user.name.clone())),
            (lang.t("account.full_name").to_owned(), Cell::text(user.full_name.clone())),
            (lang.t("account.role").to_owned(), Cell::text(user.role.in_words(lang))),
        ]
    };
    let mut forms = Vec::new();
    if user.locked_until.is_some() {
        forms.push(Form::new(asked, "users.unlock", to("unlock"), "users.unlock_go"));
    }
    if user.staff_number.is_none() {
        let label = lang.t("users.staff_number");
        let field =
            Field::new("staff-number", label, FieldKind::Code).hint(lang.t("users.staff_number_rule"));
        let form = Form::new(asked, "users.give_number", to("staff-number"), "users.give_number_go");
        forms.push(form.field(field));
    }
    let reset = Form::new(asked, "users.reset_password", to("reset-password"), "users.reset_password_go");
    forms.push(reset.lead(lang.t("users.reset_password_lead")).field(first_password(lang)));
    if asked_for_code {
        let form = Form::new(asked, "users.reset_factor", to("reset-factor"), "users.reset_factor_go");
        forms.push(form.lead(lang.t("users.reset_factor_lead")).critical(whom()));
    }
    forms.push(if user.disabled {
        Form::new(asked, "users.enable", to("enable"), "users.enable_go")
    } else {
        Form::new(asked, "users.disable", to("disable"), "users.disable_go")
            .lead(lang.t("users.disable_lead"))
            .critical(whom())
    });
    forms
}

/// Does to a user what the last part of the address says.
pub(crate) async fn change(
    Path((name, what)): Path<(String, String)>,
    doing: Doing,
) -> Result<Response, Problem> {
    let user = name.clone();
    let acted = doing
        .run(NEEDS, move |work| {
            let (people, act) = (&work.shared.people, &work.act);
            let (done, key) = match what.as_str() {
                "unlock" => (people.unlock(&user, act), "users.unlocked"),
                "disable" if user == act.who => {
                    return Err(Fault::said(work.lang.t("users.not_oneself")));
                }
                "disable" => (people.disable(&user, act), "users.disabled"),
                "enable" => (people.enable(&user, act), "users.enabled"),
                "reset-password" => {
                    let rng = &mut *(work.shared.app.rng)();
                    let done = people.reset_password(&user, &password(work)?, rng, act);
                    (done, "users.password_reset")
                }
                "reset-factor" => (people.reset_second_factor(&user, act), "users.factor_reset"),
                "staff-number" => {
                    let number = work.fields.must("staff-number", work.lang)?.parse();
                    let number = number
                        .map_err(|_| Fault::at("staff-number", work.lang.t("users.staff_number_rule")))?;
                    (people.give_staff_number(&user, &number, act), "users.number_given")
                }
                _ => return Err(Problem::not_found("").into()),
            };
            done.map_err(|error| refused(work.lang, &error))?;
            Ok(Done::at(href(&user)).say(key, [("name", &user)]))
        })
        .await?;
    match acted {
        Acted::Done(answer) => Ok(answer),
        Acted::Refused(filled) => view(&doing.shared, &doing.asked, name, &filled).await,
    }
}
