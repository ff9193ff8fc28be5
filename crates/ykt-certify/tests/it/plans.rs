//! Plans as people write them: what is wrong is named by line, case and step, with what was expected and found.

use std::collections::BTreeSet;
use ykt_certify::plan::BUILT_IN;
use ykt_certify::{Harm, Overrides, Plan};

const HEAD: &str = "name = 'x'\ntitle = 'x'\nzh = 'x'\nversion = '1'\ncard = 'purse'\n";

fn case(fields: &str) -> String {
    format!("{HEAD}[[case]]\nid = \"a.b\"\npurpose = 'p'\nzh = 'p'\nclause = 'c'\n{fields}\n")
}

#[test]
fn what_is_wrong_is_named() {
    for (fields, why) in [
        ("steps = [{ do = 'burn' }]", "line 7, case a.b, steps 1: unknown variant `burn`, expected one of"),
        ("steps = [{ do = 'balance', colour = 1 }]", "steps 1: unknown field `colour`"),
        ("steps = []\ncolour = 1", "case a.b: unknown field `colour`"),
        ("steps = [{ do = 'send', apdu = '0' }]", "a digit is missing"),
        ("steps = [{ do = 'send', apdu = '00', sw = '900' }]", "a status word of four digits"),
        ("steps = [{ do = 'send', apdu = '{nobody}' }]", "found `{nobody}`"),
        ("steps = [{ do = 'verify', when = 'wings' }]", "expected one of the features"),
        ("steps = []\nneeds = ['wings']", "found `wings`"),
        ("steps = [{ do = 'repeat', times = 65, steps = [] }]", "1 to 64 times, found 65"),
        ("steps = [{ do = 'repeat', times = 2, steps = [{ do = 'burn' }] }]", "inner step 1"),
        ("steps = []\nwith = [{ what = 'x' }]", "expected `row = "),
        ("steps = []\nwith = [{ row = 'r', what = 'x' }]", "no step uses `{what}`"),
        ("steps = []\ntags = ['loud']", "unknown variant `loud`"),
    ] {
        let error = Plan::parse(&case(fields)).unwrap_err().to_string();
        assert!(error.contains(why), "{fields}\n{error}\nexpected {why}");
    }
    let twice = format!("{}{}", case("steps = []"), case("steps = []").replace(HEAD, ""));
    assert!(Plan::parse(&twice).unwrap_err().to_string().contains("that of another case"));
    let line = Plan::parse(&format!("{HEAD}colour = 1\n")).unwrap_err().to_string();
    assert!(line.contains("line 6") && line.contains("colour"), "{line}");
    let parameter = Plan::parse(&format!("{HEAD}[parameters]\nidle = '00'\n")).unwrap_err().to_string();
    assert!(parameter.contains("idle") && parameter.contains("nobody uses"), "{parameter}");
    let time = Plan::parse(&format!("{HEAD}[parameters]\nat = '20261322000000'\n")).unwrap_err().to_string();
    assert!(time.contains("parameter at") && time.contains("YYYYMMDDHHMMSS"), "{time}");
}

#[test]
fn parameters_and_rows_are_put_in_place() {
    let text = format!(
        "{HEAD}[parameters]\nfile = '95'\n[[case]]\nid = 'a.b'\npurpose = 'reads {{what}}'\nzh = 'x'\nclause = 'c'\n\
         with = [{{ row = 'one', what = 'one', apdu = '00 B0 {{file}} 00 01' }}, {{ row = 'two', what = 'two', apdu = '00' }}]\n\
         steps = [{{ do = 'send', apdu = '{{apdu}}' }}]\n"
    );
    let plan = Plan::parse(&text).unwrap();
    let ids: Vec<&str> = plan.cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids, ["a.b.one", "a.b.two"]);
    assert_eq!(plan.cases[0].purpose.en, "reads one");
    assert!(plan.cases[0].steps[0].source.contains("00 B0 95 00 01"), "{}", plan.cases[0].steps[0].source);
}

#[test]
fn overrides_take_the_place_of_parameters_only() {
    let of = |name: &str, value: &str| {
        Plan::built_in("purse", &Overrides::from([(name.to_owned(), value.to_owned())]))
    };
    assert_eq!(of("index", "02").unwrap().settings.index, 2);
    let error = of("indes", "02").unwrap_err().to_string();
    assert!(error.contains("found `indes`") && error.contains("index"), "{error}");
    assert!(of("terminal", "1122").unwrap_err().to_string().contains("expected 6 hex bytes, found 2"));
}

#[test]
fn built_in_plans_are_read_and_speak_both_languages() {
    for name in BUILT_IN {
        let plan = Plan::built_in(name, &Overrides::new()).unwrap();
        assert_eq!(plan.name, *name);
        let ids: BTreeSet<&str> = plan.cases.iter().map(|case| case.id.as_str()).collect();
        assert_eq!(ids.len(), plan.cases.len());
        for case in &plan.cases {
            assert!(!case.purpose.en.contains('{'), "{}: {}", case.id, case.purpose.en);
            assert!(
                case.purpose.zh.chars().any(|sign| sign > '\u{2E80}'),
                "{}: {}",
                case.id,
                case.purpose.zh
            );
            assert!(!case.clause.is_empty() && !case.steps.is_empty(), "{}", case.id);
        }
        assert!(plan.cases.iter().any(|case| case.harm == Harm::None));
    }
    let error = Plan::built_in("bus", &Overrides::new()).unwrap_err().to_string();
    assert!(error.contains("no built-in plan `bus`; there are purse, psam, m1"), "{error}");
}
