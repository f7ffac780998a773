//! One version: that of the workspace. `make images` makes names of it, and the chart must ask for those names.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::read;

#[test]
fn the_chart_is_of_the_workspaces_version_and_asks_for_its_images() -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let chart = yaml("charts/pgbackup/Chart.yaml")?;
    for field in ["version", "appVersion"] {
        ensure!(chart[field] == version, "Chart.yaml: {field} is {}, not {version}", chart[field]);
    }
    let values = yaml("charts/pgbackup/values.yaml")?;
    for image in ["operator", "runner"] {
        let name = values["image"][image].as_str().context("an image should have a name")?;
        let tag = name.rsplit_once(':').map(|(_, tag)| tag);
        ensure!(tag == Some(version), "values.yaml: image.{image} is {name}, not of version {version}");
    }
    Ok(())
}

fn yaml(path: &str) -> Result<Value> {
    serde_saphyr::from_str(&read(path)?).context(path.to_owned())
}
