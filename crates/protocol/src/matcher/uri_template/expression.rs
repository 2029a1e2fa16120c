//! What stands between `{` and `}` (RFC 6570, section 2.2).

/// What precedes and separates the values of an expression (RFC 6570, appendix A).
pub(super) struct Operator {
    pub(super) first: &'static str,
    pub(super) separator: &'static str,
    pub(super) named: bool,
    pub(super) reserved: bool,
}

impl Operator {
    fn of(expression: &str) -> Option<(Self, &str)> {
        let operator = |first, separator, named, reserved| Self {
            first,
            separator,
            named,
            reserved,
        };
        let sign = expression.chars().next()?;
        let known = match sign {
            '+' => operator("", ",", false, true),
            '#' => operator("#", ",", false, true),
            '.' => operator(".", ".", false, false),
            '/' => operator("/", "/", false, false),
            ';' => operator(";", ";", true, false),
            '?' => operator("?", "&", true, false),
            '&' => operator("&", "&", true, false),
            _ => return Some((operator("", ",", false, false), expression)),
        };
        Some((known, &expression[1..]))
    }
}

/// One variable and its modifier.
pub(super) struct Variable<'a> {
    pub(super) name: &'a str,
    pub(super) explode: bool,
    /// Maximum length of the value in characters (`:n`).
    pub(super) prefix: Option<u16>,
}

impl<'a> Variable<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (name, explode, prefix) = if let Some(name) = text.strip_suffix('*') {
            (name, true, None)
        } else if let Some((name, digits)) = text.split_once(':') {
            let valid = (1..=4).contains(&digits.len())
                && !digits.starts_with('0')
                && digits.bytes().all(|byte| byte.is_ascii_digit());
            (name, false, Some(valid.then(|| digits.parse().ok())??))
        } else {
            (text, false, None)
        };
        let named = name
            .split('.')
            .all(|part| !part.is_empty() && part.split('%').enumerate().all(is_name_part));
        named.then_some(Self {
            name,
            explode,
            prefix,
        })
    }
}

/// Whether a name may hold what stands before its first `%`, or after another one: two digits first.
fn is_name_part((index, part): (usize, &str)) -> bool {
    let encoded = part.as_bytes().get(..2);
    let is_encoded = encoded.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    (index == 0 || is_encoded)
        && part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// An operator and at least one variable.
pub(super) struct Expression<'a> {
    pub(super) operator: Operator,
    pub(super) variables: Vec<Variable<'a>>,
}

impl<'a> Expression<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (operator, list) = Operator::of(text)?;
        let variables = list
            .split(',')
            .map(Variable::parse)
            .collect::<Option<_>>()?;
        Some(Self {
            operator,
            variables,
        })
    }
}
