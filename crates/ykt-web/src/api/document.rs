//! The OpenAPI 3.1 document, made from what serves the answers: list descriptions give their parameters and
//! rows, the load bodies are held to the terminal's own types by a test.

use crate::api::name;
use crate::health::HealthBody;
use crate::i18n::Lang;
use crate::list::{Filter, FilterKind, Order, Shape};
use crate::lists::{Registered, all_lists};
use crate::problem::{Code, ProblemBody};
use axum::Json;
use std::fmt::Write;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{
    ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathsBuilder,
    Ref, RefOr, Required, ResponseBuilder, Schema,
};
use utoipa::{PartialSchema, ToSchema};

/// Serves the document.
pub(crate) async fn serve() -> Json<OpenApi> {
    Json(openapi())
}

/// The document.
#[must_use]
pub fn openapi() -> OpenApi {
    let lists = all_lists();
    let mut paths = PathsBuilder::new();
    for list in &lists {
        let operation = described(list);
        paths = paths.path(format!("/api/v1{}", list.path), PathItem::new(HttpMethod::Get, operation));
    }
    for load in &LOADS {
        paths =
            paths.path(format!("/api/v1{}", load.path), PathItem::new(HttpMethod::Post, load.operation()));
    }
    let health = OperationBuilder::new()
        .operation_id(Some("health"))
        .tag("operations")
        .summary(Some("Whether the server can do its work"))
        .securities(Some([SecurityRequirement::default()]))
        .response("200", json_response("The database answers.", Ref::from_schema_name("HealthBody")))
        .response("503", json_response("It does not.", Ref::from_schema_name("HealthBody")));
    let metrics = OperationBuilder::new()
        .operation_id(Some("metrics"))
        .tag("operations")
        .summary(Some("Counts and latencies for Prometheus: for this machine, or with a bearer token"))
        .response("200", text_response("Prometheus text format 0.0.4."))
        .response("401", problem());
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let mut components = ComponentsBuilder::new()
        .schema(ProblemBody::name(), ProblemBody::schema())
        .schema(HealthBody::name(), HealthBody::schema())
        .security_scheme("token", SecurityScheme::Http(bearer))
        .security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("ykt_session"))));
    for list in &lists {
        components = components.schema(row_name(list), row_schema(list));
    }
    let mut document = OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Yikatong")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(description()))
                .license(Some(
                    LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build(),
                )),
        )
        .paths(
            paths
                .path("/healthz", PathItem::new(HttpMethod::Get, health))
                .path("/metrics", PathItem::new(HttpMethod::Get, metrics)),
        )
        .components(Some(components.build()))
        .security(Some([requirement("token"), requirement("session")]))
        .build();
    document.servers = None;
    document
}

fn requirement(name: &str) -> SecurityRequirement {
    SecurityRequirement::new::<_, [&str; 0], &str>(name, [])
}

fn description() -> String {
    let mut text = String::from(
        "The city card's lists and load host. Amounts are whole fen (分), times local (UTC+8), bytes upper-case \
         hex. A list answers what the page of the same name shows: same filters, same order, same totals. Every \
         load request is safe to repeat.\n\nA status of 400 or above carries `code`, `message` and \
         `message_zh`. Codes:\n",
    );
    for code in Code::ALL {
        let _ =
            write!(text, "\n- `{}` ({}): {}", code.as_str(), code.status().as_u16(), Lang::En.t(code.key()));
    }
    text.push_str(
        "\n\nRefusals of the load host (409, 422) carry its own code, such as `wrong-mac1` or `card-state`.",
    );
    text
}

fn json_response(words: &str, schema: impl Into<RefOr<Schema>>) -> ResponseBuilder {
    ResponseBuilder::new()
        .description(words)
        .content("application/json", ContentBuilder::new().schema(Some(schema)).build())
}

fn text_response(words: &str) -> ResponseBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String);
    ResponseBuilder::new()
        .description(words)
        .content("text/plain", ContentBuilder::new().schema(Some(text)).build())
}

fn problem() -> ResponseBuilder {
    json_response("A problem.", Ref::from_schema_name("ProblemBody"))
}

fn row_name(list: &Registered) -> String {
    let mut name = String::new();
    for part in list.path.split(['/', '-']).filter(|part| !part.is_empty()) {
        let mut letters = part.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.extend(letters);
    }
    name + "Row"
}

fn shape_schema(shape: Shape) -> ObjectBuilder {
    let kind = match shape {
        Shape::Amount | Shape::Number | Shape::Rate => Type::Integer,
        Shape::Text | Shape::Long | Shape::Code | Shape::Time => Type::String,
    };
    ObjectBuilder::new().schema_type(SchemaType::from_iter([kind, Type::Null]))
}

fn row_schema(list: &Registered) -> ObjectBuilder {
    list.columns.iter().fold(ObjectBuilder::new(), |row, (key, title, shape, _)| {
        let name = name(key, *shape);
        row.property(&name, shape_schema(*shape).description(Some(Lang::En.t(title)))).required(name)
    })
}

