//! Generates the document of the resource's fields: the output of `kubectl explain` on one page.

use std::fmt::Write as _;

use anyhow::Result;
use api::meta;
use serde_json::{Map, Value};

const HEAD: &str = "\
# BackupPolicy

<!-- Generated from crates/api by `make generate`. -->

A `BackupPolicy` (`apiVersion: pgbackup.dev/v1alpha1`, short name `pgbp`) is a namespaced resource. Its name has at most 45
characters. `kubectl explain backuppolicies.spec` prints the descriptions of the fields, too.

A field of the type *Secret key* is an object with `name` (a Secret in the policy's namespace) and `key` (a key of that
Secret). A *duration* is a number and a unit, for example `90m`.
";

/// Fields with objects of Kubernetes' own API, and their names in its documentation.
const FOREIGN: [(&str, &str); 3] = [
    ("affinity", "Kubernetes' Affinity"),
    ("tolerations", "list of Kubernetes' Toleration"),
    ("conditions", "list of Kubernetes' Condition"),
];

pub fn document(definition: &Value) -> Result<String> {
    let version = &definition["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"]["properties"];
    let mut text = HEAD.to_owned();
    annotations(&mut text)?;
    columns(&mut text, version)?;
    for (part, about) in
        [("spec", "You write these fields."), ("status", "The operator writes these fields.")]
    {
        write!(text, "\n## {part}\n\n{about}\n")?;
        section(&mut text, &schema[part], &schema[part])?;
        for (name, field) in object(&schema[part]["properties"]) {
            if let Some(inner) = nested(name, field) {
                write!(text, "\n### {part}.{name}\n\n{}\n", sentence(field))?;
                match same(name, inner, &schema[part]) {
                    Some(other) => writeln!(text, "\nThe fields are the same as those of `{part}.{other}`.")?,
                    None => section(&mut text, inner, &Value::Null)?,
                }
            }
        }
    }
    Ok(text)
}

fn annotations(text: &mut String) -> Result<()> {
    let rows = [
        (meta::REQUESTED_AT, "Requests a backup. Each new value starts one Job; an empty value starts none."),
        (
            meta::ACKNOWLEDGED,
            "Accepts suspicious backups. The value has the names of the backups, separated by commas.",
        ),
    ];
    text.push_str("\n## Annotations\n\n| annotation of a policy | meaning |\n| --- | --- |\n");
    for (name, meaning) in rows {
        writeln!(text, "| `{name}` | {meaning} |")?;
    }
    Ok(())
}

fn columns(text: &mut String, version: &Value) -> Result<()> {
    text.push_str("\n## Columns of `kubectl get`\n\n| column | shows | printed |\n| --- | --- | --- |\n");
    for column in version["additionalPrinterColumns"].as_array().into_iter().flatten() {
        let name = column["name"].as_str().unwrap_or_default().to_uppercase();
        let shows = match column["description"].as_str() {
            Some(description) => description.to_owned(),
            None => format!("`{}`", column["jsonPath"].as_str().unwrap_or_default().trim_start_matches('.')),
        };
        let printed =
            if column["priority"].as_i64().unwrap_or_default() > 0 { "with `-o wide`" } else { "always" };
        writeln!(text, "| {name} | {} | {printed} |", cell(&shows))?;
    }
    Ok(())
}

/// Writes the table of an object's fields, including fields of nested objects with their path. Fields of
/// `top` that have a section of their own are omitted.
fn section(text: &mut String, schema: &Value, top: &Value) -> Result<()> {
    text.push_str("\n| field | type | meaning |\n| --- | --- | --- |\n");
    rows(text, "", schema, top)
}

fn rows(text: &mut String, prefix: &str, schema: &Value, top: &Value) -> Result<()> {
    for (name, field) in object(&schema["properties"]) {
        let required =
            schema["required"].as_array().is_some_and(|names| names.contains(&Value::from(name.as_str())));
        let inner = nested(name, field);
        let path = format!("{prefix}{name}");
        let mut kind = kind(name, field);
        if required {
            kind.push_str(", required");
        }
        if let Some(default) = default(field) {
            write!(kind, ", default {default}")?;
        }
        writeln!(text, "| `{path}` | {} | {} |", cell(&kind), cell(&sentence(field)))?;
        if let Some(inner) = inner.filter(|_| top.is_null()) {
            let end = if field["type"] == "array" { "[]." } else { "." };
            rows(text, &format!("{path}{end}"), inner, top)?;
        }
    }
    Ok(())
}

/// Returns the schema of an object that is defined by pgbackup, if the field contains one or a list of them.
fn nested<'a>(name: &str, field: &'a Value) -> Option<&'a Value> {
    let inner = if field["type"] == "array" { &field["items"] } else { field };
    let ours = inner["properties"].is_object() && FOREIGN.iter().all(|(foreign, _)| *foreign != name);
    (ours && !is_secret_key(inner)).then_some(inner)
}

fn is_secret_key(field: &Value) -> bool {
    let names: Vec<&str> = object(&field["properties"]).map(|(name, _)| name.as_str()).collect();
    names == ["key", "name"]
}

/// Returns an earlier field that contains the same object as `name`.
fn same<'a>(name: &str, inner: &Value, schema: &'a Value) -> Option<&'a str> {
    let before = object(&schema["properties"]).take_while(|(other, _)| *other != name);
    before
        .filter(|(other, field)| {
            nested(other, field).is_some_and(|other| other["properties"] == inner["properties"])
        })
        .map(|(other, _)| other.as_str())
        .next()
}

fn kind(name: &str, field: &Value) -> String {
    if let Some((_, kind)) = FOREIGN.iter().find(|(foreign, _)| *foreign == name) {
        return (*kind).to_owned();
    }
    if is_secret_key(field) {
        return "Secret key".to_owned();
    }
    if let Some(values) = field["enum"].as_array() {
        let values: Vec<String> =
            values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
        return values.join(", ");
    }
    let limits = match (field["minimum"].as_f64(), field["maximum"].as_f64()) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (None, Some(most)) => format!(", at most {most}"),
        _ => String::new(),
    };
    match field["type"].as_str() {
        Some("array") => format!("list of {}", kind_of_items(&field["items"])),
        Some("object") if field["additionalProperties"].is_object() => {
            format!("map of {}", kind_of_items(&field["additionalProperties"]))
        }
        Some("string") if field["format"] == "date-time" => "time".to_owned(),
        Some(other) => format!("{other}{limits}"),
        None => "quantity".to_owned(),
    }
}

fn kind_of_items(items: &Value) -> String {
    match items["type"].as_str() {
        Some("object") => "objects".to_owned(),
        Some(kind) => format!("{kind}s"),
        None => "quantities".to_owned(),
    }
}

/// Returns the default of a field with a simple value.
fn default(field: &Value) -> Option<String> {
    match &field["default"] {
        Value::Null | Value::Object(_) => None,
        Value::String(text) => Some(format!("`{text}`")),
        other => Some(format!("`{other}`")),
    }
}

fn sentence(field: &Value) -> String {
    field["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Escapes the characters that Markdown would interpret.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('*', "\\*")
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}
