//! Cards: what the router has learnt of the topics that were published lately.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashTable;
use talaria_protocol::matcher::UrlPattern;
use talaria_protocol::{Base, Matcher, TopicUrl};

use crate::engine::interests::{Condition, Family, Place, Serial};

/// The card of a topic: the topic, parsed, and the patterns that it is known to match.
#[derive(Debug)]
pub(super) struct Card {
    hash: u64,
    text: Box<str>,
    url: Option<TopicUrl>,
    /// By [`Condition`].
    judged: [Judged; 2],
    weight: usize,
}

/// The patterns of one condition.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// By [`Family`], the serial up to which all patterns were judged.
    pub(super) up_to: [Serial; 4],
    /// The patterns that match. Some may have left the index since.
    pub(super) matched: VecDeque<(Family, Place)>,
}

impl Card {
    fn new(hash: u64, text: &str, base: &Base) -> Self {
        Self {
            hash,
            text: text.into(),
            url: TopicUrl::parse(text, base),
            judged: Default::default(),
            weight: 0,
        }
    }

    fn is_of(&self, hash: u64, text: &str) -> bool {
        self.hash == hash && *self.text == *text
    }

    /// The text that the literal prefixes of a family are compared with; `None` if no pattern of the family
    /// can match.
    pub(super) fn key(&self, family: Family) -> Option<&str> {
        if family.of_urls() {
            self.url.as_ref().map(TopicUrl::key)
        } else {
            Some(&self.text)
        }
    }

    pub(super) fn judged(&self, condition: Condition) -> &Judged {
        &self.judged[condition as usize]
    }

    pub(super) fn judged_mut(&mut self, condition: Condition) -> &mut Judged {
        &mut self.judged[condition as usize]
    }

    /// Whether a pattern matches. Adds the steps that this took to `spent`.
    pub(super) fn is_matched_by(&self, pattern: &Matcher, spent: &mut u64) -> bool {
        match pattern {
            Matcher::Any | Matcher::Exact(_) => false,
            Matcher::UrlPattern(pattern) => match &self.url {
                Some(url) => UrlPattern::matches_in(pattern, url, spent),
                None => false,
            },
            Matcher::Template(template) => template.matches_in(&self.text, spent),
        }
    }

    fn weigh(&mut self) {
        /// What a parsed URL takes besides its texts, with the overhead of the allocations.
        const BESIDES: usize = 160;
        let url = self.url.as_ref().map_or(0, |url| {
            url.url().as_str().len() + url.key().len() + BESIDES
        });
        let matched: usize = self.judged.iter().map(|of| of.matched.capacity()).sum();
        self.weight =
            size_of::<Self>() + self.text.len() + url + matched * size_of::<(Family, Place)>();
    }
}

/// The cards of topics that were published lately, bounded in bytes.
#[derive(Debug)]
pub(super) struct Cards {
    /// The cards that were used since `old` was replaced.
    young: HashTable<Box<Card>>,
    young_bytes: usize,
    /// The cards that were used before that, and not since.
    old: HashTable<Box<Card>>,
    max_bytes: usize,
    /// What the topics are resolved against.
    base: Arc<Base>,
    /// Whether there were patterns when a group was last routed.
    pub(super) are_needed: bool,
}

impl Cards {
    pub(super) fn new(max_bytes: usize, base: Arc<Base>) -> Self {
        Self {
            young: HashTable::new(),
            young_bytes: 0,
            old: HashTable::new(),
            max_bytes,
            base,
            are_needed: false,
        }
    }

    /// Resolves topics against another base, and forgets what is known of them.
    pub(super) fn rebase(&mut self, base: Arc<Base>) {
        self.base = base;
        self.young.clear();
        self.young_bytes = 0;
        self.old.clear();
    }

    /// The bytes of the cards that were used lately.
    pub(super) fn bytes(&self) -> usize {
        self.young_bytes
    }

    /// Takes out the card of a topic, or makes one.
    pub(super) fn take(&mut self, hash: u64, text: &str) -> Box<Card> {
        if let Ok(found) = self.young.find_entry(hash, |card| card.is_of(hash, text)) {
            let (card, _) = found.remove();
            self.young_bytes -= card.weight;
            return card;
        }
        match self.old.find_entry(hash, |card| card.is_of(hash, text)) {
            Ok(found) => found.remove().0,
            Err(_) => Box::new(Card::new(hash, text, &self.base)),
        }
    }

    /// Puts a card back. It is dropped if it is too large.
    pub(super) fn put(&mut self, mut card: Box<Card>) {
        card.weigh();
        if card.weight > self.max_bytes / 2 {
            return;
        }
        if self.young_bytes + card.weight > self.max_bytes / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += card.weight;
        self.young.insert_unique(card.hash, card, |card| card.hash);
    }
}
