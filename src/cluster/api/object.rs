//! JSON of the API server → trees, without bookkeeping: managed fields are skipped while they are read.

use crate::cluster::{clean, file_name};
use crate::model::{Document, Node, Origin, Text, Value};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A value of JSON as a tree without lines.
#[derive(Clone, Debug)]
pub(super) struct Json(pub Node);

impl Json {
    /// The text at a path; empty where there is none.
    pub fn text(&self, path: &[&str]) -> &str {
        self.0.path(path).and_then(Node::text).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(Builder)
    }
}

struct Builder;

fn leaf(value: Value) -> Json {
    Json(Node { line: 0, column: 0, value })
}

impl<'de> Visitor<'de> for Builder {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(leaf(Value::Null))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Json, E> {
        Ok(leaf(Value::Bool(truth)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(leaf(Value::Int(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(leaf(i64::try_from(number).map_or(Value::Float(number as f64), Value::Int)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(leaf(Value::Float(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(leaf(Value::Text(text.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(Json(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(leaf(Value::List(list.into())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut fields: Vec<(Text, Node)> = Vec::new();
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            if &*name == "managedFields" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let Json(node) = map.next_value()?;
            fields.push((name.into(), node));
        }
        Ok(leaf(Value::Map(fields.into())))
    }
}

/// Makes documents of the objects of one kind in one cluster.
#[derive(Clone, Debug)]
pub(super) struct Maker {
    file: Arc<str>,
    number: u32,
    api_version: Text,
    kind: Text,
}

impl Maker {
    /// `number` sets kinds apart that have one name in several groups.
    pub fn new(cluster: &str, number: u32, api_version: &str, kind: &str) -> Maker {
        let (file, kind) = (file_name(cluster).into(), kind.into());
        Maker { file, number, api_version: api_version.into(), kind }
    }

    /// The document of an object; lists of the built-in kinds leave out what their items are.
    pub fn document(&self, Json(mut body): Json) -> Document {
        let name = |field: &str| -> Text {
            body.path(&["metadata", field]).and_then(Node::text).unwrap_or_default().into()
        };
        let origin = Origin {
            file: self.file.clone(),
            document: self.number,
            line: 0,
            column: 0,
            kind: self.kind.clone(),
            namespace: name("namespace"),
            name: name("name"),
            rule: Text::default(),
        };
        let own = [("apiVersion", &self.api_version), ("kind", &self.kind)];
        let own = own.map(|(field, text)| (field.into(), leaf(Value::Text(text.clone())).0));
        body.change_fields(|fields| {
            fields.retain(|(name, _)| !["apiVersion", "kind"].contains(&&**name));
            fields.splice(0..0, own);
        });
        clean(Document { origin, api_version: self.api_version.clone(), body })
    }
}
