//! The recipients of a message: a namespace, rooms in it, and exceptions.

use crate::id::SocketId;

/// Sockets of one namespace, selected by room names.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) namespace: String,
    /// The union of these rooms; `None` is the whole namespace.
    pub(crate) rooms: Option<Vec<String>>,
    pub(crate) except: Vec<String>,
}

impl Default for Address {
    fn default() -> Self {
        Self {
            namespace: "/".to_owned(),
            rooms: None,
            except: Vec::new(),
        }
    }
}

/// Returns the full name of a namespace; the leading slash of `name` is optional.
pub(crate) fn namespace_name(name: &str) -> String {
    format!("/{}", name.trim_start_matches('/'))
}

/// Adds the methods that select the recipients, to a type with a field `address`.
macro_rules! addressed {
    () => {
        /// Names the namespace; `/` by default. The leading slash is optional.
        #[must_use]
        pub fn of(mut self, namespace: impl AsRef<str>) -> Self {
            self.address.namespace = $crate::message::namespace_name(namespace.as_ref());
            self
        }

        /// Adds rooms, or sockets by their ids, to the recipients. Without it the recipients are
        /// all sockets of the namespace. An empty list selects none.
        #[must_use]
        pub fn to(mut self, rooms: impl $crate::message::RoomNames) -> Self {
            rooms.add_to(self.address.rooms.get_or_insert_default());
            self
        }

        /// The same as [`to`](Self::to).
        #[must_use]
        pub fn in_room(self, rooms: impl $crate::message::RoomNames) -> Self {
            self.to(rooms)
        }

        /// Adds the sockets of a user to the recipients; see
        /// [`Socket::identify`](crate::Socket::identify).
        #[must_use]
        pub fn to_user(self, user: impl AsRef<str>) -> Self {
            self.to($crate::user::user_room(user.as_ref()))
        }

        /// Excludes the sockets of these rooms, or those with these ids.
        #[must_use]
        pub fn except(mut self, rooms: impl $crate::message::RoomNames) -> Self {
            rooms.add_to(&mut self.address.except);
            self
        }
    };
}

pub(crate) use addressed;

/// One room or many: a name, a [`SocketId`], or a list of them.
///
/// # Examples
///
/// ```
/// # fn run(socket: actix_socketio::Socket, ids: Vec<actix_socketio::SocketId>) {
/// let one = socket.to("lobby");
/// let two = socket.to(["lobby", "hall"]);
/// let many = socket.to(&ids);
/// # }
/// ```
pub trait RoomNames {
    /// Adds the names to a list.
    fn add_to(self, names: &mut Vec<String>);
}

/// Returns the names of one room or many.
pub(crate) fn room_names(rooms: impl RoomNames) -> Vec<String> {
    let mut names = Vec::new();
    rooms.add_to(&mut names);
    names
}

macro_rules! one_room {
    ($($name:ty)*) => {$(
        impl RoomNames for $name {
            fn add_to(self, names: &mut Vec<String>) {
                let name: &str = AsRef::<str>::as_ref(&self);
                names.push(name.to_owned());
            }
        }
    )*};
}

one_room!(&str &&str &String SocketId &SocketId);

impl RoomNames for String {
    fn add_to(self, names: &mut Vec<String>) {
        names.push(self);
    }
}

impl<T: AsRef<str>> RoomNames for &[T] {
    fn add_to(self, names: &mut Vec<String>) {
        names.extend(self.iter().map(|name| name.as_ref().to_owned()));
    }
}

impl<T: AsRef<str>> RoomNames for Vec<T> {
    fn add_to(self, names: &mut Vec<String>) {
        self.as_slice().add_to(names);
    }
}

impl<T: AsRef<str>> RoomNames for &Vec<T> {
    fn add_to(self, names: &mut Vec<String>) {
        self.as_slice().add_to(names);
    }
}

impl<T: AsRef<str>, const N: usize> RoomNames for [T; N] {
    fn add_to(self, names: &mut Vec<String>) {
        self.as_slice().add_to(names);
    }
}

impl<T: AsRef<str>, const N: usize> RoomNames for &[T; N] {
    fn add_to(self, names: &mut Vec<String>) {
        self.as_slice().add_to(names);
    }
}
