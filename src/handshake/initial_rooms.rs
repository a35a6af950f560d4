//! The rooms that a client of an event stream joins as it connects.

/// Names of rooms, in the order of the request. The program has allowed them.
#[derive(Clone, Debug)]
pub(crate) struct InitialRooms(pub(crate) Vec<String>);
