//! As much of JSON Schema as the schema uses; a keyword that is not known here fails, so that
//! nothing goes unchecked in silence.

use serde_json::Value;

pub(super) fn check(root: &Value, value: &Value) -> Result<(), String> {
    against(root, root, value, "$")
}

fn against(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    for (keyword, rule) in schema.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "format" | "examples" => true,
            "$ref" => {
                let path = rule.as_str().unwrap().strip_prefix('#').unwrap();
                against(root, root.pointer(path).unwrap(), value, at)?;
                true
            }
            "type" => match rule {
                Value::Array(types) => types.iter().any(|t| is(value, t.as_str().unwrap())),
                one => is(value, one.as_str().unwrap()),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "const" => rule == value,
            "minimum" => value.as_i64().is_none_or(|n| n >= rule.as_i64().unwrap()),
            "maximum" => value.as_i64().is_none_or(|n| n <= rule.as_i64().unwrap()),
            "required" => rule
                .as_array()
                .unwrap()
                .iter()
                .all(|key| value.get(key.as_str().unwrap()).is_some()),
            "properties" => {
                for (key, schema) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(key) {
                        against(root, schema, value, &format!("{at}.{key}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                assert_eq!(rule, false);
                let known = schema["properties"].as_object().unwrap();
                value
                    .as_object()
                    .is_none_or(|members| members.keys().all(|k| known.contains_key(k)))
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    against(root, rule, item, &format!("{at}[{i}]"))?;
                }
                true
            }
            "oneOf" => matching(root, rule, value, at)? == 1,
            "anyOf" => matching(root, rule, value, at)? > 0,
            other => return Err(format!("{at}: the validator does not know `{other}`")),
        };
        if !holds {
            return Err(format!("{at}: not as `{keyword}`: {rule} says"));
        }
    }
    Ok(())
}

/// How many of the alternatives hold. The alternatives of a line are told apart by its type: the
/// error of that one is the one to see.
fn matching(root: &Value, rules: &Value, value: &Value, at: &str) -> Result<usize, String> {
    let tag = |rule: &Value| {
        let wanted = rule.pointer("/properties/type/const").cloned();
        wanted.is_some_and(|wanted| Some(&wanted) == value.get("type"))
    };
    let rules = rules.as_array().unwrap();
    if let Some(rule) = rules.iter().find(|rule| tag(rule)) {
        return against(root, rule, value, at).map(|()| 1);
    }
    Ok(rules
        .iter()
        .filter(|rule| against(root, rule, value, at).is_ok())
        .count())
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no such type: {other}"),
    }
}
