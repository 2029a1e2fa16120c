//! The members of the log, and the subscriptions that they began.

use std::collections::BTreeSet;

use redis::Value;
use talaria_protocol::Update;
use talaria_transport::Position;
use talaria_transport::shared::backend::{BackendError, Beat, Continue, Member, Subscriptions};

use crate::connection::checked;
use crate::fault::Fault;
use crate::link::{Held, Purpose};
use crate::scripts::{BEAT, BURY};
use crate::store::{Store, bounds};
use crate::{record, reply};

/// How many stored subscriptions, and how many bytes of them, are read at a time.
const MOST: usize = 1_000;
const MOST_BYTES: usize = 1 << 20;
/// How many the server is asked for at a time.
const SCAN: usize = 200;

/// See [`Backend::beat`](talaria_transport::shared::Backend::beat).
pub(crate) async fn beat(store: &Store, member: Member) -> Result<Beat, BackendError> {
    let keys = &store.keys;
    let said = store
        .run(
            &BEAT,
            &[&keys.log, &keys.meta, &keys.ids, &keys.events],
            |command| {
                command.arg(store.tag()).arg(member.to_string());
                store.add_limits(command);
                command.arg(&keys.subscriptions);
            },
        )
        .await
        .map_err(Fault::later)?;
    let held = said.held.clone();
    let [run, number, floor, members, buried] = said.ok()?;
    let read = || {
        let members = reply::array(members)?.into_iter().map(counter);
        let buried = reply::array(buried)?.into_iter();
        Ok(Beat {
            tag: store.tag(),
            bounds: bounds(run, number, floor)?,
            members: members.collect::<Result<_, Fault>>()?,
            buried: buried
                .map(|name| record::member(&reply::text(name)?))
                .collect::<Result<_, Fault>>()?,
            bytes: None,
            refusing: None,
            outbox: None,
        })
    };
    let mut beat: Beat = read().map_err(Fault::later)?;
    beat.bytes = size(store, &held).await?;
    beat.refusing = refusing(store, &held).await?;
    Ok(beat)
}

/// Why the server would refuse updates. One whose memory is full permits beats, so that nodes stay members and delete
/// what is old; this write changes nothing, because there is no such key.
async fn refusing(store: &Store, held: &Held) -> Result<Option<&'static str>, BackendError> {
    let write = redis::cmd("SET")
        .arg(&store.keys.probe)
        .arg("")
        .arg("XX")
        .to_owned();
    let answer = held.connection.ask(&write).await;
    match store.link.judge(held, answer).map_err(Fault::later) {
        Ok(_) => Ok(None),
        Err(BackendError::Refusing(reason)) => Ok(Some(reason)),
        Err(error) => Err(error),
    }
}

/// The bytes of the log, if the server may be asked for them.
async fn size(store: &Store, held: &Held) -> Result<Option<u64>, BackendError> {
    let usage = redis::cmd("MEMORY")
        .arg("USAGE")
        .arg(&store.keys.log)
        .to_owned();
    match store.link.judge(held, held.connection.ask(&usage).await) {
        Ok(bytes) => Ok(reply::number(bytes).ok()),
        Err(Fault::Server { .. }) => Ok(None),
        Err(fault) => Err(fault.later()),
    }
}

fn counter(member: Value) -> Result<(Member, u64), Fault> {
    let text = reply::text(member)?;
    let unexpected = Fault::Unexpected("a member and its counter");
    let (name, counter) = text.split_once(' ').ok_or(unexpected.clone())?;
    Ok((
        record::member(name)?,
        counter.parse().map_err(|_| unexpected)?,
    ))
}

/// Buries a member whose counter is `counter`, or any; returns whether it did.
pub(crate) async fn bury(
    store: &Store,
    member: Member,
    counter: Option<u64>,
) -> Result<bool, BackendError> {
    let said = store
        .run(&BURY, &[&store.keys.meta], |command| {
            command.arg(store.tag()).arg(member.to_string());
            command.arg(
                counter
                    .map(|counter| counter.to_string())
                    .unwrap_or_default(),
            );
        })
        .await
        .map_err(Fault::later)?;
    let [buried] = said.ok()?;
    Ok(reply::number(buried).map_err(Fault::later)? == 1)
}

/// Where reading goes on: a member, and the server's cursor within its subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    member: Member,
    cursor: u64,
}

impl Place {
    fn parse(from: &Continue) -> Option<Self> {
        let (member, cursor) = from.0.split_first_chunk::<16>()?;
        Some(Self {
            member: Member(u128::from_be_bytes(*member)),
            cursor: u64::from_be_bytes(cursor.try_into().ok()?),
        })
    }

