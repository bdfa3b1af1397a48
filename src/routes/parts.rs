//! What a route holds, in place where it is small: every pointer less is a wait for memory less.

use crate::slab::CellIndex;
use crate::types::Priority;

/// Ids of up to this many bytes stand in the route itself.
const SHORT_ID: usize = 30;

/// The inputs of one stream, ascending by priority, and where by-id packets of each are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RouteInputs {
    Two([(Priority, CellIndex); 2]),
    Any(Box<[(Priority, CellIndex)]>),
}

impl FromIterator<(Priority, CellIndex)> for RouteInputs {
    fn from_iter<I: IntoIterator<Item = (Priority, CellIndex)>>(inputs: I) -> Self {
        let mut inputs = inputs.into_iter();
        let Some(first) = inputs.next() else { return Self::Any(Box::default()) };
        let Some(second) = inputs.next() else { return Self::Any(Box::new([first])) };
        match inputs.next() {
            None => Self::Two([first, second]),
            Some(third) => Self::Any([first, second, third].into_iter().chain(inputs).collect()),
        }
    }
}

impl RouteInputs {
    #[inline]
    pub(super) fn find(&self, priority: Priority) -> Option<CellIndex> {
        let of = |&(_, cell): &(Priority, CellIndex)| cell;
        match self {
            Self::Two(two) => two.iter().find(|(known, _)| *known == priority).map(of),
            Self::Any(any) => {
                let at = any.binary_search_by_key(&priority, |(known, _)| *known).ok()?;
                any.get(at).map(of)
            }
        }
    }
}

/// A stream's id, in place where it is short: one place less to wait for.
pub(super) enum Id {
    Short { len: u8, bytes: [u8; SHORT_ID] },
    Long(Box<str>),
}

impl Id {
    pub(super) fn new(id: &str) -> Self {
        let mut bytes = [0; SHORT_ID];
        match bytes.get_mut(..id.len()) {
            Some(place) => {
                place.copy_from_slice(id.as_bytes());
                Self::Short { len: id.len() as u8, bytes }
            }
            None => Self::Long(id.into()),
        }
    }

    #[inline]
    pub(super) fn is(&self, id: &str) -> bool {
        match self {
            Self::Short { len, bytes } => bytes.get(..usize::from(*len)) == Some(id.as_bytes()),
            Self::Long(long) => **long == *id,
        }
    }
}
