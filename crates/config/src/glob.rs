//! Names in which `*` and `?` stand for other characters.

/// Whether `*` (any text) and `?` (any character) in a pattern can stand for the rest of a name.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    // What is left behind the last `*`, and of the name if that stands for one more character.
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let is_equal = match (pattern.next(), name.clone().next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                retry = Some((pattern.clone(), name.clone()));
                continue;
            }
            (Some(wanted), Some(c)) => wanted == '?' || wanted == c,
            _ => false,
        };
        if is_equal {
            name.next();
            continue;
        }
        let Some((after, from)) = &mut retry else {
            return false;
        };
        if from.next().is_none() {
            return false;
        }
        (pattern, name) = (after.clone(), from.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn marks_stand_for_characters() {
        for (pattern, name, expected) in [
            ("*", "a", true),
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf~", false),
            ("a*b*c", "axbxbc", true),
            ("a*b*c", "axbxb", false),
            ("?.c", "ä.c", true),
            ("?.c", ".c", false),
            ("a", "ab", false),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
