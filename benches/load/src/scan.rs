//! Frames the load receives. In: chunks of a byte stream, cut anywhere. Out: each frame, once it is
//! complete, by its opcode and the first bytes of its payload.
//!
//! A frame that lies whole in a chunk is handed out where it lies. Only one cut in two is copied, and
//! of that only the first [`START_MAX`] bytes, which is all a workload looks at. Extensions are not
//! offered, so reserved bits are an error; so are masks, which only clients may use.

/// One complete frame.
pub(crate) struct Frame<'a> {
    pub(crate) opcode: u8,
    /// The whole payload, or at least its first [`START_MAX`] bytes.
    pub(crate) start: &'a [u8],
}

/// Finds the frames of one stream.
pub(crate) struct Scanner {
    /// The first bytes of a frame that began in an earlier chunk.
    held: [u8; HELD_MAX],
    /// How many bytes of that frame have come, held or not.
    seen: usize,
}

impl Scanner {
    pub(crate) fn new() -> Self {
        Self {
            held: [0; HELD_MAX],
            seen: 0,
        }
    }

    /// Calls `each` for every frame that `chunk` completes.
    ///
    /// # Errors
    ///
    /// The stream is no sequence of server frames. The scanner must not be used any further.
    pub(crate) fn scan(
        &mut self,
        mut chunk: &[u8],
        mut each: impl FnMut(Frame<'_>),
    ) -> Result<(), &'static str> {
        while !chunk.is_empty() {
            if self.seen == 0
                && let Some(head) = Head::parse(chunk)?
                && let Some((whole, rest)) = chunk.split_at_checked(head.total)
            {
                each(Frame {
                    opcode: head.opcode,
                    start: &whole[head.length..],
                });
                chunk = rest;
            } else {
                chunk = self.collect(chunk, &mut each)?;
            }
        }
        Ok(())
    }

    /// Takes the bytes of the frame under way off the chunk, and returns those behind it.
    fn collect<'c>(
        &mut self,
        mut chunk: &'c [u8],
        each: &mut impl FnMut(Frame<'_>),
    ) -> Result<&'c [u8], &'static str> {
        let head = loop {
            if let Some(head) = Head::parse(&self.held[..self.seen.min(HELD_MAX)])? {
                break head;
            }
            let Some((byte, rest)) = chunk.split_first() else {
                return Ok(chunk);
            };
            self.held[self.seen] = *byte;
            self.seen += 1;
            chunk = rest;
        };
        let (part, rest) = chunk.split_at(chunk.len().min(head.total - self.seen));
        if let Some(room) = self.held.get_mut(self.seen..) {
            let kept = part.len().min(room.len());
            room[..kept].copy_from_slice(&part[..kept]);
        }
        self.seen += part.len();
        if self.seen == head.total {
            let end = head.total.min(HELD_MAX);
            each(Frame {
                opcode: head.opcode,
                start: &self.held[head.length..end],
            });
            self.seen = 0;
        }
        Ok(rest)
    }
}

struct Head {
    opcode: u8,
    /// The length of the head itself.
    length: usize,
    /// The length of head and payload.
    total: usize,
}

impl Head {
    /// Returns `None` if the head is not complete yet.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, &'static str> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        if first & 0x70 != 0 {
            return Err("frame with a reserved bit");
        }
        let (length, payload) = match second {
            0x80.. => return Err("masked frame from a server"),
            126 => match rest {
                [a, b, ..] => (4, u64::from(u16::from_be_bytes([*a, *b]))),
                _ => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(bytes) => (10, u64::from_be_bytes(*bytes)),
                None => return Ok(None),
            },
            short => (2, u64::from(*short)),
        };
        let total = usize::try_from(payload)
            .ok()
            .and_then(|payload| payload.checked_add(length))
            .ok_or("frame longer than memory")?;
        Ok(Some(Self {
            opcode: first & 0x0F,
            length,
            total,
        }))
    }
}

/// How much of a payload a workload may look at: a control frame's whole payload fits.
const START_MAX: usize = 128;
const HEAD_MAX: usize = 10;
const HELD_MAX: usize = HEAD_MAX + START_MAX;

#[cfg(test)]
mod tests {
    use super::{START_MAX, Scanner};

    fn server_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            short @ ..126 => frame.push(short as u8),
            medium @ ..65_536 => {
                frame.push(126);
                frame.extend_from_slice(&(medium as u16).to_be_bytes());
            }
            long => {
                frame.push(127);
                frame.extend_from_slice(&(long as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        frame
    }

    fn scan(chunks: &[&[u8]]) -> Vec<(u8, Vec<u8>)> {
        let mut scanner = Scanner::new();
        let mut frames = Vec::new();
        for chunk in chunks {
            scanner
                .scan(chunk, |frame| {
                    let end = frame.start.len().min(START_MAX);
                    frames.push((frame.opcode, frame.start[..end].to_vec()));
                })
                .unwrap();
        }
        frames
    }

    #[test]
    fn a_cut_anywhere_changes_nothing() {
        let payloads = [
            vec![],
            b"2".to_vec(),
            vec![7; 125],
            vec![8; 126],
            vec![9; 400],
            vec![1; 66_000],
        ];
        let stream: Vec<u8> = payloads.iter().flat_map(|p| server_frame(1, p)).collect();
        let whole = scan(&[&stream]);
        assert_eq!(whole.len(), payloads.len());
        for cut in (0..1000).chain(stream.len() - 300..=stream.len()) {
            let (left, right) = stream.split_at(cut);
            assert_eq!(scan(&[left, right]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn single_bytes_make_frames_too() {
        let stream = [server_frame(9, b"hello"), server_frame(2, &[5; 300])].concat();
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(
            scan(&bytes),
            [(9, b"hello".to_vec()), (2, vec![5; START_MAX])]
        );
    }

    #[test]
    fn masks_and_reserved_bits_are_errors() {
        for stream in [&[0x81, 0x80, 0, 0, 0, 0][..], &[0xC1, 0][..]] {
            assert!(Scanner::new().scan(stream, |_| {}).is_err());
        }
    }
}
