//! Texts in which placeholders may stand (B-242, B-284).

use crate::error::Error;
use crate::guide::Page;
use crate::lexer::Word;
use crate::settings::Template;
use crate::source::Environment;

/// Reads texts; variables of the environment are replaced when the file is read.
#[derive(Clone, Copy)]
pub(crate) struct Texts<'e>(pub Environment<'e>);

impl Texts<'_> {
    /// A text with placeholders.
    ///
    /// # Errors
    /// A placeholder is unknown.
    pub(super) fn template(self, word: &Word) -> Result<Template, Error> {
        Template::strict(&word.text, self.0).map_err(|unknown| not_known(word, unknown))
    }

    /// A page or another text, in which most braces are its own.
    ///
    /// # Errors
    /// As [`Self::template`], if it holds a placeholder with a long name.
    pub(super) fn body(self, word: &Word) -> Result<Template, Error> {
        const NAMES: [&str; 6] = ["{env.", "{http.", "{file.", "{vars.", "{re.", "{err."];
        match NAMES.iter().any(|name| word.text.contains(name)) {
            true => self.template(word),
            false => Ok(Template::new(&word.text)),
        }
    }

    /// A text that does not depend on the request, called `what` in messages.
    ///
    /// # Errors
    /// It holds a placeholder besides variables of the environment.
    pub(crate) fn fixed(self, word: &Word, what: &str) -> Result<String, Error> {
        let template = self.template(word)?;
        let text = template.fixed().filter(|_| is_fixed(&word.text));
        text.map(str::to_owned).ok_or_else(|| {
            word.error(format!(
                "{what} that depends on the request is not supported"
            ))
            .remedy("write it out, or write {env.NAME} for a variable of the environment")
        })
    }
}

/// Whether no other braces stand in a text than those around variables of the environment.
fn is_fixed(text: &str) -> bool {
    let mut braces = text.split('{').skip(1);
    braces.all(|rest| rest.starts_with("env."))
}

fn not_known(word: &Word, unknown: &str) -> Error {
    word.error(format!(
        "the placeholder {{{unknown}}} is not supported yet"
    ))
    .remedy("write {$NAME} for a variable, or one of those that the page lists")
    .page(Page::SITES)
    .hide_line()
}
