//! Directives that look for files: `root`, `file_server`, `try_files`.

use std::path::{Path, PathBuf};

use super::texts::Texts;
use crate::error::Error;
use crate::lexer::Word;
use crate::settings::{Action, Condition, FileSettings, Template, TryFilesSettings};
use crate::shown::show;
use crate::tree::Line;
use crate::unknown::refuse;

/// `root [*] <folder>`: the folder of `file_server` in this block and those within it.
///
/// # Errors
/// Not one folder, or one that depends on the request.
pub(super) fn root(
    line: &Line,
    condition: &Condition,
    args: &[Word],
    texts: Texts<'_>,
) -> Result<PathBuf, Error> {
    line.without_block()?;
    let [folder] = args else {
        return Err(line.missing("one folder"));
    };
    if *condition != Condition::Any {
        let problem = "a folder for some paths only is not supported yet";
        return Err(line
            .name
            .error(problem)
            .remedy("write it within `handle <path> { … }`"));
    }
    texts.fixed(folder, "a folder").map(PathBuf::from)
}

/// `file_server [<matcher>] [{ root <folder> index <file>… hide <name>… }]`.
///
/// # Errors
/// A folder would be listed, no folder is named, or an option is unknown.
pub(super) fn files(
    line: &Line,
    args: &[Word],
    root: Option<&Path>,
    texts: Texts<'_>,
) -> Result<Action, Error> {
    if let Some(word) = args.first() {
        let error = word.error(format!("`file_server` takes no {}", show(&word.text)));
        return Err(match word.text.as_str() {
            "browse" => error.remedy("remove it; folders are not listed"),
            _ => error.remedy("write the folder as `root * <folder>`"),
        });
    }
    let mut settings = FileSettings {
        root: root.unwrap_or(Path::new("")).to_owned(),
        index: vec!["index.html".to_owned(), "index.txt".to_owned()],
        hidden: Vec::new(),
    };
    let mut apply = |option: &Line| -> Result<(), Error> {
        let words = || {
            let words = option.without_block()?.some("at least one name")?;
            Ok::<_, Error>(words.iter().map(|word| word.text.clone()))
        };
        match option.name.text.as_str() {
            "root" => match option.without_block()?.args.as_slice() {
                [folder] => settings.root = texts.fixed(folder, "a folder")?.into(),
                _ => return Err(option.missing("one folder")),
            },
            // It does so anyway.
            "pass_thru" => option.without_block()?.at_most(0, "")?,
            "index" => settings.index = words()?.collect(),
            "hide" => {
                let is_wrong = |word: &&Word| {
                    let is_pattern = word.text.contains(['*', '?']) && word.text.contains('/');
                    is_pattern || word.text.contains(['[', '{'])
                };
                if let Some(word) = option.args.iter().find(is_wrong) {
                    let problem = format!("{} is not supported yet", show(&word.text));
                    return Err(word.error(problem).remedy(
                        "write names of files and folders, with * and ? for other characters, or paths without them",
                    ));
                }
                settings.hidden.extend(words()?);
            }
            _ => {
                return Err(refuse(
                    &option.name,
                    "option of `file_server`",
                    &[
                        "browse",
                        "disable_canonical_uris",
                        "precompressed",
                        "status",
                    ],
                    &["hide", "index", "pass_thru", "root"],
                ));
            }
        }
        Ok(())
    };
    let options = line.block.iter().flatten();
    Error::all(options.filter_map(|option| apply(option).err()).collect())?;
    if settings.root.as_os_str().is_empty() {
        return Err(without_folder(line));
    }
    Ok(Action::Files(settings))
}

/// `try_files <target>… [=<status>]`.
///
/// # Errors
/// There is no target, no folder is named, or a target or option is not supported.
pub(super) fn try_files(
    line: &Line,
    args: &[Word],
    root: Option<&Path>,
    texts: Texts<'_>,
) -> Result<Action, Error> {
    for option in line.block.iter().flatten() {
        let policy = match option.name.text.as_str() {
            "policy" => option.without_block()?.one("a policy")?,
            _ => {
                return Err(refuse(
                    &option.name,
                    "option of `try_files`",
                    &[],
                    &["policy"],
                ));
            }
        };
        if policy.text != "first_exist" {
            let problem = format!("the policy {} is not supported yet", show(&policy.text));
            return Err(policy
                .error(problem)
                .remedy("write first_exist, or remove it"));
        }
    }
    let (words, otherwise) = match args {
        [words @ .., last] if last.text.starts_with('=') => (words, Some(status(last)?)),
        words => (words, None),
    };
    if words.is_empty() {
        return Err(line.missing("a target, for example {path}"));
    }
    let target = |word: &Word| match word.text.contains(['*', '[']) {
        true => Err(word
            .error(format!(
                "{} is a pattern, which is not supported",
                show(&word.text)
            ))
            .remedy("write one path, for example /index.html")),
        false => texts.template(word),
    };
    let targets: Vec<Template> = words.iter().map(target).collect::<Result<_, _>>()?;
    let Some(root) = root else {
        return Err(without_folder(line));
    };
    Ok(Action::TryFiles(TryFilesSettings {
        root: root.to_owned(),
        targets,
        otherwise,
        hidden: Vec::new(),
    }))
}

/// The status of `=404`.
fn status(word: &Word) -> Result<u16, Error> {
    let status = word.text.trim_start_matches('=').parse().ok();
    let status = status.filter(|status| (400..=599).contains(status));
    status.ok_or_else(|| {
        word.error(format!(
            "{} is not the status of an error",
            show(&word.text)
        ))
        .remedy("write for example =404")
    })
}

fn without_folder(line: &Line) -> Error {
    let name = &line.name.text;
    line.name
        .error(format!("`{name}` has no folder"))
        .remedy("write `root * <folder>` beside it")
}
