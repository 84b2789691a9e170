//! Where exchanges come from: recorded traffic now, live traffic to come.
pub mod har;
