//! The kernel side's object file, and how large its slots are.

use std::borrow::Cow;
use std::mem::offset_of;

use aya::include_bytes_aligned;
use aya_obj::maps::bpf_map_def;
use object::{File, Object as _, ObjectSection as _, ObjectSymbol as _};
use tracer_common::SLOTS;
use tracer_common::hold::Slot;

/// The kernel side, as `build.rs` built it. Its slots have no room for what is held.
pub(in crate::source) static OBJECT: &[u8] =
    include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracer-ebpf.o"));

/// The same, where each slot has room for so many bytes, if any.
///
/// A map's size of a value is in its definition, and the loader has no way to set it.
pub(super) fn with_room(bytes: Option<u32>) -> Result<Cow<'static, [u8]>, String> {
    let Some(bytes) = bytes else {
        return Ok(Cow::Borrowed(OBJECT));
    };
    let size = Slot::bytes_with(bytes) as u32;
    let file = File::parse(OBJECT).map_err(|error| error.to_string())?;
    let mut object = OBJECT.to_vec();
    let at =
        value_size_at(&file, SLOTS).ok_or_else(|| format!("no map {SLOTS} in the object file"))?;
    let field = object.get_mut(at..at + size_of_val(&size));
    let field = field.ok_or_else(|| format!("the map {SLOTS} is cut"))?;
    field.copy_from_slice(&size.to_ne_bytes());
    Ok(Cow::Owned(object))
}

/// Where the object says how large a value of a map is, in bytes from its beginning.
fn value_size_at(file: &File<'_>, map: &str) -> Option<usize> {
    let definition = file.symbol_by_name(map)?;
    let section = file.section_by_index(definition.section_index()?).ok()?;
    let (section_at, _) = section.file_range()?;
    let at = section_at + definition.address() - section.address();
    Some(usize::try_from(at).ok()? + offset_of!(bpf_map_def, value_size))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn only_the_slots_get_room() {
        let sizes = |object: &[u8]| {
            let maps = aya_obj::Object::parse(object).unwrap().maps;
            let sizes = BTreeMap::from_iter(maps).into_iter();
            sizes
                .map(|(name, map)| (name, map.value_size()))
                .collect::<Vec<_>>()
        };
        let mut expected = sizes(OBJECT);
        for (name, size) in &mut expected {
            if name == SLOTS {
                assert_eq!(*size as usize, size_of::<Slot>());
                *size = Slot::bytes_with(2048) as u32;
            }
        }
        assert_eq!(sizes(&with_room(Some(2048)).unwrap()), expected);
    }
}
