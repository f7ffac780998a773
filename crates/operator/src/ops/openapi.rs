//! The responses of the ops endpoint as an OpenAPI 3.1 document. The schemas are generated from the types
//! that are sent.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};
use view::overview::Overview;

use super::answers::{Health, Policies, Problem};

const INTRODUCTION: &str = "The policies that a pgbackup operator knows, for callers with permission to get them. Within v1, \
fields may be added; none is removed or changes its meaning.";

pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let generator = &mut settings.into_generator();
    let paths = paths(generator);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "pgbackup ops endpoint",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "State of the backups of all policies",
            "description": INTRODUCTION,
            "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "security": [{"bearer": []}, {"basic": []}],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "bearer": {
                    "type": "http", "scheme": "bearer",
                    "description": "A token of the cluster. Not needed with --ops-auth=none.",
                },
                "basic": {
                    "type": "http", "scheme": "basic",
                    "description": "The same token as the password of any user name, as browsers send it.",
                },
            },
        },
    })
}

fn paths(generator: &mut SchemaGenerator) -> Value {
    let policies = answer::<Policies>(generator, "The policies that the caller has permission to get.");
    let policy = answer::<Overview>(generator, "The policy.");
    let not_unhealthy = answer::<Health>(generator, "The policy is Healthy, Unknown or Suspended.");
    let mut unhealthy = answer::<Health>(
        generator,
        "The policy is Unhealthy. With `error`: this replica has not listed the policies yet, or the API server is unavailable.",
    );
    let either = json!({"oneOf": [schema::<Health>(generator), schema::<Problem>(generator)]});
    unhealthy["content"]["application/json"]["schema"] = either;
    let mut problem = |description| answer::<Problem>(generator, description);
    let several = problem("The request has more than one Authorization header.");
    let unknown = problem("The request has no token, or the cluster does not know it.");
    let forbidden = problem("The caller has no permission to get the policy, which may or may not exist.");
    let missing = problem("The policy does not exist.");
    let unavailable =
        problem("This replica has not listed the policies yet, or the API server is unavailable.");
    let parameters = json!([
        {"name": "namespace", "in": "path", "required": true, "schema": {"type": "string"}},
        {"name": "name", "in": "path", "required": true, "schema": {"type": "string"}},
    ]);
    let text = |description: &str| json!({"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}});
    json!({
        "/api/v1/policies": {"get": {
            "operationId": "listPolicies",
            "summary": "All policies that the caller has permission to get",
            "responses": {"200": policies, "400": &several, "401": &unknown, "503": &unavailable},
        }},
        "/api/v1/policies/{namespace}/{name}": {"get": {
            "operationId": "getPolicy",
            "summary": "One policy",
            "parameters": &parameters,
            "responses": {
                "200": policy, "400": &several, "401": &unknown, "403": &forbidden, "404": &missing, "503": &unavailable,
            },
        }},
        "/api/v1/policies/{namespace}/{name}/health": {"get": {
            "operationId": "getPolicyHealth",
            "summary": "The state of a policy as a status code, for uptime probes",
            "parameters": &parameters,
            "responses": {
                "200": not_unhealthy, "400": &several, "401": &unknown, "403": &forbidden, "404": &missing, "503": unhealthy,
            },
        }},
        "/healthz": {"get": {
            "operationId": "live", "summary": "Liveness of the process", "security": [],
            "responses": {"200": text("The process answers requests.")},
        }},
        "/readyz": {"get": {
            "operationId": "ready", "summary": "Readiness of the replica", "security": [],
            "responses": {
                "200": text("The replica waits for the Lease, or leads and has listed all objects."),
                "503": text("The replica has not listed all objects yet."),
            },
        }},
    })
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

fn answer<T: JsonSchema>(generator: &mut SchemaGenerator, description: &str) -> Value {
    let schema = schema::<T>(generator);
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}
