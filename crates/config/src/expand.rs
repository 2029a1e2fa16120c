//! Snippets and imports: a document with the lines that they stand for (B-282).

#[cfg(test)]
mod arbitrary;
mod arguments;
mod budget;
mod files;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::error::Error;
use crate::lexer::Word;
use crate::shown::show;
use crate::source::Place;
use crate::suggestion::suggest;
use crate::tree::{Document, Line, MAX_DEPTH};
use arguments::Arguments;
use budget::Budget;
pub(crate) use files::Reader;
use files::Unread;

/// The deepest nesting of imports.
const MAX_IMPORTS: usize = 16;

/// The document without snippets, and with the lines of each import in its place. Relative paths begin at
/// `folder`, which is that of the file.
///
/// # Errors
///
/// The first import that is wrong, or that brings more than the bounds allow.
pub(crate) fn expand(
    document: Document,
    reader: &mut Reader<'_>,
    folder: &Path,
) -> Result<Document, Error> {
    let mut expander = Expander {
        reader,
        snippets: HashMap::new(),
        files: HashMap::new(),
        under_way: Vec::new(),
        budget: Budget::default(),
        global: None,
    };
    let lines = expander.define(document.lines, folder)?;
    if let Some((place, lines)) = document.global {
        expander.global = Some((place, expander.block(lines, folder, 0)?));
    }
    let mut expanded = Vec::new();
    expander.lines(lines, folder, 0, &mut expanded)?;
    Ok(Document {
        global: expander.global,
        lines: expanded,
    })
}

struct Expander<'r, 'e> {
    reader: &'r mut Reader<'e>,
    snippets: HashMap<String, Rc<Imported>>,
    files: HashMap<PathBuf, Rc<Imported>>,
    /// The names of the imports under way, the outermost first.
    under_way: Vec<String>,
    budget: Budget,
    /// The global block, its imports done.
    global: Option<(Place, Vec<Line>)>,
}

/// What a snippet or a file brings.
struct Imported {
    /// The snippet's name, or the file's path.
    name: String,
    /// Where a snippet is defined.
    place: Option<Place>,
    /// The folder at which its relative paths begin.
    folder: PathBuf,
    /// The block without a name at a file's head.
    global: Option<(Place, Vec<Line>)>,
    /// The lines, their imports not done.
    lines: Vec<Line>,
}

impl Expander<'_, '_> {
    /// Takes the definitions out of the lines of a file, so that a snippet may be imported above its
    /// definition.
    fn define(&mut self, lines: Vec<Line>, folder: &Path) -> Result<Vec<Line>, Error> {
        let (definitions, others): (Vec<Line>, Vec<Line>) = lines
            .into_iter()
            .partition(|line| is_definition(&line.name));
        for line in definitions {
            let text = line.name.text.as_str();
            let name = text
                .strip_prefix('(')
                .and_then(|text| text.strip_suffix(')'));
            let name = name.filter(|name| !name.is_empty() && line.args.is_empty());
            let (Some(name), Some(lines)) = (name, line.block) else {
                return Err(line
                    .name
                    .error("a snippet is defined by its name in parentheses and a block")
                    .remedy("write `(name) {`, and its lines below"));
            };
            let snippet = Imported {
                name: name.to_owned(),
                place: Some(line.name.place.clone()),
                folder: folder.to_owned(),
                global: None,
                lines,
            };
            let earlier = self.snippets.insert(name.to_owned(), Rc::new(snippet));
            if let Some(place) = earlier.as_ref().and_then(|earlier| earlier.place.as_ref()) {
                let problem = format!("the snippet {} is already defined at {place}", show(name));
                return Err(line
                    .name
                    .error(problem)
                    .remedy("rename or remove one of the two"));
            }
        }
        Ok(others)
    }

    /// Adds lines to `out`, with those of each import in its place; `depth` blocks are around them.
    fn lines(
        &mut self,
        lines: Vec<Line>,
        folder: &Path,
        depth: usize,
        out: &mut Vec<Line>,
    ) -> Result<(), Error> {
        for line in lines {
            self.budget.line(&line.name)?;
            if line.name.is("import") {
                self.import(line, folder, depth, out)?;
                continue;
            }
            if is_definition(&line.name) {
                let error = line.name.error("a snippet is defined within a block");
                return Err(error.remedy("move it to the top level of the file"));
            }
            let Line { name, args, block } = line;
            let block = block.map(|block| self.block(block, folder, depth));
            let block = block.transpose()?;
            out.push(Line { name, args, block });
        }
        Ok(())
    }

