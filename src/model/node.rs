//! A parsed YAML or JSON tree whose nodes know their lines and columns.
//!
//! Typed shapes are read out of it with serde, so that an error names the line of the value that
//! is wrong; sparse reads use the accessors.

use super::Text;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A value and the line on which it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1: where a list or mapping begins, or the first character of a text
    /// inside its quotes; 0 for texts that do not stand on one line as they are.
    pub column: u32,
    /// What stands there.
    pub value: Value,
}

/// The JSON data model, which is what Kubernetes makes of YAML.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(Text),
    /// A sequence.
    List(Box<[Node]>),
    /// A mapping in the order of the file.
    Map(Box<[(Text, Node)]>),
}

/// A value that does not fit its field: what is wrong, and on which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// What serde expected and found.
    pub message: String,
    /// Line, from 1; 0 where the value itself is missing.
    pub line: u32,
}

impl Node {
    /// The value of a field; `None` where this is no mapping or has no such field.
    pub fn get(&self, field: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(fields) => fields.iter().find(|(name, _)| &**name == field).map(|(_, node)| node),
            _ => None,
        }
    }

    /// Follows fields downward.
    pub fn path(&self, fields: &[&str]) -> Option<&Node> {
        fields.iter().try_fold(self, |node, field| node.get(field))
    }

    /// The text, if this is text.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a field.
    pub fn text_of(&self, field: &str) -> Option<&str> {
        self.get(field).and_then(Node::text)
    }

    /// The items of a sequence; none where this is no sequence.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The items of a sequence field.
    pub fn items_of(&self, field: &str) -> &[Node] {
        self.get(field).map_or(&[], Node::items)
    }

    /// The fields of a mapping; none where this is no mapping.
    pub fn fields(&self) -> &[(Text, Node)] {
        match &self.value {
            Value::Map(fields) => fields,
            _ => &[],
        }
    }

    /// Changes which items a sequence has; nothing where this is no sequence.
    pub fn change_items(&mut self, change: impl FnOnce(&mut Vec<Node>)) {
        if let Value::List(items) = &mut self.value {
            let mut all = std::mem::take(items).into_vec();
            change(&mut all);
            *items = all.into();
        }
    }

    /// Changes which fields a mapping has; nothing where this is no mapping.
    pub fn change_fields(&mut self, change: impl FnOnce(&mut Vec<(Text, Node)>)) {
        if let Value::Map(fields) = &mut self.value {
            let mut all = std::mem::take(fields).into_vec();
            change(&mut all);
            *fields = all.into();
        }
    }

    /// Whether the same stands here, wherever it stands.
    pub fn says_the_same(&self, other: &Node) -> bool {
        match (&self.value, &other.value) {
            (Value::List(own), Value::List(theirs)) => {
                own.len() == theirs.len() && own.iter().zip(theirs).all(|(a, b)| a.says_the_same(b))
            }
            (Value::Map(own), Value::Map(theirs)) => {
                let said =
                    |(name, node): &(Text, Node)| other.get(name).is_some_and(|n| node.says_the_same(n));
                own.len() == theirs.len() && own.iter().all(said)
            }
            (own, theirs) => own == theirs,
        }
    }

    /// A whole number, if this is one.
    pub fn int(&self) -> Option<i64> {
        match self.value {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }

    /// A truth value, if this is one. For the YAML library of Kubernetes single letters are too, which
    /// are text here.
    pub fn bool(&self) -> Option<bool> {
        match &self.value {
            Value::Bool(truth) => Some(*truth),
            Value::Text(text) if matches!(&**text, "y" | "Y") => Some(true),
            Value::Text(text) if matches!(&**text, "n" | "N") => Some(false),
            _ => None,
        }
    }

    /// The column at which the first value of a line begins; `None` where no value begins there.
    pub fn column_at(&self, line: u32) -> Option<u32> {
        let own = (self.line == line && self.column > 0).then_some(self.column);
        let inside: Box<dyn Iterator<Item = &Node>> = match &self.value {
            Value::List(items) => Box::new(items.iter()),
            Value::Map(fields) => Box::new(fields.iter().map(|(_, node)| node)),
            _ => Box::new(std::iter::empty()),
        };
        inside.filter_map(|node| node.column_at(line)).chain(own).min()
    }

    /// Whether nothing stands here.
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// Whether a list without items stands here.
    pub fn is_empty_list(&self) -> bool {
        matches!(&self.value, Value::List(items) if items.is_empty())
    }

    /// Reads a typed shape.
    ///
    /// # Errors
    /// The innermost value that does not fit, with its line.
    pub fn read<'de, T: de::Deserialize<'de>>(&'de self) -> Result<T, Misfit> {
        T::deserialize(self)
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Misfit { message: message.to_string(), line: 0 }
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let result = match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(*truth),
            Value::Int(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(Items(items.iter())),
            Value::Map(fields) => visitor.visit_map(Fields { rest: fields.iter(), value: None }),
        };
        result.map_err(|misfit| match misfit.line {
            0 => Misfit { line: self.line, ..misfit },
            _ => misfit,
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Items<'de>(std::slice::Iter<'de, Node>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        self.0.next().map(|node| seed.deserialize(node)).transpose()
    }
}

struct Fields<'de> {
    rest: std::slice::Iter<'de, (Text, Node)>,
    value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        let Some((name, node)) = self.rest.next() else { return Ok(None) };
        self.value = Some(node);
        seed.deserialize((&**name).into_deserializer()).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Misfit> {
        match self.value.take() {
            Some(node) => seed.deserialize(node),
            None => Err(de::Error::custom("a value was asked for before its key")),
        }
    }
}
