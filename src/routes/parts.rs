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
            Self::Short { len, bytes } => {
                let len = usize::from(*len);
                bytes.get(..len).is_some_and(|known| is_same(known, id.as_bytes()))
            }
            Self::Long(long) => **long == *id,
        }
    }
}

/// Whether two short texts are the same. In place: a call takes as long as the rest of a look-up.
#[inline]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (Some(last_a), Some(last_b)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        return a.iter().zip(b).all(|(a, b)| a == b);
    };
    // The last eight bytes may overlap those before.
    let (words_a, words_b) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    last_a == last_b && words_a.iter().zip(words_b).all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_in_every_byte() {
        let text = "0123456789abcdefghijklmnopqrstuvwxyz";
        for len in 0..text.len() {
            let id = Id::new(&text[..len]);
            assert!(id.is(&text[..len]) && !id.is(&text[..len + 1]), "{len}");
            assert!(len == 0 || !id.is(&text[1..=len]), "{len}");
            for at in 0..len {
                let mut other = text[..len].to_owned();
                other.replace_range(at..=at, "_");
                assert!(!id.is(&other), "{len}, {at}");
            }
        }
    }
}