    /// The lines of a block that `depth` blocks are around.
    fn block(&mut self, lines: Vec<Line>, folder: &Path, depth: usize) -> Result<Vec<Line>, Error> {
        if let Some(line) = lines.first().filter(|_| depth >= MAX_DEPTH) {
            let problem = format!("imports nest blocks deeper than {MAX_DEPTH}");
            return Err(line.name.error(problem));
        }
        let mut expanded = Vec::new();
        self.lines(lines, folder, depth + 1, &mut expanded)?;
        Ok(expanded)
    }

    /// Adds the lines that an `import` line stands for.
    fn import(
        &mut self,
        line: Line,
        folder: &Path,
        depth: usize,
        out: &mut Vec<Line>,
    ) -> Result<(), Error> {
        let mut words = line.args.into_iter();
        let Some(what) = words.next().filter(|what| !what.text.is_empty()) else {
            let error = line
                .name
                .error("`import` needs the name of a snippet or a file");
            return Err(error.remedy("write for example `import snippet` or `import sites/*.conf`"));
        };
        what.refuse_unreplaced()?;
        // The block belongs to the file that imports, and so do the paths in it.
        let block = line.block.map(|block| self.block(block, folder, depth));
        let arguments = Arguments {
            place: line.name.place,
            words: words.collect(),
            block: block.transpose()?.unwrap_or_default(),
        };
        if let Some(snippet) = self.snippets.get(&what.text).map(Rc::clone) {
            return self.put(&what, &snippet, &arguments, depth, out);
        }
        for path in self.reader.find(&what, folder)? {
            let file = self.file(&what, &path)?;
            self.adopt_global(&file, &arguments, depth, out)?;
            self.put(&what, &file, &arguments, depth, out)?;
        }
        Ok(())
    }

    /// Adds the lines of a snippet or file.
    fn put(
        &mut self,
        what: &Word,
        imported: &Imported,
        arguments: &Arguments,
        depth: usize,
        out: &mut Vec<Line>,
    ) -> Result<(), Error> {
        if self.under_way.len() >= MAX_IMPORTS {
            return Err(self.too_deep(what, &imported.name));
        }
        self.under_way.push(imported.name.clone());
        let lines = arguments.fill(&imported.lines, &mut self.budget)?;
        self.lines(lines, &imported.folder, depth, out)?;
        self.under_way.pop();
        Ok(())
    }

    /// An imported file, which is read once.
    fn file(&mut self, what: &Word, path: &Path) -> Result<Rc<Imported>, Error> {
        let key = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if let Some(file) = self.files.get(&key) {
            return Ok(Rc::clone(file));
        }
        let (document, bytes) = self
            .reader
            .read(what, path)
            .map_err(|unread| match unread {
                Unread::Wrong(error) => error,
                Unread::Missing(path) => self.missing(what, &path),
            })?;
        self.budget.file(what, bytes)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let file = Rc::new(Imported {
            name: files::shown(&key),
            place: None,
            folder: folder.to_owned(),
            global: document.global,
            lines: self.define(document.lines, folder)?,
        });
        self.files.insert(key, Rc::clone(&file));
        Ok(file)
    }

    /// Makes the block without a name of an imported file the global one, if nothing stands before it.
    fn adopt_global(
        &mut self,
        file: &Imported,
        arguments: &Arguments,
        depth: usize,
        out: &[Line],
    ) -> Result<(), Error> {
        let Some((place, lines)) = &file.global else {
            return Ok(());
        };
        if depth > 0 || !out.is_empty() || self.global.is_some() {
            let error = Error::at(place, "this block has no name before its `{`");
            return Err(error.remedy(format!(
                "the global options must stand first in the whole configuration, and the import at {} does not",
                arguments.place
            )));
        }
        let lines = arguments.fill(lines, &mut self.budget)?;
        self.global = Some((place.clone(), self.block(lines, &file.folder, 0)?));
        Ok(())
    }

    fn missing(&self, what: &Word, path: &Path) -> Error {
        let name = show(&what.text);
        let problem = format!(
            "there is neither a snippet {name} nor a file {}",
            files::shown(path)
        );
        let known = self.snippets.keys().map(String::as_str);
        what.error(problem)
            .remedy(match suggest(&what.text, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "correct the path, or define the snippet at the top level of the file"
                    .to_owned(),
            })
    }

    fn too_deep(&self, what: &Word, name: &str) -> Error {
        let earlier = self.under_way.iter().rposition(|earlier| earlier == name);
        let cycle = earlier.and_then(|at| self.under_way.get(at..));
        match cycle {
            Some(cycle) => {
                let names: Vec<&str> = cycle.iter().map(String::as_str).chain([name]).collect();
                what.error(format!("these imports are a cycle: {}", names.join(", ")))
                    .remedy("remove one of them")
            }
            None => what.error(format!("imports are nested deeper than {MAX_IMPORTS}")),
        }
    }
}

/// Whether a line with this name defines a snippet.
fn is_definition(name: &Word) -> bool {
    !name.quoted && name.text.starts_with('(')
}
