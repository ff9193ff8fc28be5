//! The corpus again, and a short run from a seed: what libFuzzer looks for, in the time a test has.

use std::path::PathBuf;
use ykt_base::Rng;
use ykt_city::rng::SeededRng;
use ykt_fuzz::TARGETS;

/// Inputs of the seeded run, for each target.
const INPUTS: usize = 60;
const INPUT_LEN_MAX: u32 = 1_500;

#[test]
fn the_kept_corpus_wrongs_no_oracle() {
    for (name, target) in TARGETS {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
        let files =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut count = 0;
        for file in files {
            target(&std::fs::read(file.unwrap().path()).unwrap());
            count += 1;
        }
        println!("{name}: {count} inputs of the corpus");
        assert!(count > 0, "no corpus in {}", folder.display());
    }
}

#[test]
fn a_seeded_run_wrongs_no_oracle() {
    for (name, target) in TARGETS {
        let mut rng = SeededRng::stream(2026, name);
        for _ in 0..INPUTS {
            let mut input = vec![0; usize::try_from(rng.below(INPUT_LEN_MAX)).unwrap()];
            rng.fill(&mut input);
            target(&input);
        }
        println!("{name}: {INPUTS} random inputs");
    }
}
