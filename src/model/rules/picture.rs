//! Which files count as pictures: their first bytes say what they are, their last ones that they are whole.

/// Whether these bytes are a whole JPEG, PNG, GIF, WebP or BMP file, whatever lies in between.
pub fn is_picture(bytes: &[u8]) -> bool {
    let length_at = |place: usize| {
        let field = bytes.get(place..place + 4).and_then(|field| <[u8; 4]>::try_from(field).ok());
        field.and_then(|field| usize::try_from(u32::from_le_bytes(field)).ok())
    };
    if bytes.starts_with(b"\xff\xd8\xff") {
        bytes.ends_with(b"\xff\xd9")
    } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        bytes.ends_with(b"IEND\xae\x42\x60\x82")
    } else if bytes.starts_with(b"GIF8") {
        bytes.ends_with(b";")
    } else if bytes.starts_with(b"BM") {
        length_at(2) == Some(bytes.len())
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        length_at(4).is_some_and(|length| length + 8 == bytes.len())
    } else {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_files_of_the_five_kinds_are_pictures() {
        let whole: [&[u8]; 5] = [
            b"\xff\xd8\xff\xe0....\xff\xd9",
            b"\x89PNG\r\n\x1a\n....IEND\xae\x42\x60\x82",
            b"GIF89a....;",
            b"BM\x0a\0\0\0....",
            b"RIFF\x08\0\0\0WEBP....",
        ];
        for bytes in whole {
            assert!(is_picture(bytes), "{bytes:?}");
            assert!(!is_picture(&bytes[..bytes.len() - 1]), "{bytes:?} cut");
        }
        let other_kinds: [&[u8]; 2] = [b"RIFF\x08\0\0\0WAVE....", b"RIFX\x08\0\0\0WEBP...."];
        for bytes in other_kinds {
            assert!(!is_picture(bytes), "{bytes:?}");
        }
        assert!(!is_picture(b"") && !is_picture(b"hello") && !is_picture(b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"));
    }
}
