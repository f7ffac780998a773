//! What the ops endpoint answers, as an OpenAPI 3.1 document: the schemas are those of the types that are sent.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use super::{Health, Overview, Policies, Problem};

const INTRODUCTION: &str = "What an operator of pgbackup knows of its policies, for those who may get them. Fields may be \
added within v1; none goes or changes its meaning.";

/// The document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let generator = &mut settings.into_generator();
    let policies = answer::<Policies>(generator, "The policies that the caller may see.");
    let policy = answer::<Overview>(generator, "The policy.");
    let good = answer::<Health>(generator, "Nothing is wrong that is known.");
    let bad = answer::<Health>(
        generator,
        "The policy is Unhealthy; or, with `error`, it is not known how it stands.",
    );
    let problem = |description, generator: &mut SchemaGenerator| answer::<Problem>(generator, description);
    let unknown = problem("No token, or none of this cluster.", generator);
    let denied = problem("The caller may not get it, whether there is one or not.", generator);
    let missing = problem("There is no such policy.", generator);
    let away =
        problem("This replica has not listed the policies yet, or cannot ask who the caller is.", generator);
    let either = json!({"oneOf": [schema::<Health>(generator), schema::<Problem>(generator)]});
    let mut bad = bad;
    bad["content"]["application/json"]["schema"] = either;
    let place = json!([
        {"name": "namespace", "in": "path", "required": true, "schema": {"type": "string"}},
        {"name": "name", "in": "path", "required": true, "schema": {"type": "string"}},
    ]);
    let word = |description: &str| json!({"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}});
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "pgbackup ops endpoint",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Whether the newest backup is good",
            "description": INTRODUCTION,
            "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "security": [{"bearer": []}, {"basic": []}],
        "paths": {
            "/api/v1/policies": {"get": {
                "operationId": "listPolicies",
                "summary": "All policies that the caller may get",
                "responses": {"200": policies, "401": &unknown, "503": &away},
            }},
            "/api/v1/policies/{namespace}/{name}": {"get": {
                "operationId": "getPolicy",
                "summary": "One policy",
                "parameters": &place,
                "responses": {"200": policy, "401": &unknown, "403": &denied, "404": &missing, "503": &away},
            }},
            "/api/v1/policies/{namespace}/{name}/health": {"get": {
                "operationId": "getPolicyHealth",
                "summary": "For uptime probes: the status code says it",
                "parameters": &place,
                "responses": {"200": good, "401": &unknown, "403": &denied, "404": &missing, "503": bad},
            }},
            "/healthz": {"get": {
                "operationId": "live", "summary": "The process serves", "security": [],
                "responses": {"200": word("It does.")},
            }},
            "/readyz": {"get": {
                "operationId": "ready", "summary": "The operator works, or waits to lead", "security": [],
                "responses": {"200": word("It does."), "503": word("It has not seen everything yet.")},
            }},
        },
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "bearer": {
                    "type": "http", "scheme": "bearer",
                    "description": "A token of the cluster; none with --ops-auth=none.",
                },
                "basic": {
                    "type": "http", "scheme": "basic",
                    "description": "The same token as the password of any name, as browsers show it.",
                },
            },
        },
    })
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

fn answer<T: JsonSchema>(generator: &mut SchemaGenerator, description: &str) -> Value {
    let schema = schema::<T>(generator);
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}
