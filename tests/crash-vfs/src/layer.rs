//! The table of functions that SQLite calls (VFS), over [`State`]: the only unsafe code of the house.
//!
//! One layer, [`FILE_LAYER`], is registered once and stays; it stands on the one [`crate::Disk`] of the moment. A handle owns a share
//! of its disk, so nothing dangles if it is closed late. Locks and the shared index of the log (`-shm`) are kept per file, because
//! a verifier may read on a second connection; neither survives its last handle.
#![allow(
    unsafe_code,
    reason = "SQLite is C; no safe binding lets a VFS give randomness, time and flush flags"
)]

use crate::{
    Shared, locked,
    state::{Fault, State},
};
use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};
use std::{
    collections::BTreeMap,
    ffi::{CStr, c_char, c_int, c_void},
    mem::size_of,
    ptr::{null, null_mut},
    slice,
    sync::{Arc, Mutex, Once, PoisonError},
};

/// Name under which SQLite knows the layer.
pub const FILE_LAYER: &str = "tolem-crash";
const NAME: &CStr = c"tolem-crash";
/// Longest file name.
const MAX_NAME: c_int = 256;
/// Locks of the log's index.
const SLOTS: usize = 8;

/// The disk of the moment.
static DISK: Mutex<Option<Arc<Ground>>> = Mutex::new(None);

/// A disk and the locks on its files.
struct Ground {
    state: Shared,
    locks: Mutex<BTreeMap<u64, Locks>>,
}

/// Who holds what of one file.
#[derive(Default)]
struct Locks {
    /// Level of each handle on the file itself, by its address.
    levels: BTreeMap<usize, c_int>,
    /// Per slot of the index: holders who share it, or -1.
    slots: [i32; SLOTS],
    /// The index; its words do not move while a handle maps them.
    index: Vec<Box<[u64]>>,
    mapped: usize,
}

/// What SQLite sees as an open file.
#[repr(C)]
struct Handle {
    base: sqlite3_file,
    /// Made by `Arc::into_raw`; given back in `close`.
    ground: *const Ground,
    file: u64,
    is_log: bool,
    maps_index: bool,
    shared_slots: u8,
    own_slots: u8,
}

fn disk() -> Option<Arc<Ground>> {
    DISK.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Puts a disk below the layer, which is registered the first time.
pub(crate) fn insert(state: &Shared) {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| register(false));
    let ground = Ground { state: state.clone(), locks: Mutex::default() };
    *DISK.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(ground));
}

