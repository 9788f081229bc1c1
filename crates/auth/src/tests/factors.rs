//! Second factors: adding, showing, losing them.
