//! Taking in the keys of an exchange file: it is read and shown with its check values first, then a request is asked
//! for that a second person approves. Nothing of the file is kept between the two steps but on the page itself.

use super::{crumb, key, named};
use crate::act::{Acted, Doing, Fault, Filled, Work};
use crate::i18n::Lang;
use crate::list::List;
use crate::lists::keys::Keys;
use crate::problem::Problem;
use crate::view::cell::{Cell, Tone};
use crate::view::detail::{Block, Detail};
use crate::view::form::{Field, FieldKind, Form};
use crate::web::{Asked, Shared, blocking};
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;
use ykt_base::hex::Hex;
use ykt_kmc::{Operation, PlaceName};
use ykt_office::people::Permission;
use ykt_vault::exchange::{self, Sender};
use ykt_vault::{KeyAddress, KeyKind, KeyPlace, KeyRef, WrappedKey};

/// Where a file is brought.
pub(crate) const PATH: &str = "/import-keys";
/// Where its keys are asked for, once they were shown.
pub(crate) const ASK: &str = "/import-keys/ask";
/// Largest body of these forms, in bytes: about ten thousand keys. More are taken in at the command line.
pub(crate) const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
const MANAGES: Permission = Permission::ManageKeys;

/// Whether a path is one of these forms.
pub(crate) fn is_here(path: &str) -> bool {
    path == PATH || path == ASK
}

/// A file that was read.
struct Read {
    party: String,
    transport: KeyRef,
    transport_kcv: [u8; 3],
    sender: Option<Sender>,
    keys: Vec<WrappedKey>,
    /// As it was read, for the next form.
    text: String,
}

/// The form for a file.
pub(crate) async fn page(State(shared): State<Arc<Shared>>, asked: Asked) -> Result<Response, Problem> {
    asked.signed.must(MANAGES)?;
    view(&shared, &asked, &Filled::default()).await
}

async fn view(shared: &Arc<Shared>, asked: &Asked, filled: &Filled) -> Result<Response, Problem> {
    let lang = asked.prefs.lang;
    let reader = Arc::clone(shared);
    let tree = blocking(move || key::tree(&reader)).await?;
    let block = match named::choice(&tree, KeyKind::KeyTransport, "transport", lang.t("keys.transport")) {
        None => named::lacks(lang, KeyKind::KeyTransport),
        Some(transport) => Block::Form(
            Form::new(asked, "keys.import", PATH, "keys.import_look")
                .lead(lang.t("keys.import_lead"))
                .field(Field::new("party", lang.t("keys.import_party"), FieldKind::Text))
                .field(transport)
                .field(
                    Field::new("text", lang.t("keys.import_file"), FieldKind::Document)
                        .hint(lang.t("keys.import_hint")),
                )
                .filled(filled),
        ),
    };
    filled.page(&detail(shared, asked, vec![block]))
}

fn detail(shared: &Shared, asked: &Asked, blocks: Vec<Block>) -> Detail {
    let lang = asked.prefs.lang;
    Detail {
        crumbs: vec![crumb::<Keys>(lang)],
        tag: None,
        actions: Vec::new(),
        blocks,
        f: asked.frame(shared, lang.t("keys.import"), Keys::PATH),
    }
}

/// Reads what was filled in; nothing of it goes anywhere.
fn read(work: &Work<'_>) -> Result<Read, Fault> {
    let (centre, lang) = (work.shared.centre()?, work.lang);
    let party = work.fields.must("party", lang)?.to_owned();
    let transport = named::root(work, "transport")?;
    work.fields.must("text", lang)?;
    // A browser sends the lines of a field with CR LF; a signature is over the lines as the centre wrote them.
    let text = work.fields.raw("text").unwrap_or_default().replace("\r\n", "\n");
    let kcv = centre.vault.kcv(&KeyAddress::Shared(transport));
    let kcv = kcv.map_err(|error| key::refused(lang, &error.into()))?;
    let read = exchange::read(&text, &centre.vault.status().levels, kcv);
    let read = read.map_err(|error| {
        Fault::at("text", lang.fill("keys.import_unread", &[("why", &error.to_string())]))
    })?;
    let keys: Vec<WrappedKey> = read.keys.into_iter().map(|(_, key)| key).collect();
    let stated = keys.first().map_or(kcv, |key| key.transport_kcv);
    if stated != kcv {
        let [stated, kcv] = [stated, kcv].map(|kcv| format!("KCV {}", Hex(&kcv)));
        return Err(Fault::expected(lang, "transport", &stated, &kcv));
    }
    Ok(Read { party, transport, transport_kcv: kcv, sender: read.sender, keys, text })
}