fn described(list: &Registered) -> OperationBuilder {
    let integer = || ObjectBuilder::new().schema_type(Type::Integer);
    let amounts =
        list.columns.iter().filter(|(_, _, shape, _)| matches!(shape, Shape::Amount | Shape::Number)).fold(
            ObjectBuilder::new().description(Some("Totals over all rows that pass the filter.")),
            |totals, (key, _, shape, _)| totals.property(name(key, *shape), shape_schema(*shape)),
        );
    let answer = ObjectBuilder::new()
        .property("count", integer().description(Some("Rows that pass the filter.")))
        .property("page", integer().description(Some("Page, from 1.")))
        .property("page_rows", integer().description(Some("Most rows of a page.")))
        .property("totals", amounts)
        .property("rows", ArrayBuilder::new().items(Ref::from_schema_name(row_name(list))))
        .required("count")
        .required("page")
        .required("page_rows")
        .required("totals")
        .required("rows");
    let id = format!("list{}", row_name(list).trim_end_matches("Row"));
    let mut operation = OperationBuilder::new()
        .operation_id(Some(id))
        .tag("lists")
        .summary(Some(Lang::En.t(list.title)))
        .response("200", json_response("The rows of the page.", answer))
        .response("400", problem())
        .response("401", problem())
        .response("403", problem());
    for filter in list.filters {
        operation = operation.parameter(query(filter.key, Lang::En.t(filter.title), filter_schema(filter)));
    }
    let sorts: Vec<String> = list
        .columns
        .iter()
        .filter(|(.., order)| *order == Order::Sortable)
        .flat_map(|(key, ..)| [(*key).to_owned(), format!("-{key}")])
        .collect();
    if !sorts.is_empty() {
        let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(sorts));
        operation =
            operation.parameter(query("sort", "Column; with a minus sign the largest first.", schema));
    }
    operation.parameter(query("page", "Page, from 1.", integer().minimum(Some(1)))).parameter(query(
        "rows",
        "Rows of a page.",
        integer().minimum(Some(1)).maximum(Some(1_000)),
    ))
}

fn query(name: &str, words: &str, schema: ObjectBuilder) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(words))
        .schema(Some(schema))
}

fn filter_schema(filter: &Filter) -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String);
    match filter.kind {
        FilterKind::Text | FilterKind::Wide | FilterKind::Carried => text.max_length(Some(80)),
        FilterKind::Date => {
            let date = SchemaFormat::KnownFormat(KnownFormat::Date);
            text.format(Some(date)).description(Some("yyyy-MM-dd"))
        }
        FilterKind::Number => ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)),
        FilterKind::Choice(_, codes) => text.enum_values(Some(codes.iter().copied())),
    }
}

/// A load endpoint: path, what it does, the fields of its body and of its answers.
struct Load {
    path: &'static str,
    id: &'static str,
    words: &'static str,
    body: &'static [Field],
    answers: &'static [&'static [Field]],
}

/// A field: name, type, meaning.
type Field = (&'static str, Kind, &'static str);

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Hex(u8),
    Whole,
}

const ORDER: &[Field] =
    &[("order_id", Kind::Text, "Order id."), ("state", Kind::Text, "paid, initialized, done or given-back.")];
const CREDIT: &[Field] = &[
    ("at", Kind::Text, "Date and time of the load, part of MAC2 and TAC."),
    ("mac2", Kind::Hex(4), "The host's MAC2."),
];
const OFFER: &[Field] = &[
    ("terminal", Kind::Hex(6), "Terminal id."),
    ("balance_fen", Kind::Whole, "Balance before the load."),
    ("counter", Kind::Whole, "Online counter before the load."),
    ("key_version", Kind::Whole, "Version of the load key."),
    ("algorithm", Kind::Whole, "Algorithm byte."),
    ("random", Kind::Hex(4), "The card's random number."),
    ("mac1", Kind::Hex(4), "The card's MAC1."),
];

const LOADS: [Load; 5] = [
    Load {
        path: "/loads",
        id: "payLoad",
        words: "The customer has paid: open the order and hold the money",
        body: &[
            ("order_id", Kind::Text, "Order id chosen by the caller: 1 to 40 letters, digits and hyphens."),
            ("card", Kind::Hex(8), "Card number."),
            ("amount_fen", Kind::Whole, "Amount."),
            ("channel", Kind::Text, "Payment channel, such as WECHAT or CASH."),
        ],
        answers: &[ORDER],
    },
    Load {
        path: "/loads/{id}/initialize",
        id: "initializeLoad",
        words: "Check the card's MAC1 and freeze MAC2 with the order",
        body: OFFER,
        answers: &[CREDIT],
    },
    Load {
        path: "/loads/{id}/confirm",
        id: "confirmLoad",
        words: "Take the card's TAC: the load has happened",
        body: &[("tac", Kind::Hex(4), "The card's TAC.")],
        answers: &[ORDER],
    },
    Load {
        path: "/loads/{id}/resume",
        id: "resumeLoad",
        words: "Go on after a break, from a fresh answer of the card to INITIALIZE FOR LOAD",
        body: OFFER,
        answers: &[
            &[
                ("next", Kind::Text, "credit: give the card this MAC2."),
                ("at", Kind::Text, "Date and time of the load."),
                ("mac2", Kind::Hex(4), "The host's MAC2."),
            ],
            &[
                ("next", Kind::Text, "prove: ask the card for the proof of the load with this counter."),
                ("counter", Kind::Whole, "Online counter of the frozen MAC2."),
            ],
            &[
                ("next", Kind::Text, "closed: nothing is left to do at the card."),
                ("state", Kind::Text, "done or given-back."),
            ],
        ],
    },
    Load {
        path: "/loads/{id}/give-back",
        id: "giveBackLoad",
        words: "Give the held money back, while no card can have it",
        body: &[],
        answers: &[ORDER],
    },
];