    fn write(self) -> Continue {
        let mut bytes = self.member.0.to_be_bytes().to_vec();
        bytes.extend(self.cursor.to_be_bytes());
        Continue(bytes)
    }
}

/// See [`Backend::subscriptions`](talaria_transport::shared::Backend::subscriptions).
pub(crate) async fn subscriptions(
    store: &Store,
    of: Option<Member>,
    from: &Continue,
) -> Result<Subscriptions, BackendError> {
    let held = store
        .link
        .shared(Purpose::Reads)
        .await
        .map_err(Fault::later)?;
    let members = match of {
        Some(member) => BTreeSet::from([member]),
        None => members(store, &held).await?,
    };
    let start = Place::parse(from);
    let mut place = members
        .iter()
        .find(|member| start.is_none_or(|start| **member >= start.member))
        .map(|member| Place {
            member: *member,
            cursor: 0,
        });
    if let (Some(place), Some(start)) = (&mut place, start)
        && place.member == start.member
    {
        place.cursor = start.cursor;
    }
    let mut begun = Vec::new();
    let mut bytes = 0;
    while let Some(Place { member, cursor }) = place {
        if begun.len() >= MOST || bytes >= MOST_BYTES {
            break;
        }
        let key = format!("{}{member}", store.keys.subscriptions);
        let scan = redis::cmd("HSCAN")
            .arg(key)
            .arg(cursor)
            .arg("COUNT")
            .arg(SCAN)
            .to_owned();
        let answer = store.link.judge(&held, held.connection.ask(&scan).await);
        let (cursor, found) = answer.and_then(scanned).map_err(Fault::later)?;
        bytes += found.iter().map(|stored| stored.1.len()).sum::<usize>();
        let found = found.iter();
        begun.extend(found.filter_map(|stored| read(stored, of.is_some())));
        let following = members.iter().find(|other| **other > member);
        place = match cursor {
            0 => following.map(|member| Place {
                member: *member,
                cursor: 0,
            }),
            cursor => Some(Place { member, cursor }),
        };
    }
    Ok(Subscriptions {
        begun,
        next: place.map(Place::write),
    })
}

/// The members, those that were buried too.
async fn members(store: &Store, held: &Held) -> Result<BTreeSet<Member>, BackendError> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("HGET").arg(&store.keys.meta).arg("tag");
    pipeline.cmd("HKEYS").arg(&store.keys.meta);
    let answers = store
        .link
        .judge(held, held.connection.ask_all(&pipeline).await);
    let [tag, fields] = answers.and_then(reply::first).map_err(Fault::later)?;
    store.check_tag(tag)?;
    let fields = store
        .link
        .judge(held, checked(fields))
        .and_then(reply::array);
    let mut members = BTreeSet::new();
    for field in fields.map_err(Fault::later)? {
        let field = reply::text(field).map_err(Fault::later)?;
        let name = field
            .strip_prefix("member:")
            .or_else(|| field.strip_prefix("buried:"));
        members.extend(name.and_then(|name| record::member(name).ok()));
    }
    Ok(members)
}

/// A topic, and what is stored of its subscription.
type Pair = (Vec<u8>, Vec<u8>);

/// Reads the beginning of a subscription. Of one that cannot be read, only the topic is known: that is enough if it
/// is to be ended.
fn read((topic, stored): &Pair, is_ending: bool) -> Option<(Position, Update)> {
    let begun = std::str::from_utf8(stored).ok().map(record::begun);
    if let Some(Ok(begun)) = begun {
        return Some(begun);
    }
    record::unreadable("subscription", &String::from_utf8_lossy(topic));
    let topic = std::str::from_utf8(topic).ok().filter(|_| is_ending);
    topic.map(record::unknown_beginning)
}

/// The cursor to go on from, and the topics and values that were found.
fn scanned(answer: Value) -> Result<(u64, Vec<Pair>), Fault> {
    let [cursor, pairs] = reply::first(reply::array(answer)?)?;
    let mut values = reply::array(pairs)?.into_iter();
    let mut found = Vec::new();
    while let (Some(topic), Some(stored)) = (values.next(), values.next()) {
        let (Value::BulkString(topic), Value::BulkString(stored)) = (topic, stored) else {
            return Err(Fault::Unexpected("topics and stored subscriptions"));
        };
        found.push((topic, stored));
    }
    Ok((reply::number(cursor)?, found))
}
