//! Directives that switch something on, and those that have no effect here.

use crate::draft::Draft;
use crate::error::Error;
use crate::settings::Notice;
use crate::shown::show;
use crate::source::Environment;
use crate::tree::Line;
use crate::value;

type Done = Result<(), Error>;

/// A switch as the reference page shows it.
pub(crate) fn shown(is_on: bool) -> String {
    let word = if is_on { "on" } else { "off" };
    word.to_owned()
}

/// `anonymous`: an argument means what it says, with a warning, since another hub takes it otherwise; none,
/// or an empty one, means on (B-1030).
pub(crate) fn anonymous(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    line.without_block()?.at_most(1, "on or off")?;
    let on = match line.args.first().map(|word| (word, word.text.as_str())) {
        None | Some((_, "")) => true,
        Some((word, text @ ("0" | "1" | "true" | "false" | "on" | "off"))) => {
            let on = matches!(text, "1" | "true" | "on");
            draft.notices.push(Notice::warning(format!(
                "{}: `anonymous {text}` is not portable (another hub refuses it, or turns anonymous access on \
                 whatever it says); here it is {}",
                word.place,
                shown(on),
            )));
            on
        }
        Some((word, text)) => {
            return Err(word
                .error(format!("{} is neither on nor off", show(text)))
                .remedy("write `anonymous` alone to let subscribers in without a token"));
        }
    };
    draft.hub.anonymous = on;
    Ok(())
}

/// `name`, which tells the hubs of one program apart where there are several (B-1021).
pub(crate) fn name(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let word = line.without_block()?.one("a name")?;
    if word.text.is_empty() {
        return Err(word
            .error("the name is empty")
            .remedy("write for example: name main"));
    }
    draft.name = Some(word.text.clone());
    Ok(())
}

/// The sizes of caches. Any integer is valid in the existing hub, and those of 0.x take a number of shards
/// too (B-217 to B-219).
pub(crate) fn cache_size(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let most = match line.name.text.as_str() {
        "topic_matcher_cache" => 1,
        _ => 2,
    };
    line.without_block()?.at_most(most, "whole numbers")?;
    if line.args.is_empty() {
        return Err(line.missing("a whole number"));
    }
    for word in &line.args {
        if word.text.parse::<i64>().is_err() {
            return Err(word
                .error(format!("{} is not a whole number", show(&word.text)))
                .remedy("write it in digits only, or remove the line: it has no effect here"));
        }
    }
    without_effect(draft, line);
    Ok(())
}

/// `subscriber_list_cache_size`, which may not be negative (B-220).
pub(crate) fn list_cache_size(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    value::number(line.without_block()?.one("a number")?, 0)?;
    without_effect(draft, line);
    Ok(())
}

fn without_effect(draft: &mut Draft, line: &Line) {
    let (name, place) = (&line.name.text, &line.name.place);
    draft.notices.push(Notice::info(format!(
        "{place}: `{name}` is accepted and has no effect here"
    )));
}
