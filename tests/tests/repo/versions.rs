//! The chart, its images and the programs have the workspace's version.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::read;

#[test]
fn chart_and_images_have_the_workspace_version() -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let chart = yaml("charts/pgbackup/Chart.yaml")?;
    for field in ["version", "appVersion"] {
        ensure!(chart[field] == version, "Chart.yaml: {field} is {}, not {version}", chart[field]);
    }
    let values = yaml("charts/pgbackup/values.yaml")?;
    for image in ["operator", "runner"] {
        let name = values["image"][image].as_str().context("an image should have a name")?;
        let tag = name.rsplit_once(':').map(|(_, tag)| tag);
        ensure!(tag == Some(version), "values.yaml: image.{image} is {name}, which is not version {version}");
    }
    Ok(())
}

fn yaml(path: &str) -> Result<Value> {
    serde_saphyr::from_str(&read(path)?).context(path.to_owned())
}