/// Takes it away.
pub(crate) fn remove() {
    *DISK.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// SQLite's generator begins anew with words of the disk. It takes them from the default layer only, so this one is the default
/// for that moment.
pub(crate) fn start_randomness() {
    // SAFETY: `sqlite3_vfs_find(NULL)` answers the default layer, which lives as long as the process; an absent buffer means
    // "begin anew", and one byte fits into `byte`.
    unsafe {
        let usual = ffi::sqlite3_vfs_find(null());
        register(true);
        ffi::sqlite3_randomness(0, null_mut());
        let mut byte = 0u8;
        ffi::sqlite3_randomness(1, (&raw mut byte).cast());
        ffi::sqlite3_vfs_register(usual, 1);
    }
}

fn register(as_default: bool) {
    /// SQLite links layers in a list of their own; the table is made once.
    struct Table(*mut sqlite3_vfs);
    // SAFETY: the pointer is only ever handed to SQLite, which guards its list with a mutex of its own.
    unsafe impl Send for Table {}
    static TABLE: Mutex<Option<Table>> = Mutex::new(None);
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    let table = table.get_or_insert_with(|| Table(Box::into_raw(Box::new(layer()))));
    // SAFETY: the table is never freed, and registering a registered layer again is allowed.
    let result = unsafe { ffi::sqlite3_vfs_register(table.0, c_int::from(as_default)) };
    assert_eq!(result, ffi::SQLITE_OK, "SQLite takes the layer");
}

fn layer() -> sqlite3_vfs {
    sqlite3_vfs {
        iVersion: 2,
        szOsFile: size_of::<Handle>() as c_int,
        mxPathname: MAX_NAME,
        pNext: null_mut(),
        zName: NAME.as_ptr(),
        pAppData: null_mut(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_path),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: None,
        xCurrentTimeInt64: Some(current_time_int),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(index_map),
    xShmLock: Some(index_lock),
    xShmBarrier: Some(index_barrier),
    xShmUnmap: Some(index_unmap),
    xFetch: None,
    xUnfetch: None,
};

fn code(result: Result<(), Fault>, io: c_int) -> c_int {
    match result {
        Ok(()) => ffi::SQLITE_OK,
        Err(Fault::Full) => ffi::SQLITE_FULL,
        Err(Fault::Io) => io,
    }
}

/// # Safety
/// `name` is null or a C string.
unsafe fn text<'a>(name: *const c_char) -> Option<&'a str> {
    if name.is_null() {
        return None;
    }
    // SAFETY: by the caller.
    unsafe { CStr::from_ptr(name) }.to_str().ok()
}

/// # Safety
/// `file` was filled by [`open`] and is not closed.
unsafe fn handle<'a>(file: *mut sqlite3_file) -> &'a mut Handle {
    // SAFETY: SQLite allocates `szOsFile` bytes for each file and hands only its own pointers back; it uses a handle from one thread
    // at a time.
    unsafe { &mut *file.cast::<Handle>() }
}

impl Handle {
    fn ground(&self) -> &Ground {
        // SAFETY: the count taken in `open` is held until `close`.
        unsafe { &*self.ground }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut locked(&self.ground().state))
    }

    fn with_locks<T>(&self, act: impl FnOnce(&mut Locks) -> T) -> T {
        let mut locks = self.ground().locks.lock().unwrap_or_else(PoisonError::into_inner);
        act(locks.entry(self.file).or_default())
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }
}

// -- the directory ----------------------------------------------------------------------------------------------------

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes a C string or null, and room for a handle.
    let name = unsafe {
        (*file).pMethods = null();
        text(name)
    };
    let Some(ground) = disk() else { return ffi::SQLITE_CANTOPEN };
    let mut state = locked(&ground.state);
    let found = match name.and_then(|name| state.find(name)) {
        _ if state.is_dead() => return ffi::SQLITE_CANTOPEN,
        Some(found) => found,
        None if flags & ffi::SQLITE_OPEN_CREATE == 0 => return ffi::SQLITE_CANTOPEN,
        None => match state.create(name) {
            Ok(made) => made,
            Err(_) => return ffi::SQLITE_CANTOPEN,
        },
    };
    state.open += 1;
    drop(state);
    let made = Handle {
        base: sqlite3_file { pMethods: &raw const METHODS },
        ground: Arc::into_raw(ground),
        file: found,
        is_log: flags & (ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL) != 0,
        maps_index: false,
        shared_slots: 0,
        own_slots: 0,
    };
    // SAFETY: `file` has room for a handle; `out_flags` is null or room for a number.
    unsafe {
        file.cast::<Handle>().write(made);
        if !out_flags.is_null() {
            *out_flags = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: an open handle.
    let handle = unsafe { handle(file) };
    let address = handle.address();
    handle.with_locks(|locks| locks.levels.remove(&address));
    handle.with(|state| state.open -= 1);
    // SAFETY: taken in `open`; the handle is not used after this.
    drop(unsafe { Arc::from_raw(handle.ground) });
    handle.base.pMethods = null();
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, durably: c_int) -> c_int {
    // SAFETY: SQLite passes a C string.
    let name = unsafe { text(name) };
    let (Some(ground), Some(name)) = (disk(), name) else { return ffi::SQLITE_IOERR_DELETE };
    let mut state = locked(&ground.state);
    if state.find(name).is_none() {
        return ffi::SQLITE_IOERR_DELETE_NOENT;
    }
    code(state.delete(name, durably != 0), ffi::SQLITE_IOERR_DELETE)
}

unsafe extern "C" fn access(_: *mut sqlite3_vfs, name: *const c_char, _: c_int, answer: *mut c_int) -> c_int {
    // SAFETY: SQLite passes a C string and room for the answer.
    let name = unsafe { text(name) };
    let (Some(ground), Some(name)) = (disk(), name) else { return ffi::SQLITE_IOERR_ACCESS };
    let there = locked(&ground.state).find(name).is_some();
    // SAFETY: as above.
    unsafe { *answer = c_int::from(there) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_path(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: a C string, and `room` bytes for a copy of it.
    unsafe {
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if bytes.len() > room as usize {
            return ffi::SQLITE_CANTOPEN;
        }
        out.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
    }
    ffi::SQLITE_OK
}

// -- time and chance --------------------------------------------------------------------------------------------------

unsafe extern "C" fn randomness(_: *mut sqlite3_vfs, room: c_int, out: *mut c_char) -> c_int {
    // SAFETY: `room` bytes.
    let bytes = unsafe { slice::from_raw_parts_mut(out.cast::<u8>(), room as usize) };
    match disk() {
        Some(ground) => locked(&ground.state).random(bytes),
        None => bytes.fill(0),
    }
    room
}

unsafe extern "C" fn sleep(_: *mut sqlite3_vfs, microseconds: c_int) -> c_int {
    if let Some(ground) = disk() {
        locked(&ground.state).sleep(microseconds.into());
    }
    microseconds
}

unsafe extern "C" fn current_time_int(_: *mut sqlite3_vfs, out: *mut sqlite3_int64) -> c_int {
    let now = disk().map_or(0, |ground| locked(&ground.state).now());
    // SAFETY: room for a number.
    unsafe { *out = now };
    ffi::SQLITE_OK
}

unsafe extern "C" fn current_time(_: *mut sqlite3_vfs, out: *mut f64) -> c_int {
    let now = disk().map_or(0, |ground| locked(&ground.state).now());
    // SAFETY: room for a number.
    unsafe { *out = now as f64 / 86_400_000.0 };
    ffi::SQLITE_OK
}

// -- content ----------------------------------------------------------------------------------------------------------

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    out: *mut c_void,
    count: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: an open handle and `count` bytes.
    let (handle, buffer) =
        unsafe { (handle(file), slice::from_raw_parts_mut(out.cast::<u8>(), count as usize)) };
    let read = handle.with(|state| {
        if state.is_dead() { None } else { Some(state.file(handle.file).read(at as usize, buffer)) }
    });
    match read {
        None => ffi::SQLITE_IOERR_READ,
        Some(read) if read == count as usize => ffi::SQLITE_OK,
        Some(_) => ffi::SQLITE_IOERR_SHORT_READ,
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    data: *const c_void,
    count: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: an open handle and `count` bytes.
    let (handle, data) = unsafe { (handle(file), slice::from_raw_parts(data.cast::<u8>(), count as usize)) };
    code(handle.with(|state| state.write(handle.file, at as u64, data)), ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    // SAFETY: an open handle.
    let handle = unsafe { handle(file) };
    code(handle.with(|state| state.truncate(handle.file, length as u64)), ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: an open handle.
    let handle = unsafe { handle(file) };
    code(handle.with(|state| state.flush(handle.file, handle.is_log)), ffi::SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut sqlite3_int64) -> c_int {
    // SAFETY: an open handle and room for a number.
    unsafe {
        let handle = handle(file);
        *out = handle.with(|state| state.file(handle.file).length()) as sqlite3_int64;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    if operation == ffi::SQLITE_FCNTL_PRAGMA {
        // SAFETY: an open handle, and the four texts of a pragma: result, name, value, null. The value is a buffer of SQLite's own
        // parser, written to only within its length.
        unsafe {
            let texts = slice::from_raw_parts(argument.cast::<*mut c_char>(), 3);
            let bent = text(texts[1]).and_then(|name| {
                handle(file).with(|state| state.bent.get(name.to_ascii_lowercase().as_str()).copied())
            });
            if let (Some(value), Some(old)) = (bent, text(texts[2])) {
                assert!(value.len() <= old.len(), "`{value}` has no room in `{old}`");
                texts[2].cast::<u8>().copy_from_nonoverlapping(value.as_ptr(), value.len());
                texts[2].add(value.len()).write(0);
            }
        }
    }
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    // SAFETY: an open handle.
    unsafe { handle(file) }.with(|state| state.media.unit as c_int)
}

unsafe extern "C" fn characteristics(file: *mut sqlite3_file) -> c_int {
    // SAFETY: an open handle.
    let claims = unsafe { handle(file) }.with(|state| state.media.claims_safe_overwrite);
    if claims { ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE } else { 0 }
}

// -- locks ------------------------------------------------------------------------------------------------------------

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: an open handle.
    let handle = unsafe { handle(file) };
    let own = handle.address();
    handle.with_locks(|locks| {
        let highest = locks.levels.iter().filter(|(who, _)| **who != own).map(|(_, level)| *level).max();
        let highest = highest.unwrap_or(ffi::SQLITE_LOCK_NONE);
        let free = match level {
            ffi::SQLITE_LOCK_SHARED => highest < ffi::SQLITE_LOCK_PENDING,
            ffi::SQLITE_LOCK_RESERVED => highest < ffi::SQLITE_LOCK_RESERVED,
            _ => highest == ffi::SQLITE_LOCK_NONE,
        };
        if !free {
            return ffi::SQLITE_BUSY;
        }
        let held = locks.levels.entry(own).or_insert(level);
        *held = level.max(*held);
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: an open handle.
    let handle = unsafe { handle(file) };
    let own = handle.address();
    handle.with_locks(|locks| {
        if level == ffi::SQLITE_LOCK_NONE {
            locks.levels.remove(&own);
        } else {
            locks.levels.insert(own, level);
        }
    });
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved(file: *mut sqlite3_file, answer: *mut c_int) -> c_int {
    // SAFETY: an open handle and room for the answer.
    unsafe {
        let handle = handle(file);
        let held =
            handle.with_locks(|locks| locks.levels.values().any(|level| *level >= ffi::SQLITE_LOCK_RESERVED));
        *answer = c_int::from(held);
    }
    ffi::SQLITE_OK
}

// -- the index of the log ---------------------------------------------------------------------------------------------

unsafe extern "C" fn index_map(
    file: *mut sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: an open handle.
    let handle = unsafe { handle(file) };
    let first = !std::mem::replace(&mut handle.maps_index, true);
    let pointer = handle.with_locks(|locks| {
        locks.mapped += usize::from(first);
        while extend != 0 && locks.index.len() <= region as usize {
            locks.index.push(vec![0u64; size as usize / size_of::<u64>()].into_boxed_slice());
        }
        locks.index.get_mut(region as usize).map_or(null_mut(), |words| words.as_mut_ptr())
    });
    // SAFETY: room for a pointer. The words stay where they are until the last handle has unmapped them.
    unsafe { *out = pointer.cast() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn index_lock(file: *mut sqlite3_file, first: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: an open handle.
    let handle = unsafe { handle(file) };
    let range = first as usize..(first + count) as usize;
    let mask = range.clone().fold(0u8, |mask, slot| mask | 1 << slot);
    let (shared, own) = (handle.shared_slots, handle.own_slots);
    let exclusive = flags & ffi::SQLITE_SHM_EXCLUSIVE != 0;
    let granted = handle.with_locks(|locks| {
        let slots = &mut locks.slots;
        if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
            for slot in range {
                if own & 1 << slot != 0 {
                    slots[slot] = 0;
                } else if shared & 1 << slot != 0 {
                    slots[slot] -= 1;
                }
            }
            return true;
        }
        if exclusive {
            if slots[range.clone()].iter().any(|held| *held != 0) {
                return false;
            }
            slots[range].fill(-1);
        } else if shared & mask == 0 {
            if slots[range.clone()].iter().any(|held| *held < 0) {
                return false;
            }
            slots[range].iter_mut().for_each(|held| *held += 1);
        }
        true
    });
    match (granted, flags & ffi::SQLITE_SHM_UNLOCK != 0) {
        (false, _) => return ffi::SQLITE_BUSY,
        (true, true) => {
            handle.shared_slots &= !mask;
            handle.own_slots &= !mask;
        }
        (true, false) if exclusive => handle.own_slots |= mask,
        (true, false) => handle.shared_slots |= mask,
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn index_barrier(_: *mut sqlite3_file) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

unsafe extern "C" fn index_unmap(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: an open handle.
    let handle = unsafe { handle(file) };
    let mapped = std::mem::take(&mut handle.maps_index);
    handle.with_locks(|locks| {
        locks.mapped -= usize::from(mapped);
        // Nobody maps it any more: whoever opens the file next rebuilds it from the log.
        if locks.mapped == 0 {
            locks.index.clear();
        }
    });
    ffi::SQLITE_OK
}
