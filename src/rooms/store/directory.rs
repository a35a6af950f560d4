//! Snapshots in a directory: a file for each room, which is replaced as a whole.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_core::future::BoxFuture;

use crate::rooms::store::{RoomId, RoomStore, StoreError};

/// Keeps each snapshot in a file of its own. A snapshot is written beside the previous one, which it
/// then replaces by a rename: a crash leaves one of the two, whole.
///
/// One program may use a directory at a time. The names of the files are those of the rooms, with
/// all other characters than `a` to `z`, digits, `-` and `_` escaped; a long name is divided into
/// folders. The directory is made with the first snapshot.
///
/// # Examples
///
/// ```
/// use actix_socketio::{DirectoryRoomStore, SaveOptions};
///
/// let store = DirectoryRoomStore::new("/var/lib/games").sync(true);
/// let options = SaveOptions::new(store);
/// ```
#[derive(Clone, Debug)]
pub struct DirectoryRoomStore {
    place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    directory: PathBuf,
    is_synced: bool,
    /// Tells the unfinished files of two writes apart.
    next: AtomicU64,
}

impl DirectoryRoomStore {
    /// Keeps snapshots in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self::with(directory.into(), false)
    }

    /// With `true`, a snapshot counts as saved after the disk has it (`fsync` of the file and its
    /// directory), so that it survives a loss of power. Without it, the default, it survives the end
    /// of the process.
    #[must_use]
    pub fn sync(self, is_synced: bool) -> Self {
        Self::with(self.place.directory.clone(), is_synced)
    }

    fn with(directory: PathBuf, is_synced: bool) -> Self {
        Self {
            place: Arc::new(Place {
                directory,
                is_synced,
                next: AtomicU64::new(0),
            }),
        }
    }

    /// Runs a blocking access on a thread for such.
    fn access<T: Send + 'static>(
        &self,
        room: &RoomId,
        access: impl FnOnce(&Place, PathBuf) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let place = Arc::clone(&self.place);
        let path = place.directory.join(file_of(room));
        Box::pin(async move {
            let shown = path.display().to_string();
            let accessed = tokio::task::spawn_blocking(move || access(&place, path)).await;
            let accessed = accessed.unwrap_or_else(|error| Err(io::Error::other(error)));
            accessed.map_err(|error| StoreError::new(format!("{shown}: {error}")))
        })
    }
}

impl RoomStore for DirectoryRoomStore {
    fn load<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        self.access(room, |_, path| match fs::read(path) {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
    }

    fn save<'a>(
        &'a self,
        room: &'a RoomId,
        snapshot: Vec<u8>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.access(room, move |place, path| place.replace(&path, &snapshot))
    }

    fn delete<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<(), StoreError>> {
        self.access(room, |_, path| match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        })
    }
}

impl Place {
    fn replace(&self, path: &Path, snapshot: &[u8]) -> io::Result<()> {
        let directory = path.parent().unwrap_or(&self.directory);
        fs::create_dir_all(directory)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // No snapshot has such an end.
        let unfinished = path.with_extension(format!("{number}.new"));
        let written = self.write(&unfinished, snapshot);
        let replaced = written.and_then(|()| fs::rename(&unfinished, path));
        if let Err(error) = replaced {
            // Its own error would hide the cause.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        if self.is_synced {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    }

    fn write(&self, path: &Path, snapshot: &[u8]) -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(snapshot)?;
        if self.is_synced {
            file.sync_all()?;
        }
        Ok(())
    }
}

/// Returns the path of a snapshot in the directory. Two rooms never have the same.
fn file_of(room: &RoomId) -> PathBuf {
    let mut name = escaped(room.namespace());
    if let Some(room) = room.room() {
        // No escaped name has it.
        name.push('.');
        name.push_str(&escaped(room));
    }
    let mut path = PathBuf::new();
    let mut rest = name.as_str();
    while rest.len() > LONGEST {
        let (folder, behind) = rest.split_at(LONGEST);
        // A folder is never named like a snapshot.
        path.push(format!("{folder}+"));
        rest = behind;
    }
    path.push(format!("{rest}.json"));
    path
}

fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02x}")),
        }
    }
    escaped
}

/// The length of a name in a directory, without its end, that all file systems accept.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn room(namespace: &str, room: Option<&str>) -> RoomId {
        RoomId::new(namespace, room)
    }

    #[test]
    fn each_room_has_a_file_of_its_own() {
        let long = "x".repeat(200);
        let longer = "x".repeat(201);
        let rooms = [
            (room("/", None), "%2f.json"),
            (room("/game-7", None), "%2fgame-7.json"),
            (room("/", Some("doc:7")), "%2f.doc%3a7.json"),
            (room("/", Some("DOC.json")), "%2f.%44%4f%43%2ejson.json"),
            (room("/", Some("..")), "%2f.%2e%2e.json"),
            (room("/", Some("")), "%2f..json"),
            (room("/", Some("ö")), "%2f.%c3%b6.json"),
        ];
        let mut paths = HashSet::new();
        for (room, path) in &rooms {
            assert_eq!(file_of(room), Path::new(path));
            paths.insert(file_of(room));
        }
        for name in [&long, &longer] {
            let path = file_of(&room("/", Some(name)));
            let mut parts = path.components();
            assert!(parts.all(|part| part.as_os_str().len() <= LONGEST + 5));
            assert!(paths.insert(path));
        }
    }

    #[actix_rt::test]
    async fn a_snapshot_replaces_the_previous_one_as_a_whole() {
        let directory = std::env::temp_dir().join(format!("rooms-{}", std::process::id()));
        for is_synced in [false, true] {
            let store = DirectoryRoomStore::new(&directory).sync(is_synced);
            for name in ["doc:7", &"Ö".repeat(200)] {
                let room = room("/", Some(name));
                assert_eq!(store.load(&room).await, Ok(None));
                for snapshot in ["{}", "[1,2]"] {
                    store.save(&room, snapshot.into()).await.unwrap();
                    assert_eq!(store.load(&room).await, Ok(Some(snapshot.into())));
                }
                let folder = directory.join(file_of(&room));
                let files = fs::read_dir(folder.parent().unwrap()).unwrap();
                let unfinished = files.filter(|file| {
                    let name = file.as_ref().unwrap().file_name();
                    name.to_string_lossy().ends_with(".new")
                });
                assert_eq!(unfinished.count(), 0);
                store.delete(&room).await.unwrap();
                store.delete(&room).await.unwrap();
                assert_eq!(store.load(&room).await, Ok(None));
            }
        }
        fs::remove_dir_all(&directory).unwrap();
    }

    #[actix_rt::test]
    async fn an_error_names_the_file() {
        let file = std::env::temp_dir().join(format!("no-directory-{}", std::process::id()));
        fs::write(&file, "in the way").unwrap();
        let store = DirectoryRoomStore::new(&file);
        let error = store.save(&room("/", None), Vec::new()).await.unwrap_err();
        assert!(
            error.to_string().starts_with(&file.display().to_string()),
            "{error}"
        );
        fs::remove_file(&file).unwrap();
    }
}
