//! Removes the mask from a payload, RFC 6455 §5.3.
//!
//! Masked bytes enter, plain bytes are appended to a buffer. It depends on neither frames nor
//! limits. The caller has reserved the capacity, because only the caller knows the remaining
//! length.

/// Appends `masked` to `plain` and removes `mask`.
pub(super) fn unmask(plain: &mut Vec<u8>, masked: &[u8], mask: [u8; 4]) {
    let key = block_key(mask);
    let (blocks, rest) = masked.as_chunks::<BLOCK>();
    for block in blocks {
        let mut block = *block;
        xor(&mut block, &key);
        plain.extend_from_slice(&block);
    }
    let start = plain.len();
    plain.extend_from_slice(rest);
    if let Some(tail) = plain.get_mut(start..) {
        xor(tail, &key);
    }
}

/// Returns the mask for a frame's payload from the byte `position` on.
pub(super) fn rotated(mut mask: [u8; 4], position: usize) -> [u8; 4] {
    mask.rotate_left(position % 4);
    mask
}

fn block_key(mask: [u8; 4]) -> [u8; BLOCK] {
    let mut key = [0; BLOCK];
    for word in key.as_chunks_mut::<4>().0 {
        *word = mask;
    }
    key
}

#[inline(always)]
fn xor(bytes: &mut [u8], key: &[u8; BLOCK]) {
    for (byte, key) in bytes.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// A multiple of the mask's four bytes. It is large enough that the loop over one block becomes a
/// few vector instructions, and that the buffer's capacity is checked once for all of them.
const BLOCK: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::any, prop_assert_eq, proptest};

    use super::*;

    fn slow(masked: &[u8], mask: [u8; 4]) -> Vec<u8> {
        masked
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect()
    }

    /// RFC 6455 §5.7: a masked "Hello".
    #[test]
    fn example_of_the_specification_unmasks() {
        let mut plain = Vec::new();
        unmask(
            &mut plain,
            &[0x7f, 0x9f, 0x4d, 0x51, 0x58],
            [0x37, 0xfa, 0x21, 0x3d],
        );
        assert_eq!(plain, b"Hello");
    }

    #[test]
    fn every_length_around_a_block_unmasks() {
        let masked: Vec<u8> = (0..=255).collect();
        for length in 0..masked.len() {
            let mut plain = b"before".to_vec();
            unmask(&mut plain, &masked[..length], [1, 2, 3, 4]);
            assert_eq!(plain[..6], *b"before");
            assert_eq!(plain[6..], slow(&masked[..length], [1, 2, 3, 4]));
        }
    }

    proptest! {
        #[test]
        fn two_pieces_unmask_as_one(
            masked in vec(any::<u8>(), 0..300),
            mask: [u8; 4],
            cut in 0_usize..300,
        ) {
            let cut = cut.min(masked.len());
            let mut plain = Vec::new();
            unmask(&mut plain, &masked[..cut], mask);
            unmask(&mut plain, &masked[cut..], rotated(mask, cut));
            prop_assert_eq!(plain, slow(&masked, mask));
        }
    }
}
