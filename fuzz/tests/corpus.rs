//! Runs every fuzz target with the inputs that libFuzzer kept and with inputs written by hand.

#![allow(missing_docs, reason = "a test")]

use std::{collections::BTreeSet, fs, io, path::Path};

#[test]
fn every_fuzz_target_passes_its_corpus() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let folders: BTreeSet<String> = fs::read_dir(&corpus)?
        .map(|folder| Ok(folder?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()?;
    let targets: BTreeSet<String> =
        pgbackup_fuzz::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(folders, targets);
    for (name, check) in pgbackup_fuzz::TARGETS {
        let mut files = 0;
        for file in fs::read_dir(corpus.join(name))? {
            check(&fs::read(file?.path())?);
            files += 1;
        }
        assert!(files >= 5, "{name} has {files} files");
    }
    Ok(())
}