impl Load {
    fn operation(&self) -> OperationBuilder {
        let body = ContentBuilder::new().schema(Some(object(self.body))).build();
        let answer: RefOr<Schema> = match self.answers {
            [one] => object(one).into(),
            several => {
                several.iter().fold(OneOfBuilder::new(), |any, fields| any.item(object(fields))).into()
            }
        };
        let mut operation = OperationBuilder::new()
            .operation_id(Some(self.id))
            .tag("loads")
            .summary(Some(self.words))
            .securities(Some([requirement("token")]))
            .request_body(Some(
                RequestBodyBuilder::new()
                    .content("application/json", body)
                    .required(Some(Required::True))
                    .build(),
            ))
            .response("200", json_response("Done, now or before.", answer));
        if self.path.contains("{id}") {
            let id = ParameterBuilder::new()
                .name("id")
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(
                    ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9A-Za-z-]{1,40}$")),
                ));
            operation = operation.parameter(id);
        }
        ["400", "401", "403", "404", "409", "422", "503"]
            .into_iter()
            .fold(operation, |operation, status| operation.response(status, problem()))
    }
}

fn object(fields: &[Field]) -> ObjectBuilder {
    fields.iter().fold(ObjectBuilder::new(), |object, (name, kind, words)| {
        let schema = match kind {
            Kind::Text => ObjectBuilder::new().schema_type(Type::String),
            Kind::Hex(bytes) => {
                let digits = usize::from(*bytes) * 2;
                let pattern = format!("^[0-9A-Fa-f]{{{digits}}}$");
                ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
            }
            Kind::Whole => ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)),
        };
        object.property(*name, schema.description(Some(*words))).required(*name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;
    use serde_json::Value;
    use std::collections::BTreeSet;
    use ykt_terminal::host::wire::{
        ConfirmBody, CreditAnswer, GiveBackBody, OfferBody, OrderAnswer, PayBody, ResumeAnswer,
    };

    fn keys(value: &impl Serialize) -> BTreeSet<String> {
        let Value::Object(map) = serde_json::to_value(value).unwrap() else { panic!("an object") };
        map.keys().cloned().collect()
    }

    fn names(fields: &[Field]) -> BTreeSet<String> {
        fields.iter().map(|(name, ..)| (*name).to_owned()).collect()
    }

    #[test]
    fn the_load_bodies_are_the_terminals() {
        let text = String::new;
        let (n, a) = (text(), text());
        let pay = PayBody { order_id: text(), card: text(), amount_fen: 1, channel: text() };
        let offer = OfferBody {
            terminal: text(),
            balance_fen: 1,
            counter: 1,
            key_version: 1,
            algorithm: 0,
            random: text(),
            mac1: text(),
        };
        let [at_pay, at_initialize, at_confirm, at_resume, at_give_back] = &LOADS;
        assert_eq!(names(at_pay.body), keys(&pay));
        assert_eq!(names(at_initialize.body), keys(&offer));
        assert_eq!(names(at_resume.body), keys(&offer));
        assert_eq!(names(at_confirm.body), keys(&ConfirmBody { tac: text() }));
        assert_eq!(names(at_give_back.body), keys(&GiveBackBody {}));
        assert_eq!(names(at_pay.answers[0]), keys(&OrderAnswer { order_id: n, state: a }));
        assert_eq!(names(at_initialize.answers[0]), keys(&CreditAnswer { at: text(), mac2: text() }));
        for (fields, answer) in at_resume.answers.iter().zip([
            ResumeAnswer::Credit { at: text(), mac2: text() },
            ResumeAnswer::Prove { counter: 1 },
            ResumeAnswer::Closed { state: text() },
        ]) {
            assert_eq!(names(fields), keys(&answer));
        }
    }

    #[test]
    fn every_code_and_every_list_is_described() {
        let text = serde_json::to_string(&openapi()).unwrap();
        assert!(text.starts_with("{\"openapi\":\"3.1.0\""), "{}", &text[..60]);
        for code in Code::ALL {
            assert!(text.contains(&format!("`{}`", code.as_str())), "{}", code.as_str());
        }
        for list in all_lists() {
            assert!(text.contains(&format!("\"/api/v1{}\"", list.path)), "{}", list.path);
        }
    }
}
