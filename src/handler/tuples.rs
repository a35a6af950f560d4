//! The tuples of arguments: one list of how many there may be.

/// Calls a macro for each number of arguments, from none to eight, with a name for each.
macro_rules! for_each_tuple {
    ($callback:ident) => {
        $callback!();
        $callback!(A);
        $callback!(A B);
        $callback!(A B C);
        $callback!(A B C D);
        $callback!(A B C D E);
        $callback!(A B C D E F);
        $callback!(A B C D E F G);
        $callback!(A B C D E F G H);
    };
}

pub(crate) use for_each_tuple;