/// Reads a file and shows what is in it.
pub(crate) async fn look(doing: Doing) -> Result<Response, Problem> {
    match doing.answer(MANAGES, read).await? {
        Ok(read) => preview(&doing.shared, &doing.asked, read, &Filled::default()).await,
        Err(filled) => view(&doing.shared, &doing.asked, &filled).await,
    }
}

async fn preview(
    shared: &Arc<Shared>,
    asked: &Asked,
    read: Read,
    filled: &Filled,
) -> Result<Response, Problem> {
    let (lang, look) = (asked.prefs.lang, asked.look());
    let reader = Arc::clone(shared);
    let tree = blocking(move || key::tree(&reader)).await?;
    let keys: Vec<named::Named> = read.keys.iter().map(|key| named::Named::to_come(&tree, key)).collect();
    let taken: Vec<String> =
        keys.iter().filter(|key| key.known).map(|key| PlaceName(key.place).to_string()).collect();
    let mut blocks = vec![match &read.sender {
        Some(_) => Block::Note(Tone::Info, lang.t("keys.import_signed").to_owned()),
        None => Block::Note(Tone::Warn, lang.t("keys.import_bare").to_owned()),
    }];
    blocks.push(Block::Facts(lang.t("keys.import_facts").to_owned(), facts(lang, &read)));
    let title = lang.t("key_requests.keys");
    if taken.is_empty() {
        let count = read.keys.len().to_string();
        let (party, transport) = (read.party.as_str(), PlaceName(KeyPlace::root(read.transport)).to_string());
        let places = [("count", count.as_str()), ("party", party), ("transport", &transport)];
        let happens = lang.fill("keys.import_happens", &places);
        let form = Form::new(asked, "keys.import_ask", ASK, "keys.import_go")
            .lead(lang.t("keys.import_compare"))
            .critical([(lang.t("keys.what_happens").to_owned(), Cell::text(happens))])
            .field(Field::hidden("party", party))
            .field(Field::hidden("transport", transport.as_str()))
            .field(Field::hidden("text", read.text.as_str()));
        blocks.push(named::block(title, keys, look));
        blocks.push(Block::Form(key::asking(form, shared, lang).filled(filled)));
    } else {
        let names = lang.fill("keys.import_taken", &[("keys", &taken.join(", "))]);
        blocks.insert(0, Block::Note(Tone::Bad, names));
        blocks.push(named::block(title, keys, look));
    }
    filled.page(&detail(shared, asked, blocks))
}

fn facts(lang: Lang, read: &Read) -> Vec<(&'static str, Cell)> {
    let Read { party, transport, transport_kcv, sender, .. } = read;
    let kcv = format!("{} (KCV {})", PlaceName(KeyPlace::root(*transport)), Hex(transport_kcv));
    let mut facts =
        vec![("keys.import_party", Cell::text(party.clone())), ("keys.transport", Cell::text(kcv))];
    match sender {
        Some(Sender { from, at, signer }) => facts.extend([
            ("keys.import_sender", Cell::text(from.clone())),
            ("keys.import_at", Cell::at(*at)),
            ("keys.import_signer", Cell::text(Hex(signer.as_bytes()).to_string())),
        ]),
        None => facts.push(("keys.import_sender", Cell::text(lang.t("keys.import_nobody")))),
    }
    facts
}

/// Asks for the keys of a file that was shown.
pub(crate) async fn ask(doing: Doing) -> Result<Response, Problem> {
    let acted = doing
        .run(MANAGES, |work| {
            let centre = work.shared.centre()?;
            let Read { party, transport, keys, .. } = read(work)?;
            key::ask(work, &centre, &Operation::Import { party, transport, keys })
        })
        .await?;
    match acted {
        Acted::Done(answer) => Ok(answer),
        Acted::Refused(filled) => match doing.answer(MANAGES, read).await? {
            Ok(read) => preview(&doing.shared, &doing.asked, read, &filled).await,
            // Not what was shown before: the first form says why, and keeps it.
            Err(filled) => {
                let mut filled = filled;
                PATH.clone_into(&mut filled.action);
                view(&doing.shared, &doing.asked, &filled).await
            }
        },
    }
}
