//! The directive `subscriptions` (B-210).

use crate::draft::Draft;
use crate::error::Error;
use crate::shown::show;
use crate::source::Environment;
use crate::tree::Line;

pub(crate) fn subscriptions(
    draft: &mut Draft,
    line: &Line,
    _: Environment<'_>,
) -> Result<(), Error> {
    line.without_block()?.at_most(1, "token_holders")?;
    let hub = &mut draft.hub;
    hub.presence.token_holders_only = match line.args.first() {
        None => false,
        Some(word) if word.text == "token_holders" => true,
        Some(word) => {
            return Err(word
                .error(format!("{} does not say whom to announce", show(&word.text)))
                .remedy("write `subscriptions` to announce every subscriber, or `subscriptions token_holders` to leave anonymous ones out"));
        }
    };
    hub.subscriptions = true;
    Ok(())
}
