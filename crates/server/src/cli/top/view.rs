//! What is shown: tables of texts, made from what the nodes have said. The screen and the plain snapshot show the same.

use talaria_protocol::error::Visible;

use super::node::Node;
use super::pane::Pane;
use super::summary::{latencies, summary, traffic};
use super::tables::{history, limits, reasons, refusals, topics};

/// The panes, in their order.
pub(super) fn panes(nodes: &[Node]) -> Vec<Pane> {
    let mut panes = vec![
        summary(nodes),
        traffic(nodes),
        latencies(nodes),
        limits(nodes),
        reasons(nodes),
        refusals(nodes),
        history(nodes),
        topics(nodes),
    ];
    // What a node says may hold anything; no terminal must obey it.
    for cell in panes
        .iter_mut()
        .flat_map(|pane| pane.rows.iter_mut())
        .flatten()
    {
        *cell = Visible(cell).to_string();
    }
    panes
}
