//! Values and rows as the rules' rows see them, whichever database they come from.

use crate::logic::store::{Result, StoreError};
use rusqlite::types::{ToSqlOutput, ValueRef};

/// A value in a column. Both databases have these kinds alone.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Nothing.
    Null,
    /// A whole number; a truth is 0 or 1.
    Int(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

macro_rules! value_from {
    ($($kind:ty => |$it:ident| $value:expr;)*) => {
        $(impl From<$kind> for Value {
            fn from($it: $kind) -> Self {
                $value
            }
        })*
    };
}

value_from! {
    i64 => |number| Self::Int(number);
    u32 => |number| Self::Int(number.into());
    u16 => |number| Self::Int(number.into());
    bool => |truth| Self::Int(truth.into());
    &str => |text| Self::Text(text.to_owned());
    String => |text| Self::Text(text);
    &String => |text| Self::Text(text.clone());
    Vec<u8> => |bytes| Self::Blob(bytes);
    &Vec<u8> => |bytes| Self::Blob(bytes.clone());
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(bytes: [u8; N]) -> Self {
        Self::Blob(bytes.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Blob(bytes.to_vec())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The values of a statement.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::sql::value::Value::from($value)),*]
    };
}
pub(super) use values;

/// What can be read out of a column.
pub(super) trait Column: Sized {
    fn of(value: Value) -> Option<Self>;
}

impl Column for i64 {
    fn of(value: Value) -> Option<Self> {
        if let Value::Int(number) = value { Some(number) } else { None }
    }
}

impl Column for u32 {
    fn of(value: Value) -> Option<Self> {
        i64::of(value).and_then(|number| number.try_into().ok())
    }
}

impl Column for u16 {
    fn of(value: Value) -> Option<Self> {
        i64::of(value).and_then(|number| number.try_into().ok())
    }
}

impl Column for bool {
    fn of(value: Value) -> Option<Self> {
        match i64::of(value) {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        }
    }
}

impl Column for String {
    fn of(value: Value) -> Option<Self> {
        if let Value::Text(text) = value { Some(text) } else { None }
    }
}

impl Column for Vec<u8> {
    fn of(value: Value) -> Option<Self> {
        if let Value::Blob(bytes) = value { Some(bytes) } else { None }
    }
}

impl<T: Column> Column for Option<T> {
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::of(value).map(Some),
        }
    }
}

/// One row of an answer.
pub(super) enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a postgres::Row),
}

impl Row<'_> {
    /// Whatever a column holds.
    pub fn value(&self, column: &str) -> Result<Value> {
        match self {
            Self::Sqlite(row) => sqlite_value(row, column),
            Self::Postgres(row) => postgres_value(row, column),
        }
    }

    /// The value of a column by its name.
    pub fn get<T: Column>(&self, column: &str) -> Result<T> {
        good(T::of(self.value(column)?), column)
    }
}

fn sqlite_value(row: &rusqlite::Row<'_>, column: &str) -> Result<Value> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => return bad(column),
        },
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
        ValueRef::Real(_) => return bad(column),
    })
}

fn postgres_value(row: &postgres::Row, column: &str) -> Result<Value> {
    use postgres::types::Type;
    let Some(kind) =
        row.columns().iter().find(|found| found.name() == column).map(|found| found.type_().clone())
    else {
        return bad(column);
    };
    Ok(match kind {
        Type::INT8 => Value::from(row.try_get::<_, Option<i64>>(column)?),
        Type::TEXT => Value::from(row.try_get::<_, Option<String>>(column)?),
        Type::BYTEA => Value::from(row.try_get::<_, Option<Vec<u8>>>(column)?),
        _ => return bad(column),
    })
}

/// A value in the database that this build cannot read: edited by hand, or by another version.
pub(super) fn bad<T>(what: &str) -> Result<T> {
    Err(StoreError(format!("column {what} holds a value that this build cannot read")))
}

pub(super) fn good<T>(value: Option<T>, what: &str) -> Result<T> {
    value.map_or_else(|| bad(what), Ok)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self(format!("database: {error}"))
    }
}

impl From<postgres::Error> for StoreError {
    fn from(error: postgres::Error) -> Self {
        // Its own words end with "db error": what the server said stands behind it.
        match error.as_db_error() {
            Some(said) => {
                let detail = said.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
                Self(format!("database: {} {}{detail}", said.code().code(), said.message()))
            }
            None => match std::error::Error::source(&error) {
                Some(source) => Self(format!("database: {error}: {source}")),
                None => Self(format!("database: {error}")),
            },
        }
    }
}
