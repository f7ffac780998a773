//! JSON merge patches (RFC 7396).

use serde_json::Value;

/// Returns the patch that changes `before` into `after`. A removed field becomes null.
pub fn difference(before: &Value, after: &Value) -> Value {
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return after.clone() };
    let removed = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
    let changed =
        changed.map(|(key, value)| (key.clone(), difference(before.get(key).unwrap_or(&Value::Null), value)));
    removed.chain(changed).collect()
}

/// Adds the fields of `more` to `object`, recursively. A null in `more` stays null.
pub fn merge(object: &mut Value, more: Value) {
    match (object, more) {
        (Value::Object(object), Value::Object(more)) => {
            for (key, value) in more {
                merge(object.entry(key).or_insert(Value::Null), value);
            }
        }
        (object, more) => *object = more,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merge_patch_has_changed_fields_and_null_for_removed_ones() {
        let before = json!({"a": 1, "b": {"c": 1, "d": 2}, "gone": [1]});
        let after = json!({"a": 1, "b": {"c": 3}, "new": {"x": null, "y": 1}});
        let patch = json!({"b": {"c": 3, "d": null}, "gone": null, "new": {"x": null, "y": 1}});
        assert_eq!(difference(&before, &after), patch);
        assert_eq!(difference(&Value::Null, &after), after);
    }
}
