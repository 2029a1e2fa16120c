//! The characters that no topic, matcher, id or type may hold.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Whether no topic, matcher, id or type may hold the character: C0, DEL, C1 and general category
/// `Cf` (specification, "Terminology").
pub fn is_forbidden(c: char) -> bool {
    c.is_control() || (!c.is_ascii() && c.general_category() == GeneralCategory::Format)
}
