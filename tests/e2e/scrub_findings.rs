//! Backups can become corrupted long after their first check. `verify` and `scrub` read them back and find
//! every kind of corruption.

use anyhow::{Result, bail};
use domain::reason::Reason;
use pgbackup_tests::story;

/// Runs in a backup's pod. Each kind of corruption is applied to a file of the newest backup, must be found,
/// and is undone. Then the backup run continues.
const CORRUPTION: &str = r#"
said=/backup/said
check() { /pgbackup/pgbackup-runner "$@" --store=/backup --namespace="$NAMESPACE" --policy=shop; }
cd /backup/"$NAMESPACE"/shop/2*
backup=$(basename "$PWD")
found() { # WHAT FILE COMMAND...: a command that does the corruption
  local what=$1 file=$2
  shift 2
  cp -p "$file" /scratch/whole
  "$@"
  words=$(check verify --backup="$backup" 2>&1 || true)
  echo "$words" >> $said.log
  # Of the manifest and the sums, each tells of the other.
  if [[ $words == *"CORRUPTED: "*"$file"* ]]; then echo "found: $what of $file" >> $said; else echo "missed: $what of $file" >> $said; fi
  cp -p /scratch/whole "$file"
}
flip() { # FILE OFFSET
  local byte
  byte=$(od -A n -t u1 -j "$2" -N 1 "$1" | tr -d ' ')
  printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
for file in shop.dump globals.sql shop.tables.json SHA256SUMS manifest.json; do
  size=$(stat -c %s $file)
  for at in 0 7 60 $((size / 4)) $((size / 2)) $((size * 3 / 4)) $((size - 1)); do
    found "a bit at $at" $file flip $file $at
  done
  found "the last byte" $file truncate --size=-1 $file
  found "the second half" $file truncate --size=$((size / 2)) $file
  found "everything" $file truncate --size=0 $file
  found "a byte too many" $file sh -c "printf x >> $file"
  # Without its manifest it is no backup.
  [ $file = manifest.json ] || found "the file" $file rm $file
done
checked=$(ls check-*.json | head -n 1)
found "the second half" $checked truncate --size=30 $checked
found "everything" $checked truncate --size=0 $checked
found "text" $checked sh -c "printf '\\377' > $checked"
PATH=/nowhere check verify >> $said.log 2>&1 || echo "not checked: verify without pg_restore" >> $said
check list >> $said.log
check verify --backup="$backup" >> $said.log 2>&1 && echo "whole: verify" >> $said
check scrub --share=100 >> $said.log 2>&1 && echo "whole: scrub" >> $said
check list --output=json | grep -q '"state": "Verified"' && echo "whole: list" >> $said
exec "$@"
"#;

#[test]
fn verify_command_finds_every_kind_of_corruption() -> Result<()> {
    story("corruption", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        server.table("shop", "goods", 1000).await?;
        // So many tables that they are listed in a file of their own.
        server
            .sql(
                "shop",
                "SELECT format('CREATE TABLE t%s (id int)', n) FROM generate_series(1, 500) n \\gexec",
            )
            .await?;
        let store = env.store().await?;
        let policy =
            env.policy("shop", |spec| spec.postgres.databases.include = vec!["shop".to_owned()]).await?;
        policy.backup("whole").await?;
        policy
            .start("corruption", |run| {
                run.once()
                    .env("NAMESPACE", &env.namespace)
                    .script(&format!("exec bash -euc '{}' bash \"$@\"", CORRUPTION.replace('\'', "'\\''")));
            })
            .await?;
        policy.succeeded("corruption").await?;

        let said = store.sh("cat said").await?;
        let missed: Vec<&str> = said.lines().filter(|line| line.starts_with("missed")).collect();
        if !missed.is_empty() {
            bail!("{missed:?}\n{}", store.sh("cat said.log").await?);
        }
        assert_eq!(said.lines().filter(|line| line.starts_with("found")).count(), 5 * 12 - 1 + 3, "{said}");
        // If a check is not possible, that is no corruption: the backup keeps its state.
        for whole in
            ["not checked: verify without pg_restore", "whole: verify", "whole: scrub", "whole: list"]
        {
            assert!(said.contains(whole), "{said}\n{}", store.sh("cat said.log").await?);
        }
        Ok(())
    })
}

#[test]
fn backup_that_failed_a_scrub_is_ignored_by_retention() -> Result<()> {
    story("failed-check", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        server.table("shop", "goods", 1000).await?;
        let store = env.store().await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.databases.include = vec!["shop".to_owned()];
                spec.retention.keep_last = Some(1);
                spec.retention.minimum_verified = 1;
            })
            .await?;
        policy.backup("one").await?;
        let first = store.only_backup(&policy).await?;
        store.flip_bit(&format!("{}/shop.dump", first.path)).await?;
        let scrub = format!(
            "/pgbackup/pgbackup-runner scrub --share=100 --store=/backup --namespace={} --policy=shop > /backup/said 2>&1 || echo $? >> /backup/said; exec \"$@\"",
            env.namespace
        );
        policy
            .start("two", |run| {
                run.once().script(&scrub);
            })
            .await?;
        let second = policy.succeeded("two").await?;

        let said = store.sh("cat said").await?;
        assert!(said.contains("CORRUPTED: \"shop.dump\" is corrupted: checksum mismatch"), "{said}");
        assert!(
            said.contains(&Reason::BackupCorrupted.exit_code().unwrap_or_default().to_string()),
            "{said}"
        );
        // The corrupted backup is deleted, because there is a verified backup of the same database.
        assert_eq!(store.backup_folders(&policy).await?, [second.backup.unwrap_or_default()]);
        Ok(())
    })
}
