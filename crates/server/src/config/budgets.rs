//! The budgets of clients beside the size of a body.

use talaria_hub::limits::BudgetOptions;

use super::settings::Notice;

/// Makes sure that the largest body that is allowed finds room where no other client sends one.
pub(super) fn budgets(
    mut budgets: BudgetOptions,
    max_request_body_size: u64,
    notices: &mut Vec<Notice>,
) -> BudgetOptions {
    let room = max_request_body_size.saturating_mul(2);
    let total = &mut budgets.body_memory.total;
    if *total == BudgetOptions::default().body_memory.total {
        *total = (*total).max(Some(room));
    }
    let bodies = &budgets.body_memory;
    for (name, least, bound) in [
        ("max_body_memory", room, bodies.total),
        (
            "max_body_memory_per_address",
            max_request_body_size,
            bodies.per_address,
        ),
        (
            "max_body_memory_per_subject",
            max_request_body_size,
            bodies.per_subject,
        ),
    ] {
        if bound.is_some_and(|bound| bound < least) {
            notices.push(Notice::warning(format!(
                "{name} is less than {least} bytes, so the largest body that max_request_body_size allows may never find room"
            )));
        }
    }
    budgets
}
