//! Every file of tests/dialogues, word for word.

use crate::bench::Dialogue;

#[test]
fn every_dialogue_goes_as_written() {
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues");
    let mut played = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        Dialogue::read(name.strip_suffix(".apdu").unwrap()).play();
        played += 1;
    }
    assert!(played >= 5, "{played} dialogues");
}
