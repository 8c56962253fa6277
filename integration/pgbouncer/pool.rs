//! Which server a client gets, and when it is closed.
