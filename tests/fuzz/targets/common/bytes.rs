//! What a fuzz target makes its decisions of: the input, read from the front. Behind its end there
//! are zeros, so that every input is a whole one.

/// The rest of the input. Not every target takes from it in every way.
pub struct Bytes<'a>(&'a [u8]);

/// Where mistakes live.
const EDGES: [i64; 24] = [
    0,
    1,
    -1,
    2,
    10,
    100,
    255,
    256,
    1_000,
    10_000,
    65_535,
    65_536,
    1 << 31,
    (1 << 31) - 1,
    -(1 << 31),
    (1 << 32) - 1,
    (1 << 33) - 1,
    1 << 33,
    1 << 61,
    -(1 << 61),
    9_223_372_036_854,
    9_223_372_036_855,
    i64::MAX,
    i64::MIN,
];

#[allow(dead_code)]
impl<'a> Bytes<'a> {
    pub fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        match self.0 {
            [first, rest @ ..] => {
                self.0 = rest;
                *first
            }
            [] => 0,
        }
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number below `end`, which is 256 at most.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    pub fn u64(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// An edge, something close to one, a small number, or any.
    pub fn number(&mut self) -> i64 {
        match self.byte() {
            how @ 0..128 => EDGES[usize::from(how) % EDGES.len()],
            128..160 => self.pick(&EDGES).wrapping_add(i64::from(self.byte() as i8)),
            160..208 => i64::from(self.u16()),
            208..240 => self.u64() as i64 >> (self.byte() & 63),
            _ => self.u64() as i64,
        }
    }

    /// The next bytes of the input, as many as are there.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}
