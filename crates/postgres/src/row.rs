//! Values in statements and rows.

use std::error::Error;

use talaria_transport::Position;
use talaria_transport::shared::backend::Member;
use tokio_postgres::Row;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::fault::Fault;

/// Reads a column.
///
/// # Errors
/// It is not there, or has another type.
pub(crate) fn read<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, Fault> {
    row.try_get(column)
        .map_err(|_| Fault::Unexpected("the columns of a row"))
}

/// A member, as the column type `uuid` has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id(pub(crate) Member);

impl ToSql for Id {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0.0.to_be_bytes());
        Ok(IsNull::No)
    }

    accepts!(UUID);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Id {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Member(u128::from_be_bytes(raw.try_into()?))))
    }

    accepts!(UUID);
}

/// A position as a column has it. No position of a log is beyond what a column holds.
pub(crate) fn number(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}

/// Reads a position.
///
/// # Errors
/// It is negative.
pub(crate) fn position(number: i64) -> Result<Position, Fault> {
    u64::try_from(number)
        .map(Position)
        .map_err(|_| Fault::Unexpected("a position"))
}
