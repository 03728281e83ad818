//! Plain scalars → values, as the YAML library of Kubernetes reads them (go-yaml v2, `resolve.go`, which
//! is YAML 1.1 in most), and by it `kubectl`, Helm and the API server.
//!
//! Quoted scalars are text and never come here.

use crate::model::Value;

/// What a scalar without quotes stands for in a manifest. The single letters `y` and `n`, which are
/// truth values there too, stay text: names are rather meant by them, and [`Node::bool`] takes them.
///
/// [`Node::bool`]: crate::model::Node::bool
pub(super) fn of_kubernetes(text: &str) -> Value {
    match text {
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Value::Bool(true),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" => Value::Bool(false),
        _ => of_core(text),
    }
}

/// The same in files of our own, where truth has one name (YAML 1.2, 10.3).
pub(super) fn of_core(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let first = text.as_bytes().first().copied().unwrap_or(b' ');
    match first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.') {
        true => number(text).unwrap_or_else(|| Value::Text(text.into())),
        false => Value::Text(text.into()),
    }
}

fn number(text: &str) -> Option<Value> {
    // What most numbers are: decimal digits, the first of which says so.
    if !text.starts_with(['0', '+', '-'])
        && let Ok(number) = text.parse::<i64>()
    {
        return Some(Value::Int(number));
    }
    // Underscores part digits, wherever they stand.
    let digits = text.replace('_', "");
    if let Some(number) = whole(&digits) {
        return Some(Value::Int(number));
    }
    let is_float = digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let number =
        is_float.then(|| digits.parse::<f64>().ok()).flatten().filter(|number| number.is_finite())?;
    // JSON writes numbers without a fraction as whole ones: `1e3` is 1000, and so is `08`, no octal one, 8.
    match number.fract() == 0.0 && number.abs() < (1_u64 << 53) as f64 {
        true => Some(Value::Int(number as i64)),
        false => Some(Value::Float(number)),
    }
}

/// A whole number: `0x`, `0o` and `0b` name the base, and a leading 0 is octal.
fn whole(digits: &str) -> Option<i64> {
    let (negative, rest) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(digits)),
    };
    if rest.starts_with(['+', '-']) {
        return None;
    }
    let (base, rest) = match rest.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &rest[2..]),
        [b'0', b'o' | b'O', ..] => (8, &rest[2..]),
        [b'0', b'b' | b'B', ..] => (2, &rest[2..]),
        [b'0', _, ..] => (8, &rest[1..]),
        _ => (10, rest),
    };
    if rest.starts_with(['+', '-']) {
        return None;
    }
    let number = i128::from_str_radix(rest, base).ok()?;
    i64::try_from(if negative { -number } else { number }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_types() {
        assert_eq!(of_kubernetes("80"), Value::Int(80));
        assert_eq!(of_kubernetes("1.5"), Value::Float(1.5));
        assert_eq!(of_kubernetes("10.0.0.1"), Value::Text("10.0.0.1".into()));
        assert_eq!(of_kubernetes("2027-06-30"), Value::Text("2027-06-30".into()));
    }

    /// What `YAMLToJSON` of sigs.k8s.io/yaml 1.6.0 makes of each.
    #[test]
    fn scalars_are_what_the_library_of_kubernetes_makes_of_them() {
        for word in ["yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"] {
            assert_eq!(of_kubernetes(word), Value::Bool(true), "{word}");
        }
        for word in ["no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"] {
            assert_eq!(of_kubernetes(word), Value::Bool(false), "{word}");
        }
        let numbers = [
            ("0o17", 15),
            ("017", 15),
            ("08", 8),
            ("0x1F", 31),
            ("0X1F", 31),
            ("1_000", 1000),
            ("0b11", 3),
            ("-0b11", -3),
            ("+1", 1),
            ("-0", 0),
            ("00", 0),
            ("1__0", 10),
            ("0_1", 1),
            ("0x_1F", 31),
            ("1e3", 1000),
            ("1.0", 1),
            ("5.", 5),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ];
        for (text, number) in numbers {
            assert_eq!(of_kubernetes(text), Value::Int(number), "{text}");
        }
        let floats = [(".5", 0.5), ("+.5", 0.5), ("1_0.5", 10.5), ("010.5", 10.5), ("1e-1", 0.1)];
        for (text, number) in floats {
            assert_eq!(of_kubernetes(text), Value::Float(number), "{text}");
        }
        let texts = "yEs tRue 12:30:45 1:30 1e400 2001-01-01 = 0x 1e 0o8 _1 0b2 - + -- +-1 0x+1 10.0.0.0/8 .";
        for text in texts.split(' ') {
            assert_eq!(of_kubernetes(text), Value::Text(text.into()), "{text}");
        }
    }

    #[test]
    fn a_contract_has_one_word_for_truth() {
        assert_eq!(of_core("off"), Value::Text("off".into()));
        assert_eq!((of_core("true"), of_core("7")), (Value::Bool(true), Value::Int(7)));
    }
}
