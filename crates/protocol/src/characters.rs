//! The characters that no topic, matcher, id or type may hold.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Whether no topic, matcher, id or type may hold the character: C0, DEL, C1 and general category
/// `Cf` (specification, "Terminology").
pub(crate) fn is_forbidden(c: char) -> bool {
    c.is_control() || (!c.is_ascii() && c.general_category() == GeneralCategory::Format)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C0, DEL, C1 and the general category `Cf` are forbidden (specification, "Terminology").
    #[test]
    fn controls_and_format_characters_are_forbidden() {
        for c in ('\0'..='\u{1f}').chain('\u{7f}'..='\u{9f}') {
            assert!(is_forbidden(c), "{c:?}");
        }
        for c in "\u{ad}\u{600}\u{61c}\u{180e}\u{200b}\u{200d}\u{202e}\u{2060}\u{feff}\u{fff9}\u{110bd}\u{e0001}\u{e007f}".chars() {
            assert!(is_forbidden(c), "{c:?}");
        }
        for c in " ~\u{a0}é\u{301}\u{2028}\u{fffd}\u{e000}🦀".chars() {
            assert!(!is_forbidden(c), "{c:?}");
        }
    }
}
