//! Which of the bytes that an HTTP/2 connection writes carry answers.
//!
//! What a client makes the connection say of itself (acknowledged pings and settings, opened windows, resets) shows that its socket works, not that it
//! takes anything: one that never opens its windows and pings could otherwise hold what is ready for it for ever. Frames are followed by their nine octets
//! of header (RFC 9113 §4.1), wherever a write cuts them.

const HEAD: usize = 9;

/// HEADERS, and what continues them; DATA.
const OF_ANSWERS: [u8; 3] = [0, 1, 9];

/// Where in the frames the last write has ended.
#[derive(Debug, Default)]
pub struct Answers {
    head: [u8; HEAD],
    /// How much of the head is there.
    filled: usize,
    /// How much of the frame behind it is not.
    left: usize,
}

impl Answers {
    /// Follows what is written. `true`: some of it belongs to an answer.
    pub fn observe(&mut self, mut bytes: &[u8]) -> bool {
        let mut any = false;
        while !bytes.is_empty() {
            if self.left == 0 {
                bytes = self.read_head(bytes);
            }
            any |= self.filled == HEAD && OF_ANSWERS.contains(&self.kind());
            let here = self.left.min(bytes.len());
            self.left -= here;
            bytes = bytes.get(here..).unwrap_or_default();
        }
        any
    }

    /// Takes what belongs to the next frame's head, and returns what is behind it.
    fn read_head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.filled == HEAD {
            self.filled = 0;
        }
        let empty = self.head.get_mut(self.filled..).unwrap_or_default();
        let here = empty.len().min(bytes.len());
        let (of_head, behind) = bytes.split_at_checked(here).unwrap_or_default();
        for (place, octet) in empty.iter_mut().zip(of_head) {
            *place = *octet;
        }
        self.filled += here;
        if self.filled == HEAD {
            let [a, b, c, ..] = self.head;
            self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        }
        behind
    }

    fn kind(&self) -> u8 {
        let [_, _, _, kind, ..] = self.head;
        kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, length: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, length, kind, 0, 0, 0, 0, 1];
        bytes.extend(std::iter::repeat_n(0, usize::from(length)));
        bytes
    }

    #[test]
    fn what_a_connection_says_of_itself_is_no_answer_however_much_it_is() {
        // RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE.
        let small_talk: Vec<u8> = [(3, 4), (4, 0), (6, 8), (7, 30), (8, 4)]
            .iter()
            .flat_map(|&(kind, length)| frame(kind, length))
            .collect();
        let mut answers = Answers::default();
        assert!(!answers.observe(&small_talk.repeat(10)));
        for piece in small_talk.chunks(5) {
            assert!(!answers.observe(piece));
        }
        for kind in OF_ANSWERS {
            assert!(
                answers.observe(&[frame(6, 8), frame(kind, 0), frame(6, 8)].concat()),
                "{kind}"
            );
        }
        assert!(!answers.observe(&small_talk));
    }

    #[test]
    fn each_piece_of_an_answer_is_one_wherever_it_is_cut() {
        for size in 1..40 {
            let mut answers = Answers::default();
            let bytes = [frame(6, 8), frame(0, 30), frame(6, 8)].concat();
            let told: Vec<bool> = bytes.chunks(size).map(|piece| answers.observe(piece)).collect();
            // From the end of the second head to the end of its frame.
            let wanted: Vec<bool> = (0..bytes.len())
                .step_by(size)
                .map(|begin| begin < 17 + 9 + 30 && begin + size >= 17 + 9)
                .collect();
            assert_eq!(told, wanted, "cut every {size} octets");
        }
    }
}
