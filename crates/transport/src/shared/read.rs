//! Reads for one reader: from the ring, else from pieces of the log.

use std::sync::Arc;

use super::backend::{Backend, BackendError};
use super::node::Node;
use super::pages::{BYTES, Found, Piece, RECORDS};
use super::passed::passed;
use crate::{Admit, Frame, Page, Position, ReadError, Verdict};

/// The frames that are judged for one page.
const JUDGED: usize = 512;

/// Reads a page as [`Transport::read`](crate::Transport::read) says. While the server is away it waits.
pub(super) async fn read<B: Backend>(
    node: &Node<B>,
    from: Position,
    up_to: Position,
    limit: usize,
    filter: &dyn Admit,
) -> Result<Page, ReadError> {
    let up_to = up_to.min(node.place().head);
    if from >= up_to {
        return Ok(Page {
            frames: Vec::new(),
            looked_up_to: from,
        });
    }
    if let Some(frames) = node.ring.page(from, up_to, JUDGED) {
        let end = match frames.last() {
            Some(last) if frames.len() == JUDGED => last.position,
            _ => up_to,
        };
        return Ok(judge(from, end, frames.iter(), limit, filter));
    }
    let piece = piece(node, from).await;
    if from < piece.floor
        && piece
            .after(from)
            .next()
            .is_none_or(|next| next.position != from.next())
    {
        return Err(ReadError::Passed(from));
    }
    let end = piece.up_to.min(up_to);
    let frames = piece.after(from).take_while(|frame| frame.position <= end);
    Ok(judge(from, end, frames, limit, filter))
}

/// Judges frames that are all that the log has after `from` up to `end`.
fn judge<'a>(
    from: Position,
    end: Position,
    frames: impl Iterator<Item = &'a Arc<Frame>>,
    limit: usize,
    filter: &dyn Admit,
) -> Page {
    let mut page = Page {
        frames: Vec::new(),
        looked_up_to: from,
    };
    let mut bytes = 0;
    for frame in frames {
        let verdict = filter.judge(frame);
        let admitted = verdict == Verdict::Admitted;
        let is_full = admitted && bytes > 0 && bytes + frame.bytes.len() > limit;
        if is_full || verdict == Verdict::Later {
            return page;
        }
        page.looked_up_to = frame.position;
        if admitted {
            bytes += frame.bytes.len();
            page.frames.push(Arc::clone(frame));
        }
    }
    page.looked_up_to = end;
    page
}

/// The piece that has what follows a position, read once for all who need it. While the server is away it waits.
async fn piece<B: Backend>(node: &Node<B>, from: Position) -> Arc<Piece> {
    let mut backoff = node.backoff();
    loop {
        let (start, lock, clears) = match node.pages.find(from) {
            Found::Piece(piece) => return piece,
            Found::Read(start, lock, clears) => (start, lock, clears),
        };
        let alone = lock.lock().await;
        // Who waited finds it now.
        if let Found::Piece(piece) = node.pages.find(from) {
            return piece;
        }
        let read = match read_piece(node, start, clears).await {
            // The records before it fill the piece.
            Ok(piece) if piece.up_to <= from => read_piece(node, from, clears).await,
            read => read,
        };
        if let Ok(piece) = read
            && piece.up_to > from
        {
            return piece;
        }
        node.pages.give_up(start);
        drop(alone);
        backoff.pause().await;
    }
}

async fn read_piece<B: Backend>(
    node: &Node<B>,
    start: Position,
    clears: u64,
) -> Result<Arc<Piece>, BackendError> {
    // The semaphore is never closed.
    let permit = node.pages.reads.acquire().await;
    let head = node.place().head;
    node.measures.pages.add(1);
    let records = node.backend.page(start, head, RECORDS, BYTES).await;
    drop(permit);
    let records = records.inspect_err(|_| node.beat_now.notify_one())?;
    let frames = passed(&node.identity(), records.records);
    let frames = frames.into_iter().map(|passed| passed.frame).collect();
    let piece = Piece::new(start, records.looked_up_to, records.floor, frames);
    let piece = Arc::new(piece);
    node.pages.insert(&piece, clears);
    Ok(piece)
}
